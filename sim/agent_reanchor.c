/* A coordinator's process (as services/re-anchor-service wires it).
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "edge/redis/redis_anchor.h"
#include "edge/redis/redis_silence.h"
#include "recover/anchor/reanchor.h"
#include "sim/agent_rest.h"
#include "sim/agents.h"
#include "sim/simulation.h"

#define AGENT_WAIT_US    10000
#define AGENT_TIMEOUT_US 10000000

struct agent_reanchor {
    char owner[STATE_OWNER_SIZE];
    struct redis_link *link;
    struct redis_anchor *claim;
    struct redis_silence silence;
    struct agent_rest rest;
    struct reanchor *reanchor;
};

static void *agent_reanchor_open(struct process *process)
{
    struct agent_reanchor *agent = calloc(1, sizeof(*agent));
    struct err err = {0};
    struct redis_link_options link = {.database = 0};
    CHECK(agent != NULL);
    snprintf(agent->owner, sizeof(agent->owner), "%d-%d", process->index + 1, process->starts);
    CHECK(redis_link_open(&link, process->loop, &agent->link, &err) == ERR_OK);
    CHECK(redis_anchor_open(agent->link, STATE_KEYS_PLAIN, SIMULATION_SYMBOL, &agent->claim,
                            &err) == ERR_OK);
    agent->silence.link = agent->link;
    struct reanchor_options options = {.symbol = SIMULATION_SYMBOL,
                                       .owner = agent->owner,
                                       .claim = redis_anchor_port(agent->claim),
                                       .rest =
                                           agent_rest_port(&agent->rest, process, AGENT_TIMEOUT_US),
                                       .silence = redis_silence_port(&agent->silence),
                                       .metrics = process->metrics};
    CHECK(reanchor_open(&options, &agent->reanchor, &err) == ERR_OK);
    return agent;
}

static void agent_reanchor_close(void *self)
{
    struct agent_reanchor *agent = self;
    redis_link_close(agent->link);
    redis_anchor_close(agent->claim);
    reanchor_close(agent->reanchor);
    free(agent);
}

static int64_t agent_reanchor_step(void *self, struct clock_now now)
{
    struct agent_reanchor *agent = self;
    reanchor_do_work(agent->reanchor, now);
    return AGENT_WAIT_US;
}

const struct process_agent agent_reanchor = {
    .open = agent_reanchor_open, .close = agent_reanchor_close, .step = agent_reanchor_step};
