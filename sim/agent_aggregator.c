/* An aggregator's process (as services/aggregator wires it). SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "edge/redis/redis_state.h"
#include "edge/redis/redis_stream.h"
#include "sim/agents.h"
#include "sim/simulation.h"

#define AGENT_BLOCK_US 20000

struct agent_aggregator {
    struct process *process;
    char owner[STATE_OWNER_SIZE], kin[STATE_OWNER_SIZE];
    struct redis_link *link;
    struct redis_state *state;
    struct redis_consumer *consumer;
    struct redis_producer *control;
    struct aggregator *aggregator;
};

static void agent_aggregator_on_record(void *context, const struct stream_record *record,
                                       const char *position)
{
    struct agent_aggregator *agent = context;
    aggregator_on_record(agent->aggregator, record, position);
}

static void agent_aggregator_on_put(void *context, uint64_t ticket,
                                    const enum stream_outcome *outcome, int count)
{
    struct agent_aggregator *agent = context;
    aggregator_on_put(agent->aggregator, ticket, outcome, count);
}

static void agent_aggregator_open_ports(struct agent_aggregator *agent)
{
    struct loop *loop = agent->process->loop;
    struct err err = {0};
    struct redis_link_options link = {.database = 0};
    CHECK(redis_link_open(&link, loop, &agent->link, &err) == ERR_OK);
    struct redis_state_options state = {.symbol = SIMULATION_SYMBOL, .link = agent->link};
    CHECK(redis_state_open(&state, &agent->state, &err) == ERR_OK);
    struct redis_consumer_options consumer = {
        .record = agent_aggregator_on_record, .context = agent, .block_us = AGENT_BLOCK_US};
    struct redis_producer_options producer = {
        .done = agent_aggregator_on_put, .context = agent, .trim_checkpoint = true};
    snprintf(consumer.symbol, sizeof(consumer.symbol), "%s", SIMULATION_SYMBOL);
    snprintf(consumer.name, sizeof(consumer.name), "%s", agent->process->name);
    snprintf(producer.symbol, sizeof(producer.symbol), "%s", SIMULATION_SYMBOL);
    CHECK(redis_consumer_open(&consumer, loop, &agent->consumer, &err) == ERR_OK);
    CHECK(redis_producer_open(&producer, loop, &agent->control, &err) == ERR_OK);
}

static void *agent_aggregator_open(struct process *process)
{
    struct agent_aggregator *agent = calloc(1, sizeof(*agent));
    struct err err = {0};
    CHECK(agent != NULL);
    agent->process = process;
    snprintf(agent->kin, sizeof(agent->kin), "%s/", process->name);
    snprintf(agent->owner, sizeof(agent->owner), "%s/%d", process->name, process->starts);
    agent_aggregator_open_ports(agent);
    struct aggregator_options options = {.symbol = SIMULATION_SYMBOL,
                                         .owner = agent->owner,
                                         .kin = agent->kin,
                                         .state = redis_state_port(agent->state),
                                         .consumer = redis_consumer_port(agent->consumer),
                                         .control = redis_producer_port(agent->control),
                                         .metrics = process->metrics};
    CHECK(aggregator_open(&options, &agent->aggregator, &err) == ERR_OK);
    return agent;
}

static void agent_aggregator_close(void *self)
{
    struct agent_aggregator *agent = self;
    redis_consumer_close(agent->consumer);
    redis_producer_close(agent->control);
    redis_link_close(agent->link);
    redis_state_close(agent->state);
    aggregator_close(agent->aggregator);
    free(agent);
}

static int64_t agent_aggregator_step(void *self, struct clock_now now)
{
    struct agent_aggregator *agent = self;
    int work = aggregator_do_work(agent->aggregator, now);
    return work > 0 ? 0 : aggregator_wait_us(agent->aggregator, now);
}

const struct aggregator *agent_aggregator_of(const void *agent)
{
    return ((const struct agent_aggregator *)agent)->aggregator;
}

const struct process_agent agent_aggregator = {
    .open = agent_aggregator_open, .close = agent_aggregator_close, .step = agent_aggregator_step};
