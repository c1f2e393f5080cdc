/* One side of an order book. Levels near the touch live in an array indexed by tick,
 * used as a ring so that it follows the touch without being copied, with a two-level
 * bitmap over it to find the next level; levels outside the array live in a bounded
 * sorted array. Both sides share this code: a level's key is its tick number, negated
 * for asks, so that the best level always has the highest key.
 *
 * Invariants (after side_settle): every level whose price lies in the array's range is
 * in the array, every other one in the far array and worse than all in the array; if
 * there is any level, the best one is in the array.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_SIDE_H
#define BTCAST_MARKET_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "market/codec.h"
#include "market/event.h"
#include "market/scale.h"
#include "market/world.h"

/* Ticks in the array: 655 USD for BTCUSDT, 94 % of all level changes in a real capture. */
#define SIDE_TICKS     (INT64_C(1) << 16)
#define SIDE_WORDS     (SIDE_TICKS / 64)
#define SIDE_SUMMARIES (SIDE_WORDS / 64)
/* Levels outside the array. Full: the SIDE_FAR_DROP farthest are forgotten, counted. */
#define SIDE_FAR_MAX  16384
#define SIDE_FAR_DROP 1024

/* The price grid, with what makes price / tick one multiplication: tick = odd << zeros. */
struct side_grid {
    int64_t tick;
    uint64_t inverse;      /* of the odd part, modulo 2^64 */
    uint64_t quotient_max; /* a larger quotient means: not a multiple of tick */
    int zeros;
};

struct side {
    int64_t sign; /* 1 bids, -1 asks */
    struct side_grid grid;
    int64_t low;         /* lowest key in the array */
    int64_t best;        /* highest key that may be occupied; exact after side_settle */
    uint32_t near_words; /* words of the bitmap with a level: 0 says the array is empty */
    uint32_t far_count;
    uint64_t far_dropped; /* levels forgotten because the far array was full */
    int64_t qty[SIDE_TICKS];
    uint64_t words[SIDE_WORDS];
    uint64_t summary[SIDE_SUMMARIES];
    struct world_level far[SIDE_FAR_MAX]; /* worst first */
};

/* The grid of a tick > 0. */
struct side_grid side_grid_of(int64_t tick);
/* The key of a price, rounded towards the worse one when off the grid. */
int64_t side_key_floor(const struct side *side, int64_t price);
/* Writes one place of the array, which must hold the key, and its bit. */
void side_put(struct side *side, int64_t key, int64_t qty);
/* Empty, on a grid of 1. */
void side_init(struct side *side, bool is_bids);
/* Replaces everything by a snapshot's levels, best first, sane, fitting; tick > 0
 * divides every (scaled) price. */
void side_load(struct side *side, const struct level_view *view, struct scale_step step,
               int64_t tick);
/* Sets levels to their absolute quantities, 0 removes; ends settled. The views are sane
 * and fit. */
void side_apply(struct side *side, const struct level_view *view, struct scale_step step);
/* One level, already scaled; call side_settle before reading again. */
void side_set(struct side *side, int64_t price, int64_t qty);
void side_settle(struct side *side);

static inline bool side_is_empty(const struct side *side)
{
    return side->near_words == 0;
}

static inline int64_t side_key_price(const struct side *side, int64_t key)
{
    return side->sign * key * side->grid.tick;
}

/* The best level; the side must not be empty. */
static inline struct world_level side_best(const struct side *side)
{
    return (struct world_level){side_key_price(side, side->best),
                                side->qty[(uint64_t)side->best & (SIDE_TICKS - 1)]};
}

/* Levels in the array, counted. */
uint32_t side_near_count(const struct side *side);

static inline uint32_t side_count(const struct side *side)
{
    return side_near_count(side) + side->far_count;
}

/* The best levels in order; returns how many were filled. */
uint32_t side_top(const struct side *side, struct world_level *levels, uint32_t capacity);
/* Appends decimal digits to every price and quantity (steps >= 0); side_can_rescale says
 * whether all stay within SCALE_VALUE_MAX. */
bool side_can_rescale(const struct side *side, struct scale_step step);
void side_rescale(struct side *side, struct scale_step step);
/* Saves or loads the whole side, the array's place included. A level of the array takes
 * a place of 16 bits and its quantity, a far one price and quantity. */
#define SIDE_CODE_SIZE_MAX (32 + (size_t)SIDE_TICKS * (2 + 8) + (size_t)SIDE_FAR_MAX * (8 + 8))
void side_code(struct side *side, struct codec *codec);

#endif
