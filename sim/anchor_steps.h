/* Where the re-anchor under way stands, seen from outside: what was sent, what was executed.
 * Faults aim at these steps. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_ANCHOR_STEPS_H
#define BTCAST_SIM_ANCHOR_STEPS_H

#include <stdbool.h>
#include <stdint.h>

/* constant, name: begins when … */
#define ANCHOR_STEP_TABLE(X)                                                                       \
    X(STEP_CLAIM, "claim")   /* the claim is sent */                                               \
    X(STEP_FETCH, "fetch")   /* the exchange is asked */                                           \
    X(STEP_JUDGE, "judge")   /* its reply reaches the coordinator's machine */                     \
    X(STEP_HAND, "hand")     /* the document is sent */                                            \
    X(STEP_TAKE, "take")     /* the document lies in the store */                                  \
    X(STEP_STAGE, "stage")   /* the temporary keys are sent */                                     \
    X(STEP_SWAP, "swap")     /* the swap is sent */                                                \
    X(STEP_VERIFY, "verify") /* the swap is done: nobody knows yet */                              \
    X(STEP_LOG, "log")       /* the control record is sent */

enum anchor_step {
#define X(constant, name) constant,
    ANCHOR_STEP_TABLE(X)
#undef X
        STEP_COUNT,
    STEP_NONE = STEP_COUNT
};
const char *anchor_step_name(enum anchor_step step);

struct simulation;
struct process;
struct virtual_step;

/* What the network tells. */
void anchor_steps_sent(struct simulation *simulation, const struct virtual_step *step);
void anchor_steps_executed(struct simulation *simulation, const struct virtual_step *step,
                           bool accepted);
void anchor_steps_asked(struct simulation *simulation, struct process *process);
void anchor_steps_answered(struct simulation *simulation, struct process *process, int64_t at_us);

#endif
