/* Windows, touch, slots, exponents and features of a world, against plain formulas.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/clock.h"
#include "market/world_state.h"
#include "unit/market/market_random.h"

#define UNIT INT64_C(100000000)

struct past_trade {
    int64_t recv_us, price, qty;
    bool is_sell;
};

/* A window counted from all trades there ever were. */
static struct world_window naive_window(const struct past_trade *trades, int count, int64_t now_us,
                                        int64_t span_us, int64_t mid2)
{
    struct world_window window = {0};
    long double notional = 0, gaps = 0, gaps2 = 0;
    int64_t last_us = 0;
    for (int i = 0; i < count; i++) {
        if (trades[i].recv_us <= now_us - span_us)
            continue;
        if (window.count++ > 0) {
            long double gap = (long double)(trades[i].recv_us - last_us) / 1e6L;
            gaps += gap;
            gaps2 += gap * gap;
        }
        last_us = trades[i].recv_us;
        window.vol += trades[i].qty;
        window.signed_vol += trades[i].is_sell ? -trades[i].qty : trades[i].qty;
        notional += (long double)trades[i].price * (long double)trades[i].qty;
    }
    if (window.vol > 0 && mid2 > 0)
        window.vwap_minus_mid = (double)((notional / window.vol - (long double)mid2 / 2) / 1e8L);
    if (window.count > 1) {
        long double mean = gaps / (long double)(window.count - 1);
        window.interarr_mean_s = (double)mean;
        window.interarr_var_s2 = (double)(gaps2 / (long double)(window.count - 1) - mean * mean);
    }
    window.last_us = count > 0 ? trades[count - 1].recv_us : 0;
    return window;
}

static void assert_same_window(const struct world_window *a, const struct world_window *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->vol, b->vol);
    assert_int_equal(a->signed_vol, b->signed_vol);
    assert_int_equal(a->last_us, b->last_us);
    assert_true(fabs(a->vwap_minus_mid - b->vwap_minus_mid) < 1e-6);
    assert_true(fabs(a->interarr_mean_s - b->interarr_mean_s) < 1e-9);
    assert_true(fabs(a->interarr_var_s2 - b->interarr_var_s2) < 1e-9);
}

static void windows_equal_a_count_over_all_trades(void **state)
{
    (void)state;
    static struct past_trade past[20000];
    struct random_market market = random_market_open(3, false);
    struct fixture *fixture = market.fixture;
    struct world *world = fixture_world();
    struct event event =
        fixture_quote(fixture, 1, market.mid - market.tick, UNIT, market.mid + market.tick, UNIT);
    world_apply(world, &event);
    int count = 0;
    for (int round = 0; round < 3000; round++) {
        /* Often exactly at a window's edge, sometimes a long silence. */
        static const int64_t steps[] = {0, 1, 999999, 1000000, 5000000, 30000, 2000, 200000};
        fixture->now_us += random_one_in(&market, 50) ? steps[random_in(&market, 0, 7)]
                                                      : random_in(&market, 0, 50000);
        struct trade trades[5];
        int many = (int)random_in(&market, 0, 4);
        for (int i = 0; i < many; i++) {
            trades[i] = (struct trade){count + i + 1, random_price(&market, false),
                                       random_qty(&market), random_one_in(&market, 2)};
            past[count + i] = (struct past_trade){fixture->now_us, trades[i].price, trades[i].qty,
                                                  trades[i].is_buyer_maker};
        }
        count += many;
        event = fixture_trades(fixture, trades, (uint32_t)many);
        world_apply(world, &event);
        struct world_view view;
        world_view(world, &view);
        struct world_window naive = naive_window(past, count, fixture->now_us, 1000000, view.mid2);
        assert_same_window(&view.one_second, &naive);
        naive = naive_window(past, count, fixture->now_us, 5000000, view.mid2);
        assert_same_window(&view.five_seconds, &naive);
    }
    world_close(world);
    free(fixture);
}

static void trades_are_counted_once_and_holes_are_told(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open();
    struct world *world = fixture_world();
    struct event event = fixture_trade(fixture, 100, 5 * UNIT, UNIT, false);
    assert_int_equal(world_apply(world, &event), WORLD_CHANGED);
    event = fixture_trade(fixture, 100, 5 * UNIT, UNIT, false);
    assert_int_equal(world_apply(world, &event), 0);
    event = fixture_trade(fixture, 104, 5 * UNIT, UNIT, true);
    assert_int_equal(world_apply(world, &event), WORLD_CHANGED | WORLD_TRADE_HOLE);
    event = fixture_trade(fixture, 105, -5, UNIT, true);
    assert_int_equal(world_apply(world, &event), WORLD_REJECTED);
    const struct world_counters *counters = world_counters(world);
    assert_int_equal(counters->trades, 2);
    assert_int_equal(counters->trades_duplicate, 1);
    assert_int_equal(counters->trade_holes, 1);
    assert_int_equal(counters->trades_missing, 3);
    struct world_view view;
    world_view(world, &view);
    assert_int_equal(view.one_second.signed_vol, 0); /* one bought, one sold */
    world_close(world);
    free(fixture);
}

static void windows_let_the_oldest_trade_go_when_full(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open();
    struct world *world = fixture_world();
    for (int64_t id = 1; id <= WINDOW_TRADES_MAX + 5; id++) {
        struct event event = fixture_trade(fixture, id, UNIT, id, false);
        world_apply(world, &event);
    }
    struct world_view view;
    world_view(world, &view);
    assert_int_equal(view.one_second.count, WINDOW_TRADES_MAX);
    int64_t n = WINDOW_TRADES_MAX + 5;
    assert_int_equal(view.one_second.vol, n * (n + 1) / 2 - 15);
    assert_int_equal(world_counters(world)->trades_evicted_full, 5);
    world_close(world);
    free(fixture);
}

static void touch_comes_from_the_fresher_of_book_and_quote(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open();
    struct world *world = fixture_world();
    struct world_view view;
    struct world_level bid = {100, 1}, ask = {110, 1};
    struct event event = fixture_quote(fixture, 50, 101, 1, 109, 1);
    world_apply(world, &event);
    world_view(world, &view);
    assert_int_equal(view.mid2, 210); /* no book yet */
    event = fixture_snapshot(fixture, EVENT_ANCHOR, 50, &bid, 1, &ask, 1);
    world_apply(world, &event);
    world_view(world, &view);
    assert_true(view.best_bid == 100 && view.best_ask == 110); /* equal ids: the book */
    event = fixture_quote(fixture, 51, 103, 1, 105, 1);
    world_apply(world, &event);
    world_view(world, &view);
    assert_true(view.best_bid == 103 && view.best_ask == 105 && view.mid2 == 208);
    assert_int_equal(view.bids[0].price, 100); /* the levels stay the book's */
    event = fixture_quote(fixture, 52, 106, 1, 105, 1);
    world_apply(world, &event);
    world_view(world, &view);
    assert_true(view.touch_flagged && view.mid2 == 208); /* crossed: the last good one */
    event = fixture_quote(fixture, 53, 103, 0, 105, 1);
    world_apply(world, &event);
    world_view(world, &view);
    assert_true(view.touch_flagged && view.mid2 == 208); /* one-sided */
    event = fixture_quote(fixture, 52, 1, 1, 2, 1);
    assert_int_equal(world_apply(world, &event), 0);
    assert_int_equal(world_counters(world)->quotes_stale, 1);
    event = fixture_diff(fixture, 51, 53, &bid, 1, NULL, 0);
    world_apply(world, &event);
    world_view(world, &view);
    assert_true(!view.touch_flagged && view.mid2 == 210);
    world_close(world);
    free(fixture);
}

/* One quote, as of `at_us`, of mid 100 + number. */
static void quote_at(struct world *world, struct fixture *fixture, int64_t at_us, int64_t number)
{
    fixture->now_us = at_us;
    struct event event = fixture_quote(fixture, 1000 + number, 99 + number, 1, 101 + number, 1);
    world_apply(world, &event);
}

static void slots_have_the_mid_of_the_last_record_up_to_the_boundary(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open();
    struct world *world = fixture_world();
    struct world_slot_mid mids[WORLD_SLOT_MIDS];
    int64_t slot = 850000000;
    quote_at(world, fixture, clock_slot_us(slot) - 1, 0);
    struct world_level bid = {99, 1}, ask = {101, 1};
    struct event event = fixture_snapshot(fixture, EVENT_ANCHOR, 1000, &bid, 1, &ask, 1);
    world_apply(world, &event);
    quote_at(world, fixture, clock_slot_us(slot), 1); /* at the boundary: still before it */
    assert_int_equal(world_slot_mids(world, mids, WORLD_SLOT_MIDS), 0);
    quote_at(world, fixture, clock_slot_us(slot) + 1, 2);
    assert_int_equal(world_slot_mids(world, mids, WORLD_SLOT_MIDS), 1);
    assert_true(mids[0].slot == slot && mids[0].mid2 == 2 * 101 && !mids[0].valid);
    /* Several boundaries at once, and valid once the start is 10 s ago. */
    quote_at(world, fixture, clock_slot_us(slot + 6) + 1, 3);
    assert_int_equal(world_slot_mids(world, mids, WORLD_SLOT_MIDS), 7);
    assert_true(mids[0].slot == slot + 6 && mids[0].mid2 == 2 * 102 && mids[0].valid);
    assert_true(mids[1].slot == slot + 5 && mids[1].valid);
    assert_true(mids[2].slot == slot + 4 && !mids[2].valid);
    /* A hole spoils the next 10 s, the time up to the next record included. */
    event = fixture_event(fixture, EVENT_HOLE);
    world_apply(world, &event);
    quote_at(world, fixture, clock_slot_us(slot + 7), 4);
    quote_at(world, fixture, clock_slot_us(slot + 20) + 1, 5);
    assert_int_equal(world_slot_mids(world, mids, WORLD_SLOT_MIDS), WORLD_SLOT_MIDS);
    for (int i = 0; i < WORLD_SLOT_MIDS; i++) {
        assert_int_equal(mids[i].slot, slot + 20 - i);
        assert_int_equal(mids[i].valid, mids[i].slot <= slot + 6 || mids[i].slot >= slot + 12);
    }
    /* A long silence keeps the newest only. */
    quote_at(world, fixture, clock_slot_us(slot + 1000) + 1, 6);
    assert_int_equal(world_slot_mids(world, mids, 2), 2);
    assert_int_equal(mids[0].slot, slot + 1000);
    world_close(world);
    free(fixture);
}

static void a_gap_makes_the_slots_over_it_invalid(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open();
    struct world *world = fixture_world();
    struct world_slot_mid mids[WORLD_SLOT_MIDS];
    struct world_level bid = {99, 1}, ask = {101, 1};
    int64_t slot = 850000000;
    quote_at(world, fixture, clock_slot_us(slot - 10), 0);
    struct event event = fixture_snapshot(fixture, EVENT_ANCHOR, 1000, &bid, 1, &ask, 1);
    world_apply(world, &event);
    fixture->now_us = clock_slot_us(slot) + 500000;
    event = fixture_diff(fixture, 1005, 1006, &bid, 1, NULL, 0);
    assert_true(world_apply(world, &event) & WORLD_GAP);
    quote_at(world, fixture, clock_slot_us(slot + 1) + 500000, 10);
    event = fixture_snapshot(fixture, EVENT_ANCHOR, 1004, &bid, 1, &ask, 1);
    assert_true(world_apply(world, &event) & WORLD_ANCHORED);
    quote_at(world, fixture, clock_slot_us(slot + 8) + 1, 11);
    int count = world_slot_mids(world, mids, WORLD_SLOT_MIDS);
    for (int i = 0; i < count; i++)
        if (mids[i].slot > slot - 4)
            assert_int_equal(mids[i].valid, mids[i].slot <= slot || mids[i].slot >= slot + 7);
    world_close(world);
    free(fixture);
}

static void assert_near(double value, double want)
{
    if (fabs(value - want) > 1e-5 * (1.0 + fabs(want)))
        fail_msg("%.9g is not %.9g", value, want);
}

static void features_are_what_their_formulas_say(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open();
    struct world *world = fixture_world();
    int64_t start_us = fixture->now_us;
    struct event event = fixture_tick(fixture);
    assert_int_equal(world_apply(world, &event), WORLD_TICKED | WORLD_CHANGED);
    struct world_view view;
    world_view(world, &view);
    assert_false(view.vector.valid);
    struct world_level bids[6], asks[6];
    for (int i = 0; i < 6; i++) {
        bids[i] = (struct world_level){(100 - i) * UNIT, (2 + i) * UNIT};
        asks[i] = (struct world_level){(101 + i) * UNIT, (1 + i) * UNIT};
    }
    event = fixture_snapshot(fixture, EVENT_ANCHOR, 1, bids, 6, asks, 6);
    world_apply(world, &event);
    event = fixture_tick(fixture);
    world_apply(world, &event);
    /* 0.4 s later: 3 bought at 101, 1 sold at 100, and the bid grows by 4. */
    fixture->now_us = start_us + 400000;
    event = fixture_trade(fixture, 1, 101 * UNIT, 3 * UNIT, false);
    world_apply(world, &event);
    event = fixture_trade(fixture, 2, 100 * UNIT, 1 * UNIT, true);
    world_apply(world, &event);
    bids[0].qty += 4 * UNIT;
    event = fixture_diff(fixture, 2, 2, bids, 1, NULL, 0);
    world_apply(world, &event);
    /* At 1 s the ask falls away: the mid rises from 100.5 to 101. */
    fixture->now_us = start_us + 1000000;
    event = fixture_diff(fixture, 3, 3, NULL, 0, &(struct world_level){101 * UNIT, 0}, 1);
    world_apply(world, &event);
    event = fixture_tick(fixture);
    world_apply(world, &event);
    world_view(world, &view);
    const float *values = view.vector.values;
    assert_true(view.vector.valid && view.vector.mid2 == 202 * UNIT);
    assert_near(values[FEATURE_RET_1S_BP], log(101.0 / 100.5) * 1e4);
    assert_near(values[FEATURE_RET_500MS_BP], log(101.0 / 100.5) * 1e4);
    assert_near(values[FEATURE_RET_5S_BP], 0.0);   /* not yet known */
    assert_near(values[FEATURE_SPREAD_BP], 100.0); /* clamped, 198 */
    assert_near(values[FEATURE_TOUCH_IMBALANCE], (6.0 - 2.0) / 8.0);
    assert_near(values[FEATURE_MICROPRICE_DEV_BP],
                fmin(50.0, ((100.0 * 2 + 102.0 * 6) / 8.0 - 101.0) / 101.0 * 1e4));
    assert_near(values[FEATURE_VOL_IMBALANCE], (3.0 - 1.0) / 4.0);
    assert_near(values[FEATURE_TRADE_INTENSITY], 2.0);
    assert_near(values[FEATURE_INTENSITY_RATIO], log1p(2.0) - log1p(0.4));
    assert_near(values[FEATURE_VWAP_DEV_1S_BP], (100.75 - 101.0) / 101.0 * 1e4);
    assert_near(values[FEATURE_TRADE_SIZE_LOG], log1p(2000.0));
    assert_near(values[FEATURE_TRADE_SILENCE_LOG], log1p(0.6));
    double bid_qty5 = 6 + 3 + 4 + 5 + 6, ask_qty5 = 2 + 3 + 4 + 5 + 6;
    assert_near(values[FEATURE_DEPTH5_IMBALANCE], (bid_qty5 - ask_qty5) / (bid_qty5 + ask_qty5));
    assert_near(values[FEATURE_DEPTH_BID_LOG], log1p(31000.0));
    double bid_value = 0, ask_value = 0;
    for (int i = 0; i < 6; i++) {
        bid_value += (double)(100 - i) * (i == 0 ? 6 : 2 + i);
        ask_value += i == 0 ? 0 : (101.0 + i) * (1 + i);
    }
    assert_near(values[FEATURE_OB_IMBALANCE], (bid_value - ask_value) / (bid_value + ask_value));
    /* Order flow: the bid grew by 4; the best ask (1) went away, for the bid side, too. */
    double kept = exp2(-1.0 / 5.0), depth = 4.0 + (1.5 - 4.0) * kept;
    assert_near(values[FEATURE_OFI_1S], (4.0 + 1.0) / depth);
    /* Half of the trades' weight against what a minute lets expect. */
    assert_near(values[FEATURE_PRESSURE_5S], 2.0 / (4.0 + 4.0 * 5.0 / 60.0));
    world_close(world);
    free(fixture);
}

/* Events at other exponents are the same events. */
static void worlds_with_other_exponents_see_the_same_market(void **state)
{
    (void)state;
    struct random_market coarse = random_market_open(77, false);
    struct random_market mixed = random_market_open(77, false);
    struct world *a = fixture_world(), *b = fixture_world();
    for (int i = 0; i < 3000; i++) {
        /* Prices are whole cents, quantities whole 10^-5: -2 and -5 can say them all. */
        static const int price_exponents[] = {-2, -4, -8, -9}, qty_exponents[] = {-5, -8, -9};
        mixed.fixture->price_exponent = i < 500 ? -2 : price_exponents[i % 4];
        mixed.fixture->qty_exponent = i < 500 ? -5 : qty_exponents[i % 3];
        struct event left = random_event(&coarse), right = random_event(&mixed);
        assert_int_equal(world_apply(a, &left), world_apply(b, &right));
        struct world_view first, second;
        world_view(a, &first);
        world_view(b, &second);
        int64_t factor = 1, qty_factor = 1;
        for (int s = second.price_exponent; s < first.price_exponent; s++)
            factor *= 10;
        for (int s = first.price_exponent; s < second.price_exponent; s++)
            factor *= 10;
        for (int s = second.qty_exponent; s != first.qty_exponent;
             s += s < first.qty_exponent ? 1 : -1)
            qty_factor *= 10;
        bool is_finer = second.price_exponent < first.price_exponent;
        bool is_finer_qty = second.qty_exponent < first.qty_exponent;
        assert_int_equal(first.bid_count, second.bid_count);
        for (int l = 0; l < first.bid_count; l++) {
            assert_int_equal(first.bids[l].price * (is_finer ? factor : 1),
                             second.bids[l].price * (is_finer ? 1 : factor));
            assert_int_equal(first.bids[l].qty * (is_finer_qty ? qty_factor : 1),
                             second.bids[l].qty * (is_finer_qty ? 1 : qty_factor));
        }
        assert_int_equal(first.mid2 * (is_finer ? factor : 1),
                         second.mid2 * (is_finer ? 1 : factor));
        for (int f = 0; f < FEATURE_COUNT; f++)
            assert_near(second.vector.values[f], first.vector.values[f]);
    }
    assert_int_equal(world_counters(b)->rejected, 0);
    world_close(a);
    world_close(b);
    free(coarse.fixture);
    free(mixed.fixture);
}

static void a_clock_set_back_starts_the_windows_afresh(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open();
    struct world *world = fixture_world();
    struct world_view view;
    struct event event = fixture_trade(fixture, 1, UNIT, UNIT, false);
    world_apply(world, &event);
    /* In the same epoch time never goes back. */
    fixture->now_us -= 3600000000;
    event = fixture_trade(fixture, 2, UNIT, UNIT, false);
    world_apply(world, &event);
    world_view(world, &view);
    assert_int_equal(view.recv_us, fixture->now_us + 3600000000);
    assert_int_equal(view.one_second.count, 2);
    fixture->epoch++;
    event = fixture_trade(fixture, 3, UNIT, UNIT, false);
    world_apply(world, &event);
    world_view(world, &view);
    assert_int_equal(view.recv_us, fixture->now_us);
    assert_int_equal(view.one_second.count, 1);
    fixture->now_us = -5;
    event = fixture_tick(fixture);
    assert_int_equal(world_apply(world, &event), WORLD_REJECTED);
    world_close(world);
    free(fixture);
}

static void the_schema_hash_is_fnv_over_version_count_and_names(void **state)
{
    (void)state;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    uint8_t head[8] = {FEATURE_VERSION, 0, 0, 0, FEATURE_COUNT, 0, 0, 0};
    for (int i = 0; i < 8; i++)
        hash = (hash ^ head[i]) * UINT64_C(0x100000001b3);
    for (int f = 0; f < FEATURE_COUNT; f++) {
        const char *name = feature_name(f);
        assert_int_equal(feature_index(name), f);
        assert_true(feature_minimum(f) < feature_maximum(f));
        for (size_t i = 0; i <= strlen(name); i++)
            hash = (hash ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
    }
    assert_true(feature_schema_hash() == hash);
    assert_int_equal(feature_index("nothing"), -1);
    assert_string_equal(feature_name(FEATURE_MICROPRICE_DEV_BP), "microprice_dev_bp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_equal_a_count_over_all_trades),
        cmocka_unit_test(trades_are_counted_once_and_holes_are_told),
        cmocka_unit_test(windows_let_the_oldest_trade_go_when_full),
        cmocka_unit_test(touch_comes_from_the_fresher_of_book_and_quote),
        cmocka_unit_test(slots_have_the_mid_of_the_last_record_up_to_the_boundary),
        cmocka_unit_test(a_gap_makes_the_slots_over_it_invalid),
        cmocka_unit_test(features_are_what_their_formulas_say),
        cmocka_unit_test(worlds_with_other_exponents_see_the_same_market),
        cmocka_unit_test(a_clock_set_back_starts_the_windows_afresh),
        cmocka_unit_test(the_schema_hash_is_fnv_over_version_count_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
