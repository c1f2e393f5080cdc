/* How the best ten levels lean, without the flicker of single quotes: a mean of their
 * imbalance, decayed with half-life 0.1 s, sampled with each depth snapshot of the
 * exchange, and at ticks while none come. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_LEAN_H
#define BTCAST_MARKET_LEAN_H

#include <stdbool.h>
#include <stdint.h>

#include "market/codec.h"

struct world_level;

struct lean {
    bool is_there; /* false: no sample yet */
    double mean;
    int64_t sample_us; /* receive time of the last sample */
};

void lean_init(struct lean *lean);
/* (B - A) / (B + A) of sums of price * quantity; 0 for an empty book. */
double lean_imbalance(const struct world_level *bids, uint32_t bid_count,
                      const struct world_level *asks, uint32_t ask_count);
/* now_us: not before the last sample's. */
void lean_sample(struct lean *lean, int64_t now_us, double imbalance);
/* No sample for so long that a tick has to take one. */
bool lean_is_due(const struct lean *lean, int64_t now_us);
void lean_code(struct lean *lean, struct codec *codec);

#endif
