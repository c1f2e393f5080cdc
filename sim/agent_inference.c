/* An inference replica's process (as services/inference wires it). SPDX-License-Identifier:
 * Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "edge/redis/redis_infer.h"
#include "hot/infer/infer.h"
#include "sim/agents.h"
#include "sim/simulation.h"

#define AGENT_JOURNAL_SLOTS 256
#define AGENT_STAGGER_US    1000
#define AGENT_AWAY_WAIT_US  20000

struct agent_inference {
    struct process *process;
    struct redis_link *link;
    struct redis_infer *redis;
    struct infer infer;
};

static int64_t agent_inference_mono_ns(void *clock)
{
    (void)clock;
    return loop_mono_ns();
}

static void agent_inference_served(void *context, const struct prediction *prediction,
                                   const struct infer_timing *timing)
{
    struct agent_inference *agent = context;
    simulation_served(agent->process->simulation, agent->process, prediction, timing);
}

static void agent_inference_mode(void *context, enum degrade_mode from, enum degrade_mode to,
                                 const char *reason)
{
    struct agent_inference *agent = context;
    simulation_trace(agent->process->simulation, "%s mode %s -> %s (%s)", agent->process->name,
                     degrade_mode_name(from), degrade_mode_name(to), reason);
}

static void agent_inference_clock_step(void *context, int64_t step_us)
{
    struct agent_inference *agent = context;
    simulation_trace(agent->process->simulation, "%s clock step of %lld us", agent->process->name,
                     (long long)step_us);
}

static void *agent_inference_open(struct process *process)
{
    struct agent_inference *agent = calloc(1, sizeof(*agent));
    struct err err = {0};
    struct redis_link_options link = {.database = 0};
    CHECK(agent != NULL);
    agent->process = process;
    CHECK(redis_link_open(&link, process->loop, &agent->link, &err) == ERR_OK);
    CHECK(redis_infer_open(agent->link, STATE_KEYS_PLAIN, SIMULATION_SYMBOL, &agent->redis, &err) ==
          ERR_OK);
    struct infer_options options = {.journal_capacity = AGENT_JOURNAL_SLOTS,
                                    .stagger_us = process->index * AGENT_STAGGER_US,
                                    .view = virtual_lake_view(&process->simulation->lake),
                                    .mono_ns = agent_inference_mono_ns};
    snprintf(options.symbol, sizeof(options.symbol), "%s", SIMULATION_SYMBOL);
    struct infer_port port = redis_infer_port(agent->redis);
    struct infer_observer observer = {.context = agent,
                                      .served = agent_inference_served,
                                      .mode = agent_inference_mode,
                                      .clock_step = agent_inference_clock_step};
    CHECK(infer_open(&agent->infer, &options, &port, &observer, process_now(process), &err) ==
          ERR_OK);
    CHECK(infer_set_model(&agent->infer, process->simulation->model) == ERR_OK);
    return agent;
}

static void agent_inference_close(void *self)
{
    struct agent_inference *agent = self;
    redis_link_close(agent->link);
    redis_infer_close(agent->redis);
    infer_close(&agent->infer);
    free(agent);
}

static int64_t agent_inference_step(void *self, struct clock_now now)
{
    struct agent_inference *agent = self;
    redis_link_do_work(agent->link, now.mono_us);
    infer_do_work(&agent->infer, now);
    int64_t wait_us = infer_wait_us(&agent->infer, now.mono_us);
    if (!redis_link_connected(agent->link) && wait_us > AGENT_AWAY_WAIT_US)
        return AGENT_AWAY_WAIT_US;
    return wait_us;
}

const struct infer *agent_inference_of(const void *agent)
{
    return &((const struct agent_inference *)agent)->infer;
}

const struct process_agent agent_inference = {
    .open = agent_inference_open, .close = agent_inference_close, .step = agent_inference_step};
