/* The aggregator and the re-anchor agent over a real redis-server: streams in, hot state
 * out, anchors by claim, hand-over and swap, standby, and what happens when the server
 * dies or loses everything. The exchange is in the test's memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "edge/redis/redis_anchor.h"
#include "edge/redis/redis_state.h"
#include "edge/redis/redis_stream.h"
#include "recover/anchor/reanchor.h"
#include "tests/lib/redis_fixture.h"
#include "tests/unit/hot_state/fake_state.h"

#define NODES_MAX       2
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
};

static struct scene scene;

/* --- the exchange's REST side ----------------------------------------------------- */

static int rest_get(void *self, const char *symbol, const struct rest_query *query,
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

static void rest_depth(struct text *out)
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

/* The exchange has no trades and no klines to tell of. */
static void rest_answer(enum rest_endpoint endpoint)
{
    struct rest_call call = scene.rest[endpoint];
    char buffer[REST_REPLY_SIZE];
    struct text body = text_begin(buffer, sizeof(buffer));
    struct rest_reply reply = {
        .result = ERR_OK, .status = 200, .retry_after_s = -1, .used_weight = 50};
    scene.rest[endpoint].done = NULL;
    if (endpoint != REST_ENDPOINT_DEPTH) {
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

static int rest_work(void *self, int64_t mono_us)
{
    int answered = 0;
    (void)self;
    (void)mono_us;
    for (int i = 0; i < REST_ENDPOINTS; i++)
        if (scene.rest[i].done != NULL) {
            rest_answer((enum rest_endpoint)i);
            answered++;
        }
    return answered;
}

/* --- wiring ----------------------------------------------------------------------- */

static struct redis_link_options link_options(void)
{
    struct redis_link_options options = {.seed = 1};
    strcpy(options.target, scene.redis.target);
    return options;
}

static void on_record(void *context, const struct stream_record *record, const char *position)
{
    aggregator_on_record(((struct node *)context)->aggregator, record, position);
}

static void on_put(void *context, uint64_t ticket, const enum stream_outcome *outcome, int count)
{
    aggregator_on_put(((struct node *)context)->aggregator, ticket, outcome, count);
}

static void on_ingested(void *context, uint64_t ticket, const enum stream_outcome *outcome,
                        int count)
{
    (void)context;
    (void)ticket;
    for (int i = 0; i < count; i++) {
        assert_true(outcome[i] == STREAM_WRITTEN || outcome[i] == STREAM_DUPLICATE);
        scene.written++;
    }
}

static void node_open(int index)
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
    assert_int_equal(
        aggregator_open(
            &(struct aggregator_options){.symbol = FAKE_SYMBOL,
                                         .owner = names[index],
                                         .state = redis_state_port(node->state),
                                         .consumer = redis_consumer_port(node->consumer),
                                         .control = redis_producer_port(node->control),
                                         .metrics = &node->metrics,
                                         .stopwatch_ns = loop_mono_ns},
            &node->aggregator, NULL),
        ERR_OK);
    node->running = true;
}

static void node_close(int index)
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

static void reanchor_wire(void)
{
    struct redis_link_options link = link_options();
    assert_int_equal(redis_link_open(&link, scene.loop, &scene.claim_link, NULL), ERR_OK);
    assert_int_equal(
        redis_anchor_open(scene.claim_link, STATE_KEYS_PLAIN, FAKE_SYMBOL, &scene.claim, NULL),
        ERR_OK);
    assert_int_equal(
        reanchor_open(&(struct reanchor_options){.symbol = FAKE_SYMBOL,
                                                 .owner = "test",
                                                 .claim = redis_anchor_port(scene.claim),
                                                 .rest = {.get = rest_get, .do_work = rest_work},
                                                 .metrics = &scene.metrics},
                      &scene.reanchor, NULL),
        ERR_OK);
    scene.rest_running = true;
}

static int setup(void **state)
{
    (void)state;
    memset(&scene, 0, sizeof(scene));
    redis_fixture_start(&scene.redis, NULL);
    assert_int_equal(loop_open(&scene.loop, NULL), ERR_OK);
    fake_streams_open(&scene.streams);
    fake_market_open(&scene.market, &scene.streams, loop_wall_us());
    scene.market.epoch = (uint64_t)(loop_wall_us() / 1000);
    struct redis_producer_options producer = {.link = link_options(), .done = on_ingested};
    strcpy(producer.symbol, FAKE_SYMBOL);
    assert_int_equal(redis_producer_open(&producer, scene.loop, &scene.producer, NULL), ERR_OK);
    reanchor_wire();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < NODES_MAX; i++)
        node_close(i);
    redis_link_close(scene.claim_link);
    redis_anchor_close(scene.claim);
    reanchor_close(scene.reanchor);
    redis_producer_close(scene.producer);
    fake_streams_close(&scene.streams);
    loop_close(scene.loop);
    metrics_close(&scene.metrics);
    redis_fixture_stop(&scene.redis);
    return 0;
}

/* --- running ---------------------------------------------------------------------- */

/* Hands what the market has emitted to the streams. */
static void ingest(void)
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
            if (port.put(port.self, &record, 1) <= 0)
                break;
            scene.sent[i]++;
        }
    port.do_work(port.self, loop_mono_us());
}

static void turn(void)
{
    ingest();
    for (int i = 0; i < NODES_MAX; i++)
        if (scene.nodes[i].running)
            aggregator_do_work(scene.nodes[i].aggregator, loop_now());
    if (scene.rest_running)
        reanchor_do_work(scene.reanchor, loop_now());
    loop_run_once(scene.loop, 200);
}

static struct aggregator_status status_of(int index)
{
    struct aggregator_status status;
    aggregator_status(scene.nodes[index].aggregator, &status);
    return status;
}

static bool caught_up(int index)
{
    struct aggregator_status status = status_of(index);
    return status.seq == scene.market.seq && status.epoch == scene.market.epoch;
}

static bool is_live(int index)
{
    return status_of(index).book_live && caught_up(index);
}

static bool is_active(int index)
{
    return status_of(index).active;
}

static bool is_standby(int index)
{
    return !status_of(index).active;
}

/* Redis shows the last record. */
static bool is_written(int index)
{
    (void)index;
    redisReply *reply = redis_fixture_command(&scene.redis, "HGET feat:" FAKE_SYMBOL " seq");
    bool written =
        reply->type == REDIS_REPLY_STRING && strtoull(reply->str, NULL, 10) == scene.market.seq;
    freeReplyObject(reply);
    return written;
}

/* The anchor's control record and the audit record are there. */
static bool is_recorded(int index)
{
    (void)index;
    return redis_fixture_integer(&scene.redis, "XLEN market-control:" FAKE_SYMBOL) == 1 &&
           redis_fixture_integer(&scene.redis, "XLEN reanchor-events") == 1;
}

static void until(bool (*condition)(int index), int index)
{
    int64_t deadline_us = loop_mono_us() + PATIENCE_US;
    while (!condition(index) && loop_mono_us() < deadline_us)
        turn();
    assert_true(condition(index));
}

static void market_step(void)
{
    fake_market_step(&scene.market, loop_wall_us());
}

/* The market goes on for so many steps of about a millisecond. */
static void run(int steps)
{
    for (int i = 0; i < steps; i++) {
        market_step();
        for (int j = 0; j < 3; j++)
            turn();
    }
}

static const char *hash_value(const redisReply *hash, const char *field)
{
    for (size_t i = 0; i + 1 < hash->elements; i += 2)
        if (strcmp(hash->element[i]->str, field) == 0)
            return hash->element[i + 1]->str;
    return "(missing)";
}

static void assert_level(const redisReply *hash, const char *format, int level, int64_t mantissa)
{
    char field[16], buffer[32];
    struct text text = text_begin(buffer, sizeof(buffer));
    snprintf(field, sizeof(field), "%.3s%d%s", format, level, format + 3);
    text_add_decimal(&text, mantissa, -8);
    assert_string_equal(hash_value(hash, field), text_end(&text));
}

static void assert_redis_has_the_exchanges_book(void)
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

static void assert_ttls(void)
{
    assert_int_equal(redis_fixture_integer(&scene.redis, "TTL ob:" FAKE_SYMBOL), -1);
    assert_in_range(redis_fixture_integer(&scene.redis, "TTL tr:" FAKE_SYMBOL ":1s"), 295, 300);
    assert_in_range(redis_fixture_integer(&scene.redis, "TTL tr:" FAKE_SYMBOL ":5s"), 295, 300);
    assert_in_range(redis_fixture_integer(&scene.redis, "TTL feat:" FAKE_SYMBOL), 115, 120);
}

static void go_live(void)
{
    node_open(0);
    run(50);
    until(is_live, 0);
    until(is_written, 0);
}

/* --- tests ------------------------------------------------------------------------ */

static void the_first_records_lead_to_a_live_book_in_redis(void **state)
{
    (void)state;
    go_live();
    assert_redis_has_the_exchanges_book();
    assert_ttls();
    assert_int_equal(redis_fixture_integer(&scene.redis, "EXISTS reanchor:" FAKE_SYMBOL), 0);
    assert_int_equal(redis_fixture_integer(&scene.redis, "EXISTS reanchor:ask:" FAKE_SYMBOL), 0);
    assert_int_equal(redis_fixture_integer(&scene.redis, "EXISTS ob:new:" FAKE_SYMBOL), 0);
    until(is_recorded, 0);
}

static void every_update_id_shows_the_exchanges_forty_level_fields(void **state)
{
    (void)state;
    go_live();
    for (int i = 0; i < 500; i++) {
        market_step();
        until(is_written, 0);
        assert_redis_has_the_exchanges_book();
    }
}

static void a_withheld_diff_is_anchored_and_old_levels_stay_until_then(void **state)
{
    (void)state;
    go_live();
    scene.rest_running = false;
    scene.market.update_id += 7;
    run(20);
    until(is_written, 0);
    assert_false(status_of(0).book_live);
    redisReply *hash = redis_fixture_command(&scene.redis, "HGETALL ob:" FAKE_SYMBOL);
    assert_string_equal(hash_value(hash, "book_live"), "0");
    assert_string_not_equal(hash_value(hash, "bid10_p"), "(missing)");
    freeReplyObject(hash);
    hash = redis_fixture_command(&scene.redis, "HGETALL gap:" FAKE_SYMBOL);
    assert_string_equal(hash_value(hash, "cause"), "depth id gap");
    freeReplyObject(hash);
    scene.rest_running = true;
    run(100);
    until(is_live, 0);
    until(is_written, 0);
    assert_redis_has_the_exchanges_book();
    assert_ttls();
}

static void a_failing_exchange_is_asked_again_after_two_seconds(void **state)
{
    (void)state;
    scene.rest_failures = 1;
    int64_t start_us = loop_mono_us();
    go_live();
    assert_int_equal(scene.rest_calls, 2);
    assert_true(loop_mono_us() - start_us >= REANCHOR_BACKOFF_US);
    assert_redis_has_the_exchanges_book();
}

static void a_server_that_lost_everything_is_filled_again(void **state)
{
    (void)state;
    go_live();
    run(20);
    until(is_written, 0);
    redis_fixture_flush(&scene.redis);
    run(30);
    until(is_live, 0);
    until(is_written, 0);
    assert_redis_has_the_exchanges_book();
    assert_ttls();
    assert_int_equal(scene.rest_calls, 1);
}

static void a_killed_server_is_filled_again_after_its_return(void **state)
{
    (void)state;
    go_live();
    until(is_written, 0);
    redis_fixture_kill(&scene.redis);
    for (int i = 0; i < 200; i++)
        turn();
    assert_false(status_of(0).state_ready);
    redis_fixture_restart(&scene.redis);
    run(200);
    until(is_live, 0);
    until(is_written, 0);
    assert_redis_has_the_exchanges_book();
    assert_ttls();
    assert_true(is_active(0));
}

static void a_standby_takes_over_from_a_stopped_writer_and_fences_it(void **state)
{
    (void)state;
    go_live();
    node_open(1);
    run(300);
    until(caught_up, 1);
    assert_true(is_standby(1));
    assert_true(status_of(1).book_live);
    scene.nodes[0].running = false;
    int64_t stopped_us = loop_mono_us();
    while (!is_active(1) && loop_mono_us() - stopped_us < PATIENCE_US) {
        market_step();
        for (int i = 0; i < 3; i++)
            turn();
    }
    assert_true(is_active(1));
    assert_int_equal(status_of(1).restores, 1);
    until(is_written, 1);
    assert_redis_has_the_exchanges_book();
    scene.nodes[0].running = true;
    until(is_standby, 0);
    assert_true(status_of(0).writes_refused > 0);
    run(20);
    until(is_written, 1);
    assert_redis_has_the_exchanges_book();
    assert_int_equal(scene.rest_calls, 1);
}

static void a_restart_continues_from_the_checkpoint_without_rest(void **state)
{
    (void)state;
    go_live();
    run(600); /* over a second: a checkpoint later than the anchor's */
    until(is_written, 0);
    node_close(0);
    for (int i = 0; i < 100; i++) {
        market_step();
        turn();
    }
    node_open(0);
    until(is_live, 0);
    assert_int_equal(status_of(0).restores, 1);
    /* kill -9 gave no lease back: it runs out first. */
    until(is_written, 0);
    assert_redis_has_the_exchanges_book();
    assert_int_equal(scene.rest_calls, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_first_records_lead_to_a_live_book_in_redis),
        TEST(every_update_id_shows_the_exchanges_forty_level_fields),
        TEST(a_withheld_diff_is_anchored_and_old_levels_stay_until_then),
        TEST(a_failing_exchange_is_asked_again_after_two_seconds),
        TEST(a_server_that_lost_everything_is_filled_again),
        TEST(a_killed_server_is_filled_again_after_its_return),
        TEST(a_standby_takes_over_from_a_stopped_writer_and_fences_it),
        TEST(a_restart_continues_from_the_checkpoint_without_rest),
    };
#undef TEST
    return cmocka_run_group_tests_name("aggregator", tests, NULL, NULL);
}
