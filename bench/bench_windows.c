/* Nanoseconds a trade for both trade windows (1 s and 5 s), trades 2 ms apart, so that 500
 * and 2,500 of them are inside; and nanoseconds a tick for the whole feature vector.
 * `name<TAB>value<TAB>unit` lines, medians of ROUNDS rounds.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/prng.h"
#include "market/window.h"
#include "market/world.h"

#define ROUNDS 21
#define TRADES 20000
#define TICKS  2000

static struct window_trade trades[TRADES];

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void make_trades(void)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < TRADES; i++)
        trades[i] = (struct window_trade){.recv_us = (int64_t)i * 2000,
                                          .price = INT64_C(6000000000000) +
                                                   (int64_t)prng_below(&prng, 1000) * 1000000,
                                          .signed_qty = 1 + (int64_t)prng_below(&prng, 1u << 30)};
}

static double bench_trades(struct windows *windows, int round)
{
    int64_t base_us = (int64_t)(round + 1) * TRADES * 2000;
    double start = now_ns();
    for (int i = 0; i < TRADES; i++) {
        int64_t now_us = base_us + trades[i].recv_us;
        windows_advance(windows, now_us);
        windows_add(windows, now_us, trades[i].price, trades[i].signed_qty, i % 3 == 0);
    }
    double spent = now_ns() - start;
    CHECK(window_trades(windows, WINDOW_1S) == 500 && window_trades(windows, WINDOW_5S) == 2500);
    return spent / TRADES;
}

static double bench_ticks(struct world *world, int64_t *now_us)
{
    double start = now_ns();
    for (int i = 0; i < TICKS; i++) {
        *now_us += 100000;
        struct event tick = {.kind = EVENT_TICK, .epoch = 1, .recv_us = *now_us};
        world_apply(world, &tick);
    }
    return (now_ns() - start) / TICKS;
}

static struct world *open_world(void)
{
    struct world_options options = {.symbol = "BTCUSDT"};
    struct world *world = NULL;
    CHECK(world_open(&options, &world, NULL) == ERR_OK);
    static uint8_t sides[2][100 * 16];
    for (int i = 0; i < 100; i++)
        for (int s = 0; s < 2; s++) {
            bytes_store_i64(sides[s] + (size_t)i * 16, 6000000 + (s == 0 ? -1 : 1) * (i + 1));
            bytes_store_i64(sides[s] + (size_t)i * 16 + 8, 1000 + i);
        }
    struct event anchor = {
        .kind = EVENT_ANCHOR, .epoch = 1, .price_exponent = -2, .qty_exponent = -5};
    anchor.snapshot.book_id = 1;
    anchor.snapshot.bids = (struct level_view){sides[0], 100, 16};
    anchor.snapshot.asks = (struct level_view){sides[1], 100, 16};
    CHECK((world_apply(world, &anchor) & WORLD_ANCHORED) != 0);
    return world;
}

int main(void)
{
    struct windows *windows = calloc(1, sizeof(*windows));
    CHECK(windows != NULL);
    windows_init(windows);
    make_trades();
    struct world *world = open_world();
    int64_t now_us = 1000000;
    double trade_ns[ROUNDS], tick_ns[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        trade_ns[r] = bench_trades(windows, r);
        tick_ns[r] = bench_ticks(world, &now_us);
    }
    qsort(trade_ns, ROUNDS, sizeof(trade_ns[0]), compare);
    qsort(tick_ns, ROUNDS, sizeof(tick_ns[0]), compare);
    printf("window.add_trade\t%.2f\tns\n", trade_ns[ROUNDS / 2]);
    printf("vector.tick\t%.0f\tns\n", tick_ns[ROUNDS / 2]);
    world_close(world);
    free(windows);
    return 0;
}
