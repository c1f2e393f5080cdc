/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hot/ingest/feed.h"

#define S 1000000LL

/* An exchange as the feed sees it. */
struct fixture {
    struct feed feed;
    int64_t now_us;
    bool refuse; /* attempts fail at once */
    bool deaf;   /* attempts get no answer */
    bool up[FEED_LINES];
    bool silent[FEED_LINES];
    enum feed_cause dropped[FEED_LINES];
    int connects[FEED_LINES];
    int both_down; /* ticks without any line up */
};

static void on_connect(void *context, int line)
{
    struct fixture *fixture = context;
    assert_false(fixture->up[line]);
    fixture->connects[line]++;
    if (fixture->deaf)
        return;
    if (fixture->refuse) {
        feed_closed(&fixture->feed, line, fixture->now_us);
        return;
    }
    fixture->up[line] = true;
    fixture->silent[line] = false;
    feed_opened(&fixture->feed, line, fixture->now_us);
}

static void on_drop(void *context, int line, enum feed_cause cause)
{
    struct fixture *fixture = context;
    fixture->up[line] = false;
    fixture->dropped[line] = cause;
}

static void start(struct fixture *fixture, bool second)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->now_us = 100 * S;
    struct feed_options options = {.second = second,
                                   .watchdog_us = 5 * S,
                                   .rotation_us = 600 * S,
                                   .seed = 7,
                                   .context = fixture,
                                   .connect = on_connect,
                                   .drop = on_drop};
    feed_init(&fixture->feed, &options, fixture->now_us);
}

static void run(struct fixture *fixture, int64_t us)
{
    for (int64_t end = fixture->now_us + us; fixture->now_us < end; fixture->now_us += 50000) {
        for (int i = 0; i < FEED_LINES; i++)
            if (fixture->up[i] && !fixture->silent[i])
                feed_data(&fixture->feed, i, fixture->now_us);
        feed_do_work(&fixture->feed, fixture->now_us);
        fixture->both_down += !fixture->up[0] && !fixture->up[1];
    }
}

static void feed_keeps_one_line_and_opens_no_other(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, false);
    assert_false(feed_any_live(&fixture.feed));
    run(&fixture, 100 * S);
    assert_true(feed_any_live(&fixture.feed));
    assert_int_equal(fixture.connects[0], 1);
    assert_int_equal(fixture.connects[1], 0);
    assert_int_equal(fixture.both_down, 0);
}

static void feed_makes_a_new_line_before_it_breaks_a_silent_one(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, false);
    run(&fixture, 10 * S);
    fixture.silent[0] = true;
    run(&fixture, 4 * S);
    assert_int_equal(fixture.connects[1], 0);
    run(&fixture, S + S / 2);
    assert_int_equal(fixture.connects[1], 1);
    assert_true(fixture.up[0]);
    run(&fixture, 2 * S);
    assert_false(fixture.up[0]);
    assert_int_equal(fixture.dropped[0], FEED_REPLACED);
    assert_int_equal(fixture.feed.lines[0].state, FEED_IDLE);
    assert_int_equal(fixture.feed.counters.causes[FEED_SILENT], 1);
    assert_int_equal(fixture.both_down, 0);
    run(&fixture, 100 * S);
    assert_int_equal(fixture.connects[0] + fixture.connects[1], 2);
}

static void feed_rotates_by_age_make_before_break(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, false);
    run(&fixture, 3 * 605 * S);
    assert_int_equal(fixture.feed.counters.causes[FEED_ROTATION], 3);
    assert_int_equal(fixture.connects[0], 2);
    assert_int_equal(fixture.connects[1], 2);
    assert_int_equal(fixture.both_down, 0);
}

static void feed_replaces_at_once_on_server_shutdown(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, false);
    run(&fixture, 10 * S);
    feed_shutdown(&fixture.feed, 0, fixture.now_us);
    run(&fixture, S / 10);
    assert_int_equal(fixture.connects[1], 1);
    run(&fixture, 2 * S);
    assert_false(fixture.up[0]);
    assert_int_equal(fixture.both_down, 0);
}

static void feed_with_two_lines_reopens_the_bad_one_and_keeps_the_other(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, true);
    run(&fixture, 10 * S);
    assert_true(fixture.up[0] && fixture.up[1]);
    fixture.silent[1] = true;
    run(&fixture, 6 * S);
    assert_true(fixture.up[0] && fixture.up[1]);
    assert_int_equal(fixture.connects[0], 1);
    assert_int_equal(fixture.connects[1], 2);
    /* Both are told to go at once: one after the other. */
    feed_shutdown(&fixture.feed, 0, fixture.now_us);
    feed_shutdown(&fixture.feed, 1, fixture.now_us);
    run(&fixture, 5 * S);
    assert_int_equal(fixture.connects[0], 2);
    assert_int_equal(fixture.connects[1], 3);
    assert_int_equal(fixture.both_down, 0);
}

static void feed_comes_back_after_a_close_with_growing_pauses(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, false);
    run(&fixture, S);
    fixture.up[0] = false;
    feed_closed(&fixture.feed, 0, fixture.now_us);
    run(&fixture, S / 5);
    assert_int_equal(fixture.connects[0], 2); /* within 100 ms */
    fixture.refuse = true;
    fixture.up[0] = false;
    feed_closed(&fixture.feed, 0, fixture.now_us);
    run(&fixture, 600 * S);
    int tries = fixture.connects[0];
    /* 15 s on average in the end: about 40 in ten minutes, never a storm. */
    assert_in_range(tries, 20, 90);
    fixture.refuse = false;
    run(&fixture, 31 * S);
    assert_true(fixture.up[0]);
    assert_int_equal(fixture.feed.lines[0].failures, 0);
}

static void feed_gives_up_an_attempt_that_gets_no_answer(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, false);
    fixture.deaf = true;
    run(&fixture, 11 * S);
    assert_int_equal(fixture.connects[0], 2);
    assert_int_equal(fixture.dropped[0], FEED_FAILED);
}

static void feed_keeps_the_exchanges_limit_of_attempts(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, false);
    /* A server that takes the connection, sends one message and closes. */
    for (int i = 0; i < 6000; i++) {
        run(&fixture, 50000);
        if (fixture.up[0]) {
            feed_data(&fixture.feed, 0, fixture.now_us);
            fixture.up[0] = false;
            feed_closed(&fixture.feed, 0, fixture.now_us);
        }
    }
    assert_int_equal(fixture.feed.counters.attempts, FEED_ATTEMPTS_MAX);
    assert_true(fixture.feed.counters.limited > 0);
    run(&fixture, 10 * S);
    assert_true(fixture.feed.counters.attempts > FEED_ATTEMPTS_MAX);
}

static void feed_starts_anew_when_every_line_is_half_open(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, false);
    run(&fixture, S);
    for (int i = 0; i < 1200; i++) {
        fixture.silent[0] = fixture.silent[1] = true;
        run(&fixture, 50000);
    }
    /* 60 s of silence: several tries, then data again. */
    assert_in_range(fixture.connects[0] + fixture.connects[1], 4, 20);
    run(&fixture, 40 * S);
    assert_true(feed_any_live(&fixture.feed));
}

static void feed_says_when_it_wants_to_be_called(void **state)
{
    struct fixture fixture;
    (void)state;
    start(&fixture, false);
    assert_int_equal(feed_do_work(&fixture.feed, fixture.now_us), fixture.now_us + 5 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feed_keeps_one_line_and_opens_no_other),
        cmocka_unit_test(feed_makes_a_new_line_before_it_breaks_a_silent_one),
        cmocka_unit_test(feed_rotates_by_age_make_before_break),
        cmocka_unit_test(feed_replaces_at_once_on_server_shutdown),
        cmocka_unit_test(feed_with_two_lines_reopens_the_bad_one_and_keeps_the_other),
        cmocka_unit_test(feed_comes_back_after_a_close_with_growing_pauses),
        cmocka_unit_test(feed_gives_up_an_attempt_that_gets_no_answer),
        cmocka_unit_test(feed_keeps_the_exchanges_limit_of_attempts),
        cmocka_unit_test(feed_starts_anew_when_every_line_is_half_open),
        cmocka_unit_test(feed_says_when_it_wants_to_be_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
