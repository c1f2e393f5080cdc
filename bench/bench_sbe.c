/* Decoding speed of the SBE codec as the hot path calls it, every check included: median
 * nanoseconds a frame over several rounds, frames at changing places so that nothing is learnt by
 * heart. Prints `name<TAB>value<TAB>unit` lines. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire/sbe.h"

#define FRAMES 16
#define SLOT   704 /* a 20+20 diff has 690 bytes; odd offsets are tried by the shift below */
#define ROUNDS 31
#define PASSES 8000

static const struct sbe_scale bench_scale = {.price_exponent = -8, .qty_exponent = -8};

static double bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t bench_diff(uint8_t *out, int64_t i)
{
    struct sbe_level levels[40];
    for (int k = 0; k < 40; k++)
        levels[k] = (struct sbe_level){9553554000000 + 1000000 * k, (i + k) % 7 * 100000};
    return sbe_encode_diff(out, SLOT, "BTCUSDT", bench_scale, 1770000000000000 + i, i * 50,
                           i * 50 + 49, levels, 20, levels + 20, 20);
}

static size_t bench_quote(uint8_t *out, int64_t i)
{
    return sbe_encode_quote(out, SLOT, "BTCUSDT", bench_scale, 1770000000000000 + i, i,
                            (struct sbe_level){9553554000000, i},
                            (struct sbe_level){9553555000000, i});
}

static size_t bench_trade(uint8_t *out, int64_t i)
{
    struct trade trade = {.id = i, .price = 9553554000000, .qty = i, .is_buyer_maker = i % 2 == 0};
    return sbe_encode_trades(out, SLOT, "BTCUSDT", bench_scale, 1770000000000000 + i,
                             1770000000000000, &trade, 1);
}

static void bench_decode(const char *name, size_t (*make)(uint8_t *out, int64_t i))
{
    static uint8_t data[FRAMES * SLOT + 8];
    struct bytes frames[FRAMES];
    for (int i = 0; i < FRAMES; i++) {
        uint8_t *at = data + i * SLOT + i % 8;
        frames[i] = bytes_of(at, make(at, i + 1));
    }
    double medians[ROUNDS];
    uint64_t accepted = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double from = bench_now_ns();
        for (int pass = 0; pass < PASSES; pass++)
            for (int i = 0; i < FRAMES; i++) {
                struct event event;
                struct bytes symbol;
                accepted += sbe_decode_event(frames[i], &event, &symbol, NULL) == SBE_OK;
                __asm__ volatile("" : : "r"(&event), "r"(&symbol) : "memory");
            }
        medians[round] = (bench_now_ns() - from) / (PASSES * FRAMES);
    }
    if (accepted != (uint64_t)ROUNDS * PASSES * FRAMES) {
        fprintf(stderr, "bench_sbe: %s: a frame was refused\n", name);
        exit(1);
    }
    qsort(medians, ROUNDS, sizeof(double), bench_compare);
    printf("%s\t%.1f\tns\n", name, medians[ROUNDS / 2]);
}

int main(void)
{
    bench_decode("sbe_decode_diff_20_20", bench_diff);
    bench_decode("sbe_decode_quote", bench_quote);
    bench_decode("sbe_decode_trade", bench_trade);
    return 0;
}
