/* The gap detector's port on a real redis-server: what a look sees, what a saying leaves.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "edge/redis/redis_gap.h"
#include "tests/integration/link_fixture.h"

struct fixture {
    struct link_fixture on;
    struct redis_gap *gap;
    struct gap_port port;
    /* the last look */
    int count;
    char first_id[GAP_ID_SIZE], first_kind[32], newest[GAP_ID_SIZE], swapped[64];
    char shown[GAP_SHOWN_COUNT][48], override[128], memory[128];
};

static struct fixture fixture;

static void copy(char *out, size_t size, struct bytes from)
{
    snprintf(out, size, "%.*s", (int)from.size, from.size > 0 ? (const char *)from.data : "");
}

static void on_done(void *context, int result)
{
    struct fixture *f = context;
    f->on.answers++;
    f->on.result = result;
}

static void on_look(void *context, const struct gap_look *look)
{
    struct fixture *f = context;
    f->on.answers++;
    f->on.result = look->result;
    f->count = look->count;
    f->first_id[0] = f->first_kind[0] = 0;
    if (look->count > 0) {
        copy(f->first_id, sizeof(f->first_id), look->entries[0].id);
        for (int i = 0; i < look->entries[0].count; i++)
            if (look->entries[0].pairs[i].field.size == 4 &&
                memcmp(look->entries[0].pairs[i].field.data, "kind", 4) == 0)
                copy(f->first_kind, sizeof(f->first_kind), look->entries[0].pairs[i].value);
    }
    for (int i = 0; i < GAP_SHOWN_COUNT; i++)
        copy(f->shown[i], sizeof(f->shown[i]), look->shown[i]);
    copy(f->newest, sizeof(f->newest), look->newest);
    copy(f->swapped, sizeof(f->swapped), look->swapped);
    copy(f->override, sizeof(f->override), look->override);
    copy(f->memory, sizeof(f->memory), look->memory);
}

static int answer(int started)
{
    return link_fixture_answer(&fixture.on, started);
}

static void look(const char *after)
{
    assert_int_equal(answer(fixture.port.look(fixture.port.self, after, on_look, &fixture)),
                     ERR_OK);
}

static void say(const char *verdict, const char *ask, const char *swapped, const char *memory)
{
    struct gap_saying saying = {.verdict = bytes_text(verdict),
                                .verdict_ttl_ms = 5000,
                                .ask = bytes_text(ask),
                                .ask_ttl_ms = 4000,
                                .swapped = bytes_text(swapped),
                                .memory = bytes_text(memory)};
    assert_int_equal(answer(fixture.port.say(fixture.port.self, &saying, on_done, &fixture)),
                     ERR_OK);
}

static void put(const char *command)
{
    freeReplyObject(redis_fixture_command(&fixture.on.redis, command));
}

static long long integer(const char *command)
{
    return redis_fixture_integer(&fixture.on.redis, command);
}

static void assert_key(const char *key, const char *expected)
{
    redisReply *reply = redis_fixture_command(&fixture.on.redis, "GET %s", key);
    if (expected == NULL) {
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
    } else {
        assert_int_equal(reply->type, REDIS_REPLY_STRING);
        assert_string_equal(reply->str, expected);
    }
    freeReplyObject(reply);
}

static int group_setup(void **state)
{
    (void)state;
    link_fixture_start(&fixture.on);
    assert_int_equal(
        redis_gap_open(fixture.on.link, STATE_KEYS_HASHTAG, "BTCUSDT", &fixture.gap, NULL), ERR_OK);
    fixture.port = redis_gap_port(fixture.gap);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    redis_link_close(fixture.on.link);
    redis_gap_close(fixture.gap);
    link_fixture_stop(&fixture.on);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    redis_fixture_flush(&fixture.on.redis);
    return 0;
}

static void an_empty_store_shows_nothing(void **state)
{
    (void)state;
    look("");
    assert_int_equal(fixture.count, 0);
    assert_string_equal(fixture.newest, "");
    for (int i = 0; i < GAP_SHOWN_COUNT; i++)
        assert_string_equal(fixture.shown[i], "");
    assert_string_equal(fixture.memory, "");
}

static void a_look_sees_entries_after_an_id_and_the_hot_state(void **state)
{
    (void)state;
    put("XADD gap-events:{BTCUSDT} 5-0 kind minute");
    put("XADD gap-events:{BTCUSDT} 6-0 kind loss cause x");
    put("XADD gap-events:{BTCUSDT} 6-1 kind anchored");
    put("HSET ob:{BTCUSDT} last_update_id 42 ts_us 7 book_live 1 source rest");
    put("HSET feat:{BTCUSDT} mid 50000.005");
    put("HSET gap:{BTCUSDT} anchor_token t9");
    put("SET gap:override:{BTCUSDT} o");
    put("SET gap:memory:{BTCUSDT} m");
    look("5-0");
    assert_int_equal(fixture.count, 2);
    assert_string_equal(fixture.first_id, "6-0");
    assert_string_equal(fixture.first_kind, "loss");
    assert_string_equal(fixture.shown[GAP_SHOWN_LAST_UPDATE_ID], "42");
    assert_string_equal(fixture.shown[GAP_SHOWN_TS_US], "7");
    assert_string_equal(fixture.shown[GAP_SHOWN_EVENT_US], "");
    assert_string_equal(fixture.shown[GAP_SHOWN_BOOK_LIVE], "1");
    assert_string_equal(fixture.shown[GAP_SHOWN_SOURCE], "rest");
    assert_string_equal(fixture.shown[GAP_SHOWN_LAST_TRADE_US], "");
    assert_string_equal(fixture.shown[GAP_SHOWN_MID], "50000.005");
    assert_string_equal(fixture.swapped, "t9");
    assert_string_equal(fixture.override, "o");
    assert_string_equal(fixture.memory, "m");
    look("");
    assert_int_equal(fixture.count, 0);
    assert_string_equal(fixture.newest, "6-1");
}

static void more_entries_than_a_look_holds_come_in_turn(void **state)
{
    (void)state;
    for (int i = 1; i <= GAP_ENTRIES_MAX + 3; i++)
        freeReplyObject(redis_fixture_command(&fixture.on.redis,
                                              "XADD gap-events:{BTCUSDT} %d-0 kind loss", i));
    look("0-0");
    assert_int_equal(fixture.count, GAP_ENTRIES_MAX);
    look("64-0");
    assert_int_equal(fixture.count, 3);
}

static void a_verdict_and_an_ask_have_their_times(void **state)
{
    (void)state;
    say("v", "a", "", "m");
    assert_key("gap:verdict:{BTCUSDT}", "v");
    assert_key("reanchor:ask:{BTCUSDT}", "a");
    assert_key("gap:memory:{BTCUSDT}", "m");
    assert_in_range(integer("PTTL gap:verdict:{BTCUSDT}"), 4000, 5000);
    assert_in_range(integer("PTTL reanchor:ask:{BTCUSDT}"), 3000, 4000);
    assert_int_equal(integer("PTTL gap:memory:{BTCUSDT}"), -1);
    say("", "", "", "");
    assert_key("gap:verdict:{BTCUSDT}", NULL);
    assert_key("reanchor:ask:{BTCUSDT}", "a"); /* nobody's to take back but the swap's */
    assert_key("gap:memory:{BTCUSDT}", "m");
}

static void an_ask_that_a_swap_has_overtaken_is_none(void **state)
{
    (void)state;
    put("HSET gap:{BTCUSDT} anchor_token t2");
    say("v", "a", "t1", "m");
    assert_key("reanchor:ask:{BTCUSDT}", NULL);
    assert_key("gap:verdict:{BTCUSDT}", "v");
    say("v", "a", "t2", "m");
    assert_key("reanchor:ask:{BTCUSDT}", "a");
}

static void an_audit_is_an_entry(void **state)
{
    struct state_pair pairs[] = {{BYTES_LITERAL("what"), BYTES_LITERAL("anchor")}};
    (void)state;
    assert_int_equal(answer(fixture.port.audit(fixture.port.self, pairs, 1, on_done, &fixture)),
                     ERR_OK);
    assert_int_equal(integer("XLEN gap-audit:{BTCUSDT}"), 1);
}

static void a_key_of_the_wrong_type_is_an_error_and_no_crash(void **state)
{
    (void)state;
    put("SET gap-events:{BTCUSDT} x");
    assert_int_equal(answer(fixture.port.look(fixture.port.self, "0-0", on_look, &fixture)),
                     ERR_IO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_store_shows_nothing),
        TEST(a_look_sees_entries_after_an_id_and_the_hot_state),
        TEST(more_entries_than_a_look_holds_come_in_turn),
        TEST(a_verdict_and_an_ask_have_their_times),
        TEST(an_ask_that_a_swap_has_overtaken_is_none),
        TEST(an_audit_is_an_entry),
        TEST(a_key_of_the_wrong_type_is_an_error_and_no_crash),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
