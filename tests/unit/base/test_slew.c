/* The clock that never steps. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slew.h"

#define WALL_US 1770000000000000LL

static struct clock_now at(int64_t mono_us, int64_t wall_shift_us)
{
    return (struct clock_now){.wall_us = WALL_US + mono_us + wall_shift_us, .mono_us = mono_us};
}

static void slew_starts_on_the_wall_clock(void **state)
{
    (void)state;
    struct slew slew;
    slew_init(&slew, at(500, 0));
    assert_int_equal(slew_at_us(&slew, 500), WALL_US + 500);
    assert_int_equal(slew_mono_us(&slew, WALL_US + 700), 700);
}

static void slew_moves_at_most_a_millisecond_a_second(void **state)
{
    (void)state;
    struct slew slew;
    slew_init(&slew, at(0, 0));
    slew_read_us(&slew, at(1000000, 50000));
    assert_int_equal(slew_at_us(&slew, 1000000), WALL_US + 1000000 + 1000);
    assert_int_equal(slew.wall_gap_us, 49000);
    for (int i = 2; i <= 60; i++)
        slew_read_us(&slew, at(i * 1000000LL, 50000));
    assert_int_equal(slew_at_us(&slew, 60000000), WALL_US + 60000000 + 50000);
    assert_int_equal(slew.steps, 0);
}

static void slew_counts_a_step_and_does_not_follow_it_at_once(void **state)
{
    (void)state;
    struct slew slew;
    slew_init(&slew, at(0, 0));
    slew_read_us(&slew, at(2000000, -3600000000LL));
    assert_int_equal(slew.steps, 1);
    assert_int_equal(slew_at_us(&slew, 2000000), WALL_US + 2000000 - 2000);
    /* The same shifted clock a slot later is no second step. */
    slew_read_us(&slew, at(4000000, -3600000000LL));
    assert_int_equal(slew.steps, 1);
}

static void slew_never_runs_backwards_under_any_step(void **state)
{
    (void)state;
    struct slew slew;
    slew_init(&slew, at(0, 0));
    int64_t last = slew_at_us(&slew, 0);
    for (int64_t i = 1; i < 5000; i++) {
        int64_t shift = i % 7 == 0 ? -5000000 : i % 11 == 0 ? 7000000 : 0;
        slew_read_us(&slew, at(i * 400, shift));
        int64_t now = slew_at_us(&slew, i * 400);
        assert_true(now > last);
        last = now;
    }
}

static void slew_accumulates_slew_over_short_updates(void **state)
{
    (void)state;
    struct slew slew;
    slew_init(&slew, at(0, 0));
    for (int64_t i = 1; i <= 10000; i++)
        slew_read_us(&slew, at(i * 100, 50000));
    assert_in_range(slew_at_us(&slew, 1000000) - WALL_US - 1000000, 990, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slew_starts_on_the_wall_clock),
        cmocka_unit_test(slew_moves_at_most_a_millisecond_a_second),
        cmocka_unit_test(slew_counts_a_step_and_does_not_follow_it_at_once),
        cmocka_unit_test(slew_never_runs_backwards_under_any_step),
        cmocka_unit_test(slew_accumulates_slew_over_short_updates),
    };
    return cmocka_run_group_tests_name("slew", tests, NULL, NULL);
}
