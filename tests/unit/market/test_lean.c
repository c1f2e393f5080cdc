/* The smoothed imbalance: half-lives, who samples it, and bad saved states.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "market/lean.h"
#include "unit/market/market_fixture.h"

#define START_US INT64_C(1700000000000000)
#define UNIT     INT64_C(100000000)

static void assert_near(double value, double want)
{
    if (fabs(value - want) > 1e-6)
        fail_msg("%.9g is not %.9g", value, want);
}

static void a_sample_loses_half_its_weight_in_a_tenth_of_a_second(void **state)
{
    (void)state;
    struct lean lean;
    lean_init(&lean);
    assert_true(lean_is_due(&lean, START_US));
    lean_sample(&lean, START_US, 0.5);
    assert_near(lean.mean, 0.5);
    assert_false(lean_is_due(&lean, START_US + 99999));
    assert_true(lean_is_due(&lean, START_US + 100000));
    lean_sample(&lean, START_US + 100000, -0.5);
    assert_near(lean.mean, 0.0);
    lean_sample(&lean, START_US + 100000, 1.0); /* no time passed: no weight */
    assert_near(lean.mean, 0.0);
    lean_sample(&lean, START_US + 10100000, 1.0);
    assert_near(lean.mean, 1.0);
}

static float mean_at_tick(struct world *world, struct fixture *fixture)
{
    struct world_view view;
    struct event event = fixture_tick(fixture);
    world_apply(world, &event);
    world_view(world, &view);
    return view.vector.values[FEATURE_OB_IMBALANCE_MEAN];
}

static void snapshots_sample_it_and_ticks_only_while_none_come(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open();
    struct world *world = fixture_world();
    struct world_level bid = {100 * UNIT, 3 * UNIT}, ask = {100 * UNIT + 1, 1 * UNIT};
    int64_t start_us = fixture->now_us;
    struct event event = fixture_snapshot(fixture, EVENT_ANCHOR, 1, &bid, 1, &ask, 1);
    world_apply(world, &event);
    assert_near((double)mean_at_tick(world, fixture), 0.5);
    ask.qty = 3 * UNIT;
    fixture->now_us = start_us + 60000;
    event = fixture_diff(fixture, 2, 2, NULL, 0, &ask, 1);
    world_apply(world, &event);
    assert_near((double)mean_at_tick(world, fixture), 0.5); /* too soon after the last */
    fixture->now_us = start_us + 100000;
    event = fixture_snapshot(fixture, EVENT_SNAPSHOT, 2, &bid, 1, &ask, 1);
    world_apply(world, &event);
    assert_near((double)mean_at_tick(world, fixture), 0.25);
    fixture->now_us = start_us + 200000;
    assert_near((double)mean_at_tick(world, fixture), 0.125);
    world_close(world);
    free(fixture);
}

static void a_saved_mean_beyond_one_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct lean lean = {.is_there = true, .mean = 1.5, .sample_us = START_US};
    struct codec codec = codec_save(bytes, sizeof(bytes));
    lean_code(&lean, &codec);
    size_t size = codec.at;
    codec = codec_load((struct bytes){bytes, size});
    lean_code(&lean, &codec);
    assert_true(codec.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_loses_half_its_weight_in_a_tenth_of_a_second),
        cmocka_unit_test(snapshots_sample_it_and_ticks_only_while_none_come),
        cmocka_unit_test(a_saved_mean_beyond_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
