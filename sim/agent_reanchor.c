/* A coordinator's process (as services/re-anchor-service wires it). SPDX-License-Identifier:
 * Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "edge/redis/redis_anchor.h"
#include "recover/anchor/reanchor.h"
#include "sim/agents.h"
#include "sim/simulation.h"

#define AGENT_WAIT_US    10000
#define AGENT_TIMEOUT_US 5000000

struct agent_reanchor {
    struct process *process;
    char owner[STATE_OWNER_SIZE];
    struct redis_link *link;
    struct redis_anchor *claim;
    struct reanchor *reanchor;
    anchor_rest_fn done;
    void *context;
};

static void agent_reanchor_on_reply(void *context, const struct exchange_reply *reply)
{
    struct agent_reanchor *agent = context;
    struct anchor_rest_reply out = {.result = reply->result,
                                    .why = "injected",
                                    .status = reply->status,
                                    .body = reply->body,
                                    .retry_after_s = reply->retry_after_s,
                                    .used_weight = reply->used_weight};
    agent->done(agent->context, &out);
}

static int agent_reanchor_get(void *self, const struct anchor_rest_query *query,
                              anchor_rest_fn done, void *context)
{
    struct agent_reanchor *agent = self;
    char text[96];
    snprintf(text, sizeof(text), "symbol=%s&limit=%d", query->symbol, query->limit);
    agent->done = done;
    agent->context = context;
    return virtual_exchange_get(&agent->process->simulation->exchange, agent->process,
                                "/api/v3/depth", text, AGENT_TIMEOUT_US, agent_reanchor_on_reply,
                                agent);
}

static int agent_reanchor_rest_work(void *self, int64_t mono_us)
{
    (void)self;
    (void)mono_us;
    return 0;
}

static void *agent_reanchor_open(struct process *process)
{
    struct agent_reanchor *agent = calloc(1, sizeof(*agent));
    struct err err = {0};
    struct redis_link_options link = {.database = 0};
    CHECK(agent != NULL);
    agent->process = process;
    snprintf(agent->owner, sizeof(agent->owner), "%d-%d", process->index + 1, process->starts);
    CHECK(redis_link_open(&link, process->loop, &agent->link, &err) == ERR_OK);
    CHECK(redis_anchor_open(agent->link, STATE_KEYS_PLAIN, SIMULATION_SYMBOL, &agent->claim,
                            &err) == ERR_OK);
    struct reanchor_options options = {
        .symbol = SIMULATION_SYMBOL,
        .owner = agent->owner,
        .claim = redis_anchor_port(agent->claim),
        .rest = {.self = agent, .get = agent_reanchor_get, .do_work = agent_reanchor_rest_work},
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
