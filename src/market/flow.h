/* Order flow and trade pressure between ticks: what the touch and the trades did since
 * the last tick, and slow means of it. Updates are integer additions; the exponentials
 * are taken once a tick. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_FLOW_H
#define BTCAST_MARKET_FLOW_H

#include "market/book.h"
#include "market/codec.h"
#include "market/window.h"

#define FLOW_LEVELS 5
/* Half-lives of the trade pressures; the last, 60 s, is their measure. */
#define FLOW_DECAYS    3
#define FLOW_DECAY_5S  0
#define FLOW_DECAY_20S 1
#define FLOW_DECAY_60S 2

struct flow_ladder {
    uint32_t bid_count, ask_count;
    struct world_level bids[FLOW_LEVELS], asks[FLOW_LEVELS];
};

struct flow {
    bool has_touch, has_ladder; /* false: the next one is compared with nothing */
    struct book_touch touch;
    struct flow_ladder ladder; /* at the last tick */
    uint64_t quotes;           /* quotes taken, ever */
    /* Since the last tick, at the quantity exponent. */
    window_sum touch_flow, volume, signed_volume;
    /* In units of the base asset. */
    double touch_depth, ladder_depth; /* means of a side, half-life 5 s; 0: none yet */
    double decayed_volume[FLOW_DECAYS], decayed_signed[FLOW_DECAYS];
    int64_t tick_us; /* last tick; 0: none yet */
    /* exp(-ln 2 pause / half-life) for the last pause; no part of the saved state. */
    bool has_kept;
    double kept_pause_s, kept[FLOW_DECAYS];
};

/* What a tick takes out of it. */
struct flow_tick {
    double touch_flow, ladder_flow; /* in mean depths */
};

void flow_init(struct flow *flow);
/* The next touch and ladder are not compared with the last (a new book, a new clock). */
void flow_break(struct flow *flow);
void flow_on_touch(struct flow *flow, const struct book_touch *touch);
void flow_on_trade(struct flow *flow, int64_t qty, bool is_sell);
/* Closes the interval up to the tick. ladder: the best levels now. */
struct flow_tick flow_on_tick(struct flow *flow, int64_t now_us, const struct flow_ladder *ladder,
                              int qty_exponent);
/* Signed share of the volume, decayed with half-life i, against what 60 s would let one
 * expect: -1 … 1, towards 0 in silence. */
double flow_pressure(const struct flow *flow, int i);
bool flow_can_rescale(const struct flow *flow, struct scale_step step);
void flow_rescale(struct flow *flow, struct scale_step step);
void flow_code(struct flow *flow, struct codec *codec);
#define FLOW_CODE_SIZE_MAX (1024 + (size_t)FLOW_DECAYS * 16)

#endif
