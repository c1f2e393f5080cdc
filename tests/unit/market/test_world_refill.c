/* Trades that were lost and come back with an anchor: the windows are as if nothing had
 * been lost, nothing is counted twice, and a checkpoint in between changes nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "market/lost.h"
#include "market/record.h"
#include "tests/unit/market/market_fixture.h"

#define TRADES_MAX 400
#define LAG_US     1270000 /* the collector's clock is that much ahead of the exchange's */

/* A world with the fixture that makes its events. */
struct eye {
    struct fixture *fixture;
    struct world *world;
};

static void eye_open(struct eye *eye)
{
    eye->fixture = fixture_open();
    eye->world = fixture_world();
}

static void eye_close(struct eye *eye)
{
    free(eye->fixture);
    world_close(eye->world);
}

/* One market, seen by a world that gets everything and by one that does not. */
struct stage {
    struct eye whole, holed;
    struct anchor_trade list[TRADES_MAX];
    uint32_t count;
};

static int setup(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    eye_open(&stage->whole);
    eye_open(&stage->holed);
    *state = stage;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    eye_close(&stage->whole);
    eye_close(&stage->holed);
    free(stage);
    return 0;
}

static unsigned apply_trades(struct eye *eye, int64_t now_us, const struct trade *trades,
                             uint32_t count)
{
    eye->fixture->now_us = now_us;
    struct event event = fixture_trades(eye->fixture, trades, count);
    event.event_us = event.trades.transact_us = now_us - LAG_US;
    return world_apply(eye->world, &event);
}

/* A trade event at this time; lost: only the exchange and the other world know of it. */
static unsigned trade(struct stage *stage, int64_t now_us, const struct trade *trades,
                      uint32_t count, bool lost)
{
    struct anchor_trade *agg = &stage->list[stage->count++];
    *agg = (struct anchor_trade){.first_id = trades[0].id,
                                 .last_id = trades[count - 1].id,
                                 .price = trades[0].price,
                                 .time_us = now_us - LAG_US,
                                 .is_buyer_maker = trades[0].is_buyer_maker};
    for (uint32_t i = 0; i < count; i++)
        agg->qty += trades[i].qty;
    apply_trades(&stage->whole, now_us, trades, count);
    return lost ? 0 : apply_trades(&stage->holed, now_us, trades, count);
}

static void tick(struct stage *stage, int64_t now_us)
{
    struct eye *both[] = {&stage->whole, &stage->holed};
    for (int i = 0; i < 2; i++) {
        both[i]->fixture->now_us = now_us;
        struct event event = fixture_tick(both[i]->fixture);
        world_apply(both[i]->world, &event);
    }
}

static unsigned anchor(struct eye *eye, int64_t id, const struct anchor_trade *list, uint32_t count)
{
    static const struct world_level bids[] = {{9990, 500}, {9980, 700}};
    static const struct world_level asks[] = {{10010, 300}, {10020, 900}};
    struct event event = fixture_snapshot(eye->fixture, EVENT_ANCHOR, id, bids, 2, asks, 2);
    event.snapshot.trades = list;
    event.snapshot.trade_count = count;
    return world_apply(eye->world, &event);
}

/* The books are the same, so the windows have to be. */
static void assert_same_windows(struct stage *stage)
{
    struct world_view whole, holed;
    world_view(stage->whole.world, &whole);
    world_view(stage->holed.world, &holed);
    assert_memory_equal(&whole.one_second, &holed.one_second, sizeof(whole.one_second));
    assert_memory_equal(&whole.five_seconds, &holed.five_seconds, sizeof(whole.five_seconds));
}

static struct trade one(int64_t id, int64_t qty)
{
    return (struct trade){id, 10000 + id % 7, qty, id % 3 == 0};
}

static void a_hole_in_the_middle_is_filled(void **state)
{
    struct stage *stage = *state;
    int64_t now_us = 1000000000;
    for (int64_t id = 1; id <= 60; id++) {
        struct trade next = one(id, 100 + id);
        now_us += 40000;
        unsigned effects = trade(stage, now_us, &next, 1, id > 20 && id < 40);
        assert_int_equal((effects & WORLD_TRADE_HOLE) != 0, id == 40);
    }
    anchor(&stage->whole, 5, NULL, 0);
    assert_true(anchor(&stage->holed, 5, stage->list, stage->count) & WORLD_ANCHORED);
    assert_same_windows(stage);
    assert_int_equal(world_counters(stage->holed.world)->trades_refilled, 19);
    /* The same list again brings nothing. */
    anchor(&stage->holed, 6, stage->list, stage->count);
    assert_int_equal(world_counters(stage->holed.world)->trades_refilled, 19);
    for (int i = 0; i < 70; i++) {
        now_us += 100000;
        tick(stage, now_us);
        assert_same_windows(stage);
    }
}

static void trades_beyond_the_streams_last_are_not_counted_again_when_it_brings_them(void **state)
{
    struct stage *stage = *state;
    int64_t now_us = 1000000000;
    struct trade late[5];
    for (int64_t id = 1; id <= 30; id++) {
        struct trade next = one(id, 10);
        now_us += 10000;
        trade(stage, now_us, &next, 1, id > 25);
        if (id > 25)
            late[id - 26] = next;
    }
    tick(stage, now_us);
    anchor(&stage->whole, 5, NULL, 0);
    anchor(&stage->holed, 5, stage->list, stage->count);
    assert_same_windows(stage);
    apply_trades(&stage->holed, now_us + 5000, late, 5);
    assert_int_equal(world_counters(stage->holed.world)->trades_duplicate, 5);
    tick(stage, now_us + 5000);
    assert_same_windows(stage);
    assert_int_equal(world_counters(stage->holed.world)->trade_holes, 0);
}

/* The order stands behind the snapshot: an ingestor that stood still stamps late. */
static void trades_newer_than_the_worlds_own_time_come_as_records(void **state)
{
    struct stage *stage = *state;
    int64_t now_us = 1000000000;
    for (int64_t id = 1; id <= 20; id++) {
        struct trade next = one(id, 10);
        now_us += 10000;
        trade(stage, now_us, &next, 1, id > 15);
    }
    tick(stage, now_us);
    struct trade late[5];
    for (uint32_t i = 0; i < 5; i++) {
        late[i] = one(21 + i, 10);
        stage->list[stage->count++] = (struct anchor_trade){.first_id = 21 + i,
                                                            .last_id = 21 + i,
                                                            .price = late[i].price,
                                                            .qty = late[i].qty,
                                                            .time_us = now_us + 1000 * i};
    }
    anchor(&stage->whole, 5, NULL, 0);
    anchor(&stage->holed, 5, stage->list, stage->count);
    assert_same_windows(stage);
    now_us += 3000000;
    apply_trades(&stage->whole, now_us, late, 5);
    apply_trades(&stage->holed, now_us, late, 5);
    assert_int_equal(world_counters(stage->holed.world)->trades_duplicate, 0);
    assert_int_equal(world_counters(stage->holed.world)->trade_holes, 0);
    for (int i = 0; i < 60; i++) {
        assert_same_windows(stage);
        now_us += 100000;
        tick(stage, now_us);
    }
}

/* An anchor brings 26 to 30, the stream goes on with 29: who collects the stream's trades lacks
 * three, although the windows do not. A checkpoint in between changes nothing. */
static void trades_that_only_an_anchor_brought_are_told(void **state)
{
    struct stage *stage = *state;
    int64_t now_us = 1000000000, first, last;
    for (int64_t id = 1; id <= 30; id++) {
        struct trade next = one(id, 10);
        now_us += 10000;
        assert_false(trade(stage, now_us, &next, 1, id > 25) & WORLD_TRADES_ABSENT);
    }
    tick(stage, now_us);
    assert_false(anchor(&stage->holed, 5, stage->list, stage->count) & WORLD_TRADES_ABSENT);
    size_t size;
    uint8_t *saved = malloc(world_save_size_max(stage->holed.world));
    assert_int_equal(
        world_save(stage->holed.world, saved, world_save_size_max(stage->holed.world), &size, NULL),
        ERR_OK);
    assert_int_equal(world_load(stage->holed.world, bytes_of(saved, size), NULL), ERR_OK);
    free(saved);
    struct trade late[] = {one(29, 10), one(30, 10), one(31, 10)};
    assert_int_equal(apply_trades(&stage->holed, now_us + 5000, late, 2), WORLD_TRADES_ABSENT);
    world_trades_absent(stage->holed.world, &first, &last);
    assert_int_equal(first, 26);
    assert_int_equal(last, 28);
    assert_int_equal(apply_trades(&stage->holed, now_us + 6000, late + 2, 1), WORLD_CHANGED);
    /* Beyond what the anchor brought it is an ordinary hole. */
    struct trade far = one(40, 10);
    assert_int_equal(apply_trades(&stage->holed, now_us + 7000, &far, 1),
                     WORLD_CHANGED | WORLD_TRADE_HOLE);
}

static void what_was_traded_before_the_first_frame_fills_the_windows(void **state)
{
    struct stage *stage = *state;
    int64_t now_us = 1000000000;
    tick(stage, now_us);
    for (int64_t id = 100; id <= 130; id++) {
        struct trade next = one(id, 10);
        now_us += 100000;
        trade(stage, now_us, &next, 1, id < 128);
    }
    anchor(&stage->whole, 5, NULL, 0);
    anchor(&stage->holed, 5, stage->list, stage->count);
    assert_same_windows(stage);
    assert_int_equal(world_counters(stage->holed.world)->trade_holes, 0);
}

/* Sums, counts and gaps are those of the single trades; only their own sizes are unknown. */
static void an_aggregated_trade_counts_as_many_as_it_covers(void **state)
{
    struct stage *stage = *state;
    int64_t now_us = 1000000000;
    struct trade first = one(1, 50);
    trade(stage, now_us, &first, 1, false);
    struct trade burst[4];
    for (int i = 0; i < 4; i++)
        burst[i] = (struct trade){2 + i, 10005, 10 + 7 * i, true};
    trade(stage, now_us + 200000, burst, 4, true);
    struct trade last = one(6, 70);
    trade(stage, now_us + 300000, &last, 1, false);
    anchor(&stage->whole, 5, NULL, 0);
    anchor(&stage->holed, 5, stage->list, stage->count);
    assert_same_windows(stage);
}

static void an_aggregated_trade_half_known_adds_its_other_half(void **state)
{
    struct stage *stage = *state;
    struct world_view view;
    struct trade known[2] = {{10, 10000, 30, false}, {11, 10000, 30, false}};
    struct anchor_trade list = {10, 13, 10000, 120, 1000000000 - LAG_US, false};
    apply_trades(&stage->holed, 1000000000, known, 2);
    anchor(&stage->holed, 5, &list, 1);
    world_view(stage->holed.world, &view);
    assert_int_equal(view.one_second.count, 4);
    assert_int_equal(view.one_second.vol, 120);
    assert_int_equal(world_counters(stage->holed.world)->trades_refilled, 2);
}

static void trades_of_before_the_windows_are_left_out_and_known_all_the_same(void **state)
{
    struct stage *stage = *state;
    int64_t now_us = 1000000000;
    for (int64_t id = 1; id <= 100; id++) {
        struct trade next = one(id, 10);
        now_us += 100000;
        trade(stage, now_us, &next, 1, id > 5 && id < 95);
    }
    anchor(&stage->whole, 5, NULL, 0);
    anchor(&stage->holed, 5, stage->list, stage->count);
    assert_same_windows(stage);
    /* 10 s were lost, 5 s of them are in a window. */
    assert_in_range(world_counters(stage->holed.world)->trades_refilled, 40, 50);
    anchor(&stage->holed, 6, stage->list, stage->count);
    assert_in_range(world_counters(stage->holed.world)->trades_refilled, 40, 50);
}

static void a_list_that_is_no_chain_is_left_out_and_the_book_taken(void **state)
{
    struct stage *stage = *state;
    const struct anchor_trade good[3] = {{1, 2, 10000, 10, 999000000, true},
                                         {3, 3, 10000, 10, 999000001, true},
                                         {4, 9, 10000, 10, 999000002, false}};
    struct world_view view;
    tick(stage, 1000000000);
    for (int bad = 0; bad < 9; bad++) {
        struct anchor_trade list[3];
        memcpy(list, good, sizeof(list));
        switch (bad) {
        case 0:
            list[1].first_id = 4;
            break;
        case 1:
            list[2].time_us = 999000000;
            break;
        case 2:
            list[0].first_id = -1;
            break;
        case 3:
            list[1].price = 0;
            break;
        case 4:
            list[1].qty = -1;
            break;
        case 5:
            list[2].last_id = INT64_MAX;
            break;
        case 6:
            list[0].last_id = 0;
            break;
        case 7:
            list[2].last_id = 20000;
            break;
        default:
            list[0].time_us = -1;
            break;
        }
        assert_true(anchor(&stage->holed, 10 + bad, list, 3) & WORLD_ANCHORED);
        assert_int_equal(world_counters(stage->holed.world)->anchor_trades_bad, bad + 1);
    }
    world_view(stage->holed.world, &view);
    assert_int_equal(view.five_seconds.count, 0);
    anchor(&stage->holed, 99, good, 3);
    world_view(stage->holed.world, &view);
    assert_int_equal(view.five_seconds.count, 9);
}

/* A list that begins behind the last trade known says that some were lost. */
static void a_list_that_begins_too_late_reveals_a_hole(void **state)
{
    struct stage *stage = *state;
    struct trade first = one(1, 10);
    apply_trades(&stage->holed, 1000000000, &first, 1);
    const struct anchor_trade late = {5, 6, 10000, 10, 1000000000 - LAG_US, true};
    assert_true(anchor(&stage->holed, 5, &late, 1) & WORLD_TRADE_HOLE);
    assert_int_equal(world_counters(stage->holed.world)->trades_missing, 3);
    const struct anchor_trade rest = {2, 4, 10000, 30, 1000000000 - LAG_US, true};
    anchor(&stage->holed, 6, &rest, 1);
    assert_int_equal(world_counters(stage->holed.world)->trades_refilled, 5);
}

static size_t save(struct world *world, uint8_t *out, size_t capacity)
{
    size_t size = 0;
    assert_int_equal(world_save(world, out, capacity, &size, NULL), ERR_OK);
    return size;
}

/* Random losses, anchors and checkpoints: the world that missed some ends as the one that
 * did not, as far as windows go; a world loaded from a checkpoint is the same bytes. */
static void random_losses_are_made_good(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct stage *stage = NULL;
        struct prng prng;
        prng_init(&prng, seed);
        setup((void **)&stage);
        struct eye loaded;
        eye_open(&loaded);
        size_t capacity = world_save_size_max(loaded.world);
        uint8_t *bytes = malloc(capacity), *again = malloc(capacity);
        int64_t now_us = 1000000000, id = 0;
        bool losing = false;
        for (int i = 0; i < 300; i++) {
            struct trade group[3];
            uint32_t count = 1 + (uint32_t)prng_below(&prng, 3);
            for (uint32_t k = 0; k < count; k++)
                group[k] = (struct trade){++id, 10000, 60, false};
            now_us += (int64_t)prng_below(&prng, 60000);
            losing = prng_below(&prng, 10) == 0 ? !losing : losing;
            trade(stage, now_us, group, count, losing);
        }
        tick(stage, now_us);
        size_t size = save(stage->holed.world, bytes, capacity);
        assert_int_equal(world_load(loaded.world, bytes_of(bytes, size), NULL), ERR_OK);
        loaded.fixture->seq = stage->holed.fixture->seq;
        anchor(&stage->whole, 5, NULL, 0);
        anchor(&stage->holed, 5, stage->list, stage->count);
        anchor(&loaded, 5, stage->list, stage->count);
        struct world_view whole, holed;
        world_view(stage->whole.world, &whole);
        world_view(stage->holed.world, &holed);
        /* Where a hole began and ended is known, not when: gaps may be off by the clamp. */
        assert_int_equal(whole.five_seconds.count, holed.five_seconds.count);
        assert_int_equal(whole.five_seconds.vol, holed.five_seconds.vol);
        assert_int_equal(whole.one_second.count, holed.one_second.count);
        size = save(stage->holed.world, bytes, capacity);
        assert_int_equal(save(loaded.world, again, capacity), size);
        assert_memory_equal(bytes, again, size);
        free(bytes);
        free(again);
        eye_close(&loaded);
        teardown((void **)&stage);
    }
}

static void ranges_are_found_split_and_bounded(void **state)
{
    struct lost lost;
    (void)state;
    lost_init(&lost);
    for (int64_t i = 0; i < LOST_RANGES_MAX + 3; i++)
        lost_add(&lost, &(struct lost_range){i * 10, i * 10 + 4, i, i + 1});
    assert_int_equal(lost.count, LOST_RANGES_MAX);
    assert_null(lost_find(&lost, 24));
    assert_non_null(lost_find(&lost, 30));
    assert_null(lost_find(&lost, 35));
    lost_found(&lost, 41, 52);
    assert_non_null(lost_find(&lost, 40));
    assert_null(lost_find(&lost, 41));
    assert_null(lost_find(&lost, 52));
    assert_non_null(lost_find(&lost, 53));
    lost_found(&lost, 0, 1000);
    assert_int_equal(lost.count, 0);
    lost_add(&lost, &(struct lost_range){1, 9, 0, 1});
    lost_found(&lost, 4, 5);
    assert_int_equal(lost.count, 2);
    assert_int_equal(lost.list[0].last, 3);
    assert_int_equal(lost.list[1].first, 6);
}

/* --- a silent market's book ---------------------------------------------------------- */

static bool is_rest(struct eye *eye)
{
    struct world_view view;
    world_view(eye->world, &view);
    assert_int_equal(view.book_is_rest, world_book_is_rest(eye->world));
    return view.book_is_rest;
}

static void an_anchor_after_half_a_minute_of_silence_is_rests(void **state)
{
    struct stage *stage = *state;
    struct trade first = one(1, 10);
    apply_trades(&stage->holed, 1000000000, &first, 1);
    tick(stage, 1000000000 + WORLD_SILENCE_US - 1);
    anchor(&stage->holed, 5, NULL, 0);
    assert_false(is_rest(&stage->holed));
    tick(stage, 1000000000 + WORLD_SILENCE_US);
    assert_int_equal(world_silence_us(stage->holed.world), WORLD_SILENCE_US);
    anchor(&stage->holed, 6, NULL, 0);
    assert_true(is_rest(&stage->holed));
    /* A trade is no book; a diff is. */
    struct trade second = one(2, 10);
    apply_trades(&stage->holed, 1000000000 + WORLD_SILENCE_US + 1, &second, 1);
    assert_true(is_rest(&stage->holed));
    const struct world_level bid = {9985, 5};
    struct event diff = fixture_diff(stage->holed.fixture, 7, 8, &bid, 1, NULL, 0);
    world_apply(stage->holed.world, &diff);
    assert_false(is_rest(&stage->holed));
}

/* A market without frames to which connections can be opened is quiet. */
static void an_anchor_in_a_quiet_market_is_not_rests(void **state)
{
    struct stage *stage = *state;
    struct eye *eye = &stage->holed;
    struct trade first = one(1, 10);
    apply_trades(eye, 1000000000, &first, 1);
    for (int i = 1; i <= 6; i++) {
        eye->fixture->now_us = 1000000000 + i * 10000000;
        struct event event = fixture_tick(eye->fixture);
        event.flags = RECORD_CONNECTED;
        world_apply(eye->world, &event);
    }
    assert_int_equal(world_silence_us(eye->world), 0);
    anchor(eye, 5, NULL, 0);
    assert_false(is_rest(eye));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_anchor_in_a_quiet_market_is_not_rests),
        TEST(a_hole_in_the_middle_is_filled),
        TEST(trades_beyond_the_streams_last_are_not_counted_again_when_it_brings_them),
        TEST(trades_newer_than_the_worlds_own_time_come_as_records),
        TEST(trades_that_only_an_anchor_brought_are_told),
        TEST(what_was_traded_before_the_first_frame_fills_the_windows),
        TEST(an_aggregated_trade_counts_as_many_as_it_covers),
        TEST(an_aggregated_trade_half_known_adds_its_other_half),
        TEST(trades_of_before_the_windows_are_left_out_and_known_all_the_same),
        TEST(a_list_that_is_no_chain_is_left_out_and_the_book_taken),
        TEST(a_list_that_begins_too_late_reveals_a_hole),
        cmocka_unit_test(random_losses_are_made_good),
        cmocka_unit_test(ranges_are_found_split_and_bounded),
        TEST(an_anchor_after_half_a_minute_of_silence_is_rests),
    };
#undef TEST
    return cmocka_run_group_tests_name("world refill", tests, NULL, NULL);
}
