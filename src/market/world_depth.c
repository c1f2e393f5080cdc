/* What depth events do to a world: when its book is live, lost and found again
 * (BINANCE.md section 6). SPDX-License-Identifier: Apache-2.0 */
#include "market/world_state.h"

/* A crossed book may come from one change split over two diffs; one that stays crossed
 * this long is wrong (BINANCE.md section 6). */
#define WORLD_CROSSED_MAX 20

static unsigned world_lose_book(struct world *world)
{
    world->is_live = false;
    world->crossed_streak = 0;
    world->counters.gaps++;
    slots_mark_bad(&world->slots, world->now_us);
    return WORLD_GAP | WORLD_CHANGED;
}

/* Compares the waiting top-20 snapshot once the book has reached it. */
static unsigned world_verify(struct world *world)
{
    struct world_pending *pending = &world->pending;
    if (!pending->is_there || pending->id > world->book.id || !world->is_live)
        return 0;
    pending->is_there = false;
    if (pending->id < world->book.id) {
        world->counters.snapshots_unmatched++;
        return 0;
    }
    if (book_side_matches(&world->book.bids, pending->bids, pending->bid_count,
                          WORLD_SNAPSHOT_LEVELS) &&
        book_side_matches(&world->book.asks, pending->asks, pending->ask_count,
                          WORLD_SNAPSHOT_LEVELS)) {
        world->counters.snapshots_verified++;
        return 0;
    }
    world->counters.snapshots_diverged++;
    return WORLD_DIVERGED | world_lose_book(world);
}

static unsigned world_check_crossed(struct world *world)
{
    if (!book_is_crossed(&world->book)) {
        world->crossed_streak = 0;
        return 0;
    }
    world->counters.crossed_events++;
    if (++world->crossed_streak < WORLD_CROSSED_MAX)
        return 0;
    return WORLD_DIVERGED | world_lose_book(world);
}

static void world_count_far(struct world *world)
{
    world->counters.far_levels_dropped =
        world->book.bids.far_dropped + world->book.asks.far_dropped;
}

/* Keeps a diff for the anchor to come, or for a forced one. */
static void world_keep_diff(struct world *world, const struct event *event)
{
    int64_t last_id = world->recent.last_id;
    if (last_id != 0 && event->diff.first_id > last_id + 1)
        world->counters.depth_ids_missing += (uint64_t)(event->diff.first_id - last_id - 1);
    uint32_t gone = recent_push(&world->recent, event, world->now_us);
    if (world->is_live)
        recent_trim(&world->recent, world->now_us - RECENT_LIVE_US);
    else
        world->counters.diffs_dropped_full += gone;
}

/* The rules of BINANCE.md section 6, step 5. */
unsigned world_apply_diff(struct world *world, const struct event *event)
{
    int64_t first_id = event->diff.first_id, last_id = event->diff.last_id;
    if (first_id <= 0 || last_id < first_id || last_id == INT64_MAX ||
        !scale_levels_are_sane(&event->diff.bids) || !scale_levels_are_sane(&event->diff.asks) ||
        !world_take_scale(world, event))
        return world_reject(world);
    if (last_id <= world->recent.last_id) {
        world->counters.diffs_stale++;
        return 0;
    }
    world_note_lag(world, event, event->event_us);
    unsigned effects = 0;
    if (world->is_live && first_id > world->book.id + 1)
        effects = world_lose_book(world);
    world_keep_diff(world, event);
    if (!world->is_live) {
        world->counters.diffs_buffered++;
        return effects;
    }
    book_apply(&world->book, &event->diff.bids, &event->diff.asks, world_step(world, event));
    world->book.id = last_id;
    world->book.event_us = event->event_us;
    world->book_is_rest = false;
    world->counters.diffs_applied++;
    world_count_far(world);
    effects |= WORLD_CHANGED | world_check_crossed(world) | world_verify(world);
    world_refresh_touch(world);
    return effects;
}

/* Diffs up to had_id were counted when they came: an anchor of a live book replays them. */
static void world_join_recent(struct world *world, int64_t anchor_id, int64_t had_id)
{
    struct recent *recent = &world->recent;
    for (uint32_t i = 0; i < recent_count(recent); i++) {
        const struct recent_diff *diff = recent_at(recent, i);
        bool is_new = diff->last_id > had_id;
        if (diff->last_id <= anchor_id) {
            world->counters.diffs_stale += is_new;
            continue;
        }
        struct level_view bids, asks;
        recent_views(recent, diff, &bids, &asks);
        book_apply(&world->book, &bids, &asks, scale_between(diff->scale, world->scale));
        world->book.id = diff->last_id;
        world->book.event_us = diff->event_us;
        world->counters.diffs_applied += is_new;
    }
    if (anchor_id > recent->last_id)
        recent_restart(recent, anchor_id);
}

/* An anchor joins the recent diffs iff U0 <= L + 1; within the unbroken run the first diff
 * beyond L then has U <= L + 1 <= u by itself. */
unsigned world_apply_anchor(struct world *world, const struct event *event)
{
    int64_t id = event->snapshot.book_id;
    const struct level_view *bids = &event->snapshot.bids, *asks = &event->snapshot.asks;
    if (id <= 0 || id == INT64_MAX || !scale_levels_are_sane(bids) ||
        !scale_levels_are_sane(asks) || !book_snapshot_is_good(bids, asks) ||
        !world_take_scale(world, event)) {
        world->counters.anchors_bad++;
        return WORLD_ANCHOR_BAD;
    }
    if (id < recent_join_min(&world->recent)) {
        world->counters.anchors_old++;
        return WORLD_ANCHOR_OLD;
    }
    int64_t had_id = world->book.id;
    book_load(&world->book, id, bids, asks, event->snapshot.asked, world_step(world, event));
    world_join_recent(world, id, had_id);
    world->is_live = true;
    world->book_is_rest = world->now_us - world->market_us >= WORLD_SILENCE_US;
    world->crossed_streak = book_is_crossed(&world->book) ? 1 : 0;
    world->counters.anchors++;
    world_count_far(world);
    flow_break(&world->flow);
    unsigned effects = WORLD_CHANGED | WORLD_ANCHORED | world_refill_trades(world, event);
    effects |= world_verify(world);
    world_refresh_touch(world);
    return effects;
}

static void world_copy_levels(struct world_level *to, uint32_t *count,
                              const struct level_view *view, struct scale_step step)
{
    *count = view->count;
    for (uint32_t i = 0; i < view->count; i++)
        to[i] = (struct world_level){scale_value(level_price(view, i), step.price_shift),
                                     scale_value(level_qty(view, i), step.qty_shift)};
}

static void world_sample_lean(struct world *world)
{
    const struct world_pending *top = &world->pending;
    uint32_t bid_count = top->bid_count < WORLD_LEVELS ? top->bid_count : WORLD_LEVELS;
    uint32_t ask_count = top->ask_count < WORLD_LEVELS ? top->ask_count : WORLD_LEVELS;
    lean_sample(&world->lean, world->now_us,
                lean_imbalance(top->bids, bid_count, top->asks, ask_count));
}

unsigned world_apply_snapshot(struct world *world, const struct event *event)
{
    const struct level_view *bids = &event->snapshot.bids, *asks = &event->snapshot.asks;
    if (event->snapshot.book_id <= 0 || bids->count > WORLD_SNAPSHOT_LEVELS ||
        asks->count > WORLD_SNAPSHOT_LEVELS || !scale_levels_are_sane(bids) ||
        !scale_levels_are_sane(asks) || !world_take_scale(world, event))
        return world_reject(world);
    world->counters.snapshots++;
    if (!world->is_live || event->snapshot.book_id < world->book.id) {
        world->counters.snapshots_unmatched++;
        return 0;
    }
    if (world->pending.is_there)
        world->counters.snapshots_unmatched++; /* a newer one takes its place */
    world->pending.is_there = true;
    world->pending.id = event->snapshot.book_id;
    struct scale_step step = world_step(world, event);
    world_copy_levels(world->pending.bids, &world->pending.bid_count, bids, step);
    world_copy_levels(world->pending.asks, &world->pending.ask_count, asks, step);
    world_sample_lean(world);
    return world_verify(world);
}
