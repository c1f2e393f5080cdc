/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "services/exchange-sim/sim_market.h"

#define START_US      1700000000000000LL
#define MINUTE_US     60000000LL
#define SPAN_US       (20 * MINUTE_US)
#define STEP_US       2000000LL
#define HORIZON_STEPS 5
#define SAMPLES_MAX   60000

/* Everything one run shows, and what it must never show. */
struct tally {
    struct sim_market market;
    long quotes, quotes_one_tick, groups, trades, diffs, diffs_100ms, snapshots;
    long levels, levels_100ms;
    int64_t last_id[SIM_CADENCE_COUNT], last_trade_id;
    struct sbe_level bid, ask;
    uint32_t crc;
    int64_t volume;
};

static void tally_trades(void *context, int64_t time_us, int64_t transact_us,
                         const struct trade *trades, int count)
{
    struct tally *tally = context;
    assert_true(transact_us < time_us);
    for (int i = 0; i < count; i++) {
        if (tally->last_trade_id)
            assert_int_equal(trades[i].id, tally->last_trade_id + 1);
        assert_true(trades[i].price > 0 && trades[i].qty > 0);
        assert_int_equal(trades[i].is_buyer_maker, trades[0].is_buyer_maker);
        tally->last_trade_id = trades[i].id;
        tally->volume += trades[i].qty;
    }
    tally->groups++;
    tally->trades += count;
    tally->crc = crc32c(tally->crc, &time_us, sizeof(time_us));
}

static void tally_quote(void *context, int64_t time_us, int64_t id, struct sbe_level bid,
                        struct sbe_level ask)
{
    struct tally *tally = context;
    assert_true(bid.price < ask.price && bid.qty > 0 && ask.qty > 0);
    tally->bid = bid;
    tally->ask = ask;
    tally->quotes++;
    tally->quotes_one_tick += ask.price - bid.price == SIM_TICK;
    tally->crc = crc32c(tally->crc, &time_us, sizeof(time_us));
    tally->crc = crc32c(tally->crc, &id, sizeof(id));
    tally->crc = crc32c(tally->crc, &bid, sizeof(bid));
}

static void tally_diff(void *context, int64_t time_us, enum sim_cadence cadence,
                       const struct sim_diff *diff)
{
    struct tally *tally = context;
    (void)time_us;
    if (tally->last_id[cadence])
        assert_int_equal(diff->first_id, tally->last_id[cadence] + 1);
    assert_true(diff->last_id >= diff->first_id);
    tally->last_id[cadence] = diff->last_id;
    long *levels = cadence == SIM_CADENCE_FAST ? &tally->levels : &tally->levels_100ms;
    *levels += diff->counts[0] + diff->counts[1];
    if (cadence == SIM_CADENCE_FAST)
        tally->diffs++;
    else
        tally->diffs_100ms++;
}

static void tally_snapshot(void *context, int64_t time_us, int64_t id, const struct sbe_level *bids,
                           int bid_count, const struct sbe_level *asks, int ask_count)
{
    struct tally *tally = context;
    (void)time_us;
    assert_int_equal(bid_count, SIM_SNAPSHOT_LEVELS);
    assert_int_equal(ask_count, SIM_SNAPSHOT_LEVELS);
    assert_true(bids[0].price < asks[0].price && id == tally->market.book.last_id);
    tally->snapshots++;
}

static void tally_top(void *context, const struct sim_book *book)
{
    (void)context;
    assert_true(book->sides[0].count > SIM_TOP_LEVELS && book->sides[1].count > SIM_TOP_LEVELS);
}

static struct tally *tally_open(uint64_t seed)
{
    struct tally *tally = calloc(1, sizeof(*tally));
    struct sim_sink sink = {tally,      tally_trades,   tally_quote,
                            tally_diff, tally_snapshot, tally_top};
    struct sim_market_options options = {.seed = seed,
                                         .start_us = START_US,
                                         .price = 61837.63,
                                         .diff_interval_us = 20000,
                                         .move_scale = 1};
    struct err err = {0};
    assert_int_equal(sim_market_open(&tally->market, &options, &sink, &err), ERR_OK);
    tally->bid = *sim_book_level(&tally->market.book, SIM_BID, 0);
    tally->ask = *sim_book_level(&tally->market.book, SIM_ASK, 0);
    return tally;
}

static void tally_close(struct tally *tally)
{
    sim_market_close(&tally->market);
    free(tally);
}

static double tally_mid(const struct tally *tally)
{
    return 0.5 * (double)(tally->bid.price + tally->ask.price);
}

static int wrong;

static void row(const char *what, double real, double sim, double low, double high)
{
    bool ok = sim >= low && sim <= high;
    printf("  %-38s %10.3f %10.3f   %9.3f..%-9.3f %s\n", what, real, sim, low, high,
           ok ? "ok" : "OUT");
    wrong += !ok;
}

static void the_market_has_the_rates_and_moves_of_the_real_capture(void **state)
{
    (void)state;
    enum { STEPS = SPAN_US / STEP_US };
    double mids[STEPS + 1];
    struct tally *tally = tally_open(11);
    double one_tick_us = 0;
    int64_t least = INT64_MAX;
    for (int64_t i = 0; i < SPAN_US / 1000; i++) {
        if (i * 1000 % STEP_US == 0)
            mids[i * 1000 / STEP_US] = tally_mid(tally);
        sim_market_run(&tally->market, START_US + (i + 1) * 1000);
        one_tick_us += tally->ask.price - tally->bid.price == SIM_TICK ? 1000 : 0;
        for (int side = 0; side < 2 && i % 1000 == 0; side++)
            if (tally->market.book.sides[side].count < least)
                least = tally->market.book.sides[side].count;
    }
    mids[STEPS] = tally_mid(tally);
    double square = 0;
    int zero = 0;
    int returns = STEPS - HORIZON_STEPS + 1;
    for (int i = 0; i < returns; i++) {
        double bp = 1e4 * log(mids[i + HORIZON_STEPS] / mids[i]);
        square += bp * bp;
        zero += mids[i + HORIZON_STEPS] == mids[i];
    }
    double s = SPAN_US * 1e-6;
    printf("  %-38s %10s %10s   %s\n", "20 simulated minutes", "real", "sim", "tolerance");
    row("best bid/ask events per s", 81.0, (double)tally->quotes / s, 73, 89);
    row("trades per s", 28.2, (double)tally->trades / s, 23, 34);
    row("trade groups per s", 9.4, (double)tally->groups / s, 8.5, 10.3);
    row("diffs per s at 100 ms", 10.0, (double)tally->diffs_100ms / s, 9.9, 10.1);
    row("levels per diff at 100 ms", 36.0, (double)tally->levels_100ms / (double)tally->diffs_100ms,
        32, 40);
    row("levels per diff at 20 ms (36 / 5 up)", 7.2, (double)tally->levels / (double)tally->diffs,
        5, 10);
    row("one-tick spread, share of events", 0.88,
        (double)tally->quotes_one_tick / (double)tally->quotes, 0.84, 0.92);
    row("one-tick spread, share of time", 0.993, one_tick_us / SPAN_US, 0.98, 1);
    row("10 s return, rms bp", 3.7, sqrt(square / returns), 2.9, 4.5);
    row("10 s return, share of zeros", 0.024, (double)zero / returns, 0.005, 0.05);
    row("levels a side, least", 1000, (double)least, 1000, SIM_BOOK_LEVELS_MAX);
    int64_t ids = tally->market.book.last_id - 2 * tally->market.options.start_us;
    row("update ids per s", 527, (double)ids / s, 450, 620);
    row("volume per s, BTC", 0.61, (double)tally->volume * 1e-8 / s, 0.1, 3);
    tally_close(tally);
    assert_int_equal(wrong, 0);
}

/* Sums of a regression of y on x through the origin. */
struct fit {
    double xx, xy, yy;
    long n;
};

static void fit_add(struct fit *fit, double x, double y)
{
    fit->xx += x * x;
    fit->xy += x * y;
    fit->yy += y * y;
    fit->n++;
}

static double fit_slope(const struct fit *fit)
{
    return fit->xy / fit->xx;
}

/* Share of y's variance that x explains as it stands (slope 1). */
static double fit_r2(const struct fit *fit)
{
    return 1 - (fit->yy - 2 * fit->xy + fit->xx) / fit->yy;
}

static void the_oracle_explains_two_to_ten_percent_a_third_of_it_beyond_a_line(void **state)
{
    (void)state;
    const char *hours = getenv("SIM_ORACLE_HOURS");
    int steps = (hours ? atoi(hours) : 4) * 1800;
    double *mids = calloc((size_t)steps + HORIZON_STEPS + 1, sizeof(double));
    struct sim_forecast *parts = calloc((size_t)steps, sizeof(*parts));
    double *oracle = calloc((size_t)steps, sizeof(double));
    struct tally *tally = tally_open(5);
    for (int i = 0; i < steps + HORIZON_STEPS + 1; i++) {
        sim_market_run(&tally->market, START_US + i * STEP_US);
        mids[i] = tally_mid(tally);
        if (i >= steps)
            continue;
        oracle[i] = sim_market_oracle_bp(&tally->market);
        parts[i] = sim_signal_forecast(&tally->market.signal, tally->market.now_us, 10,
                                       (double)tally->market.fair);
    }
    struct fit whole = {0}, linear = {0}, rest = {0};
    for (int i = 0; i < steps; i++) {
        double bp = 1e4 * log(mids[i + HORIZON_STEPS] / mids[i]);
        fit_add(&whole, oracle[i], bp);
        fit_add(&linear, parts[i].linear_bp, bp);
        fit_add(&rest, parts[i].nonlinear_bp, bp);
    }
    printf("  oracle over %d slots: R2 %.4f slope %.3f; linear part R2 %.4f slope %.3f; "
           "non-linear part R2 %.4f slope %.3f; predicted share %.3f\n",
           steps, fit_r2(&whole), fit_slope(&whole), fit_r2(&linear), fit_slope(&linear),
           fit_r2(&rest), fit_slope(&rest), rest.xx / whole.xx);
    assert_true(fit_r2(&whole) > 0.02 && fit_r2(&whole) < 0.10);
    assert_true(fit_slope(&whole) > 0.75 && fit_slope(&whole) < 1.25);
    assert_true(fit_slope(&linear) > 0.6 && fit_slope(&linear) < 1.4);
    assert_true(fit_slope(&rest) > 0.6 && fit_slope(&rest) < 1.4);
    assert_true(rest.xx >= whole.xx / 3);
    tally_close(tally);
    free(mids);
    free(parts);
    free(oracle);
}

static uint32_t run_crc(uint64_t seed, int64_t step_us)
{
    struct tally *tally = tally_open(seed);
    for (int64_t at = step_us; at <= MINUTE_US; at += step_us)
        sim_market_run(&tally->market, START_US + at);
    uint32_t crc = tally->crc;
    tally_close(tally);
    return crc;
}

static void a_seed_gives_the_same_market_however_it_is_stepped(void **state)
{
    (void)state;
    uint32_t crc = run_crc(7, 1000);
    assert_int_equal(run_crc(7, 1000), crc);
    assert_int_equal(run_crc(7, 500000), crc);
    assert_int_not_equal(run_crc(8, 1000), crc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_same_market_however_it_is_stepped),
        cmocka_unit_test(the_oracle_explains_two_to_ten_percent_a_third_of_it_beyond_a_line),
        cmocka_unit_test(the_market_has_the_rates_and_moves_of_the_real_capture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
