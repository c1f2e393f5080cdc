/* SPDX-License-Identifier: Apache-2.0 */
#include "market/vector.h"

#include <math.h>

#include "base/decimal.h"

#define VECTOR_BP 1e4
/* Ticks are 100 ms apart; volatilities are per tick. */
#define VECTOR_TICK_US 100000.0
/* Trade sizes are told in thousandths of the base asset. */
#define VECTOR_SIZE_UNIT 1e3
/* "Long ago", in seconds, when there was no trade yet. */
#define VECTOR_SILENCE_S_MAX 100.0
#define VECTOR_DEPTH         5

static double vector_return_bp(const struct history *history, enum history_span span)
{
    const struct history_sample *then = history_back(history, span);
    return then == NULL ? 0.0 : (history_last(history)->log_mid - then->log_mid) * VECTOR_BP;
}

/* Root mean square of the 100 ms returns of a span. */
static double vector_volatility_bp(const struct history *history, enum history_span span)
{
    const struct history_sample *then = history_back(history, span);
    const struct history_sample *now = history_last(history);
    if (then == NULL)
        return 0.0;
    double squares = (double)(now->squares - then->squares);
    double ticks = (double)(now->recv_us - then->recv_us) / VECTOR_TICK_US;
    return sqrt(squares / ticks) / HISTORY_RETURN_UNIT * VECTOR_BP;
}

static void vector_fill_returns(const struct history *history, double *values)
{
    values[FEATURE_RET_500MS_BP] = vector_return_bp(history, HISTORY_500MS);
    values[FEATURE_RET_1S_BP] = vector_return_bp(history, HISTORY_1S);
    values[FEATURE_RET_5S_BP] = vector_return_bp(history, HISTORY_5S);
    values[FEATURE_RET_10S_BP] = vector_return_bp(history, HISTORY_10S);
    values[FEATURE_RET_30S_BP] = vector_return_bp(history, HISTORY_30S);
    values[FEATURE_VOLATILITY_5S_BP] = vector_volatility_bp(history, HISTORY_5S);
    values[FEATURE_VOLATILITY_30S_BP] = vector_volatility_bp(history, HISTORY_30S);
}

static void vector_fill_flow(const struct vector_inputs *inputs, double *values)
{
    const struct history_sample *now = history_last(inputs->history);
    const struct history_sample *short_ago = history_back(inputs->history, HISTORY_1S);
    const struct history_sample *long_ago = history_back(inputs->history, HISTORY_5S);
    double flow_1s = 0.0, flow_5s = 0.0, deep_1s = 0.0, deep_5s = 0.0, quotes = 0.0;
    if (short_ago != NULL) {
        flow_1s = (double)(int64_t)(now->flow - short_ago->flow) / HISTORY_FLOW_UNIT;
        deep_1s = (double)(int64_t)(now->flow_deep - short_ago->flow_deep) / HISTORY_FLOW_UNIT;
        quotes = (double)(now->quotes - short_ago->quotes);
    }
    if (long_ago != NULL) {
        flow_5s = (double)(int64_t)(now->flow - long_ago->flow) / HISTORY_FLOW_UNIT;
        deep_5s = (double)(int64_t)(now->flow_deep - long_ago->flow_deep) / HISTORY_FLOW_UNIT;
    }
    values[FEATURE_OFI_1S] = flow_1s;
    values[FEATURE_OFI_5S] = flow_5s;
    values[FEATURE_OFI_DEEP_1S] = deep_1s;
    values[FEATURE_OFI_DEEP_5S] = deep_5s;
    values[FEATURE_QUOTE_INTENSITY_LOG] = log1p(quotes);
    values[FEATURE_PRESSURE_5S] = flow_pressure(inputs->flow, FLOW_DECAY_5S);
    values[FEATURE_PRESSURE_20S] = flow_pressure(inputs->flow, FLOW_DECAY_20S);
}

static double vector_imbalance(double bid, double ask)
{
    return bid + ask > 0.0 ? (bid - ask) / (bid + ask) : 0.0;
}

static void vector_fill_touch(const struct vector_inputs *inputs, double *values)
{
    const struct book_touch *touch = inputs->touch;
    double spread = (double)(touch->ask_price - touch->bid_price);
    double mid = (double)inputs->mid2 / 2.0;
    double imbalance = vector_imbalance((double)touch->bid_qty, (double)touch->ask_qty);
    values[FEATURE_SPREAD_BP] = spread / mid * VECTOR_BP;
    values[FEATURE_TOUCH_IMBALANCE] = imbalance;
    /* The microprice (bid price weighted by the ask's quantity and the other way round)
     * lies half a spread times the imbalance off the mid. */
    values[FEATURE_MICROPRICE_DEV_BP] = spread / 2.0 * imbalance / mid * VECTOR_BP;
}

static void vector_fill_depth(const struct vector_inputs *inputs, double *values)
{
    double qty[2] = {0}, qty5[2] = {0};
    for (int side = 0; side < 2; side++) {
        const struct world_level *levels = side == 0 ? inputs->bids : inputs->asks;
        uint32_t count = side == 0 ? inputs->bid_count : inputs->ask_count;
        for (uint32_t i = 0; i < count; i++) {
            double level_qty = (double)levels[i].qty;
            qty[side] += level_qty;
            qty5[side] += i < VECTOR_DEPTH ? level_qty : 0.0;
        }
    }
    double unit = decimal_to_f64(1, inputs->scale.qty_exponent);
    values[FEATURE_OB_IMBALANCE] = inputs->imbalance;
    values[FEATURE_OB_IMBALANCE_MEAN] = inputs->imbalance_mean;
    values[FEATURE_DEPTH5_IMBALANCE] = vector_imbalance(qty5[0], qty5[1]);
    values[FEATURE_DEPTH_BID_LOG] = log1p(qty[0] * unit * VECTOR_SIZE_UNIT);
    values[FEATURE_DEPTH_ASK_LOG] = log1p(qty[1] * unit * VECTOR_SIZE_UNIT);
}

static double vector_vwap_dev_bp(const struct window *window, int64_t mid2)
{
    double mid = (double)mid2 / 2.0;
    return window->volume > 0 ? (window_vwap(window) - mid) / mid * VECTOR_BP : 0.0;
}

static double vector_vol_imbalance(const struct window *window)
{
    return window->volume > 0
               ? window_sum_f64(window->signed_volume) / window_sum_f64(window->volume)
               : 0.0;
}

static void vector_fill_trades(const struct vector_inputs *inputs, double *values)
{
    const struct window *short_window = &inputs->windows->list[WINDOW_1S];
    const struct window *long_window = &inputs->windows->list[WINDOW_5S];
    double short_count = (double)window_trades(inputs->windows, WINDOW_1S);
    double long_count = (double)window_trades(inputs->windows, WINDOW_5S);
    double unit = decimal_to_f64(1, inputs->scale.qty_exponent) * VECTOR_SIZE_UNIT;
    double size = long_count > 0.0 ? window_sum_f64(long_window->volume) * unit / long_count : 0.0;
    double silence_s = inputs->last_trade_us == 0
                           ? VECTOR_SILENCE_S_MAX
                           : (double)(inputs->now_us - inputs->last_trade_us) / 1e6;
    silence_s = silence_s < VECTOR_SILENCE_S_MAX ? silence_s : VECTOR_SILENCE_S_MAX;
    values[FEATURE_TRADE_INTENSITY] = short_count;
    values[FEATURE_INTENSITY_RATIO] = log1p(short_count) - log1p(long_count / 5.0);
    values[FEATURE_TRADE_SIZE_LOG] = log1p(size);
    values[FEATURE_TRADE_SILENCE_LOG] = log1p(silence_s);
    values[FEATURE_VOL_IMBALANCE] = vector_vol_imbalance(short_window);
    values[FEATURE_VOL_IMBALANCE_5S] = vector_vol_imbalance(long_window);
    values[FEATURE_VWAP_DEV_1S_BP] = vector_vwap_dev_bp(short_window, inputs->mid2);
}

static void vector_fill_takers(const struct vector_inputs *inputs, double *values)
{
    const struct burst *burst = inputs->burst;
    values[FEATURE_TRADE_SIGN_MEAN] = burst->sign_mean;
    values[FEATURE_BURST_RATE] = burst_rate(burst, inputs->now_us);
    values[FEATURE_BURST_PENDING] = burst_pending(burst, inputs->now_us);
}

void vector_fill(const struct vector_inputs *inputs, float values[FEATURE_COUNT])
{
    double raw[FEATURE_COUNT] = {0};
    vector_fill_returns(inputs->history, raw);
    vector_fill_flow(inputs, raw);
    vector_fill_touch(inputs, raw);
    vector_fill_depth(inputs, raw);
    vector_fill_trades(inputs, raw);
    vector_fill_takers(inputs, raw);
    feature_clamp(raw, values);
}
