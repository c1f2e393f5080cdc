/* SPDX-License-Identifier: Apache-2.0 */
#include "market/flow.h"

#include <math.h>

#include "base/decimal.h"

#define FLOW_LN2 0.69314718055994530942
/* Decayed volumes below this are nothing; keeps denormals out. */
#define FLOW_VOLUME_MIN 1e-12
/* Longest time between ticks that is told apart. */
#define FLOW_PAUSE_S_MAX 600.0

static const double flow_half_lives_s[FLOW_DECAYS] = {5.0, 20.0, 60.0};

void flow_init(struct flow *flow)
{
    *flow = (struct flow){0};
}

void flow_break(struct flow *flow)
{
    flow->has_touch = flow->has_ladder = false;
}

/* What one level's change adds to the order flow of its side: growth and better prices
 * count for it, decline and worse prices against it (Cont, Kukanov, Stoikov 2014). */
static inline int64_t flow_of_bid(struct world_level from, struct world_level to)
{
    return (to.price >= from.price ? to.qty : 0) - (to.price <= from.price ? from.qty : 0);
}

static inline int64_t flow_of_ask(struct world_level from, struct world_level to)
{
    return (to.price <= from.price ? to.qty : 0) - (to.price >= from.price ? from.qty : 0);
}

void flow_on_touch(struct flow *flow, const struct book_touch *touch)
{
    const struct book_touch *last = &flow->touch;
    if (flow->has_touch) {
        flow->touch_flow += flow_of_bid((struct world_level){last->bid_price, last->bid_qty},
                                        (struct world_level){touch->bid_price, touch->bid_qty});
        flow->touch_flow -= flow_of_ask((struct world_level){last->ask_price, last->ask_qty},
                                        (struct world_level){touch->ask_price, touch->ask_qty});
    }
    flow->touch = *touch;
    flow->has_touch = true;
}

void flow_on_trade(struct flow *flow, int64_t qty, bool is_sell)
{
    flow->volume += qty;
    flow->signed_volume += is_sell ? -qty : qty;
}

static window_sum flow_of_ladder(const struct flow_ladder *from, const struct flow_ladder *to)
{
    window_sum sum = 0;
    for (uint32_t i = 0; i < from->bid_count && i < to->bid_count; i++)
        sum += flow_of_bid(from->bids[i], to->bids[i]);
    for (uint32_t i = 0; i < from->ask_count && i < to->ask_count; i++)
        sum -= flow_of_ask(from->asks[i], to->asks[i]);
    return sum;
}

/* Mean quantity of a side. */
static double flow_ladder_depth(const struct flow_ladder *ladder, double unit)
{
    window_sum sum = 0;
    for (uint32_t i = 0; i < ladder->bid_count; i++)
        sum += ladder->bids[i].qty;
    for (uint32_t i = 0; i < ladder->ask_count; i++)
        sum += ladder->asks[i].qty;
    return window_sum_f64(sum) * unit / 2;
}

/* What a pause leaves of each decayed number. Most ticks are as far apart as the two
 * before them: the exponentials of the last pause are kept. */
static const double *flow_kept(struct flow *flow, double pause_s)
{
    if (!flow->has_kept || flow->kept_pause_s != pause_s)
        for (int i = 0; i < FLOW_DECAYS; i++)
            flow->kept[i] = exp(-pause_s * (FLOW_LN2 / flow_half_lives_s[i]));
    flow->has_kept = true;
    flow->kept_pause_s = pause_s;
    return flow->kept;
}

static void flow_decay(struct flow *flow, const double *kept, double unit)
{
    double volume = window_sum_f64(flow->volume) * unit;
    double signed_volume = window_sum_f64(flow->signed_volume) * unit;
    for (int i = 0; i < FLOW_DECAYS; i++) {
        double left = flow->decayed_volume[i] * kept[i];
        bool is_nothing = left < FLOW_VOLUME_MIN;
        flow->decayed_volume[i] = volume + (is_nothing ? 0.0 : left);
        flow->decayed_signed[i] =
            signed_volume + (is_nothing ? 0.0 : flow->decayed_signed[i] * kept[i]);
    }
}

static void flow_mean(double *mean, double value, double kept)
{
    *mean = *mean > 0.0 ? value + (*mean - value) * kept : value;
}

struct flow_tick flow_on_tick(struct flow *flow, int64_t now_us, const struct flow_ladder *ladder,
                              int qty_exponent)
{
    double unit = decimal_to_f64(1, qty_exponent);
    double pause_s = flow->tick_us == 0 ? 0.0 : (double)(now_us - flow->tick_us) / 1e6;
    pause_s = pause_s > FLOW_PAUSE_S_MAX ? FLOW_PAUSE_S_MAX : pause_s;
    double touch_depth = ((double)flow->touch.bid_qty + (double)flow->touch.ask_qty) * unit / 2;
    const double *kept = flow_kept(flow, pause_s);
    flow_mean(&flow->touch_depth, touch_depth, kept[FLOW_DECAY_5S]);
    flow_mean(&flow->ladder_depth, flow_ladder_depth(ladder, unit), kept[FLOW_DECAY_5S]);
    flow_decay(flow, kept, unit);

    struct flow_tick tick = {0};
    if (flow->touch_depth > 0.0)
        tick.touch_flow = window_sum_f64(flow->touch_flow) * unit / flow->touch_depth;
    if (flow->has_ladder && flow->ladder_depth > 0.0)
        tick.ladder_flow =
            window_sum_f64(flow_of_ladder(&flow->ladder, ladder)) * unit / flow->ladder_depth;
    flow->ladder = *ladder;
    flow->has_ladder = true;
    flow->touch_flow = flow->volume = flow->signed_volume = 0;
    flow->tick_us = now_us;
    return tick;
}

double flow_pressure(const struct flow *flow, int i)
{
    double expected = flow->decayed_volume[FLOW_DECAY_60S] * flow_half_lives_s[i] /
                      flow_half_lives_s[FLOW_DECAY_60S];
    double measure = flow->decayed_volume[i] + expected;
    return measure > 0.0 ? flow->decayed_signed[i] / measure : 0.0;
}

static bool flow_sum_fits(window_sum sum, int shift)
{
    return sum < SCALE_VALUE_MAX && sum > -SCALE_VALUE_MAX &&
           scale_fit_value((int64_t)sum, shift) == SCALE_FITS;
}

static bool flow_level_fits(struct world_level level, struct scale_step step)
{
    return scale_fit_value(level.price, step.price_shift) == SCALE_FITS &&
           scale_fit_value(level.qty, step.qty_shift) == SCALE_FITS;
}

bool flow_can_rescale(const struct flow *flow, struct scale_step step)
{
    bool fits = flow_sum_fits(flow->touch_flow, step.qty_shift) &&
                flow_sum_fits(flow->volume, step.qty_shift) &&
                flow_sum_fits(flow->signed_volume, step.qty_shift);
    const struct book_touch *touch = &flow->touch;
    fits = fits && flow_level_fits((struct world_level){touch->bid_price, touch->bid_qty}, step);
    fits = fits && flow_level_fits((struct world_level){touch->ask_price, touch->ask_qty}, step);
    for (uint32_t i = 0; i < flow->ladder.bid_count; i++)
        fits = fits && flow_level_fits(flow->ladder.bids[i], step);
    for (uint32_t i = 0; i < flow->ladder.ask_count; i++)
        fits = fits && flow_level_fits(flow->ladder.asks[i], step);
    return fits;
}

static void flow_rescale_levels(struct world_level *levels, uint32_t count, struct scale_step step)
{
    for (uint32_t i = 0; i < count; i++) {
        levels[i].price = scale_value(levels[i].price, step.price_shift);
        levels[i].qty = scale_value(levels[i].qty, step.qty_shift);
    }
}

void flow_rescale(struct flow *flow, struct scale_step step)
{
    flow->touch_flow = scale_value((int64_t)flow->touch_flow, step.qty_shift);
    flow->volume = scale_value((int64_t)flow->volume, step.qty_shift);
    flow->signed_volume = scale_value((int64_t)flow->signed_volume, step.qty_shift);
    flow->touch.bid_price = scale_value(flow->touch.bid_price, step.price_shift);
    flow->touch.ask_price = scale_value(flow->touch.ask_price, step.price_shift);
    flow->touch.bid_qty = scale_value(flow->touch.bid_qty, step.qty_shift);
    flow->touch.ask_qty = scale_value(flow->touch.ask_qty, step.qty_shift);
    flow_rescale_levels(flow->ladder.bids, flow->ladder.bid_count, step);
    flow_rescale_levels(flow->ladder.asks, flow->ladder.ask_count, step);
}
