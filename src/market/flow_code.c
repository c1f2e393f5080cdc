/* Saving and loading of the order flow. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "market/flow.h"

static void flow_code_sum(window_sum *sum, struct codec *codec)
{
    uint64_t low = (uint64_t)*sum;
    uint64_t high = (uint64_t)(*sum >> 64);
    codec_u64(codec, &low);
    codec_u64(codec, &high);
    *sum = (window_sum)(int64_t)high * ((window_sum)1 << 64) + low;
    window_sum limit = (window_sum)1 << WINDOW_NOTIONAL_BITS;
    window_sum value = *sum;
    codec_expect(codec, value < limit && value > -limit);
}

static void flow_code_value(int64_t *value, struct codec *codec)
{
    codec_i64(codec, value);
    codec_expect(codec, *value >= 0 && *value <= SCALE_VALUE_MAX);
}

static void flow_code_levels(struct world_level *levels, uint32_t *count, struct codec *codec)
{
    codec_u32(codec, count, FLOW_LEVELS);
    for (uint32_t i = 0; i < FLOW_LEVELS; i++) {
        struct world_level none = {0};
        struct world_level *level = i < *count || codec_is_loading(codec) ? &levels[i] : &none;
        flow_code_value(&level->price, codec);
        flow_code_value(&level->qty, codec);
    }
}

static void flow_code_mean(double *value, double limit, struct codec *codec)
{
    codec_f64(codec, value);
    codec_expect(codec, isfinite(*value) && fabs(*value) <= limit);
}

void flow_code(struct flow *flow, struct codec *codec)
{
    codec_bool(codec, &flow->has_touch);
    codec_bool(codec, &flow->has_ladder);
    flow_code_value(&flow->touch.bid_price, codec);
    flow_code_value(&flow->touch.bid_qty, codec);
    flow_code_value(&flow->touch.ask_price, codec);
    flow_code_value(&flow->touch.ask_qty, codec);
    flow_code_levels(flow->ladder.bids, &flow->ladder.bid_count, codec);
    flow_code_levels(flow->ladder.asks, &flow->ladder.ask_count, codec);
    codec_u64(codec, &flow->quotes);
    flow_code_sum(&flow->touch_flow, codec);
    flow_code_sum(&flow->volume, codec);
    flow_code_sum(&flow->signed_volume, codec);
    flow_code_mean(&flow->touch_depth, 1e60, codec);
    flow_code_mean(&flow->ladder_depth, 1e60, codec);
    for (int i = 0; i < FLOW_DECAYS; i++) {
        flow_code_mean(&flow->decayed_volume[i], 1e60, codec);
        flow_code_mean(&flow->decayed_signed[i], 1e60, codec);
    }
    codec_i64(codec, &flow->tick_us);
    codec_expect(codec, flow->tick_us >= 0);
}
