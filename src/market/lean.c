/* SPDX-License-Identifier: Apache-2.0 */
#include "market/lean.h"

#include <math.h>

#include "market/world.h"

#define LEAN_HALF_LIFE_US 100000.0
/* Snapshots come each 50 ms; twice that without one and ticks step in. */
#define LEAN_PAUSE_US INT64_C(100000)

void lean_init(struct lean *lean)
{
    *lean = (struct lean){0};
}

static double lean_value(const struct world_level *levels, uint32_t count)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++)
        sum += (double)levels[i].price * (double)levels[i].qty;
    return sum;
}

double lean_imbalance(const struct world_level *bids, uint32_t bid_count,
                      const struct world_level *asks, uint32_t ask_count)
{
    double bid = lean_value(bids, bid_count), ask = lean_value(asks, ask_count);
    return bid + ask > 0.0 ? (bid - ask) / (bid + ask) : 0.0;
}

void lean_sample(struct lean *lean, int64_t now_us, double imbalance)
{
    double kept = 0.0;
    if (lean->is_there)
        kept = exp2(-(double)(now_us - lean->sample_us) / LEAN_HALF_LIFE_US);
    lean->mean = imbalance + (lean->mean - imbalance) * kept;
    lean->is_there = true;
    lean->sample_us = now_us;
}

bool lean_is_due(const struct lean *lean, int64_t now_us)
{
    return !lean->is_there || now_us - lean->sample_us >= LEAN_PAUSE_US;
}

void lean_code(struct lean *lean, struct codec *codec)
{
    codec_bool(codec, &lean->is_there);
    codec_f64(codec, &lean->mean);
    codec_i64(codec, &lean->sample_us);
    codec_expect(codec, isfinite(lean->mean) && fabs(lean->mean) <= 1.0);
    codec_expect(codec, lean->sample_us >= 0);
}
