/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/prng.h"
#include "market/window.h"

#define STEPS 20000

static struct windows *open_windows(void)
{
    struct windows *windows = calloc(1, sizeof(*windows));
    assert_non_null(windows);
    windows_init(windows);
    return windows;
}

/* What the window must hold: a plain sum over every trade ever. */
static void compare(const struct windows *windows, int window, const struct window_trade *all,
                    size_t count, int64_t now_us)
{
    const struct window *ours = &windows->list[window];
    int64_t volume = 0, signed_volume = 0;
    uint64_t trades = 0;
    for (size_t i = count; i-- > 0 && all[i].recv_us > now_us - ours->span_us;) {
        trades++;
        volume += all[i].signed_qty < 0 ? -all[i].signed_qty : all[i].signed_qty;
        signed_volume += all[i].signed_qty;
    }
    assert_int_equal(window_trades(windows, window), trades);
    assert_true(ours->volume == volume && ours->signed_volume == signed_volume);
}

static void windows_hold_what_a_plain_sum_finds(void **state)
{
    (void)state;
    static struct window_trade all[STEPS];
    struct windows *windows = open_windows();
    struct prng prng;
    prng_init(&prng, 7);
    size_t count = 0;
    int64_t now_us = 1000000;
    for (int step = 0; step < STEPS; step++) {
        /* Often the same microsecond or exactly a span, seldom a long silence. */
        uint64_t kind = prng_below(&prng, 100);
        now_us += kind < 30   ? 0
                  : kind < 90 ? (int64_t)prng_below(&prng, 20000)
                  : kind < 99 ? 1000000
                              : 5000000;
        windows_advance(windows, now_us);
        if (prng_below(&prng, 4) != 0) {
            int64_t qty = 1 + (int64_t)prng_below(&prng, 1000);
            bool is_sell = prng_below(&prng, 2) == 0;
            assert_true(
                windows_add(windows, now_us, 1 + (int64_t)prng_below(&prng, 1000), qty, is_sell));
            all[count++] =
                (struct window_trade){.recv_us = now_us, .signed_qty = is_sell ? -qty : qty};
        }
        compare(windows, WINDOW_1S, all, count, now_us);
        compare(windows, WINDOW_5S, all, count, now_us);
    }
    free(windows);
}

static void windows_go_on_after_loading_as_if_nothing_had_been(void **state)
{
    (void)state;
    static uint8_t bytes[4096];
    struct windows *first = open_windows(), *second = open_windows();
    for (int i = 0; i < 20; i++) {
        windows_advance(first, 1000000 + i * INT64_C(100000));
        windows_add(first, 1000000 + i * INT64_C(100000), 5, 1 + i, i % 2 == 0);
    }
    struct codec save = codec_save(bytes, sizeof(bytes));
    windows_code(first, &save);
    assert_false(save.failed);
    struct codec load = codec_load(bytes_of(bytes, save.at));
    windows_code(second, &load);
    assert_false(load.failed);
    for (int64_t now_us = 2900000; now_us < 9000000; now_us += 50000) {
        windows_advance(first, now_us);
        windows_advance(second, now_us);
        for (int i = 0; i < WINDOW_COUNT; i++) {
            assert_int_equal(window_trades(first, i), window_trades(second, i));
            assert_true(first->list[i].volume == second->list[i].volume);
            assert_int_equal(first->list[i].gaps_us2, second->list[i].gaps_us2);
        }
    }
    assert_int_equal(window_trades(second, WINDOW_5S), 0);
    free(first);
    free(second);
}

/* A saved trade's time plus its window's span has to stay a number. */
static void windows_refuse_a_saved_time_at_the_end_of_time(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct windows *windows = open_windows();
    const int64_t time_us = 1234567;
    windows_add(windows, time_us, 5, 1, false);
    struct codec save = codec_save(bytes, sizeof(bytes));
    windows_code(windows, &save);
    size_t at = 0;
    while (bytes_load_i64(bytes + at) != time_us)
        assert_true(++at + 8 <= save.at);
    bytes_store_i64(bytes + at, INT64_MAX - 1);
    struct codec load = codec_load(bytes_of(bytes, save.at));
    windows_code(windows, &load);
    assert_true(load.failed);
    free(windows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_hold_what_a_plain_sum_finds),
        cmocka_unit_test(windows_go_on_after_loading_as_if_nothing_had_been),
        cmocka_unit_test(windows_refuse_a_saved_time_at_the_end_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
