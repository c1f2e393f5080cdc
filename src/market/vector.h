/* The feature vector's arithmetic: from what world knows at a tick to 32 bounded, finite
 * numbers (docs/features.md has every formula).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_VECTOR_H
#define BTCAST_MARKET_VECTOR_H

#include "market/burst.h"
#include "market/feature.h"
#include "market/flow.h"
#include "market/history.h"
#include "market/window.h"

/* All borrowed for the call. */
struct vector_inputs {
    int64_t now_us;
    int64_t last_trade_us; /* 0: none ever */
    struct scale scale;
    int64_t mid2;                   /* > 0 */
    const struct book_touch *touch; /* both sides present */
    uint32_t bid_count, ask_count;
    const struct world_level *bids, *asks; /* up to WORLD_LEVELS, best first */
    double imbalance, imbalance_mean;      /* of those levels, now and smoothed (lean.h) */
    const struct windows *windows;
    const struct history *history; /* its last sample is this tick's */
    const struct flow *flow;
    const struct burst *burst;
};

void vector_fill(const struct vector_inputs *inputs, float values[FEATURE_COUNT]);

#endif
