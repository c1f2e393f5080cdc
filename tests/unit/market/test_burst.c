/* Orders, sweeps and bursts against what was told of each.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "market/burst.h"

#define START_US INT64_C(1700000000000000)

static void assert_near(double value, double want)
{
    if (fabs(value - want) > 1e-12 * (1.0 + fabs(want)))
        fail_msg("%.17g is not %.17g", value, want);
}

static void sweep(struct burst *burst, int64_t at_us, bool is_sell)
{
    burst_on_trade(burst, at_us, at_us, 100, is_sell);
    burst_on_trade(burst, at_us, at_us, is_sell ? 99 : 101, is_sell);
}

static void small_orders_move_the_mean_of_signs_by_a_twelfth(void **state)
{
    (void)state;
    struct burst burst;
    burst_init(&burst);
    burst_on_trade(&burst, START_US, START_US, 100, false);
    assert_near(burst.sign_mean, 1.0 / 12);
    burst_on_trade(&burst, START_US, START_US, 100, false); /* the same order's next fill */
    assert_near(burst.sign_mean, 1.0 / 12);
    burst_on_trade(&burst, START_US + 5, START_US + 5, 99, true);
    assert_near(burst.sign_mean, 1.0 / 12 + (-1.0 - 1.0 / 12) / 12);
    assert_true(burst.heat == 0.0 && burst_rate(&burst, START_US + 5) == 0.0);
}

static void an_order_over_several_prices_is_a_sweep_however_its_fills_come(void **state)
{
    (void)state;
    struct burst burst;
    burst_init(&burst);
    burst_on_trade(&burst, START_US, START_US, 100, true);
    double before = burst.sign_mean;
    int64_t at_us = START_US + 1000000;
    burst_on_trade(&burst, at_us, at_us, 100, false);
    assert_true(burst.sign_mean > before);
    burst_on_trade(&burst, at_us + 300, at_us, 101, false); /* a frame of its own */
    burst_on_trade(&burst, at_us + 400, at_us, 102, false);
    assert_near(burst.sign_mean, before);
    assert_near(burst.heat, 1.0);
    assert_near(burst_rate(&burst, at_us + 300), 0.1);
    assert_near(burst_rate(&burst, at_us + 300 + 10000000), 0.1 * exp(-1.0));
    /* The same time, the other side: another order. */
    burst_on_trade(&burst, at_us + 400, at_us, 102, true);
    assert_near(burst.sign_mean, before + (-1.0 - before) / 12);
    assert_near(burst.heat, 1.0);
}

static void a_sweep_soon_after_another_is_the_same_burst(void **state)
{
    (void)state;
    struct burst burst;
    burst_init(&burst);
    sweep(&burst, START_US, false);
    sweep(&burst, START_US + 50000, false);
    assert_true(burst.heat > 0.99 && burst.heat < 1.04);
    sweep(&burst, START_US + 60000, true); /* the other side has its own bursts */
    assert_true(burst.heat > 1.99 && burst.heat < 2.04);
    sweep(&burst, START_US + 1060000, false);
    assert_true(burst.heat > 2.7 && burst.heat < 2.95);
}

static void a_burst_is_pending_until_it_is_overdue(void **state)
{
    (void)state;
    struct burst burst;
    burst_init(&burst);
    assert_near(burst_pending(&burst, START_US), 0.0);
    sweep(&burst, START_US, true);
    assert_near(burst_pending(&burst, START_US), -0.7);
    double comes = 0.7 * exp(-2.0);
    assert_near(burst_pending(&burst, START_US + 140000), -comes / (comes + 0.3));
    sweep(&burst, START_US + 140000, false);
    assert_near(burst_pending(&burst, START_US + 140000), 0.7 - comes / (comes + 0.3));
    assert_true(fabs(burst_pending(&burst, START_US + 3000000)) < 1e-6);
    burst_restart(&burst); /* an earlier clock */
    assert_near(burst_pending(&burst, START_US - 50000000), 0.0);
    assert_near(burst_rate(&burst, START_US - 50000000), 0.0);
}

static void the_state_is_saved_and_bad_ones_are_refused(void **state)
{
    (void)state;
    struct burst burst, loaded;
    uint8_t bytes[128];
    burst_init(&burst);
    sweep(&burst, START_US, true);
    burst_on_trade(&burst, START_US + 9, START_US + 9, 99, false);
    struct codec codec = codec_save(bytes, sizeof(bytes));
    burst_code(&burst, &codec);
    assert_false(codec.failed);
    size_t size = codec.at;
    burst_init(&loaded);
    codec = codec_load((struct bytes){bytes, size});
    burst_code(&loaded, &codec);
    assert_true(!codec.failed && codec.at == size);
    assert_true(loaded.sign_mean == burst.sign_mean && loaded.heat == burst.heat);
    assert_near(burst_pending(&loaded, START_US + 9), burst_pending(&burst, START_US + 9));
    burst_on_trade(&loaded, START_US + 10, START_US + 9, 100, false); /* the order goes on */
    assert_near(loaded.sign_mean, burst.sign_before);
    burst.heat = (double)NAN;
    codec = codec_save(bytes, sizeof(bytes));
    burst_code(&burst, &codec);
    codec = codec_load((struct bytes){bytes, size});
    burst_code(&loaded, &codec);
    assert_true(codec.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_orders_move_the_mean_of_signs_by_a_twelfth),
        cmocka_unit_test(an_order_over_several_prices_is_a_sweep_however_its_fills_come),
        cmocka_unit_test(a_sweep_soon_after_another_is_the_same_burst),
        cmocka_unit_test(a_burst_is_pending_until_it_is_overdue),
        cmocka_unit_test(the_state_is_saved_and_bad_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
