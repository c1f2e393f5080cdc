/* When a book is live, lost and found again: the rules of BINANCE.md section 6.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/market/market_fixture.h"

struct stage {
    struct fixture *fixture;
    struct world *world;
};

static int stage_open(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    stage->fixture = fixture_open();
    stage->world = fixture_world();
    *state = stage;
    return 0;
}

static int stage_close(void **state)
{
    struct stage *stage = *state;
    world_close(stage->world);
    free(stage->fixture);
    free(stage);
    return 0;
}

/* A diff that sets bid 100 to `qty` and leaves the asks. */
static unsigned apply_diff(struct stage *stage, int64_t first_id, int64_t last_id, int64_t qty)
{
    struct world_level bid = {100, qty};
    struct event event = fixture_diff(stage->fixture, first_id, last_id, &bid, 1, NULL, 0);
    return world_apply(stage->world, &event);
}

static unsigned apply_anchor(struct stage *stage, int64_t id)
{
    struct world_level bids[] = {{100, 5}, {99, 7}}, asks[] = {{102, 6}, {103, 8}};
    struct event event = fixture_snapshot(stage->fixture, EVENT_ANCHOR, id, bids, 2, asks, 2);
    return world_apply(stage->world, &event);
}

static struct world_view view_of(const struct stage *stage)
{
    struct world_view view;
    world_view(stage->world, &view);
    return view;
}

static void world_joins_an_anchor_with_the_buffered_diffs(void **state)
{
    struct stage *stage = *state;
    assert_int_equal(apply_diff(stage, 10, 12, 1), 0);
    assert_int_equal(apply_diff(stage, 13, 15, 2), 0);
    assert_int_equal(apply_diff(stage, 16, 18, 3), 0);
    assert_false(view_of(stage).book_live);
    assert_int_equal(apply_anchor(stage, 14), WORLD_ANCHORED | WORLD_CHANGED);
    struct world_view view = view_of(stage);
    assert_true(view.book_live);
    assert_int_equal(view.book_id, 18);
    assert_int_equal(view.bids[0].qty, 3);
    assert_int_equal(view.bids[1].qty, 7);
    assert_int_equal(view.bid_count, 2);
    const struct world_counters *counters = world_counters(stage->world);
    assert_int_equal(counters->diffs_buffered, 3);
    assert_int_equal(counters->diffs_applied, 2);
}

static void world_keeps_the_buffer_when_the_anchor_is_older(void **state)
{
    struct stage *stage = *state;
    apply_diff(stage, 10, 12, 1);
    assert_int_equal(apply_anchor(stage, 8), WORLD_ANCHOR_OLD);
    assert_false(view_of(stage).book_live);
    /* L == U0 - 1 joins without a hole. */
    assert_true(apply_anchor(stage, 9) & WORLD_ANCHORED);
    assert_int_equal(view_of(stage).book_id, 12);
    assert_int_equal(view_of(stage).bids[0].qty, 1);
    assert_int_equal(world_counters(stage->world)->anchors_old, 1);
}

static void world_takes_an_anchor_newer_than_the_buffer(void **state)
{
    struct stage *stage = *state;
    apply_diff(stage, 10, 12, 1);
    assert_true(apply_anchor(stage, 20) & WORLD_ANCHORED);
    assert_int_equal(view_of(stage).book_id, 20);
    assert_int_equal(view_of(stage).bids[0].qty, 5);
    assert_int_equal(apply_diff(stage, 13, 20, 9), 0);         /* stale */
    assert_true(apply_diff(stage, 18, 22, 9) & WORLD_CHANGED); /* overlap is legal */
    assert_int_equal(view_of(stage).book_id, 22);
}

static void world_takes_an_anchor_before_any_diff_and_checks_the_next(void **state)
{
    struct stage *stage = *state;
    assert_true(apply_anchor(stage, 20) & WORLD_ANCHORED);
    assert_int_equal(apply_diff(stage, 21, 22, 4), WORLD_CHANGED);
    assert_true(view_of(stage).book_live);
    assert_true(apply_diff(stage, 24, 25, 4) & WORLD_GAP);
}

static void world_loses_the_book_at_a_gap_but_readers_keep_the_old_one(void **state)
{
    struct stage *stage = *state;
    apply_anchor(stage, 20);
    apply_diff(stage, 21, 21, 9);
    assert_int_equal(apply_diff(stage, 23, 24, 1), WORLD_GAP | WORLD_CHANGED);
    struct world_view view = view_of(stage);
    assert_false(view.book_live);
    assert_int_equal(view.book_id, 21);
    assert_int_equal(view.bids[0].qty, 9);
    assert_int_equal(apply_diff(stage, 25, 26, 2), 0); /* buffered, no second gap */
    assert_int_equal(view_of(stage).bids[0].qty, 9);
    const struct world_counters *counters = world_counters(stage->world);
    assert_int_equal(counters->gaps, 1);
    assert_int_equal(counters->depth_ids_missing, 1);
    assert_int_equal(apply_anchor(stage, 21), WORLD_ANCHOR_OLD);
    assert_true(apply_anchor(stage, 22) & WORLD_ANCHORED);
    assert_int_equal(view_of(stage).book_id, 26);
    assert_int_equal(view_of(stage).bids[0].qty, 2);
}

static void world_begins_the_buffer_again_at_a_gap_inside_it(void **state)
{
    struct stage *stage = *state;
    apply_diff(stage, 10, 12, 1);
    apply_diff(stage, 15, 16, 2);
    assert_int_equal(apply_anchor(stage, 11), WORLD_ANCHOR_OLD);
    assert_true(apply_anchor(stage, 14) & WORLD_ANCHORED);
    assert_int_equal(view_of(stage).book_id, 16);
}

static void world_ignores_stale_diffs_and_takes_overlapping_ones(void **state)
{
    struct stage *stage = *state;
    apply_anchor(stage, 20);
    assert_int_equal(apply_diff(stage, 15, 19, 1), 0);
    assert_int_equal(apply_diff(stage, 15, 20, 1), 0);
    assert_int_equal(view_of(stage).bids[0].qty, 5);
    assert_int_equal(world_counters(stage->world)->diffs_stale, 2);
    assert_int_equal(apply_diff(stage, 15, 21, 1), WORLD_CHANGED);
    assert_int_equal(view_of(stage).bids[0].qty, 1);
}

static void world_rebuilds_a_live_book_on_a_forced_anchor(void **state)
{
    struct stage *stage = *state;
    apply_anchor(stage, 20);
    for (int64_t id = 21; id <= 30; id++)
        apply_diff(stage, id, id, id);
    /* Older than the live book, but the diffs since are still there. */
    assert_true(apply_anchor(stage, 25) & WORLD_ANCHORED);
    assert_int_equal(view_of(stage).book_id, 30);
    assert_int_equal(view_of(stage).bids[0].qty, 30);
    assert_int_equal(apply_anchor(stage, 19), WORLD_ANCHOR_OLD);
    assert_true(view_of(stage).book_live);
    /* The diffs of a live book are kept 15 s. */
    stage->fixture->now_us += 16000000;
    apply_diff(stage, 31, 31, 31);
    assert_int_equal(apply_anchor(stage, 29), WORLD_ANCHOR_OLD);
    assert_true(apply_anchor(stage, 30) & WORLD_ANCHORED);
    assert_int_equal(view_of(stage).bids[0].qty, 31);
}

static void world_refuses_anchors_that_cannot_be(void **state)
{
    struct stage *stage = *state;
    struct world_level bids[] = {{100, 5}, {99, 7}}, asks[] = {{102, 6}, {103, 8}};
    struct world_level unsorted[] = {{99, 5}, {100, 7}}, crossed[] = {{100, 6}, {103, 8}};
    struct world_level negative[] = {{100, 5}, {-99, 7}}, empty[] = {{102, 0}, {103, 8}};
    struct {
        int64_t id;
        const struct world_level *bids, *asks;
        uint32_t bid_count, ask_count;
    } bad[] = {{0, bids, asks, 2, 2},     {5, unsorted, asks, 2, 2}, {5, bids, crossed, 2, 2},
               {5, negative, asks, 2, 2}, {5, bids, empty, 2, 2},    {5, bids, asks, 0, 2},
               {5, bids, asks, 2, 0},     {-1, bids, asks, 2, 2}};
    apply_anchor(stage, 3);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct event event = fixture_snapshot(stage->fixture, EVENT_ANCHOR, bad[i].id, bad[i].bids,
                                              bad[i].bid_count, bad[i].asks, bad[i].ask_count);
        assert_int_equal(world_apply(stage->world, &event), WORLD_ANCHOR_BAD);
        assert_int_equal(world_counters(stage->world)->anchors_bad, i + 1);
    }
    assert_true(view_of(stage).book_live);
    assert_int_equal(view_of(stage).book_id, 3);
}

static void world_rejects_malformed_diffs_without_touching_the_book(void **state)
{
    struct stage *stage = *state;
    apply_anchor(stage, 20);
    assert_int_equal(apply_diff(stage, 22, 21, 1), WORLD_REJECTED);
    assert_int_equal(apply_diff(stage, -5, 21, 1), WORLD_REJECTED);
    assert_int_equal(apply_diff(stage, 21, INT64_MAX, 1), WORLD_REJECTED);
    assert_int_equal(apply_diff(stage, 21, 21, -1), WORLD_REJECTED);
    assert_int_equal(apply_diff(stage, 21, 21, INT64_MAX), WORLD_REJECTED);
    stage->fixture->price_exponent = 19;
    assert_int_equal(apply_diff(stage, 21, 21, 1), WORLD_REJECTED);
    stage->fixture->price_exponent = -8;
    assert_int_equal(view_of(stage).bids[0].qty, 5);
    assert_int_equal(view_of(stage).book_id, 20);
    assert_int_equal(world_counters(stage->world)->rejected, 6);
    assert_int_equal(apply_diff(stage, 21, 21, 1), WORLD_CHANGED);
}

static void world_lets_the_oldest_diffs_go_when_the_buffer_is_full(void **state)
{
    struct stage *stage = *state;
    for (int64_t id = 1; id <= 4096 + 10; id++)
        apply_diff(stage, id, id, id);
    assert_int_equal(world_counters(stage->world)->diffs_dropped_full, 10);
    assert_int_equal(apply_anchor(stage, 9), WORLD_ANCHOR_OLD);
    assert_true(apply_anchor(stage, 10) & WORLD_ANCHORED);
    assert_int_equal(view_of(stage).bids[0].qty, 4096 + 10);
}

static void world_lets_the_oldest_diffs_go_when_their_levels_are_too_many(void **state)
{
    struct stage *stage = *state;
    static struct world_level levels[8000];
    for (int i = 0; i < 8000; i++)
        levels[i] = (struct world_level){1 + i, 1};
    for (int64_t id = 1; id <= 40; id++) {
        struct event event = fixture_diff(stage->fixture, id, id, levels, 8000, NULL, 0);
        assert_int_equal(world_apply(stage->world, &event), 0);
    }
    /* 131072 levels hold 16 such diffs. */
    assert_int_equal(world_counters(stage->world)->diffs_dropped_full, 24);
    assert_int_equal(apply_anchor(stage, 23), WORLD_ANCHOR_OLD);
}

static unsigned apply_top(struct stage *stage, int64_t id, int64_t qty)
{
    struct world_level bids[] = {{100, qty}, {99, 7}}, asks[] = {{102, 6}, {103, 8}};
    struct event event = fixture_snapshot(stage->fixture, EVENT_SNAPSHOT, id, bids, 2, asks, 2);
    return world_apply(stage->world, &event);
}

static void world_verifies_the_book_against_the_top_twenty(void **state)
{
    struct stage *stage = *state;
    const struct world_counters *counters = world_counters(stage->world);
    assert_int_equal(apply_top(stage, 20, 5), 0); /* no book yet */
    apply_anchor(stage, 20);
    assert_int_equal(apply_top(stage, 20, 5), 0);
    assert_int_equal(counters->snapshots_verified, 1);
    /* Ahead of the book: waits until it gets there. */
    assert_int_equal(apply_top(stage, 22, 9), 0);
    apply_diff(stage, 21, 21, 8);
    assert_int_equal(counters->snapshots_verified, 1);
    assert_int_equal(apply_diff(stage, 22, 22, 9), WORLD_CHANGED);
    assert_int_equal(counters->snapshots_verified, 2);
    /* Passed by: not comparable. */
    apply_top(stage, 23, 1);
    apply_diff(stage, 23, 24, 3);
    assert_int_equal(apply_top(stage, 23, 1), 0);
    assert_int_equal(counters->snapshots_unmatched, 3);
    assert_int_equal(counters->snapshots_diverged, 0);
}

static void world_gives_up_a_book_that_differs_from_the_top_twenty(void **state)
{
    struct stage *stage = *state;
    apply_anchor(stage, 20);
    assert_int_equal(apply_top(stage, 20, 6), WORLD_DIVERGED | WORLD_GAP | WORLD_CHANGED);
    assert_false(view_of(stage).book_live);
    /* The diffs go on, so an anchor repairs it. */
    apply_diff(stage, 21, 21, 4);
    assert_true(apply_anchor(stage, 20) & WORLD_ANCHORED);
    assert_int_equal(view_of(stage).book_id, 21);
    /* A level too many is a difference, too. */
    struct world_level ask = {104, 1};
    struct event event = fixture_diff(stage->fixture, 22, 22, NULL, 0, &ask, 1);
    world_apply(stage->world, &event);
    assert_true(apply_top(stage, 22, 4) & WORLD_DIVERGED);
}

static void world_gives_up_a_book_that_stays_crossed(void **state)
{
    struct stage *stage = *state;
    apply_anchor(stage, 20);
    int64_t mid2 = view_of(stage).mid2;
    struct world_level bid = {102, 1};
    struct event event = fixture_diff(stage->fixture, 21, 21, &bid, 1, NULL, 0);
    assert_int_equal(world_apply(stage->world, &event), WORLD_CHANGED);
    assert_true(view_of(stage).touch_flagged);
    assert_int_equal(view_of(stage).mid2, mid2);
    /* One event later it is gone again: nothing happened. */
    bid.qty = 0;
    event = fixture_diff(stage->fixture, 22, 22, &bid, 1, NULL, 0);
    world_apply(stage->world, &event);
    assert_false(view_of(stage).touch_flagged);
    assert_true(view_of(stage).book_live);
    bid.qty = 1;
    for (int64_t id = 23; id < 42; id++) {
        event = fixture_diff(stage->fixture, id, id, &bid, 1, NULL, 0);
        assert_int_equal(world_apply(stage->world, &event), WORLD_CHANGED);
    }
    event = fixture_diff(stage->fixture, 42, 42, &bid, 1, NULL, 0);
    assert_true(world_apply(stage->world, &event) & WORLD_DIVERGED);
    assert_false(view_of(stage).book_live);
    assert_int_equal(world_counters(stage->world)->crossed_events, 21);
}

static void world_goes_on_over_a_new_epoch_and_a_hole_when_the_ids_do(void **state)
{
    struct stage *stage = *state;
    apply_anchor(stage, 20);
    struct event hole = fixture_event(stage->fixture, EVENT_HOLE);
    assert_int_equal(world_apply(stage->world, &hole) & WORLD_GAP, 0);
    stage->fixture->epoch++;
    stage->fixture->seq = 0;
    assert_int_equal(apply_diff(stage, 21, 21, 4), WORLD_CHANGED);
    assert_true(view_of(stage).book_live);
    assert_int_equal(view_of(stage).epoch, 2);
    assert_int_equal(view_of(stage).seq, 1);
    assert_int_equal(world_counters(stage->world)->holes, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_open, stage_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(world_joins_an_anchor_with_the_buffered_diffs),
        TEST(world_keeps_the_buffer_when_the_anchor_is_older),
        TEST(world_takes_an_anchor_newer_than_the_buffer),
        TEST(world_takes_an_anchor_before_any_diff_and_checks_the_next),
        TEST(world_loses_the_book_at_a_gap_but_readers_keep_the_old_one),
        TEST(world_begins_the_buffer_again_at_a_gap_inside_it),
        TEST(world_ignores_stale_diffs_and_takes_overlapping_ones),
        TEST(world_rebuilds_a_live_book_on_a_forced_anchor),
        TEST(world_refuses_anchors_that_cannot_be),
        TEST(world_rejects_malformed_diffs_without_touching_the_book),
        TEST(world_lets_the_oldest_diffs_go_when_the_buffer_is_full),
        TEST(world_lets_the_oldest_diffs_go_when_their_levels_are_too_many),
        TEST(world_verifies_the_book_against_the_top_twenty),
        TEST(world_gives_up_a_book_that_differs_from_the_top_twenty),
        TEST(world_gives_up_a_book_that_stays_crossed),
        TEST(world_goes_on_over_a_new_epoch_and_a_hole_when_the_ids_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
