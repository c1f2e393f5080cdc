/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/virtual_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "services/exchange-sim/sim_rest.h"
#include "sim/agents.h"
#include "sim/simulation.h"

/* The market runs ahead of the clock by at most this, for speed: its frames leave later. */
#define EXCHANGE_QUANTUM_US     1000
#define EXCHANGE_LATENCY_US     1200
#define EXCHANGE_JITTER_US      300
#define EXCHANGE_CONNECT_US     5000
#define EXCHANGE_REST_US        25000
#define EXCHANGE_WEIGHT_LIMIT   6000
#define EXCHANGE_DIFF_US        20000
#define EXCHANGE_PRICE          65000.0
#define EXCHANGE_SPOILED_BYTES  9
#define EXCHANGE_TRUNCATED_SIZE 30u

/* --- frames --------------------------------------------------------------------------- */

static void exchange_on_frame(struct process *process, void *object, uint64_t number, bool deliver)
{
    struct blob *frame = object;
    struct virtual_exchange *exchange = &process->simulation->exchange;
    int line = (int)(number & 1u);
    if (deliver && exchange->lines[line].number == number >> 1)
        agent_ingestor_frame(process->agent, line, blob_bytes(frame));
    blob_drop(frame);
}

static void exchange_send(struct virtual_exchange *exchange, struct blob *frame)
{
    struct simulation *simulation = exchange->simulation;
    int64_t sent_us = exchange->market->now_us;
    if (sent_us < simulation->queue.now_us)
        sent_us = simulation->queue.now_us;
    for (int i = 0; i < EXCHANGE_LINES; i++) {
        struct exchange_line *line = &exchange->lines[i];
        if (!line->open || simulation->queue.now_us < exchange->frames.stall_until_us)
            continue;
        int64_t at_us = sent_us + EXCHANGE_LATENCY_US +
                        (int64_t)prng_below(&simulation->prng, EXCHANGE_JITTER_US);
        if (simulation->queue.now_us < exchange->frames.delay_until_us)
            at_us += exchange->frames.delay_us;
        if (at_us < line->in_us)
            at_us = line->in_us;
        line->in_us = at_us;
        exchange->delivered++;
        process_post(exchange->ingestor, at_us, exchange_on_frame, blob_hold(frame),
                     line->number << 1 | (uint64_t)i);
    }
}

static bool exchange_take(int *left)
{
    if (*left <= 0)
        return false;
    (*left)--;
    return true;
}

static bool exchange_is_lost(struct exchange_frame_faults *faults, enum sim_stream stream)
{
    if (stream == SIM_STREAM_DEPTH && exchange_take(&faults->drop_diffs))
        return true;
    if (stream == SIM_STREAM_TRADE && exchange_take(&faults->drop_trades))
        return true;
    return exchange_take(&faults->drop_any);
}

static void exchange_publish(void *context, enum sim_stream stream, struct bytes message)
{
    struct virtual_exchange *exchange = context;
    struct exchange_frame_faults *faults = &exchange->frames;
    exchange->published++;
    if (exchange->simulation->ending || (!exchange->lines[0].open && !exchange->lines[1].open))
        return;
    if (exchange_is_lost(faults, stream))
        return;
    if (exchange_take(&faults->truncate))
        message.size =
            message.size < EXCHANGE_TRUNCATED_SIZE ? message.size / 2 : EXCHANGE_TRUNCATED_SIZE;
    struct blob *frame = blob_copy(message);
    if (exchange->held == NULL && stream == SIM_STREAM_DEPTH && exchange_take(&faults->reorder)) {
        exchange->held = frame;
        exchange->held_stream = stream;
        return;
    }
    exchange_send(exchange, frame);
    if (exchange_take(&faults->duplicate))
        exchange_send(exchange, frame);
    blob_drop(frame);
    if (exchange->held != NULL && stream == exchange->held_stream) {
        exchange_send(exchange, exchange->held);
        blob_drop(exchange->held);
        exchange->held = NULL;
    }
}

static void exchange_run(void *context, void *object, uint64_t number)
{
    struct virtual_exchange *exchange = context;
    struct simulation *simulation = exchange->simulation;
    (void)object;
    (void)number;
    if (simulation->ending)
        return;
    int64_t until_us = simulation->queue.now_us + EXCHANGE_QUANTUM_US;
    sim_market_run(exchange->market, until_us);
    int64_t next_us = sim_market_next_us(exchange->market);
    virtual_queue_add(&simulation->queue, next_us > until_us ? next_us : until_us, exchange_run,
                      exchange, NULL, 0);
}

void virtual_exchange_open(struct virtual_exchange *exchange, struct simulation *simulation,
                           struct process *ingestor, uint64_t seed)
{
    struct err err = {0};
    memset(exchange, 0, sizeof(*exchange));
    exchange->simulation = simulation;
    exchange->ingestor = ingestor;
    exchange->rest_us = EXCHANGE_REST_US;
    exchange->market = calloc(1, sizeof(*exchange->market));
    CHECK(exchange->market != NULL);
    sim_limits_init(&exchange->limits, EXCHANGE_WEIGHT_LIMIT);
    struct sim_feed_options feed = {
        .symbol = SIMULATION_SYMBOL, .tops_max = EXCHANGE_TOPS, .depth20 = true};
    CHECK(sim_feed_open(&exchange->feed, &feed, exchange_publish, exchange, &err) == ERR_OK);
    struct sim_market_options market = {.seed = seed,
                                        .start_us = simulation->queue.now_us,
                                        .price = EXCHANGE_PRICE,
                                        .diff_interval_us = EXCHANGE_DIFF_US,
                                        .move_scale = 1};
    struct sim_sink sink = sim_feed_sink(&exchange->feed);
    exchange->feed.book = &exchange->market->book;
    CHECK(sim_market_open(exchange->market, &market, &sink, &err) == ERR_OK);
    exchange->feed.book_ready = true;
    virtual_queue_add(&simulation->queue, simulation->queue.now_us, exchange_run, exchange, NULL,
                      0);
}

void virtual_exchange_close(struct virtual_exchange *exchange)
{
    blob_drop(exchange->held);
    sim_market_close(exchange->market);
    sim_feed_close(&exchange->feed);
    free(exchange->market);
}

/* --- connections ---------------------------------------------------------------------- */

static void exchange_on_open(struct process *process, void *object, uint64_t number, bool deliver)
{
    struct virtual_exchange *exchange = &process->simulation->exchange;
    int line = (int)(number & 1u);
    (void)object;
    if (!deliver || exchange->lines[line].number != number >> 1)
        return;
    if (process->simulation->queue.now_us < exchange->refuse_until_us) {
        exchange->lines[line] = (struct exchange_line){0};
        agent_ingestor_closed(process->agent, line);
        return;
    }
    exchange->lines[line].open = true;
    agent_ingestor_opened(process->agent, line);
}

void virtual_exchange_connect(struct virtual_exchange *exchange, int line)
{
    struct simulation *simulation = exchange->simulation;
    exchange->lines[line] = (struct exchange_line){.number = ++exchange->connections};
    int64_t at_us = simulation->queue.now_us + EXCHANGE_CONNECT_US +
                    (int64_t)prng_below(&simulation->prng, EXCHANGE_CONNECT_US);
    process_post(exchange->ingestor, at_us, exchange_on_open, NULL,
                 exchange->connections << 1 | (uint64_t)line);
}

void virtual_exchange_drop(struct virtual_exchange *exchange, int line)
{
    exchange->lines[line] = (struct exchange_line){0};
}

static void exchange_on_cut(struct process *process, void *object, uint64_t number, bool deliver)
{
    struct virtual_exchange *exchange = &process->simulation->exchange;
    int line = (int)(number & 1u);
    (void)object;
    if (!deliver || exchange->lines[line].number != number >> 1)
        return;
    exchange->lines[line] = (struct exchange_line){0};
    agent_ingestor_closed(process->agent, line);
}

void virtual_exchange_cut(struct virtual_exchange *exchange, int line)
{
    struct exchange_line *at = &exchange->lines[line];
    if (!at->open)
        return;
    at->open = false;
    int64_t at_us = exchange->simulation->queue.now_us + EXCHANGE_LATENCY_US;
    process_post(exchange->ingestor, at_us > at->in_us ? at_us : at->in_us, exchange_on_cut, NULL,
                 at->number << 1 | (uint64_t)line);
}

/* --- REST ----------------------------------------------------------------------------- */

struct exchange_call {
    struct virtual_exchange *exchange;
    struct process *process;
    uint64_t life;
    char path[64], query[192];
    int64_t deadline_us;
    exchange_reply_fn done;
    void *context;
    struct exchange_reply reply;
    struct blob *body;
};

static void exchange_on_reply(struct process *process, void *object, uint64_t number, bool deliver)
{
    struct exchange_call *call = object;
    (void)process;
    (void)number;
    if (deliver) {
        if (call->body != NULL)
            call->reply.body = blob_bytes(call->body);
        call->done(call->context, &call->reply);
    }
    blob_drop(call->body);
    free(call);
}

static struct exchange_rest_faults *exchange_rest_faults_of(const struct exchange_call *call)
{
    bool poll = call->process->kind == PROCESS_POLL;
    return &call->exchange->rest[poll ? EXCHANGE_REST_POLL : EXCHANGE_REST_ANCHOR];
}

static bool exchange_refuses(struct exchange_call *call)
{
    struct exchange_rest_faults *faults = exchange_rest_faults_of(call);
    if (faults->status == 0 || !exchange_take(&faults->status_left))
        return false;
    call->reply.status = faults->status;
    call->reply.retry_after_s = faults->retry_after_s;
    call->body = blob_copy(BYTES_LITERAL("{\"code\":-1,\"msg\":\"injected\"}"));
    return true;
}

static void exchange_answer(struct exchange_call *call)
{
    struct virtual_exchange *exchange = call->exchange;
    static char buffer[SIM_REST_REPLY_MAX];
    struct sim_request request = {.path = call->path,
                                  .query = call->query,
                                  .wall_us = exchange->simulation->queue.now_us,
                                  .weight_limit = EXCHANGE_WEIGHT_LIMIT};
    struct sim_verdict verdict =
        sim_limits_charge(&exchange->limits, request.wall_us, sim_rest_weight(&request));
    struct text body = text_begin(buffer, sizeof(buffer));
    call->reply.used_weight = verdict.used;
    call->reply.status = verdict.status;
    call->reply.retry_after_s = verdict.status == 200 ? -1 : verdict.retry_after_s;
    if (verdict.status != 200)
        return;
    struct exchange_rest_faults *faults = exchange_rest_faults_of(call);
    if (exchange_take(&faults->stale_left))
        request.stale_ids = faults->stale_ids;
    call->reply.status = sim_rest_answer(&exchange->feed, &request, &body);
    if (exchange_take(&faults->partial_left)) {
        body.size /= 2;
        /* Either the length header tells, or nothing does. */
        if (prng_below(&exchange->simulation->prng, 2) == 0)
            call->reply.result = ERR_CONNECTION;
    }
    call->body = blob_copy(bytes_of(buffer, body.size));
}

static void exchange_on_call(void *context, void *object, uint64_t number)
{
    struct virtual_exchange *exchange = context;
    struct exchange_call *call = object;
    struct simulation *simulation = exchange->simulation;
    (void)number;
    if (simulation->ending || call->process->life != call->life) {
        free(call);
        return;
    }
    int64_t reply_us = simulation->queue.now_us + exchange->rest_us / 2;
    const struct exchange_rest_faults *faults = exchange_rest_faults_of(call);
    if (simulation->queue.now_us < faults->slow_until_us)
        reply_us += faults->slow_us;
    call->reply = (struct exchange_reply){.result = ERR_OK, .retry_after_s = -1, .used_weight = -1};
    if (simulation->queue.now_us < call->process->rest_away_until_us)
        reply_us += call->process->rest_away_until_us - simulation->queue.now_us;
    if (reply_us > call->deadline_us) {
        call->reply.result = ERR_TIMEOUT;
        reply_us = call->deadline_us;
    } else if (!exchange_refuses(call)) {
        exchange_answer(call);
    }
    simulation_rest_answered(simulation, call->process, reply_us);
    process_post(call->process, reply_us, exchange_on_reply, call, 0);
}

int virtual_exchange_get(struct virtual_exchange *exchange, struct process *process,
                         const char *path, const char *query, int64_t timeout_us,
                         exchange_reply_fn done, void *context)
{
    struct simulation *simulation = exchange->simulation;
    struct exchange_call *call = calloc(1, sizeof(*call));
    CHECK(call != NULL);
    *call = (struct exchange_call){.exchange = exchange,
                                   .process = process,
                                   .life = process->life,
                                   .deadline_us = simulation->queue.now_us + timeout_us,
                                   .done = done,
                                   .context = context};
    snprintf(call->path, sizeof(call->path), "%s", path);
    snprintf(call->query, sizeof(call->query), "%s", query);
    exchange->requests++;
    simulation_rest_asked(simulation, process);
    virtual_queue_add(&simulation->queue, simulation->queue.now_us + exchange->rest_us / 2,
                      exchange_on_call, exchange, call, 0);
    return ERR_OK;
}
