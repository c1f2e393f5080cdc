/* The inside of a world, for world*.c alone. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_WORLD_STATE_H
#define BTCAST_MARKET_WORLD_STATE_H

#include "market/recent.h"
#include "market/book.h"
#include "market/burst.h"
#include "market/flow.h"
#include "market/history.h"
#include "market/lean.h"
#include "market/lost.h"
#include "market/slots.h"
#include "market/window.h"
#include "market/world.h"

/* Levels a side of the verification snapshot (@depth20). */
#define WORLD_SNAPSHOT_LEVELS 20
/* Receive times beyond this (year 2255) are malformed. */
#define WORLD_TIME_US_MAX INT64_C(9000000000000000)

/* Receive and exchange's time further apart than this say nothing about each other. */
#define WORLD_LAG_US_MAX INT64_C(3600000000)

static inline bool world_lag_is_sane(int64_t lag_us)
{
    return lag_us >= -WORLD_LAG_US_MAX && lag_us <= WORLD_LAG_US_MAX;
}

/* A top-20 snapshot ahead of the book, waiting for it. */
struct world_pending {
    bool is_there;
    int64_t id;
    uint32_t bid_count, ask_count;
    struct world_level bids[WORLD_SNAPSHOT_LEVELS], asks[WORLD_SNAPSHOT_LEVELS];
};

struct world {
    char symbol[24];
    struct world_counters counters; /* not part of the saved state */

    uint64_t epoch, seq; /* last record applied */
    int64_t now_us;      /* its receive time, never decreasing; 0: none yet */
    bool has_scale;
    struct scale scale;

    bool is_live;       /* the book is in step with the exchange */
    int crossed_streak; /* diffs in a row that left the book crossed */
    bool hole_is_open;  /* records were lost just before the next one */
    bool book_is_rest;  /* an anchor that came in silence, no diff since */
    int64_t market_us;  /* the exchange last showed itself, or the first record; 0: none yet */
    int64_t lag_us;     /* receive time minus exchange's time of the last frame that has one */
    struct world_pending pending;

    int64_t quote_id; /* 0: none yet */
    struct book_touch quote;
    struct book_touch touch; /* the last good one */
    int64_t mid2;            /* of that touch; 0: none yet */
    bool touch_flagged;

    int64_t last_trade_id;     /* -1: none yet */
    int64_t streamed_trade_id; /* the last one that no anchor brought */
    int64_t absent_first_id, absent_last_id;
    int64_t last_trade_us;               /* 0: none yet */
    int64_t hole_first_id, hole_last_id; /* of the last trade hole; no part of the saved state */
    struct lost lost;                    /* trade ids that never came */
    struct minutes minutes;
    struct feature_vector vector;
    struct slots slots;
    struct flow flow;
    struct burst burst;
    struct lean lean;
    struct history history;
    struct windows windows;
    struct recent recent;
    struct book book;
};

/* Everything but symbol and counters as at world_open. */
void world_reset(struct world *world);
/* Takes over a frame's exponents, refining the world's own if need be. False: the event
 * cannot be represented. Its values are sane. */
bool world_take_other_scale(struct world *world, const struct event *event);

static inline bool world_take_scale(struct world *world, const struct event *event)
{
    /* Nearly every event: sane values at the world's own exponents fit as they are. */
    return (world->has_scale && event->price_exponent == world->scale.price_exponent &&
            event->qty_exponent == world->scale.qty_exponent) ||
           world_take_other_scale(world, event);
}

/* Counts a malformed event. */
unsigned world_reject(struct world *world);
/* The mid comes from the fresher of book and quote; a crossed or one-sided touch leaves
 * the last good one standing. */
void world_refresh_touch(struct world *world);

/* world_trades.c: each returns enum world_effect bits. An anchor's list fills the windows
 * where trades were lost. */
unsigned world_apply_trades(struct world *world, const struct event *event);
unsigned world_refill_trades(struct world *world, const struct event *event);
/* Takes the frame's own time as the measure of how far the exchange's clock is behind. */
void world_note_lag(struct world *world, const struct event *event, int64_t exchange_us);

/* world_depth.c: each returns enum world_effect bits. */
unsigned world_apply_diff(struct world *world, const struct event *event);
unsigned world_apply_anchor(struct world *world, const struct event *event);
unsigned world_apply_snapshot(struct world *world, const struct event *event);

static inline struct scale_step world_step(const struct world *world, const struct event *event)
{
    return scale_between((struct scale){event->price_exponent, event->qty_exponent}, world->scale);
}

#endif
