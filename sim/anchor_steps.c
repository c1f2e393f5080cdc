/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "sim/anchor_steps.h"

#include <string.h>

#include "sim/simulation.h"

const char *anchor_step_name(enum anchor_step step)
{
    static const char *const names[STEP_COUNT + 1] = {
#define X(constant, name) name,
        ANCHOR_STEP_TABLE(X)
#undef X
            "-"};
    return names[step];
}

/* About how long a step lasts: a fault aimed at it falls somewhere inside. */
static const int64_t anchor_step_span_us[STEP_COUNT] = {
    [STEP_CLAIM] = 250, [STEP_FETCH] = 20000,  [STEP_JUDGE] = 0,
    [STEP_HAND] = 120,  [STEP_TAKE] = 12000,   [STEP_STAGE] = 200,
    [STEP_SWAP] = 120,  [STEP_VERIFY] = 20000, [STEP_LOG] = 100};

static void anchor_steps_enter(struct simulation *simulation, enum anchor_step step)
{
    simulation->step_now = step;
    simulation_trace(simulation, "step %s", anchor_step_name(step));
    if (step == STEP_NONE)
        return;
    faults_on_step(&simulation->faults, step, anchor_step_span_us[step]);
}

static bool anchor_steps_is(const struct virtual_step *step, const char *script)
{
    return step->script != NULL && strcmp(step->script, script) == 0;
}

/* SET flag token NX PX ttl of a coordinator. */
static bool anchor_steps_is_claim(const struct virtual_step *step)
{
    return step->script == NULL && step->process->kind == PROCESS_REANCHOR && step->arg_count > 3 &&
           blob_same(step->args[0], BYTES_LITERAL("SET")) &&
           blob_same(step->args[3], BYTES_LITERAL("NX"));
}

/* An aggregator writes control records only. */
static bool anchor_steps_is_log(const struct virtual_step *step)
{
    return anchor_steps_is(step, "put") && step->process->kind == PROCESS_AGGREGATOR;
}

static bool anchor_steps_is_audit(const struct virtual_step *step)
{
    return step->script == NULL && step->process->kind == PROCESS_REANCHOR && step->arg_count > 6 &&
           blob_same(step->args[0], BYTES_LITERAL("XADD"));
}

void anchor_steps_sent(struct simulation *simulation, const struct virtual_step *step)
{
    if (anchor_steps_is_claim(step)) {
        const struct model_value *flag = model_redis_value(
            simulation->redis, simulation->checks.keys[STATE_REANCHOR], simulation->queue.now_us);
        if (flag->type == MODEL_NONE)
            anchor_steps_enter(simulation, STEP_CLAIM);
    } else if (anchor_steps_is(step, "hand")) {
        anchor_steps_enter(simulation, STEP_HAND);
    } else if (anchor_steps_is(step, "stage")) {
        anchor_steps_enter(simulation, STEP_STAGE);
    } else if (anchor_steps_is(step, "swap")) {
        anchor_steps_enter(simulation, STEP_SWAP);
    } else if (anchor_steps_is_log(step)) {
        anchor_steps_enter(simulation, STEP_LOG);
    } else if (anchor_steps_is_audit(step)) {
        anchor_steps_enter(simulation, STEP_NONE);
    }
}

void anchor_steps_executed(struct simulation *simulation, const struct virtual_step *step,
                           bool accepted)
{
    if (!accepted)
        return;
    if (anchor_steps_is(step, "hand"))
        anchor_steps_enter(simulation, STEP_TAKE);
    else if (anchor_steps_is(step, "swap"))
        anchor_steps_enter(simulation, STEP_VERIFY);
    else if (anchor_steps_is_log(step) && simulation->step_now == STEP_LOG)
        simulation->step_now = STEP_VERIFY;
}

void anchor_steps_asked(struct simulation *simulation, struct process *process)
{
    if (process->kind == PROCESS_REANCHOR)
        anchor_steps_enter(simulation, STEP_FETCH);
}

static void anchor_steps_on_answer(void *context, void *object, uint64_t number)
{
    struct simulation *simulation = context;
    struct process *process = object;
    if (!simulation->ending && process->life == number && simulation->step_now == STEP_FETCH)
        anchor_steps_enter(simulation, STEP_JUDGE);
}

void anchor_steps_answered(struct simulation *simulation, struct process *process, int64_t at_us)
{
    if (process->kind == PROCESS_REANCHOR)
        virtual_queue_add(&simulation->queue, at_us, anchor_steps_on_answer, simulation, process,
                          process->life);
}
