/* The grid clock. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hot/infer/grid.h"

#define WALL_US 1770000000000000LL

static struct clock_now at(int64_t mono_us, int64_t wall_shift_us)
{
    return (struct clock_now){.wall_us = WALL_US + mono_us + wall_shift_us, .mono_us = mono_us};
}

static void grid_starts_on_the_wall_clock(void **state)
{
    (void)state;
    struct grid grid;
    grid_init(&grid, at(500, 0));
    assert_int_equal(grid_us(&grid, 500), WALL_US + 500);
    assert_int_equal(grid_mono_us(&grid, WALL_US + 700), 700);
}

static void grid_slews_at_most_a_millisecond_a_second(void **state)
{
    (void)state;
    struct grid grid;
    grid_init(&grid, at(0, 0));
    assert_int_equal(grid_update(&grid, at(1000000, 50000)), 0);
    assert_int_equal(grid_us(&grid, 1000000), WALL_US + 1000000 + 1000);
    assert_int_equal(grid.wall_error_us, 49000);
    for (int i = 2; i <= 60; i++)
        grid_update(&grid, at(i * 1000000LL, 50000));
    assert_int_equal(grid_us(&grid, 60000000), WALL_US + 60000000 + 50000);
    assert_int_equal(grid.steps, 0);
}

static void grid_counts_a_step_and_does_not_follow_it_at_once(void **state)
{
    (void)state;
    struct grid grid;
    grid_init(&grid, at(0, 0));
    assert_int_equal(grid_update(&grid, at(2000000, -3600000000LL)), -3600000000LL);
    assert_int_equal(grid.steps, 1);
    assert_int_equal(grid_us(&grid, 2000000), WALL_US + 2000000 - 2000);
    /* The same shifted clock a slot later is no second step. */
    assert_int_equal(grid_update(&grid, at(4000000, -3600000000LL)), 0);
    assert_int_equal(grid.steps, 1);
}

static void grid_never_runs_backwards_under_any_step(void **state)
{
    (void)state;
    struct grid grid;
    grid_init(&grid, at(0, 0));
    int64_t last = grid_us(&grid, 0);
    for (int64_t i = 1; i < 5000; i++) {
        int64_t shift = i % 7 == 0 ? -5000000 : i % 11 == 0 ? 7000000 : 0;
        grid_update(&grid, at(i * 400, shift));
        int64_t now = grid_us(&grid, i * 400);
        assert_true(now > last);
        last = now;
    }
}

static void grid_accumulates_slew_over_short_updates(void **state)
{
    (void)state;
    struct grid grid;
    grid_init(&grid, at(0, 0));
    for (int64_t i = 1; i <= 10000; i++)
        grid_update(&grid, at(i * 100, 50000));
    assert_in_range(grid_us(&grid, 1000000) - WALL_US - 1000000, 990, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_starts_on_the_wall_clock),
        cmocka_unit_test(grid_slews_at_most_a_millisecond_a_second),
        cmocka_unit_test(grid_counts_a_step_and_does_not_follow_it_at_once),
        cmocka_unit_test(grid_never_runs_backwards_under_any_step),
        cmocka_unit_test(grid_accumulates_slew_over_short_updates),
    };
    return cmocka_run_group_tests_name("grid", tests, NULL, NULL);
}
