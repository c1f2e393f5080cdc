/* The claim port of the re-anchor agent on a real redis-server: one holder, only the owner
 * renews, hands over and drops, and what a look sees. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "edge/redis/redis_anchor.h"
#include "tests/integration/link_fixture.h"

struct fixture {
    struct link_fixture on;
    struct redis_anchor *anchor;
    struct anchor_claim_port port;
    /* the last look */
    char ask[128], flag[64], swapped[64];
    bool has_document;
};

static struct fixture fixture;

static void on_answer(void *context, const struct anchor_reply *reply)
{
    struct fixture *f = context;
    f->on.answers++;
    f->on.result = reply->result;
}

static void on_look(void *context, const struct anchor_look *look)
{
    struct fixture *f = context;
    f->on.answers++;
    f->on.result = look->result;
    snprintf(f->ask, sizeof(f->ask), "%.*s", (int)look->ask.size, (const char *)look->ask.data);
    snprintf(f->flag, sizeof(f->flag), "%s", look->flag);
    snprintf(f->swapped, sizeof(f->swapped), "%s", look->swapped);
    f->has_document = look->has_document;
}

static int answer(int started)
{
    return link_fixture_answer(&fixture.on, started);
}

static int claim(const char *token)
{
    return answer(fixture.port.claim(fixture.port.self, token, 10000, on_answer, &fixture));
}

static int renew(const char *token)
{
    return answer(fixture.port.renew(fixture.port.self, token, 10000, on_answer, &fixture));
}

static int hand(const char *token)
{
    return answer(
        fixture.port.hand(fixture.port.self, token, bytes_text("{}"), 5000, on_answer, &fixture));
}

static int drop(const char *token)
{
    return answer(fixture.port.drop(fixture.port.self, token, on_answer, &fixture));
}

static void look(void)
{
    assert_int_equal(answer(fixture.port.look(fixture.port.self, on_look, &fixture)), ERR_OK);
}

static int group_setup(void **state)
{
    (void)state;
    link_fixture_start(&fixture.on);
    assert_int_equal(redis_anchor_open(fixture.on.link,
                                       (enum state_key_style)redis_fixture_key_style(), "BTCUSDT",
                                       &fixture.anchor, NULL),
                     ERR_OK);
    fixture.port = redis_anchor_port(fixture.anchor);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    redis_link_close(fixture.on.link);
    redis_anchor_close(fixture.anchor);
    link_fixture_stop(&fixture.on);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    redis_fixture_flush(&fixture.on.redis);
    return 0;
}

static long long integer(const char *command)
{
    return redis_fixture_integer(&fixture.on.redis, command);
}

static void one_token_holds_the_flag(void **state)
{
    (void)state;
    assert_int_equal(claim("a"), ERR_OK);
    assert_in_range(integer("PTTL reanchor:BTCUSDT"), 9000, 10000);
    assert_int_equal(claim("b"), ERR_REFUSED);
    assert_int_equal(claim("a"), ERR_REFUSED);
    look();
    assert_string_equal(fixture.flag, "a");
}

static void only_the_owner_renews(void **state)
{
    (void)state;
    assert_int_equal(claim("a"), ERR_OK);
    assert_int_equal(integer("PEXPIRE reanchor:BTCUSDT 500"), 1);
    assert_int_equal(renew("b"), ERR_REFUSED);
    assert_in_range(integer("PTTL reanchor:BTCUSDT"), 1, 500);
    assert_int_equal(renew("a"), ERR_OK);
    assert_in_range(integer("PTTL reanchor:BTCUSDT"), 9000, 10000);
    assert_int_equal(integer("DEL reanchor:BTCUSDT"), 1);
    assert_int_equal(renew("a"), ERR_REFUSED);
    assert_int_equal(integer("EXISTS reanchor:BTCUSDT"), 0);
}

static void only_the_owner_hands_over(void **state)
{
    (void)state;
    assert_int_equal(hand("a"), ERR_REFUSED);
    assert_int_equal(claim("a"), ERR_OK);
    assert_int_equal(hand("b"), ERR_REFUSED);
    assert_int_equal(integer("EXISTS reanchor:doc:BTCUSDT"), 0);
    assert_int_equal(hand("a"), ERR_OK);
    assert_in_range(integer("PTTL reanchor:doc:BTCUSDT"), 4000, 5000);
    look();
    assert_true(fixture.has_document);
}

static void only_the_owner_drops_flag_and_document(void **state)
{
    (void)state;
    assert_int_equal(claim("a"), ERR_OK);
    assert_int_equal(hand("a"), ERR_OK);
    assert_int_equal(drop("b"), ERR_REFUSED);
    assert_int_equal(integer("EXISTS reanchor:BTCUSDT reanchor:doc:BTCUSDT"), 2);
    assert_int_equal(drop("a"), ERR_OK);
    assert_int_equal(integer("EXISTS reanchor:BTCUSDT reanchor:doc:BTCUSDT"), 0);
}

static void a_look_sees_ask_flag_document_and_the_last_swap(void **state)
{
    (void)state;
    look();
    assert_string_equal(fixture.ask, "");
    assert_string_equal(fixture.flag, "");
    assert_string_equal(fixture.swapped, "");
    assert_false(fixture.has_document);
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "SET reanchor:ask:BTCUSDT why"));
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "HSET gap:BTCUSDT anchor_token t9"));
    look();
    assert_string_equal(fixture.ask, "why");
    assert_string_equal(fixture.swapped, "t9");
}

static void an_audit_record_is_an_event(void **state)
{
    struct state_pair pairs[] = {{BYTES_LITERAL("result"), BYTES_LITERAL("swapped")},
                                 {BYTES_LITERAL("tries"), BYTES_LITERAL("1")}};
    (void)state;
    assert_int_equal(answer(fixture.port.audit(fixture.port.self, pairs, 2, on_answer, &fixture)),
                     ERR_OK);
    assert_int_equal(integer(redis_fixture_key_style() == STATE_KEYS_PLAIN
                                 ? "XLEN reanchor-events"
                                 : "XLEN reanchor-events:BTCUSDT"),
                     1);
}

/* A key of another type is an error of the server, not of the caller: said, not crashed. */
static void a_damaged_key_is_an_error_and_the_port_lives_on(void **state)
{
    (void)state;
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "LPUSH reanchor:BTCUSDT x"));
    assert_int_equal(renew("a"), ERR_IO);
    assert_int_equal(answer(fixture.port.look(fixture.port.self, on_look, &fixture)), ERR_IO);
    redis_fixture_flush(&fixture.on.redis);
    assert_int_equal(claim("a"), ERR_OK);
}

static void scripts_survive_a_script_flush(void **state)
{
    (void)state;
    assert_int_equal(claim("a"), ERR_OK);
    freeReplyObject(redis_fixture_command(&fixture.on.redis, "SCRIPT FLUSH"));
    assert_int_equal(renew("a"), ERR_OK);
    assert_int_equal(hand("a"), ERR_OK);
    assert_int_equal(drop("a"), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_token_holds_the_flag, setup),
        cmocka_unit_test_setup(only_the_owner_renews, setup),
        cmocka_unit_test_setup(only_the_owner_hands_over, setup),
        cmocka_unit_test_setup(only_the_owner_drops_flag_and_document, setup),
        cmocka_unit_test_setup(a_look_sees_ask_flag_document_and_the_last_swap, setup),
        cmocka_unit_test_setup(an_audit_record_is_an_event, setup),
        cmocka_unit_test_setup(a_damaged_key_is_an_error_and_the_port_lives_on, setup),
        cmocka_unit_test_setup(scripts_survive_a_script_flush, setup),
    };
    return cmocka_run_group_tests_name("redis_anchor", tests, group_setup, group_teardown);
}
