/* The ingestor's process: feed and ingest agent, and the stream engine's producer (as
 * services/sbe-ingestor wires them). SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "edge/redis/redis_stream.h"
#include "hot/ingest/feed.h"
#include "hot/ingest/ingest.h"
#include "sim/agents.h"
#include "sim/simulation.h"

#define AGENT_RING_BYTES  ((size_t)16 << 20)
#define AGENT_WATCHDOG_US 5000000
#define AGENT_ROTATION_US 85800000000LL
#define AGENT_WAIT_US_MAX 100000

struct agent_ingestor {
    struct process *process;
    struct redis_producer *producer;
    struct stream_producer port;
    struct ingest *ingest;
    struct feed feed;
};

static void agent_ingestor_connect(void *context, int line)
{
    struct agent_ingestor *agent = context;
    virtual_exchange_connect(&agent->process->simulation->exchange, line);
}

static void agent_ingestor_drop(void *context, int line, enum feed_cause cause)
{
    struct agent_ingestor *agent = context;
    (void)cause;
    virtual_exchange_drop(&agent->process->simulation->exchange, line);
    ingest_source(agent->ingest, line, false, process_now(agent->process));
}

void agent_ingestor_frame(void *self, int line, struct bytes frame)
{
    struct agent_ingestor *agent = self;
    struct clock_now now = process_now(agent->process);
    if (ingest_frame(agent->ingest, line, frame, 0, now) == SBE_OK)
        feed_data(&agent->feed, line, now.mono_us);
}

void agent_ingestor_opened(void *self, int line)
{
    struct agent_ingestor *agent = self;
    struct clock_now now = process_now(agent->process);
    ingest_source(agent->ingest, line, true, now);
    feed_opened(&agent->feed, line, now.mono_us);
}

void agent_ingestor_closed(void *self, int line)
{
    struct agent_ingestor *agent = self;
    struct clock_now now = process_now(agent->process);
    ingest_source(agent->ingest, line, false, now);
    feed_closed(&agent->feed, line, now.mono_us);
}

static void agent_ingestor_on_put(void *context, uint64_t ticket,
                                  const enum stream_outcome *outcome, int count)
{
    struct agent_ingestor *agent = context;
    publisher_on_put(ingest_publisher(agent->ingest), ticket, outcome, count);
}

static void agent_ingestor_on_link(void *context, bool connected)
{
    struct agent_ingestor *agent = context;
    (void)connected;
    publisher_reconnected(ingest_publisher(agent->ingest));
}

static void agent_ingestor_tap(void *context, const struct record *record)
{
    struct agent_ingestor *agent = context;
    simulation_stamped(agent->process->simulation, record);
}

static void *agent_ingestor_open(struct process *process)
{
    struct agent_ingestor *agent = calloc(1, sizeof(*agent));
    struct err err = {0};
    struct clock_now now = process_now(process);
    CHECK(agent != NULL);
    agent->process = process;
    struct redis_producer_options producer = {
        .done = agent_ingestor_on_put, .context = agent, .trim_checkpoint = true};
    snprintf(producer.symbol, sizeof(producer.symbol), "%s", SIMULATION_SYMBOL);
    CHECK(redis_producer_open(&producer, process->loop, &agent->producer, &err) == ERR_OK);
    agent->port = redis_producer_port(agent->producer);
    struct ingest_options ingest = {
        .now = now,
        .publisher = {.producer = &agent->port,
                      .ring_bytes_max = AGENT_RING_BYTES,
                      .epoch = (uint64_t)(now.wall_us / CLOCK_US_PER_MS),
                      .context = agent},
        .tap = agent_ingestor_tap,
        .context = agent};
    snprintf(ingest.symbol, sizeof(ingest.symbol), "%s", SIMULATION_SYMBOL);
    CHECK(ingest_open(&ingest, &agent->ingest, &err) == ERR_OK);
    redis_link_on_state(redis_producer_link(agent->producer), agent_ingestor_on_link, agent);
    struct feed_options feed = {.second = process->simulation->plan.second_line,
                                .watchdog_us = AGENT_WATCHDOG_US,
                                .rotation_us = AGENT_ROTATION_US,
                                .seed = prng_u64(&process->simulation->prng),
                                .context = agent,
                                .connect = agent_ingestor_connect,
                                .drop = agent_ingestor_drop};
    feed_init(&agent->feed, &feed, now.mono_us);
    return agent;
}

static void agent_ingestor_close(void *self)
{
    struct agent_ingestor *agent = self;
    for (int line = 0; line < FEED_LINES; line++)
        virtual_exchange_drop(&agent->process->simulation->exchange, line);
    redis_producer_close(agent->producer);
    ingest_close(agent->ingest);
    free(agent);
}

static int64_t agent_ingestor_step(void *self, struct clock_now now)
{
    struct agent_ingestor *agent = self;
    ingest_do_work(agent->ingest, now);
    agent->port.do_work(agent->port.self, now.mono_us);
    int64_t wait_us = feed_do_work(&agent->feed, now.mono_us) - now.mono_us;
    int64_t due_us = ingest_wait_us(agent->ingest, now);
    if (due_us < wait_us)
        wait_us = due_us;
    if (publisher_state(ingest_publisher(agent->ingest)) == PUBLISHER_FENCED)
        simulation_exit(agent->process);
    return wait_us < AGENT_WAIT_US_MAX ? wait_us : AGENT_WAIT_US_MAX;
}

const struct ingest *agent_ingestor_ingest(const void *agent)
{
    return ((const struct agent_ingestor *)agent)->ingest;
}

const struct process_agent agent_ingestor = {
    .open = agent_ingestor_open, .close = agent_ingestor_close, .step = agent_ingestor_step};
