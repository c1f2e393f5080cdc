/* The latest depth diffs, one unbroken run of update ids, kept in a bounded ring: what
 * an anchor is joined to (BINANCE.md section 6, steps 1 to 5). While the book is lost
 * every diff stays; while it is live the last RECENT_LIVE_US stay, so that an anchor
 * requested at any time finds its successors.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_RECENT_H
#define BTCAST_MARKET_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "market/codec.h"
#include "market/event.h"
#include "market/scale.h"

/* Full, by diffs or by levels: the oldest go and a coming anchor has to be newer. */
#define RECENT_DIFFS_MAX  4096
#define RECENT_LEVELS_MAX (1 << 17)
#define RECENT_LEVEL_SIZE 16
/* Longer than a depth request may take (10 s). */
#define RECENT_LIVE_US 15000000

struct recent_diff {
    int64_t first_id, last_id; /* U, u */
    int64_t recv_us, event_us;
    uint64_t start; /* of its levels, counted since the beginning of time */
    uint32_t bid_count, ask_count;
    struct scale scale;
};

struct recent {
    int64_t last_id;     /* u of the newest diff of the run; 0: none seen yet */
    uint64_t head, tail; /* diffs pushed, diffs gone */
    uint64_t level_head; /* end of the newest levels */
    struct recent_diff diffs[RECENT_DIFFS_MAX];
    uint8_t levels[RECENT_LEVELS_MAX * RECENT_LEVEL_SIZE];
};

/* Forgets the run. */
void recent_init(struct recent *recent);
/* Forgets the diffs; the run goes on after last_id. */
void recent_restart(struct recent *recent, int64_t last_id);
/* Appends a sane diff that advances the run (u > last_id). If it does not continue the
 * run it begins a new one. Returns how many diffs fell out because the ring was full. */
uint32_t recent_push(struct recent *recent, const struct event *event, int64_t now_us);
/* Lets go of diffs received at or before the time. */
void recent_trim(struct recent *recent, int64_t recv_us);
/* Smallest snapshot id that joins the run: U0 - 1. */
int64_t recent_join_min(const struct recent *recent);

static inline uint32_t recent_count(const struct recent *recent)
{
    return (uint32_t)(recent->head - recent->tail);
}

/* index 0 is the oldest. */
const struct recent_diff *recent_at(const struct recent *recent, uint32_t index);
/* Views of its levels, valid until the next push. */
void recent_views(const struct recent *recent, const struct recent_diff *diff,
                  struct level_view *bids, struct level_view *asks);
/* Would every diff fit a world of this scale? */
bool recent_fits(const struct recent *recent, struct scale scale);
void recent_code(struct recent *recent, struct codec *codec);
#define RECENT_CODE_SIZE_MAX                                                                       \
    (24 + (size_t)RECENT_DIFFS_MAX * 8 * 8 + (size_t)RECENT_LEVELS_MAX * RECENT_LEVEL_SIZE)

#endif
