/* The budget of REST weight on the test's own clock. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "recover/poll/weight_budget.h"

#define S      INT64_C(1000000)
#define MINUTE (60 * S)
/* 10 s into some minute */
#define START (29000000 * MINUTE + 10 * S)

static bool take(struct weight_budget *budget, enum weight_class class, int64_t weight, int64_t at)
{
    int64_t wait_us;
    return weight_budget_take(budget, class, weight, at, &wait_us);
}

/* What the class can get at `at` in steps of one. */
static int64_t drain(struct weight_budget *budget, enum weight_class class, int64_t at)
{
    int64_t got = 0;
    while (take(budget, class, 1, at))
        got++;
    return got;
}

static void each_class_leaves_the_reserves_of_those_before_it(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    assert_int_equal(budget.limit, 1200);
    int64_t view = drain(&budget, WEIGHT_VIEW, START);
    assert_int_equal(view, 1080 - 150 - 250);
    int64_t backfill = drain(&budget, WEIGHT_BACKFILL, START);
    assert_int_equal(view + backfill, 1080 - 150 - 125);
    int64_t minute = drain(&budget, WEIGHT_MINUTE, START);
    assert_int_equal(view + backfill + minute, 1080 - 150);
    int64_t anchor = drain(&budget, WEIGHT_ANCHOR, START);
    assert_int_equal(view + backfill + minute + anchor, 1080);
    assert_int_equal(budget.refused[WEIGHT_VIEW], 1);
    assert_int_equal(budget.granted[WEIGHT_ANCHOR], 150);
}

static void what_others_use_counts(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    assert_true(take(&budget, WEIGHT_MINUTE, 50, START));
    weight_budget_reply(&budget, 200, 980, -1, START);
    assert_false(take(&budget, WEIGHT_MINUTE, 50, START));
    assert_true(take(&budget, WEIGHT_MINUTE, 30, START));
    assert_true(take(&budget, WEIGHT_ANCHOR, 50, START));
    /* A header from before our last requests takes nothing back. */
    weight_budget_reply(&budget, 200, 10, -1, START);
    assert_int_equal(budget.used, 1060);
    /* A reply without the header changes nothing. */
    weight_budget_reply(&budget, 500, -1, -1, START);
    assert_int_equal(budget.used, 1060);
}

/* Half of 1,200 used by others: a re-anchor and the polls have their room, and the view more than
 * twice a poll's. */
static void reserves_shrink_with_what_others_leave(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    weight_budget_reply(&budget, 200, 600, -1, START);
    assert_int_equal(drain(&budget, WEIGHT_VIEW, START), 480 - 120 - 120);
    assert_int_equal(drain(&budget, WEIGHT_BACKFILL, START), 60);
    assert_int_equal(drain(&budget, WEIGHT_MINUTE, START), 60);
    assert_int_equal(drain(&budget, WEIGHT_ANCHOR, START), 120);
    weight_budget_init(&budget);
    weight_budget_reply(&budget, 200, 900, -1, START);
    assert_int_equal(drain(&budget, WEIGHT_VIEW, START),
                     180 - WEIGHT_NEEDED_ANCHOR - WEIGHT_NEEDED_MINUTE);
}

static void what_the_polls_have_had_is_not_kept_for_them(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    weight_budget_reply(&budget, 200, 600, -1, START);
    assert_true(take(&budget, WEIGHT_MINUTE, 57, START));
    assert_int_equal(drain(&budget, WEIGHT_VIEW, START), 480 - 120 - 120);
    /* In the next minute it is kept again. */
    weight_budget_reply(&budget, 200, 600, -1, START + MINUTE);
    assert_int_equal(drain(&budget, WEIGHT_VIEW, START + MINUTE), 480 - 120 - 120);
}

static void the_pace_makes_the_room_last_until_the_window_ends(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    weight_budget_limit(&budget, 6000);
    assert_true(weight_budget_pace_us(&budget, WEIGHT_VIEW, 9, START) < 2 * S);
    weight_budget_init(&budget);
    weight_budget_reply(&budget, 200, 600, -1, START);
    int64_t at = START, granted = 0;
    for (; at < START + 50 * S; granted++) {
        assert_true(take(&budget, WEIGHT_VIEW, 9, at));
        at += weight_budget_pace_us(&budget, WEIGHT_VIEW, 9, at);
    }
    assert_in_range(granted, 25, 27); /* 240 of 9 each */
    assert_true(take(&budget, WEIGHT_VIEW, 1, START + 50 * S));
    drain(&budget, WEIGHT_VIEW, START + 50 * S);
    assert_int_equal(weight_budget_pace_us(&budget, WEIGHT_VIEW, 9, START + 50 * S), S);
}

static void a_new_minute_brings_the_whole_budget_after_the_guard(void **state)
{
    (void)state;
    struct weight_budget budget;
    int64_t wait_us;
    weight_budget_init(&budget);
    drain(&budget, WEIGHT_ANCHOR, START);
    assert_false(weight_budget_take(&budget, WEIGHT_ANCHOR, 1, START, &wait_us));
    assert_int_equal(wait_us, 50 * S + WEIGHT_GUARD_US);
    assert_false(take(&budget, WEIGHT_ANCHOR, 1, START + wait_us - 1));
    assert_int_equal(drain(&budget, WEIGHT_ANCHOR, START + wait_us), 1080);
}

static void a_clock_that_steps_back_gives_nothing_back(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    drain(&budget, WEIGHT_ANCHOR, START);
    assert_false(take(&budget, WEIGHT_ANCHOR, 1, START - 5 * MINUTE));
    assert_true(take(&budget, WEIGHT_ANCHOR, 1, START - 4 * MINUTE));
}

static void the_limit_is_what_exchange_info_says(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    weight_budget_limit(&budget, 6000);
    assert_int_equal(drain(&budget, WEIGHT_ANCHOR, START), 5400);
    weight_budget_limit(&budget, 0);
    weight_budget_limit(&budget, -3);
    assert_int_equal(budget.limit, 6000);
}

static void a_small_limit_still_has_room_for_every_class(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    weight_budget_limit(&budget, 100);
    assert_true(drain(&budget, WEIGHT_VIEW, START) >= 40);
    assert_true(drain(&budget, WEIGHT_MINUTE, START) > 0);
    assert_true(drain(&budget, WEIGHT_ANCHOR, START) > 0);
    assert_int_equal(budget.used, 90);
}

static void after_429_and_418_every_class_is_silent(void **state)
{
    (void)state;
    static const struct {
        int status;
        int64_t retry_after_s, silent_s;
    } cases[] = {{429, 7, 8}, {418, 120, 121}, {429, -1, 61}, {429, 0, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weight_budget budget;
        weight_budget_init(&budget);
        weight_budget_reply(&budget, cases[i].status, 1201, cases[i].retry_after_s, START);
        for (int class = 0; class < WEIGHT_CLASSES; class ++) {
            int64_t wait_us;
            assert_false(
                weight_budget_take(&budget, (enum weight_class) class, 1, START, &wait_us));
            assert_int_equal(wait_us, cases[i].silent_s * S);
        }
        assert_false(take(&budget, WEIGHT_ANCHOR, 1, START + cases[i].silent_s * S - 1));
        /* By then it is another minute or not: the use of ours still counts. */
        assert_true(take(&budget, WEIGHT_ANCHOR, 1, START + MINUTE + cases[i].silent_s * S));
        assert_int_equal(budget.throttled, cases[i].status == 429);
        assert_int_equal(budget.banned, cases[i].status == 418);
    }
}

static void a_shorter_silence_does_not_end_a_longer_one(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    weight_budget_block(&budget, START + 100 * S);
    weight_budget_reply(&budget, 429, -1, 5, START);
    assert_false(take(&budget, WEIGHT_ANCHOR, 1, START + 99 * S));
    assert_true(take(&budget, WEIGHT_ANCHOR, 1, START + 100 * S));
}

static void an_absurd_silence_ends_after_three_days(void **state)
{
    (void)state;
    struct weight_budget budget;
    weight_budget_init(&budget);
    weight_budget_reply(&budget, 418, -1, INT64_MAX, START);
    assert_false(take(&budget, WEIGHT_ANCHOR, 1, START + WEIGHT_BLOCK_MAX_US));
    weight_budget_block(&budget, INT64_MAX);
    assert_false(take(&budget, WEIGHT_ANCHOR, 1, START));
    assert_true(take(&budget, WEIGHT_ANCHOR, 1, START + WEIGHT_BLOCK_MAX_US));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_leaves_the_reserves_of_those_before_it),
        cmocka_unit_test(what_others_use_counts),
        cmocka_unit_test(reserves_shrink_with_what_others_leave),
        cmocka_unit_test(what_the_polls_have_had_is_not_kept_for_them),
        cmocka_unit_test(the_pace_makes_the_room_last_until_the_window_ends),
        cmocka_unit_test(a_new_minute_brings_the_whole_budget_after_the_guard),
        cmocka_unit_test(a_clock_that_steps_back_gives_nothing_back),
        cmocka_unit_test(the_limit_is_what_exchange_info_says),
        cmocka_unit_test(a_small_limit_still_has_room_for_every_class),
        cmocka_unit_test(after_429_and_418_every_class_is_silent),
        cmocka_unit_test(a_shorter_silence_does_not_end_a_longer_one),
        cmocka_unit_test(an_absurd_silence_ends_after_three_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
