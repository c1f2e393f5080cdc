/* The archive agent's process (as services/data-connector wires it).
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "edge/redis/redis_stream.h"
#include "learn/lake/archiver.h"
#include "sim/agents.h"
#include "sim/simulation.h"

#define AGENT_WAIT_US 20000

struct agent_archive {
    struct redis_consumer *consumer;
    struct lake_engine *engine;
    struct archive_port archive;
    struct lake_file_port place;
    struct archiver *archiver;
};

static void agent_archive_on_record(void *context, const struct stream_record *record,
                                    const char *position)
{
    struct agent_archive *agent = context;
    archiver_on_record(agent->archiver, record, position);
}

static void *agent_archive_open(struct process *process)
{
    struct agent_archive *agent = calloc(1, sizeof(*agent));
    struct virtual_lake *lake = &process->simulation->lake;
    struct err err = {0};
    CHECK(agent != NULL);
    struct redis_consumer_options consumer = {.record = agent_archive_on_record, .context = agent};
    snprintf(consumer.symbol, sizeof(consumer.symbol), "%s", SIMULATION_SYMBOL);
    snprintf(consumer.name, sizeof(consumer.name), "data-connector");
    CHECK(redis_consumer_open(&consumer, process->loop, &agent->consumer, &err) == ERR_OK);
    agent->engine = lake_engine_open(process, lake);
    agent->archive = lake_engine_port(agent->engine);
    agent->place = (struct lake_file_port){lake, LAKE_FILE_PLACE};
    struct archiver_options options = {.symbol = SIMULATION_SYMBOL,
                                       .archive = agent->archive,
                                       .consumer = redis_consumer_port(agent->consumer),
                                       .place = virtual_lake_place(&agent->place),
                                       .journal = lake_engine_journal(agent->engine),
                                       .metrics = process->metrics};
    CHECK(archiver_open(&options, &agent->archiver, &err) == ERR_OK);
    process->cost_us = AGENT_WAIT_US;
    return agent;
}

static void agent_archive_close(void *self)
{
    struct agent_archive *agent = self;
    redis_consumer_close(agent->consumer);
    lake_engine_close(agent->engine);
    archiver_close(agent->archiver);
    free(agent);
}

static int64_t agent_archive_step(void *self, struct clock_now now)
{
    struct agent_archive *agent = self;
    archiver_do_work(agent->archiver, now);
    agent->archive.do_work(agent->archive.self, now.mono_us);
    return AGENT_WAIT_US;
}

const struct lake_block *agent_archive_blocks(const void *agent)
{
    return lake_engine_blocks(((const struct agent_archive *)agent)->engine);
}

const struct process_agent agent_archive = {
    .open = agent_archive_open, .close = agent_archive_close, .step = agent_archive_step};
