/* The REST port of a simulated process: the exchange's calls over the simulation's network.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_AGENT_REST_H
#define BTCAST_SIM_AGENT_REST_H

#include "recover/rest_port.h"
#include "sim/virtual_process.h"

#define AGENT_REST_CALLS 8

struct agent_rest_call {
    struct agent_rest *rest;
    rest_done_fn done;
    void *context;
    int64_t sent_us;
    bool busy;
};

/* Lives with the agent: a reply to one that has died reaches nobody. */
struct agent_rest {
    struct process *process;
    int64_t timeout_us;
    struct agent_rest_call calls[AGENT_REST_CALLS];
};

struct rest_port agent_rest_port(struct agent_rest *rest, struct process *process,
                                 int64_t timeout_us);

#endif
