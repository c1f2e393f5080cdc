/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slew.h"
#include "hot/ingest/tick_schedule.h"

static void ticks_come_every_100_ms_at_50_and_5_ms_before_a_slot(void **state)
{
    (void)state;
    int64_t at = 1700000000000000; /* a slot boundary */
    assert_int_equal(at % 2000000, 0);
    int64_t end = at + 4000000;
    int count = 0, before_slot = 0;
    for (int64_t next; (next = tick_schedule_next_us(at)) <= end; at = next, count++) {
        assert_true(next > at);
        if ((next + 5000) % 2000000 == 0)
            before_slot++;
        else
            assert_int_equal(next % 100000, 50000);
    }
    assert_int_equal(count, 40 + 2);
    assert_int_equal(before_slot, 2);
}

static void ticks_are_strictly_later_also_before_1970(void **state)
{
    (void)state;
    assert_int_equal(tick_schedule_next_us(50000), 150000);
    assert_int_equal(tick_schedule_next_us(49999), 50000);
    assert_int_equal(tick_schedule_next_us(-1), 50000);
    assert_int_equal(tick_schedule_next_us(-5001), -5000);
}

static void slew_follows_drift_but_no_step(void **state)
{
    (void)state;
    struct slew slew;
    struct clock_now now = {.wall_us = 1000000000, .mono_us = 5000000};
    slew_init(&slew, now);
    assert_int_equal(slew_read_us(&slew, now), 1000000000);
    /* 300 us of drift over a second are followed whole. */
    now.mono_us += 1000000;
    now.wall_us += 1000300;
    assert_int_equal(slew_read_us(&slew, now), 1001000300);
    assert_int_equal(slew.steps, 0);
    /* A step of an hour: counted once, followed at 1 ms a second. */
    now.wall_us += 3600000000;
    int64_t last = slew_read_us(&slew, now);
    assert_int_equal(last, 1001000300);
    for (int i = 0; i < 1000; i++) {
        now.mono_us += 10000;
        now.wall_us += 10000;
        int64_t read = slew_read_us(&slew, now);
        assert_true(read - last >= 10000 && read - last <= 10010);
        last = read;
    }
    assert_int_equal(last, 1001000300 + 10000000 + 10000);
    assert_int_equal(slew.steps, 1);
}

static void slew_never_runs_back(void **state)
{
    (void)state;
    struct slew slew;
    struct clock_now now = {.wall_us = 1000000000, .mono_us = 0};
    slew_init(&slew, now);
    now.wall_us -= 50000000;
    int64_t last = slew_read_us(&slew, now);
    for (int i = 0; i < 100000; i++) {
        now.mono_us += 7;
        now.wall_us += 7;
        int64_t read = slew_read_us(&slew, now);
        assert_true(read >= last);
        last = read;
    }
    assert_int_equal(slew.steps, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_come_every_100_ms_at_50_and_5_ms_before_a_slot),
        cmocka_unit_test(ticks_are_strictly_later_also_before_1970),
        cmocka_unit_test(slew_follows_drift_but_no_step),
        cmocka_unit_test(slew_never_runs_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
