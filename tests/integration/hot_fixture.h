/* The aggregator and the re-anchor agent over a real redis-server, the exchange in the
 * test's memory: what several tests and the benchmark of the swap run on. One scene at a
 * time. Include cmocka first. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_HOT_FIXTURE_H
#define BTCAST_TESTS_HOT_FIXTURE_H

#include "edge/redis/redis_anchor.h"
#include "edge/redis/redis_state.h"
#include "edge/redis/redis_stream.h"
#include "recover/anchor/reanchor.h"
#include "tests/lib/redis_fixture.h"
#include "tests/unit/hot_state/fake_state.h"

#define NODES_MAX       2
#define FLIGHTS_MAX     4096
#define PATIENCE_US     10000000
#define REST_REPLY_SIZE 16384

/* One aggregator process. */
struct node {
    struct redis_link *link;
    struct redis_state *state;
    struct redis_consumer *consumer;
    struct redis_producer *control;
    struct metrics metrics;
    struct aggregator *aggregator;
    bool running;
};

struct scene {
    struct redis_fixture redis;
    struct loop *loop;
    struct node nodes[NODES_MAX];
    /* the ingestor */
    struct fake_streams streams;
    struct fake_market market;
    struct redis_producer *producer;
    int sent[STREAM_COUNT];
    uint64_t written;
    struct flight {
        int stream, index;
    } flights[FLIGHTS_MAX]; /* puts under way, in order */
    uint32_t flight_head, flight_tail;
    /* the re-anchor service */
    struct redis_link *claim_link;
    struct redis_anchor *claim;
    struct reanchor *reanchor;
    struct metrics metrics;
    struct rest_call {
        rest_done_fn done; /* NULL: none under way */
        void *context;
    } rest[REST_ENDPOINTS];
    int rest_calls, rest_failures;
    bool rest_running;
    bool rest_silent;                                  /* nothing is answered */
    struct state_port (*wrap)(struct state_port real); /* NULL: the real one */
};

static struct scene scene;

/* --- the exchange's REST side ----------------------------------------------------- */

static inline int rest_get(void *self, const char *symbol, const struct rest_query *query,
                           rest_done_fn done, void *context)
{
    (void)self;
    assert_string_equal(symbol, FAKE_SYMBOL);
    struct rest_call *call = &scene.rest[query->endpoint];
    assert_null(call->done);
    call->done = done;
    call->context = context;
    scene.rest_calls += query->endpoint == REST_ENDPOINT_DEPTH;
    return ERR_OK;
}

static inline void rest_depth(struct text *out)
{
    const struct fake_market *market = &scene.market;
    text_add_format(out, "{\"lastUpdateId\":%lld", (long long)market->update_id);
    for (int side = 0; side < 2; side++) {
        text_add(out, side == 0 ? ",\"bids\":[" : ",\"asks\":[");
        for (int i = 0; i < FAKE_LEVELS; i++) {
            text_add(out, i == 0 ? "[\"" : ",[\"");
            text_add_decimal(out, side == 0 ? fake_bid_price(i) : fake_ask_price(i), -8);
            text_add(out, "\",\"");
            text_add_decimal(out, side == 0 ? market->bids[i] : market->asks[i], -8);
            text_add(out, "\"]");
        }
        text_add(out, "]");
    }
    text_add(out, "}");
}

static inline void rest_klines(struct text *out)
{
    text_add(out, "[[1700000000000");
    for (int i = 0; i < 4; i++) {
        text_add(out, ",\"");
        text_add_decimal(out, fake_bid_price(0), -8);
        text_add(out, "\"");
    }
    text_add(out, ",\"5\",1700000059999,\"50\",7,\"2\",\"20\",\"0\"]]");
}

/* The exchange has no trades to tell of. */
static inline void rest_answer(enum rest_endpoint endpoint)
{
    struct rest_call call = scene.rest[endpoint];
    char buffer[REST_REPLY_SIZE];
    struct text body = text_begin(buffer, sizeof(buffer));
    struct rest_reply reply = {
        .result = ERR_OK, .status = 200, .retry_after_s = -1, .used_weight = 50};
    scene.rest[endpoint].done = NULL;
    if (endpoint == REST_ENDPOINT_KLINES) {
        rest_klines(&body);
    } else if (endpoint == REST_ENDPOINT_INFO) {
        text_add(&body, "{\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":"
                        "\"MINUTE\",\"intervalNum\":1,\"limit\":100000000}],\"symbols\":[{"
                        "\"symbol\":\"" FAKE_SYMBOL "\",\"status\":\"TRADING\",\"filters\":[]}]}");
    } else if (endpoint != REST_ENDPOINT_DEPTH) {
        text_add(&body, "[]");
    } else if (scene.rest_failures > 0) {
        scene.rest_failures--;
        reply.status = 500;
    } else {
        rest_depth(&body);
    }
    reply.body = bytes_of(buffer, body.size);
    call.done(call.context, &reply);
}

static inline int rest_work(void *self, int64_t mono_us)
{
    int answered = 0;
    (void)self;
    (void)mono_us;
    for (int i = 0; i < REST_ENDPOINTS; i++)
        if (scene.rest[i].done != NULL && !scene.rest_silent) {
            rest_answer((enum rest_endpoint)i);
            answered++;
        }
    return answered;
}

/* --- wiring ----------------------------------------------------------------------- */

static inline struct redis_link_options link_options(void)
{
    struct redis_link_options options = {.seed = 1};
    strcpy(options.target, scene.redis.target);
    return options;
}

static inline void on_record(void *context, const struct stream_record *record,
                             const char *position)
{
    aggregator_on_record(((struct node *)context)->aggregator, record, position);
}

static inline void on_put(void *context, uint64_t ticket, const enum stream_outcome *outcome,
                          int count)
{
    aggregator_on_put(((struct node *)context)->aggregator, ticket, outcome, count);
}

static inline void on_ingested(void *context, uint64_t ticket, const enum stream_outcome *outcome,
                               int count)
{
    (void)context;
    (void)ticket;
    assert_int_equal(count, 1);
    const struct flight *flight = &scene.flights[scene.flight_head++ % FLIGHTS_MAX];
    if (outcome[0] == STREAM_WRITTEN || outcome[0] == STREAM_DUPLICATE)
        scene.written++;
    else if (flight->index < scene.sent[flight->stream])
        scene.sent[flight->stream] = flight->index; /* again from there on */
}

static inline void node_open(int index)
{
    static const char *const names[NODES_MAX] = {"one", "two"};
    struct node *node = &scene.nodes[index];
    struct redis_link_options link = link_options();
    struct redis_consumer_options consumer = {
        .link = link, .record = on_record, .context = node, .block_us = 20000};
    struct redis_producer_options control = {.link = link, .done = on_put, .context = node};
    strcpy(consumer.symbol, FAKE_SYMBOL);
    strcpy(consumer.name, names[index]);
    strcpy(control.symbol, FAKE_SYMBOL);
    assert_int_equal(redis_link_open(&link, scene.loop, &node->link, NULL), ERR_OK);
    assert_int_equal(
        redis_state_open(&(struct redis_state_options){.symbol = FAKE_SYMBOL, .link = node->link},
                         &node->state, NULL),
        ERR_OK);
    assert_int_equal(redis_consumer_open(&consumer, scene.loop, &node->consumer, NULL), ERR_OK);
    assert_int_equal(redis_producer_open(&control, scene.loop, &node->control, NULL), ERR_OK);
    struct state_port port = redis_state_port(node->state);
    if (scene.wrap != NULL)
        port = scene.wrap(port);
    assert_int_equal(
        aggregator_open(
            &(struct aggregator_options){.symbol = FAKE_SYMBOL,
                                         .owner = names[index],
                                         .state = port,
                                         .consumer = redis_consumer_port(node->consumer),
                                         .control = redis_producer_port(node->control),
                                         .metrics = &node->metrics,
                                         .stopwatch_ns = loop_mono_ns},
            &node->aggregator, NULL),
        ERR_OK);
    node->running = true;
}

static inline void node_close(int index)
{
    struct node *node = &scene.nodes[index];
    if (node->aggregator == NULL)
        return;
    redis_consumer_close(node->consumer);
    redis_producer_close(node->control);
    redis_link_close(node->link);
    redis_state_close(node->state);
    aggregator_close(node->aggregator);
    metrics_close(&node->metrics);
    memset(node, 0, sizeof(*node));
}

static inline void reanchor_wire(const char *owner)
{
    struct redis_link_options link = link_options();
    assert_int_equal(redis_link_open(&link, scene.loop, &scene.claim_link, NULL), ERR_OK);
    assert_int_equal(
        redis_anchor_open(scene.claim_link, STATE_KEYS_PLAIN, FAKE_SYMBOL, &scene.claim, NULL),
        ERR_OK);
    assert_int_equal(
        reanchor_open(&(struct reanchor_options){.symbol = FAKE_SYMBOL,
                                                 .owner = owner,
                                                 .claim = redis_anchor_port(scene.claim),
                                                 .rest = {.get = rest_get, .do_work = rest_work},
                                                 .metrics = &scene.metrics},
                      &scene.reanchor, NULL),
        ERR_OK);
    scene.rest_running = true;
}

/* Whatever happens to it: without a restart. */
static inline void reanchor_unwire(void)
{
    redis_link_close(scene.claim_link);
    redis_anchor_close(scene.claim);
    reanchor_close(scene.reanchor);
    memset(scene.rest, 0, sizeof(scene.rest));
}

static inline void scene_open(const struct redis_fixture_options *options)
{
    memset(&scene, 0, sizeof(scene));
    redis_fixture_start(&scene.redis, options);
    assert_int_equal(loop_open(&scene.loop, NULL), ERR_OK);
    fake_streams_open(&scene.streams);
    fake_market_open(&scene.market, &scene.streams, loop_wall_us());
    scene.market.epoch = (uint64_t)(loop_wall_us() / 1000);
    struct redis_producer_options producer = {.link = link_options(), .done = on_ingested};
    strcpy(producer.symbol, FAKE_SYMBOL);
    assert_int_equal(redis_producer_open(&producer, scene.loop, &scene.producer, NULL), ERR_OK);
    reanchor_wire("test");
}

static inline void scene_close(void)
{
    for (int i = 0; i < NODES_MAX; i++)
        node_close(i);
    reanchor_unwire();
    redis_producer_close(scene.producer);
    fake_streams_close(&scene.streams);
    loop_close(scene.loop);
    metrics_close(&scene.metrics);
    redis_fixture_stop(&scene.redis);
}

/* --- running ---------------------------------------------------------------------- */

/* Hands what the market has emitted to the streams. */
static inline void ingest(void)
{
    struct stream_producer port = redis_producer_port(scene.producer);
    port.do_work(port.self, loop_mono_us());
    for (int i = 0; i < STREAM_COUNT; i++)
        while (scene.sent[i] < scene.streams.count[i] && port.ready(port.self)) {
            const struct fake_entry *entry = &scene.streams.entries[i][scene.sent[i]];
            struct stream_record record = {.stream = (enum stream_name)i,
                                           .epoch = entry->epoch,
                                           .last_seq = entry->last_seq,
                                           .data = bytes_of(entry->data, entry->size)};
            if (scene.flight_tail - scene.flight_head == FLIGHTS_MAX ||
                port.put(port.self, &record, 1) <= 0)
                break;
            scene.flights[scene.flight_tail++ % FLIGHTS_MAX] = (struct flight){i, scene.sent[i]};
            scene.sent[i]++;
        }
    port.do_work(port.self, loop_mono_us());
}

/* Lets go of what has been written, so that a long run needs no more room. */
static inline void streams_forget(void)
{
    if (scene.flight_head != scene.flight_tail)
        return;
    for (int i = 0; i < STREAM_COUNT; i++) {
        if (scene.sent[i] != scene.streams.count[i])
            continue;
        for (int k = 0; k < scene.streams.count[i]; k++)
            free(scene.streams.entries[i][k].data);
        scene.sent[i] = scene.streams.count[i] = 0;
    }
}

static inline void turn(void)
{
    ingest();
    for (int i = 0; i < NODES_MAX; i++)
        if (scene.nodes[i].running)
            aggregator_do_work(scene.nodes[i].aggregator, loop_now());
    if (scene.rest_running)
        reanchor_do_work(scene.reanchor, loop_now());
    loop_run_once(scene.loop, 200);
}

static inline struct aggregator_status status_of(int index)
{
    struct aggregator_status status;
    aggregator_status(scene.nodes[index].aggregator, &status);
    return status;
}

static inline bool caught_up(int index)
{
    struct aggregator_status status = status_of(index);
    return status.seq == scene.market.seq && status.epoch == scene.market.epoch;
}

static inline bool is_live(int index)
{
    return status_of(index).book_live && caught_up(index);
}

static inline bool is_active(int index)
{
    return status_of(index).active;
}

static inline bool is_standby(int index)
{
    return !status_of(index).active;
}

/* Redis shows the last record. */
static inline bool is_written(int index)
{
    (void)index;
    redisReply *reply = redis_fixture_command(&scene.redis, "HGET feat:" FAKE_SYMBOL " seq");
    bool written =
        reply->type == REDIS_REPLY_STRING && strtoull(reply->str, NULL, 10) == scene.market.seq;
    freeReplyObject(reply);
    return written;
}

/* The anchor's control record and the audit record are there. */
static inline bool is_recorded(int index)
{
    (void)index;
    return redis_fixture_integer(&scene.redis, "XLEN market-control:" FAKE_SYMBOL) == 1 &&
           redis_fixture_integer(&scene.redis, "XLEN reanchor-events") == 1;
}

static inline void until(bool (*condition)(int index), int index)
{
    int64_t deadline_us = loop_mono_us() + PATIENCE_US;
    while (!condition(index) && loop_mono_us() < deadline_us)
        turn();
    assert_true(condition(index));
}

static inline void market_step(void)
{
    fake_market_step(&scene.market, loop_wall_us());
}

/* The market goes on for so many steps of about a millisecond. */
static inline void run(int steps)
{
    for (int i = 0; i < steps; i++) {
        market_step();
        for (int j = 0; j < 3; j++)
            turn();
    }
}

static inline const char *hash_value(const redisReply *hash, const char *field)
{
    for (size_t i = 0; i + 1 < hash->elements; i += 2)
        if (strcmp(hash->element[i]->str, field) == 0)
            return hash->element[i + 1]->str;
    return "(missing)";
}

static inline void assert_level(const redisReply *hash, const char *format, int level,
                                int64_t mantissa)
{
    char field[24], buffer[32];
    struct text text = text_begin(buffer, sizeof(buffer));
    snprintf(field, sizeof(field), "%.3s%d%s", format, level, format + 3);
    text_add_decimal(&text, mantissa, -8);
    assert_string_equal(hash_value(hash, field), text_end(&text));
}

static inline void assert_redis_has_the_exchanges_book(void)
{
    redisReply *hash = redis_fixture_command(&scene.redis, "HGETALL ob:" FAKE_SYMBOL);
    assert_int_equal(hash->type, REDIS_REPLY_ARRAY);
    assert_int_equal(strtoll(hash_value(hash, "last_update_id"), NULL, 10), scene.market.update_id);
    for (int i = 0; i < WORLD_LEVELS; i++) {
        assert_level(hash, "bid_p", i + 1, fake_bid_price(i));
        assert_level(hash, "bid_q", i + 1, scene.market.bids[i]);
        assert_level(hash, "ask_p", i + 1, fake_ask_price(i));
        assert_level(hash, "ask_q", i + 1, scene.market.asks[i]);
    }
    freeReplyObject(hash);
}

static inline void assert_ttls(void)
{
    assert_int_equal(redis_fixture_integer(&scene.redis, "TTL ob:" FAKE_SYMBOL), -1);
    assert_in_range(redis_fixture_integer(&scene.redis, "TTL tr:" FAKE_SYMBOL ":1s"), 295, 300);
    assert_in_range(redis_fixture_integer(&scene.redis, "TTL tr:" FAKE_SYMBOL ":5s"), 295, 300);
    assert_in_range(redis_fixture_integer(&scene.redis, "TTL feat:" FAKE_SYMBOL), 115, 120);
}

/* Nobody judges here: every loss is worth an anchor, at once. */
static inline void judge_every_loss(void)
{
    freeReplyObject(redis_fixture_command(&scene.redis, "SET gap:verdict:" FAKE_SYMBOL
                                                        " {\"action\":\"anchor\",\"until_ms\":0}"));
}

static inline void go_live(void)
{
    judge_every_loss();
    node_open(0);
    run(50);
    until(is_live, 0);
    until(is_written, 0);
}

#endif
