/* The gap detector's process (as services/gap-detector wires it, with the thresholds of its
 * local.yaml). SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/check.h"
#include "edge/redis/redis_gap.h"
#include "edge/redis/redis_silence.h"
#include "recover/gap/gap_detector.h"
#include "sim/agent_rest.h"
#include "sim/agents.h"
#include "sim/simulation.h"

#define AGENT_WAIT_US    10000
#define AGENT_TIMEOUT_US 10000000

struct agent_gap {
    struct redis_link *link;
    struct redis_gap *store;
    struct redis_silence silence;
    struct agent_rest rest;
    struct rest_desk desk;
    struct gap_detector *detector;
};

static void *agent_gap_open(struct process *process)
{
    struct agent_gap *agent = calloc(1, sizeof(*agent));
    struct err err = {0};
    struct redis_link_options link = {.database = 0};
    CHECK(agent != NULL);
    CHECK(redis_link_open(&link, process->loop, &agent->link, &err) == ERR_OK);
    CHECK(redis_gap_open(agent->link, STATE_KEYS_PLAIN, SIMULATION_SYMBOL, &agent->store, &err) ==
          ERR_OK);
    agent->silence.link = agent->link;
    rest_desk_open(&agent->desk,
                   &(struct rest_desk_options){
                       .symbol = SIMULATION_SYMBOL,
                       .rest = agent_rest_port(&agent->rest, process, AGENT_TIMEOUT_US),
                       .silence = redis_silence_port(&agent->silence),
                       .metrics = process->metrics,
                       .seed = prng_u64(&process->simulation->prng)});
    struct gap_detector_options options = {
        .symbol = SIMULATION_SYMBOL,
        .by = process->name,
        .judge = {.cooldown_ms = 60000, .hint_hold_ms = 150000, .overdue_ms = 60000},
        .silence_us = 30000000,
        .price_jump_bp = 200,
        .skew_us = 10000000,
        .trade_hole_min = 1,
        .port = redis_gap_port(agent->store),
        .desk = &agent->desk,
        .metrics = process->metrics};
    CHECK(gap_detector_open(&options, &agent->detector, &err) == ERR_OK);
    return agent;
}

static void agent_gap_close(void *self)
{
    struct agent_gap *agent = self;
    redis_link_close(agent->link);
    redis_gap_close(agent->store);
    gap_detector_close(agent->detector);
    free(agent);
}

static int64_t agent_gap_step(void *self, struct clock_now now)
{
    struct agent_gap *agent = self;
    gap_detector_do_work(agent->detector, now);
    return AGENT_WAIT_US;
}

const struct process_agent agent_gap = {
    .open = agent_gap_open, .close = agent_gap_close, .step = agent_gap_step};
