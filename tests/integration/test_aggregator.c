/* The aggregator and the re-anchor agent over a real redis-server: streams in, hot state
 * out, anchors by claim, hand-over and swap, standby, and what happens when the server
 * dies or loses everything. The exchange is in the test's memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/integration/hot_fixture.h"

static int setup(void **state)
{
    (void)state;
    scene_open(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scene_close();
    return 0;
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
