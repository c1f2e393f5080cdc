/* The order book of one symbol: two sides, the id they are at, and the range the last
 * snapshot vouches for. Judging which diffs may be applied is world's business.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_BOOK_H
#define BTCAST_MARKET_BOOK_H

#include "market/side.h"

struct book {
    int64_t id;       /* last update id applied; 0: never had a snapshot */
    int64_t event_us; /* the exchange's time of it; 0 for a snapshot */
    /* Levels beyond this range are unknown until they change (BINANCE.md section 6). */
    int64_t known_bid_min, known_ask_max;
    bool bids_whole, asks_whole; /* there was nothing beyond: the range has no end on this side */
    struct side bids, asks;
};

/* best bid and ask with their quantities */
struct book_touch {
    int64_t bid_price, bid_qty, ask_price, ask_qty;
};

void book_init(struct book *book);
/* Sorted best first without equals, positive quantities, neither side empty, not
 * crossed. The views are sane and fit. */
bool book_snapshot_is_good(const struct level_view *bids, const struct level_view *asks);
/* Replaces the book by a good snapshot for which so many levels a side were asked for (0: not
 * known). */
void book_load(struct book *book, int64_t id, const struct level_view *bids,
               const struct level_view *asks, uint32_t asked, struct scale_step step);
/* Applies one diff, sane and fitting; ids are the caller's. */
void book_apply(struct book *book, const struct level_view *bids, const struct level_view *asks,
                struct scale_step step);
static inline bool book_touch_equals(const struct book_touch *a, const struct book_touch *b)
{
    return a->bid_price == b->bid_price && a->bid_qty == b->bid_qty &&
           a->ask_price == b->ask_price && a->ask_qty == b->ask_qty;
}

/* All zero on an empty side. */
struct book_touch book_touch(const struct book *book);
bool book_is_crossed(const struct book *book);
/* The touch left less than a tenth of the known range on its side, which has an end there. */
bool book_is_near_known_edge(const struct book *book);
/* Is `top`, scaled, what this side shows? A view of fewer than `depth` levels also says
 * that there are no more. */
bool book_side_matches(const struct side *side, const struct world_level *top, uint32_t count,
                       uint32_t depth);
bool book_can_rescale(const struct book *book, struct scale_step step);
void book_rescale(struct book *book, struct scale_step step);
void book_code(struct book *book, struct codec *codec);
#define BOOK_CODE_SIZE_MAX (34 + 2 * SIDE_CODE_SIZE_MAX)

#endif
