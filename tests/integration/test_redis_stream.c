/* The Redis stream engine: the stream contract, then what is Redis' own.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/redis/redis_stream.h"
#include "edge/redis/redis_stream_await.h"
#include "edge/redis/redis_stream_batch.h"
#include "edge/redis/redis_stream_id.h"
#include "edge/redis/redis_stream_script.h"
#include "hot/state/state_checkpoint.h"
#include "tests/lib/redis_fixture.h"
#include "tests/lib/stream_contract.h"

#define PATIENCE_US (20 * CLOCK_US_PER_S)
#define KEY_TRADE   "market-sbe-trade:BTCUSDT"
#define KEY_DEPTH   "market-sbe-depth:BTCUSDT"

static struct redis_fixture server;
static struct loop *loop;
static struct redis_producer *producer;
static struct redis_consumer *consumer;
static enum stream_key_style style;
static struct redis_producer_options producer_extra;
static struct redis_consumer_options consumer_extra;

static struct redis_link_options link_options(const char *name)
{
    struct redis_link_options options = {.reply_timeout_us = 200000,
                                         .connect_timeout_us = 200000,
                                         .backoff_max_us = 50000,
                                         .seed = 7};
    /* A segment that TCP has to send again takes 200 ms by itself. */
    if (server.mode != REDIS_FIXTURE_SINGLE)
        options.reply_timeout_us = 600000;
    snprintf(options.name, sizeof(options.name), "%s", name);
    snprintf(options.target, sizeof(options.target), "%s", server.target);
    return options;
}

static void start_server(const struct redis_fixture_options *options)
{
    style = (enum stream_key_style)redis_fixture_key_style();
    assert_int_equal(loop_open(&loop, NULL), ERR_OK);
    redis_fixture_start(&server, options);
}

static void engine_start(bool durable)
{
    start_server(&(struct redis_fixture_options){.persistent = durable});
}

static void engine_stop(void)
{
    loop_close(loop);
    redis_fixture_stop(&server);
}

static struct stream_producer engine_open_producer(stream_put_fn done, void *context)
{
    struct redis_producer_options options = producer_extra;
    options.link = link_options("producer");
    options.style = style;
    options.done = done;
    options.context = context;
    snprintf(options.symbol, sizeof(options.symbol), "BTCUSDT");
    if (options.in_flight_batches_max == 0)
        options.in_flight_batches_max = 16;
    struct err err = {0};
    assert_int_equal(redis_producer_open(&options, loop, &producer, &err), ERR_OK);
    return redis_producer_port(producer);
}

static void engine_close_producer(void)
{
    redis_producer_close(producer);
    producer = NULL;
}

static struct stream_consumer engine_open_consumer(const char *name, stream_record_fn record,
                                                   void *context)
{
    struct redis_consumer_options options = consumer_extra;
    options.link = link_options("consumer");
    options.style = style;
    options.record = record;
    options.context = context;
    options.block_us = 100000;
    snprintf(options.symbol, sizeof(options.symbol), "BTCUSDT");
    snprintf(options.name, sizeof(options.name), "%s", name);
    struct err err = {0};
    assert_int_equal(redis_consumer_open(&options, loop, &consumer, &err), ERR_OK);
    return redis_consumer_port(consumer);
}

static void engine_close_consumer(void)
{
    redis_consumer_close(consumer);
    consumer = NULL;
}

static void engine_wait(void)
{
    loop_run_once(loop, 1000);
}

static void engine_kill(void)
{
    redis_fixture_kill(&server);
}

static void engine_restart(void)
{
    redis_fixture_restart(&server);
}

static void engine_pause(void)
{
    redis_fixture_pause(&server);
}

static void engine_resume(void)
{
    redis_fixture_resume(&server);
}

static void engine_lose_data(void)
{
    redis_fixture_flush(&server);
}

static void engine_refuse(enum stream_name name, bool refused)
{
    char key[STREAM_KEY_SIZE];
    stream_key(name, style, "BTCUSDT", key);
    freeReplyObject(redis_fixture_command(&server, refused ? "SET %s x" : "DEL %s", key));
}

static const struct stream_engine redis_engine = {
    .name = "the stream contract on Redis",
    .start = engine_start,
    .stop = engine_stop,
    .open_producer = engine_open_producer,
    .close_producer = engine_close_producer,
    .open_consumer = engine_open_consumer,
    .close_consumer = engine_close_consumer,
    .now_us = loop_mono_us,
    .wait = engine_wait,
    .kill = engine_kill,
    .restart = engine_restart,
    .pause = engine_pause,
    .resume = engine_resume,
    .lose_data = engine_lose_data,
    .refuse = engine_refuse,
};

/* --- What is Redis' own. --- */

static struct stream_producer out;
static struct stream_consumer in;
static int answered;
static enum stream_outcome last_outcome;
static int received;
static char last_position[STREAM_POSITION_SIZE];

static void on_done(void *context, uint64_t ticket, const enum stream_outcome *outcome, int count)
{
    (void)context;
    (void)ticket;
    answered += count;
    last_outcome = outcome[count - 1];
}

static void on_record(void *context, const struct stream_record *record, const char *position)
{
    (void)context;
    (void)record;
    received++;
    snprintf(last_position, sizeof(last_position), "%s", position);
}

static void turn(void)
{
    out.do_work(out.self, loop_mono_us());
    if (consumer != NULL)
        in.do_work(in.self, loop_mono_us());
    loop_run_once(loop, 1000);
}

#define UNTIL(condition)                                                                           \
    for (int64_t start_us = loop_mono_us(); !(condition); turn())                                  \
    assert_true(loop_mono_us() - start_us < PATIENCE_US)

static void put_run(enum stream_name stream, uint64_t epoch, uint64_t first, int count)
{
    static const uint8_t body[100];
    for (int i = 0; i < count; i++) {
        struct stream_record record = {.stream = stream,
                                       .epoch = epoch,
                                       .last_seq = first + (uint64_t)i,
                                       .data = bytes_of(body, sizeof(body))};
        int64_t ticket;
        UNTIL((ticket = out.put(out.self, &record, 1)) > 0);
    }
}

static int setup_own(void **state)
{
    (void)state;
    answered = received = 0;
    last_position[0] = '\0';
    memset(&producer_extra, 0, sizeof(producer_extra));
    producer_extra.trim_settle_ms = 1;
    memset(&consumer_extra, 0, sizeof(consumer_extra));
    style = STREAM_KEYS_PLAIN;
    start_server(NULL);
    return 0;
}

static int teardown_own(void **state)
{
    (void)state;
    engine_close_consumer();
    engine_close_producer();
    engine_stop();
    return 0;
}

static void open_out(void)
{
    out = engine_open_producer(on_done, NULL);
    UNTIL(out.ready(out.self));
}

static const struct stream_position oldest[STREAM_COUNT];

static void open_in(const char *name, unsigned mask)
{
    in = engine_open_consumer(name, on_record, NULL);
    assert_int_equal(in.follow(in.self, mask, oldest), ERR_OK);
}

static void redis_stream_uses_the_ids_and_the_field_of_the_contract(void **state)
{
    (void)state;
    open_out();
    put_run(STREAM_TRADE, 1700000000000u, 5, 1);
    UNTIL(answered == 1);
    redisReply *reply = redis_fixture_command(&server, "XRANGE %s - +", KEY_TRADE);
    assert_int_equal(reply->elements, 1);
    assert_string_equal(reply->element[0]->element[0]->str, "1700000000000-5");
    assert_int_equal(reply->element[0]->element[1]->elements, 2);
    assert_string_equal(reply->element[0]->element[1]->element[0]->str, "e");
    assert_int_equal(reply->element[0]->element[1]->element[1]->len, 100);
    freeReplyObject(reply);
}

static void redis_stream_merges_batches_that_wait_into_one_script(void **state)
{
    (void)state;
    producer_extra.in_flight_batches_max = 200;
    open_out();
    put_run(STREAM_TRADE, 1, 1, 100);
    UNTIL(answered == 100);
    assert_true(redis_producer_stats(producer)->scripts <= 10);
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE), 100);
}

static void redis_stream_pauses_and_retries_when_memory_is_full(void **state)
{
    (void)state;
    open_out();
    put_run(STREAM_TRADE, 1, 1, 3);
    UNTIL(answered == 3);
    freeReplyObject(redis_fixture_command(&server, "CONFIG SET maxmemory 1"));
    put_run(STREAM_TRADE, 1, 4, 1);
    UNTIL(answered == 4);
    assert_int_equal(last_outcome, STREAM_RETRY);
    assert_false(out.ready(out.self));
    struct stream_record record = {
        .stream = STREAM_TRADE, .epoch = 1, .last_seq = 4, .data = BYTES_LITERAL("x")};
    assert_int_equal(out.put(out.self, &record, 1), ERR_AGAIN);
    freeReplyObject(redis_fixture_command(&server, "CONFIG SET maxmemory 0"));
    put_run(STREAM_TRADE, 1, 4, 1);
    UNTIL(answered == 5);
    assert_int_equal(last_outcome, STREAM_WRITTEN);
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE), 4);
}

static void redis_stream_survives_a_script_flush_without_losing_the_order(void **state)
{
    (void)state;
    open_out();
    put_run(STREAM_TRADE, 1, 1, 3);
    UNTIL(answered == 3);
    for (int i = 0; i < 20; i++) {
        freeReplyObject(redis_fixture_command(&server, "SCRIPT FLUSH"));
        put_run(STREAM_TRADE, 1, 4 + 5 * (uint64_t)i, 5);
        UNTIL(answered == 8 + 5 * i);
        assert_int_equal(last_outcome, STREAM_WRITTEN);
    }
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE), 103);
    assert_true(redis_link_stats(redis_producer_link(producer))->script_reloads >= 20);
}

static void redis_stream_script_stops_a_stream_at_its_first_refusal(void **state)
{
    (void)state;
    redisReply *reply =
        redis_fixture_command(&server, "EVAL %s 2 %s %s 1 1-1 a 1 nonsense b 2 1-2 c 1 1-3 d",
                              redis_stream_script_put, KEY_TRADE, KEY_DEPTH);
    assert_int_equal(reply->elements, 2);
    assert_string_equal(reply->element[0]->str, "WRWR");
    assert_non_null(strstr(reply->element[1]->str, "Invalid stream ID"));
    freeReplyObject(reply);
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE), 1);
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_DEPTH), 1);
}

static int retried;

/* Heals the stream as soon as the first batch was refused. */
static void on_done_heal(void *context, uint64_t ticket, const enum stream_outcome *outcome,
                         int count)
{
    (void)context;
    if (ticket == 1)
        freeReplyObject(redis_fixture_command(&server, "DEL %s", KEY_TRADE));
    for (int i = 0; i < count; i++)
        retried += outcome[i] == STREAM_RETRY;
    answered += count;
}

static void redis_stream_sends_nothing_that_waited_behind_a_refused_record(void **state)
{
    (void)state;
    out = engine_open_producer(on_done_heal, NULL);
    UNTIL(out.ready(out.self));
    retried = 0;
    freeReplyObject(redis_fixture_command(&server, "SET %s x", KEY_TRADE));
    /* Full batches, so that each would be a script of its own. */
    static struct stream_record records[STREAM_BATCH_RECORDS_MAX];
    for (int batch = 0; batch < 4; batch++) {
        for (int i = 0; i < STREAM_BATCH_RECORDS_MAX; i++)
            records[i] = (struct stream_record){.stream = STREAM_TRADE,
                                                .epoch = 1,
                                                .last_seq = (uint64_t)(500 * batch + i + 1),
                                                .data = BYTES_LITERAL("x")};
        assert_int_equal(out.put(out.self, records, STREAM_BATCH_RECORDS_MAX), batch + 1);
    }
    UNTIL(answered == 4 * STREAM_BATCH_RECORDS_MAX);
    assert_int_equal(retried, 4 * STREAM_BATCH_RECORDS_MAX);
    assert_int_equal(redis_fixture_integer(&server, "EXISTS %s", KEY_TRADE), 0);
}

static void redis_stream_compares_epochs_beyond_the_precision_of_lua(void **state)
{
    (void)state;
    open_out();
    put_run(STREAM_TRADE, 18446744073709551614u, 2, 1);
    UNTIL(answered == 1);
    put_run(STREAM_TRADE, 18446744073709551613u, 3, 1);
    UNTIL(answered == 2);
    assert_int_equal(last_outcome, STREAM_FENCED);
    put_run(STREAM_TRADE, 18446744073709551614u, 1, 1);
    UNTIL(answered == 3);
    assert_int_equal(last_outcome, STREAM_DUPLICATE);
}

static bool registered(const char *name, const char *prefix)
{
    redisReply *reply = redis_fixture_command(&server, "HGET consumers:%s %s", KEY_TRADE, name);
    bool is = reply->type == REDIS_REPLY_STRING && strncmp(reply->str, prefix, strlen(prefix)) == 0;
    freeReplyObject(reply);
    return is;
}

static void redis_stream_trims_behind_the_slowest_registered_consumer(void **state)
{
    (void)state;
    producer_extra.trim_interval_us = 20000;
    open_out();
    open_in("fast", 1u << STREAM_TRADE);
    UNTIL(redis_fixture_integer(&server, "HEXISTS consumers:%s fast", KEY_TRADE) == 1);
    /* Another one, further back; its time stamp is the server's. */
    long long now_ms = loop_wall_us() / 1000;
    redisReply *reply = redis_fixture_command(&server, "HSET consumers:%s slow %b", KEY_TRADE,
                                              "1-400 99999999999999", (size_t)20);
    freeReplyObject(reply);
    put_run(STREAM_TRADE, 1, 1, 1000);
    UNTIL(received == 1000);
    struct stream_position at[STREAM_COUNT];
    memset(at, 0, sizeof(at));
    memcpy(at[STREAM_TRADE].text, last_position, sizeof(last_position));
    assert_int_equal(in.commit(in.self, at), ERR_OK);
    UNTIL(redis_producer_stats(producer)->trim.trimmed > 0);
    /* Whole nodes of the stream go; the one with 1-400 stays, and all after it. */
    for (int i = 0; i < 50; i++)
        turn();
    reply = redis_fixture_command(&server, "XRANGE %s 1-400 1-400", KEY_TRADE);
    assert_int_equal(reply->elements, 1);
    freeReplyObject(reply);
    long long length = redis_fixture_integer(&server, "XLEN %s", KEY_TRADE);
    assert_true(length >= 601 && length < 701);
    reply = redis_fixture_command(&server, "HGET consumers:%s fast", KEY_TRADE);
    assert_non_null(strstr(reply->str, "1-1000 "));
    assert_true(atoll(reply->str + strlen("1-1000 ")) >= now_ms);
    freeReplyObject(reply);
    assert_int_equal(redis_producer_stats(producer)->trim.capped_unread, 0);
}

static void redis_stream_is_not_held_back_by_a_consumer_that_is_gone(void **state)
{
    (void)state;
    producer_extra.trim_interval_us = 20000;
    producer_extra.consumer_expiry_s = 60;
    open_out();
    open_in("alive", 1u << STREAM_TRADE);
    UNTIL(redis_fixture_integer(&server, "HEXISTS consumers:%s alive", KEY_TRADE) == 1);
    long long ago_ms = loop_wall_us() / 1000 - 61000;
    char value[64];
    snprintf(value, sizeof(value), "1-1 %lld", ago_ms);
    freeReplyObject(redis_fixture_command(&server, "HSET consumers:%s gone %b broken nonsense",
                                          KEY_TRADE, value, strlen(value)));
    put_run(STREAM_TRADE, 1, 1, 1000);
    UNTIL(received == 1000);
    struct stream_position at[STREAM_COUNT];
    memset(at, 0, sizeof(at));
    memcpy(at[STREAM_TRADE].text, last_position, sizeof(last_position));
    assert_int_equal(in.commit(in.self, at), ERR_OK);
    UNTIL(redis_producer_stats(producer)->trim.trimmed > 800);
    assert_int_equal(redis_producer_stats(producer)->trim.consumers_expired, 2);
    /* It, and since when there is a registry. */
    assert_int_equal(redis_fixture_integer(&server, "HLEN consumers:%s", KEY_TRADE), 2);
}

/* The last kept is the position's place in the checkpoint's bytes. */
static void put_checkpoint(const char *position)
{
    static uint8_t blob[STATE_CHECKPOINT_OVERHEAD + 100];
    memset(blob, 0, sizeof(blob));
    snprintf((char *)blob + STATE_CHECKPOINT_POSITION_AT(STREAM_TRADE), STREAM_POSITION_SIZE, "%s",
             position);
    freeReplyObject(
        redis_fixture_command(&server, "SET checkpoint:BTCUSDT %b", blob, sizeof(blob)));
}

static void redis_stream_keeps_what_the_stored_checkpoint_begins_with(void **state)
{
    (void)state;
    producer_extra.trim_interval_us = 20000;
    producer_extra.trim_checkpoint = true;
    open_out();
    open_in("fast", 1u << STREAM_TRADE);
    UNTIL(redis_fixture_integer(&server, "HEXISTS consumers:%s fast", KEY_TRADE) == 1);
    put_run(STREAM_TRADE, 1, 1, 1000);
    UNTIL(received == 1000);
    struct stream_position at[STREAM_COUNT];
    memset(at, 0, sizeof(at));
    memcpy(at[STREAM_TRADE].text, last_position, sizeof(last_position));
    assert_int_equal(in.commit(in.self, at), ERR_OK);
    UNTIL(registered("fast", "1-1000 "));
    for (int i = 0; i < 100; i++)
        turn();
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE), 1000);
    put_checkpoint("");
    for (int i = 0; i < 100; i++)
        turn();
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE), 1000);
    put_checkpoint("1-400");
    UNTIL(redis_producer_stats(producer)->trim.trimmed > 0);
    for (int i = 0; i < 50; i++)
        turn();
    long long length = redis_fixture_integer(&server, "XLEN %s", KEY_TRADE);
    assert_true(length >= 601 && length < 701);
}

static void redis_stream_trims_nothing_while_its_registry_is_young(void **state)
{
    (void)state;
    producer_extra.trim_interval_us = 20000;
    producer_extra.trim_settle_ms = 600000;
    open_out();
    open_in("first", 1u << STREAM_TRADE);
    put_run(STREAM_TRADE, 1, 1, 1000);
    UNTIL(received == 1000);
    struct stream_position at[STREAM_COUNT];
    memset(at, 0, sizeof(at));
    memcpy(at[STREAM_TRADE].text, last_position, sizeof(last_position));
    assert_int_equal(in.commit(in.self, at), ERR_OK);
    UNTIL(registered("first", "1-1000 "));
    for (int i = 0; i < 100; i++)
        turn();
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE), 1000);
    /* An hour later: it knows everybody who is there. */
    freeReplyObject(redis_fixture_command(&server, "HSET consumers:%s @since 1", KEY_TRADE));
    UNTIL(redis_producer_stats(producer)->trim.trimmed > 800);
}

static void redis_stream_keeps_everything_for_a_reader_that_is_still_to_come(void **state)
{
    (void)state;
    producer_extra.trim_interval_us = 20000;
    producer_extra.readers = "late,later";
    open_out();
    open_in("early", 1u << STREAM_TRADE);
    put_run(STREAM_TRADE, 1, 1, 1000);
    UNTIL(received == 1000);
    struct stream_position at[STREAM_COUNT];
    memset(at, 0, sizeof(at));
    memcpy(at[STREAM_TRADE].text, last_position, sizeof(last_position));
    assert_int_equal(in.commit(in.self, at), ERR_OK);
    UNTIL(registered("early", "1-1000 "));
    for (int i = 0; i < 100; i++)
        turn();
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE), 1000);
    assert_int_equal(
        redis_fixture_integer(&server, "HEXISTS consumers:%s later", "market-control:BTCUSDT"), 1);
    /* They come; one of them keeps its place when the writer connects again. */
    static const char *const names[] = {"late", "later"};
    for (int i = 0; i < 2; i++)
        freeReplyObject(redis_fixture_command(&server, "HSET consumers:%s %s %b", KEY_TRADE,
                                              names[i], "1-900 99999999999999", (size_t)20));
    freeReplyObject(redis_fixture_command(&server, "CLIENT KILL TYPE normal"));
    UNTIL(redis_producer_stats(producer)->trim.trimmed > 700);
    assert_true(registered("late", "1-900 "));
}

static void redis_stream_refuses_names_of_readers_that_are_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {",", "a,", ",a", "a,,b", "a b", "a,b,c,d,e"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct redis_await await;
        struct err err = {0};
        assert_int_equal(
            redis_await_init(&await, NULL, wrong[i], STREAM_KEYS_PLAIN, "BTCUSDT", &err),
            ERR_CONFIG);
        assert_non_null(strstr(err.text, "\""));
    }
}

static void redis_stream_keeps_what_a_restart_needs_though_more_was_read(void **state)
{
    (void)state;
    producer_extra.trim_interval_us = 20000;
    open_out();
    open_in("careful", 1u << STREAM_TRADE);
    UNTIL(redis_fixture_integer(&server, "HEXISTS consumers:%s careful", KEY_TRADE) == 1);
    put_run(STREAM_TRADE, 1, 1, 1000);
    UNTIL(received == 1000); /* read, but nothing committed */
    /* Also not after the registering connection was lost and made again. */
    freeReplyObject(redis_fixture_command(&server, "CLIENT KILL TYPE normal"));
    UNTIL(in.ready(in.self) && out.ready(out.self));
    for (int i = 0; i < 100; i++)
        turn();
    assert_int_equal(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE), 1000);
}

static void redis_stream_caps_its_length_and_counts_what_nobody_had_read(void **state)
{
    (void)state;
    producer_extra.trim_interval_us = 20000;
    producer_extra.length_max = 300;
    open_out();
    freeReplyObject(redis_fixture_command(&server, "HSET consumers:%s stuck %b", KEY_TRADE,
                                          "1-10 99999999999999", (size_t)19));
    put_run(STREAM_TRADE, 1, 1, 1000);
    UNTIL(redis_producer_stats(producer)->trim.capped_unread > 0);
    UNTIL(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE) < 500);
    assert_true(redis_fixture_integer(&server, "XLEN %s", KEY_TRADE) >= 300);
}

static void redis_stream_tells_a_consumer_that_its_place_was_trimmed_away(void **state)
{
    (void)state;
    open_out();
    put_run(STREAM_TRADE, 1, 1, 100);
    put_run(STREAM_DEPTH, 1, 101, 100);
    UNTIL(answered == 200);
    freeReplyObject(redis_fixture_command(&server, "XTRIM %s MINID 1-50", KEY_TRADE));
    struct stream_position from[STREAM_COUNT];
    memset(from, 0, sizeof(from));
    strcpy(from[STREAM_TRADE].text, "1-20");
    strcpy(from[STREAM_DEPTH].text, "1-120");
    in = engine_open_consumer("late", on_record, NULL);
    unsigned mask = 1u << STREAM_TRADE | 1u << STREAM_DEPTH;
    assert_int_equal(in.follow(in.self, mask, from), ERR_OK);
    UNTIL(received == 51 + 80);
    assert_int_equal(redis_consumer_stats(consumer)->trimmed, 1);
    assert_int_equal(redis_consumer_take_trimmed(consumer), 1u << STREAM_TRADE);
    assert_int_equal(redis_consumer_take_trimmed(consumer), 0);
    /* Trimming what was read is no loss. */
    freeReplyObject(redis_fixture_command(&server, "XTRIM %s MINID 1-100", KEY_TRADE));
    for (int64_t start_us = loop_mono_us(); loop_mono_us() - start_us < 1300000;)
        turn();
    assert_int_equal(redis_consumer_stats(consumer)->trimmed, 1);
}

static void redis_stream_skips_entries_that_are_not_ours(void **state)
{
    (void)state;
    open_out();
    open_in("reader", 1u << STREAM_TRADE);
    freeReplyObject(redis_fixture_command(&server, "XADD %s 1-1 x y", KEY_TRADE));
    freeReplyObject(redis_fixture_command(&server, "XADD %s 1-2 e %b", KEY_TRADE, "", (size_t)0));
    freeReplyObject(redis_fixture_command(&server, "XADD %s 1-3 envelope y", KEY_TRADE));
    put_run(STREAM_TRADE, 1, 4, 1);
    UNTIL(received == 2);
    assert_string_equal(last_position, "1-4");
    assert_int_equal(redis_consumer_stats(consumer)->malformed, 2);
}

/* Fewer streams than the questions on the wire were about: their answers are not ours. */
static void redis_stream_follows_fewer_streams_while_questions_are_owed(void **state)
{
    (void)state;
    open_out();
    put_run(STREAM_DEPTH, 1, 1, 3);
    UNTIL(answered == 3);
    /* The questions leave with the connection; nothing has come back yet. */
    open_in("", (1u << STREAM_COUNT) - 1);
    UNTIL(in.ready(in.self));
    received = 0;
    assert_int_equal(in.follow(in.self, 1u << STREAM_DEPTH, oldest), ERR_OK);
    UNTIL(received == 3);
}

static void redis_stream_asks_again_after_a_refused_read(void **state)
{
    (void)state;
    open_out();
    freeReplyObject(redis_fixture_command(&server, "SET %s x", KEY_TRADE));
    open_in("reader", 1u << STREAM_TRADE);
    UNTIL(in.ready(in.self));
    for (int i = 0; i < 20; i++)
        turn();
    freeReplyObject(redis_fixture_command(&server, "DEL %s", KEY_TRADE));
    put_run(STREAM_TRADE, 1, 1, 1);
    UNTIL(received == 1);
}

static void redis_stream_halves_its_reads_when_replies_are_large(void **state)
{
    (void)state;
    consumer_extra.reply_bytes_max = 2000;
    consumer_extra.count_max = 64;
    open_out();
    put_run(STREAM_TRADE, 1, 1, 1000);
    UNTIL(answered == 1000);
    open_in("reader", 1u << STREAM_TRADE);
    UNTIL(received == 1000);
    /* 100 bytes an entry: about 20 a read instead of 64. */
    assert_true(redis_consumer_stats(consumer)->reads >= 1000 / 40);
}

static void redis_stream_puts_all_keys_of_a_symbol_into_one_slot_in_hashtag_style(void **state)
{
    (void)state;
    style = STREAM_KEYS_HASHTAG;
    open_out();
    open_in("reader", 1u << STREAM_TRADE | 1u << STREAM_DEPTH);
    put_run(STREAM_TRADE, 1, 1, 10);
    put_run(STREAM_DEPTH, 1, 11, 10);
    UNTIL(received == 20);
    UNTIL(redis_fixture_integer(&server, "EXISTS consumers:market-sbe-depth:{BTCUSDT}") == 1);
    assert_int_equal(redis_fixture_integer(&server, "XLEN market-sbe-trade:{BTCUSDT}"), 10);
}

static void redis_stream_id_parses_exactly_its_own_form(void **state)
{
    (void)state;
    struct redis_stream_id id;
    char text[REDIS_STREAM_ID_SIZE];
    const char *good[] = {"0-0", "1-2", "18446744073709551615-18446744073709551615"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(redis_stream_id_parse(good[i], strlen(good[i]), &id), ERR_OK);
        assert_string_equal(redis_stream_id_text(id, text), good[i]);
    }
    const char *wrong[] = {"",
                           "-",
                           "1",
                           "1-",
                           "-1",
                           "1-2 ",
                           " 1-2",
                           "1-2-3",
                           "+1-2",
                           "1--2",
                           "a-1",
                           "18446744073709551616-0",
                           "0-18446744073709551616",
                           "99999999999999999999-1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(redis_stream_id_parse(wrong[i], strlen(wrong[i]), &id) < 0);
    struct redis_stream_id a = {1, 9}, b = {2, 0}, c = {2, 1};
    assert_true(redis_stream_id_compare(a, b) < 0);
    assert_true(redis_stream_id_compare(c, b) > 0);
    assert_int_equal(redis_stream_id_compare(b, b), 0);
}

static void redis_batch_counts_a_missing_letter_as_refused(void **state)
{
    (void)state;
    struct stream_record records[3] = {{.stream = STREAM_TRADE, .epoch = 1, .last_seq = 1}};
    records[1] = records[2] = records[0];
    struct redis_batch_queue queue = {0};
    redis_batch_add(&queue, redis_batch_copy(records, 2, 0));
    redis_batch_add(&queue, redis_batch_copy(records, 3, 0));
    assert_true(redis_batch_spread(&queue, "WWDWD", 5));
    assert_false(redis_batch_spread(&queue, "WWF", 3));
    assert_int_equal(queue.first->outcome[1], STREAM_WRITTEN);
    assert_int_equal(queue.last->outcome[0], STREAM_FENCED);
    assert_int_equal(queue.last->outcome[1], STREAM_RETRY);
    assert_int_equal(queue.last->outcome[2], STREAM_RETRY);
    redis_batch_drop(&queue);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup_own, teardown_own)
    const struct CMUnitTest tests[] = {
        EACH(redis_stream_uses_the_ids_and_the_field_of_the_contract),
        EACH(redis_stream_merges_batches_that_wait_into_one_script),
        EACH(redis_stream_pauses_and_retries_when_memory_is_full),
        EACH(redis_stream_survives_a_script_flush_without_losing_the_order),
        EACH(redis_stream_script_stops_a_stream_at_its_first_refusal),
        EACH(redis_stream_sends_nothing_that_waited_behind_a_refused_record),
        EACH(redis_stream_compares_epochs_beyond_the_precision_of_lua),
        EACH(redis_stream_trims_behind_the_slowest_registered_consumer),
        EACH(redis_stream_keeps_what_the_stored_checkpoint_begins_with),
        EACH(redis_stream_trims_nothing_while_its_registry_is_young),
        EACH(redis_stream_is_not_held_back_by_a_consumer_that_is_gone),
        EACH(redis_stream_keeps_everything_for_a_reader_that_is_still_to_come),
        EACH(redis_stream_refuses_names_of_readers_that_are_none),
        EACH(redis_stream_keeps_what_a_restart_needs_though_more_was_read),
        EACH(redis_stream_caps_its_length_and_counts_what_nobody_had_read),
        EACH(redis_stream_tells_a_consumer_that_its_place_was_trimmed_away),
        EACH(redis_stream_skips_entries_that_are_not_ours),
        EACH(redis_stream_follows_fewer_streams_while_questions_are_owed),
        EACH(redis_stream_asks_again_after_a_refused_read),
        EACH(redis_stream_halves_its_reads_when_replies_are_large),
        EACH(redis_stream_puts_all_keys_of_a_symbol_into_one_slot_in_hashtag_style),
        cmocka_unit_test(redis_stream_id_parses_exactly_its_own_form),
        cmocka_unit_test(redis_batch_counts_a_missing_letter_as_refused),
    };
    int failed = stream_contract_run(&redis_engine);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
