/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_exchange.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"

#define EXCHANGE_IDLE_US 100000

static int64_t exchange_market_next(void *self)
{
    return sim_market_next_us(self);
}

static void exchange_market_run(void *self, int64_t until_us)
{
    sim_market_run(self, until_us);
}

static bool exchange_market_ready(void *self)
{
    (void)self;
    return true;
}

/* Faults passed: to the clients' queues. */
static void exchange_deliver(void *context, enum sim_stream stream, struct bytes message)
{
    struct sim_exchange *exchange = context;
    for (int i = 0; i < exchange->client_count; i++) {
        struct sim_client *client = exchange->clients[i];
        if (exchange->now.wall_us < client->stalled_until_us ||
            exchange->now.wall_us < client->half_open_until_us)
            client->withheld++;
        else
            sim_client_deliver(client, stream, message);
    }
}

static void exchange_publish(void *context, enum sim_stream stream, struct bytes message)
{
    struct sim_exchange *exchange = context;
    sim_faults_pass(&exchange->faults, stream, message, exchange->now.wall_us, exchange_deliver,
                    exchange);
}

/* The calibrated moves belong to rate 1: faster activity moves in smaller steps, so that
 * volatility per second of wall time stays. */
static double exchange_move_scale(double rate)
{
    return 1 / sqrt(rate);
}

static int exchange_open_market(struct sim_exchange *exchange, struct err *err)
{
    const struct sim_options *options = exchange->options;
    exchange->market = malloc(sizeof(*exchange->market));
    if (!exchange->market)
        return err_set(err, ERR_MEMORY, "simulated market");
    int64_t history_us = options->history_s * CLOCK_US_PER_S;
    struct sim_market_options market = {.seed = (uint64_t)options->seed,
                                        .start_us = exchange->now.wall_us - history_us,
                                        .price = options->price,
                                        .diff_interval_us =
                                            options->diff_interval_ms * CLOCK_US_PER_MS,
                                        .move_scale = 1};
    struct sim_sink sink = sim_feed_sink(&exchange->feed);
    exchange->feed.book = &exchange->market->book;
    int rc = sim_market_open(exchange->market, &market, &sink, err);
    if (rc != ERR_OK) {
        free(exchange->market);
        exchange->market = NULL;
        return rc;
    }
    exchange->source =
        (struct sim_source){exchange->market, exchange_market_next, exchange_market_run,
                            exchange_market_ready, &exchange->market->book};
    sim_market_run(exchange->market, exchange->now.wall_us);
    exchange->market->options.move_scale = exchange_move_scale(options->rate);
    exchange->started = true;
    return ERR_OK;
}

static int exchange_open_replay(struct sim_exchange *exchange, struct err *err)
{
    const struct sim_options *options = exchange->options;
    struct sim_sink sink = sim_feed_sink(&exchange->feed);
    int rc = sim_replay_open(options->replay_file, options->symbol, options->replay_loop, &sink,
                             &exchange->replay, err);
    if (rc != ERR_OK)
        return rc;
    exchange->source = sim_replay_source(exchange->replay);
    exchange->feed.book = exchange->source.book;
    exchange->rate = options->replay_speed;
    exchange->started = !options->replay_wait;
    return ERR_OK;
}

static void exchange_anchor_clock(struct sim_exchange *exchange, int64_t model_us)
{
    exchange->feed.clock = (struct sim_clock){
        .model_us = model_us, .wall_us = exchange->now.wall_us, .rate = exchange->rate};
}

int sim_exchange_open(struct sim_exchange *exchange, struct sim_options *options,
                      struct clock_now now, struct err *err)
{
    memset(exchange, 0, sizeof(*exchange));
    exchange->options = options;
    exchange->now = now;
    exchange->rate = options->rate;
    struct sim_feed_options feed = {.tops_max = options->books_kept, .depth20 = options->depth20};
    snprintf(feed.symbol, sizeof(feed.symbol), "%s", options->symbol);
    sim_limits_init(&exchange->limits, options->weight_limit);
    int rc = sim_faults_open(&exchange->faults, err);
    if (rc == ERR_OK)
        rc = sim_feed_open(&exchange->feed, &feed, exchange_publish, exchange, err);
    if (rc == ERR_OK)
        rc = options->replay_file[0] ? exchange_open_replay(exchange, err)
                                     : exchange_open_market(exchange, err);
    if (rc != ERR_OK) {
        sim_exchange_close(exchange);
        return rc;
    }
    exchange_anchor_clock(exchange, exchange->market ? exchange->market->now_us
                                                     : exchange->source.next_us(exchange->replay));
    return ERR_OK;
}

void sim_exchange_close(struct sim_exchange *exchange)
{
    if (exchange->market)
        sim_market_close(exchange->market);
    free(exchange->market);
    sim_replay_close(exchange->replay);
    sim_feed_close(&exchange->feed);
    sim_faults_close(&exchange->faults);
}

int sim_exchange_add(struct sim_exchange *exchange, struct sim_client *client)
{
    if (exchange->client_count == SIM_CLIENTS_MAX)
        return ERR_FULL;
    exchange->clients[exchange->client_count++] = client;
    exchange->clients_total++;
    return ERR_OK;
}

void sim_exchange_remove(struct sim_exchange *exchange, struct sim_client *client)
{
    for (int i = 0; i < exchange->client_count; i++) {
        if (exchange->clients[i] == client) {
            exchange->clients[i] = exchange->clients[--exchange->client_count];
            return;
        }
    }
}

void sim_exchange_set_rate(struct sim_exchange *exchange, double rate)
{
    int64_t model_us = sim_clock_model(&exchange->feed.clock, exchange->now.wall_us);
    exchange->rate = rate;
    if (exchange->market)
        exchange->market->options.move_scale = exchange_move_scale(rate);
    if (!exchange->paused && exchange->started)
        exchange_anchor_clock(exchange, model_us);
    else
        exchange->feed.clock.rate = rate;
}

void sim_exchange_pause(struct sim_exchange *exchange, bool paused)
{
    if (paused == exchange->paused)
        return;
    int64_t model_us = exchange->paused
                           ? exchange->feed.clock.model_us
                           : sim_clock_model(&exchange->feed.clock, exchange->now.wall_us);
    exchange->paused = paused;
    exchange_anchor_clock(exchange, model_us);
}

static void exchange_start(struct sim_exchange *exchange)
{
    bool subscribed = false;
    for (int i = 0; i < exchange->client_count; i++)
        subscribed = subscribed || exchange->clients[i]->mask != 0;
    if (!subscribed || exchange->started)
        return;
    exchange->started = true;
    exchange_anchor_clock(exchange, exchange->feed.clock.model_us);
    log_info("replay_started", "file=\"%s\"", exchange->options->replay_file);
}

static void exchange_end(struct sim_exchange *exchange)
{
    if (exchange->ended)
        return;
    exchange->ended = true;
    log_info("replay_ended", "file=\"%s\" then=%s", exchange->options->replay_file,
             exchange->options->replay_close_at_end ? "closing" : "quiet");
    for (int i = 0; exchange->options->replay_close_at_end && i < exchange->client_count; i++)
        sim_client_ask_close(exchange->clients[i], 1001, "the replay has ended");
}

/* Returns microseconds until the source's next event. */
static int64_t exchange_run(struct sim_exchange *exchange)
{
    struct sim_source *source = &exchange->source;
    if (!exchange->started)
        exchange_start(exchange);
    if (exchange->paused || !exchange->started || exchange->ended)
        return EXCHANGE_IDLE_US;
    int64_t next_us = source->next_us(source->self);
    if (next_us == INT64_MAX) {
        exchange_end(exchange);
        return EXCHANGE_IDLE_US;
    }
    if (!exchange->running)
        exchange_anchor_clock(exchange, next_us);
    exchange->running = true;
    int64_t lag_us = exchange->now.wall_us - sim_clock_wall(&exchange->feed.clock, next_us);
    if (lag_us > SIM_LAG_MAX_US) {
        exchange->slips++;
        exchange_anchor_clock(exchange, next_us);
    }
    source->run(source->self, sim_clock_model(&exchange->feed.clock, exchange->now.wall_us));
    exchange->feed.book_ready = source->book_ready(source->self);
    next_us = source->next_us(source->self);
    if (next_us == INT64_MAX)
        return 0;
    int64_t wait_us = sim_clock_wall(&exchange->feed.clock, next_us) - exchange->now.wall_us;
    wait_us = wait_us < EXCHANGE_IDLE_US ? wait_us : EXCHANGE_IDLE_US;
    return wait_us > exchange->options->pace_us ? wait_us : exchange->options->pace_us;
}

static void exchange_ping(struct sim_exchange *exchange, struct sim_client *client)
{
    char stamp[32];
    int size = snprintf(stamp, sizeof(stamp), "%lld",
                        (long long)(exchange->now.wall_us / CLOCK_US_PER_MS));
    client->ping_us = exchange->now.mono_us;
    sim_client_send(client, SIM_PING, bytes_of(stamp, (size_t)size));
}

static void exchange_judge(struct sim_exchange *exchange, struct sim_client *client)
{
    const struct sim_options *options = exchange->options;
    int64_t mono_us = exchange->now.mono_us;
    if (exchange->now.wall_us < client->half_open_until_us || client->close_code != 0)
        return;
    if (client->overrun) {
        exchange->overruns++;
        sim_client_ask_close(client, 1008, "too slow");
    } else if (client->close_at_us != 0 && mono_us >= client->close_at_us) {
        sim_client_ask_close(client, 1001, "server shutdown");
    } else if (mono_us - client->opened_us >= options->life_s * CLOCK_US_PER_S) {
        exchange->expired++;
        sim_client_ask_close(client, 1001, "connection lifetime reached");
    } else if (client->ping_us > client->pong_us &&
               mono_us - client->pong_us >= options->pong_timeout_ms * CLOCK_US_PER_MS) {
        exchange->pong_timeouts++;
        sim_client_ask_close(client, 1008, "Pong timeout");
    } else if (mono_us - client->ping_us >= options->ping_interval_ms * CLOCK_US_PER_MS) {
        exchange_ping(exchange, client);
    }
}

int64_t sim_exchange_do_work(struct sim_exchange *exchange, struct clock_now now)
{
    exchange->now = now;
    bool json = false;
    for (int i = 0; i < exchange->client_count; i++)
        json = json || exchange->clients[i]->options.json;
    exchange->feed.wants_json = json;
    int64_t wait_us = exchange_run(exchange);
    for (int i = 0; i < exchange->client_count; i++)
        exchange_judge(exchange, exchange->clients[i]);
    return wait_us;
}
