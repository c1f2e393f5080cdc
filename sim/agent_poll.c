/* The REST ingestor's process: polls, backfill and view (as services/rest-ingestor wires
 * them). SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/check.h"
#include "edge/redis/redis_gap_feed.h"
#include "edge/redis/redis_silence.h"
#include "hot/ingest/tick_schedule.h"
#include "recover/backfill/backfill.h"
#include "recover/poll/poller.h"
#include "recover/poll/view_maker.h"
#include "sim/agent_rest.h"
#include "sim/agents.h"
#include "sim/simulation.h"

#define AGENT_WAIT_US     20000
#define AGENT_TIMEOUT_US  10000000
#define AGENT_PERIOD_US   10000000
#define AGENT_LOOKBACK_US 5000000

struct agent_poll {
    struct redis_link *link;
    struct redis_silence silence;
    struct agent_rest rest;
    struct rest_desk desk;
    struct lake_engine *engine;
    struct archive_port archive;
    struct lake_file_port poll_file, backfill_file;
    struct redis_gap_feed feed;
    struct poller *poller;
    struct backfill *backfill;
    struct view_maker *view;
};

static void agent_poll_open_desk(struct agent_poll *agent, struct process *process)
{
    struct err err = {0};
    struct redis_link_options link = {.database = 0};
    CHECK(redis_link_open(&link, process->loop, &agent->link, &err) == ERR_OK);
    agent->silence.link = agent->link;
    agent->engine = lake_engine_open(process, &process->simulation->lake);
    agent->archive = lake_engine_port(agent->engine);
    rest_desk_open(&agent->desk,
                   &(struct rest_desk_options){
                       .symbol = SIMULATION_SYMBOL,
                       .rest = agent_rest_port(&agent->rest, process, AGENT_TIMEOUT_US),
                       .silence = redis_silence_port(&agent->silence),
                       .metrics = process->metrics,
                       .seed = prng_u64(&process->simulation->prng)});
}

static void *agent_poll_open(struct process *process)
{
    struct agent_poll *agent = calloc(1, sizeof(*agent));
    struct virtual_lake *lake = &process->simulation->lake;
    struct err err = {0};
    CHECK(agent != NULL);
    agent_poll_open_desk(agent, process);
    agent->poll_file = (struct lake_file_port){lake, LAKE_FILE_POLL};
    agent->backfill_file = (struct lake_file_port){lake, LAKE_FILE_BACKFILL};
    struct view_maker_options view = {.symbol = SIMULATION_SYMBOL,
                                      .desk = &agent->desk,
                                      .next_tick_us = tick_schedule_next_us,
                                      .put = virtual_lake_put_view,
                                      .context = lake,
                                      .metrics = process->metrics};
    struct poller_options poller = {.symbol = SIMULATION_SYMBOL,
                                    .period_us = AGENT_PERIOD_US,
                                    .lookback_us = AGENT_LOOKBACK_US,
                                    .desk = &agent->desk,
                                    .archive = &agent->archive,
                                    .progress = virtual_lake_progress(&agent->poll_file),
                                    .metrics = process->metrics};
    struct backfill_options backfill = {
        .symbol = SIMULATION_SYMBOL,
        .desk = &agent->desk,
        .archive = &agent->archive,
        .feed = redis_gap_feed_open(&agent->feed, agent->link, STATE_KEYS_PLAIN, SIMULATION_SYMBOL),
        .progress = virtual_lake_progress(&agent->backfill_file),
        .metrics = process->metrics};
    CHECK(view_maker_open(&view, &agent->view, &err) == ERR_OK);
    CHECK(poller_open(&poller, &agent->poller, &err) == ERR_OK);
    CHECK(backfill_open(&backfill, &agent->backfill, &err) == ERR_OK);
    return agent;
}

static void agent_poll_close(void *self)
{
    struct agent_poll *agent = self;
    redis_link_close(agent->link);
    lake_engine_close(agent->engine);
    view_maker_close(agent->view);
    poller_close(agent->poller);
    backfill_close(agent->backfill);
    free(agent);
}

static int64_t agent_poll_step(void *self, struct clock_now now)
{
    struct agent_poll *agent = self;
    redis_link_do_work(agent->link, now.mono_us);
    rest_desk_do_work(&agent->desk, now);
    view_maker_do_work(agent->view, now);
    agent->archive.do_work(agent->archive.self, now.mono_us);
    poller_do_work(agent->poller, now);
    backfill_do_work(agent->backfill, now);
    return AGENT_WAIT_US;
}

const struct backfill *agent_poll_backfill(const void *agent)
{
    return ((const struct agent_poll *)agent)->backfill;
}

const struct process_agent agent_poll = {
    .open = agent_poll_open, .close = agent_poll_close, .step = agent_poll_step};
