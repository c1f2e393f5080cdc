/* What the simulated traders do: takers within the touch, sweeps through the book, makers
 * closing the spread, quoting and cancelling behind it. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "services/exchange-sim/sim_market.h"

/* Levels the book starts with a side, and their mean distance in ticks. */
#define FLOW_LEVELS  1400
#define FLOW_SPACING 24
/* Where makers act behind the touch: lognormal distance in ticks. */
#define FLOW_DISTANCE_MEDIAN 3000.0
#define FLOW_DISTANCE_SIGMA  1.9
#define FLOW_DISTANCE_MAX    32000.0
/* A maker who finds a level within so many ticks of where it looks cancels it. */
#define FLOW_CROWDED_TICKS 15
#define FLOW_CANCEL        0.95
/* Quantities in BTC: lognormal medians and widths. */
#define FLOW_LEVEL_QTY   0.012
#define FLOW_LEVEL_SIGMA 1.6
#define FLOW_TAKER_QTY   0.002
#define FLOW_TAKER_SIGMA 2.2
#define FLOW_TOUCH_QTY   1.2
#define FLOW_TOUCH_SIGMA 0.8
/* Part of the touch a taker order within it may eat. */
#define FLOW_TOUCH_SHARE 0.6
/* Fills of a taker order: one, or geometric with this mean beyond. */
#define FLOW_SINGLE     0.76
#define FLOW_MORE_FILLS 2.4
/* Chance that a swept level held more than one order. */
#define FLOW_LEVEL_SHARED 0.05
/* A step of the makers leaves this part of the gap. */
#define FLOW_GAP_LEFT 0.3
/* Part of the touch that is still there when a sweep arrives. */
#define FLOW_PULL_LEFT       0.05
#define FLOW_ID_SKIP         0.15
#define FLOW_PRICE_MIN_TICKS 100000
#define FLOW_BTC             1e8

static int64_t flow_qty(struct sim_market *market, double median, double sigma)
{
    double btc = median * exp(sigma * prng_normal(&market->prng));
    int64_t lots = (int64_t)(btc * FLOW_BTC / (double)SIM_LOT + 0.5);
    return (lots > 0 ? lots : 1) * SIM_LOT;
}

static int64_t flow_level_qty(struct sim_market *market)
{
    return flow_qty(market, FLOW_LEVEL_QTY, FLOW_LEVEL_SIGMA);
}

/* Ids sometimes advance without a visible change, as on the real exchange. */
static void flow_set(struct sim_market *market, enum sim_side_name side, int64_t tick, int64_t qty)
{
    int64_t step = prng_f64(&market->prng) < FLOW_ID_SKIP ? 2 : 1;
    sim_book_set(&market->book, side, tick * SIM_TICK, qty, market->book.last_id + step);
}

static const struct sbe_level *flow_best(const struct sim_market *market, enum sim_side_name side)
{
    return sim_book_level(&market->book, side, 0);
}

static int64_t flow_best_tick(const struct sim_market *market, enum sim_side_name side)
{
    return flow_best(market, side)->price / SIM_TICK;
}

void sim_flow_publish(struct sim_market *market)
{
    const struct sim_sink *sink = &market->sink;
    if (market->book.top_changed) {
        market->book.top_changed = false;
        sink->top(sink->context, &market->book);
    }
    struct sbe_level bid = *flow_best(market, SIM_BID);
    struct sbe_level ask = *flow_best(market, SIM_ASK);
    struct sbe_level *was = market->quoted;
    if (bid.price == was[0].price && bid.qty == was[0].qty && ask.price == was[1].price &&
        ask.qty == was[1].qty)
        return;
    was[0] = bid;
    was[1] = ask;
    sink->quote(sink->context, market->now_us, market->book.last_id, bid, ask);
}

void sim_flow_fill(struct sim_market *market)
{
    for (int side = 0; side < 2; side++) {
        int64_t away = 0;
        for (int i = 0; i < FLOW_LEVELS; i++) {
            int64_t tick = side == SIM_BID ? market->fair - away : market->fair + 1 + away;
            flow_set(market, (enum sim_side_name)side, tick,
                     i == 0 ? flow_qty(market, FLOW_TOUCH_QTY, FLOW_TOUCH_SIGMA)
                            : flow_level_qty(market));
            away += 1 + (int64_t)prng_below(&market->prng, 2 * FLOW_SPACING - 1);
        }
    }
    /* The first book is there before anybody listens: no diff and no quote tells it. */
    sim_book_clear_changes(&market->book);
    market->quoted[SIM_BID] = *flow_best(market, SIM_BID);
    market->quoted[SIM_ASK] = *flow_best(market, SIM_ASK);
}

static void flow_tell_trades(struct sim_market *market)
{
    if (market->trade_count > 0)
        market->sink.trades(market->sink.context, market->now_us,
                            market->now_us - SIM_PUBLISH_DELAY_US, market->trades,
                            market->trade_count);
    market->trade_count = 0;
}

static void flow_trade(struct sim_market *market, int64_t price, int64_t qty, int sign)
{
    if (market->trade_count == SIM_GROUP_TRADES_MAX)
        flow_tell_trades(market);
    market->trades[market->trade_count++] = (struct trade){
        .id = market->next_trade_id++, .price = price, .qty = qty, .is_buyer_maker = sign < 0};
}

/* qty split over `fills` resting orders of one price. */
static void flow_split(struct sim_market *market, int64_t price, int64_t qty, int fills, int sign)
{
    int64_t left = qty / SIM_LOT;
    for (int i = fills; i > 1 && left > 1; i--) {
        int64_t part = 1 + (int64_t)(prng_f64(&market->prng) * 2.0 * (double)left / i);
        part = part < left ? part : left - 1;
        flow_trade(market, price, part * SIM_LOT, sign);
        left -= part;
    }
    flow_trade(market, price, left * SIM_LOT, sign);
}

void sim_flow_group(struct sim_market *market)
{
    double buys = sim_signal_buy_probability(&market->signal);
    int sign = prng_f64(&market->prng) < buys ? 1 : -1;
    sim_signal_group(&market->signal, sign);
    enum sim_side_name side = sign > 0 ? SIM_ASK : SIM_BID;
    struct sbe_level touch = *flow_best(market, side);
    int64_t most = (int64_t)((double)touch.qty * FLOW_TOUCH_SHARE) / SIM_LOT * SIM_LOT;
    int64_t qty = flow_qty(market, FLOW_TAKER_QTY, FLOW_TAKER_SIGMA);
    qty = qty < most ? qty : most > SIM_LOT ? most : SIM_LOT;
    int fills = 1;
    if (prng_f64(&market->prng) >= FLOW_SINGLE)
        fills = 2 + (int)(FLOW_MORE_FILLS * prng_exponential(&market->prng));
    flow_split(market, touch.price, qty, fills, sign);
    /* A touch of one lot would vanish and move the price: its order is topped up instead. */
    int64_t left = touch.qty > qty ? touch.qty - qty : SIM_LOT;
    flow_set(market, side, touch.price / SIM_TICK, left);
    flow_tell_trades(market);
    sim_flow_publish(market);
}

/* Makers see a sweep coming: most of the touch is gone when it arrives. */
static void flow_pull(struct sim_market *market, enum sim_side_name side)
{
    struct sbe_level touch = *flow_best(market, side);
    int64_t left = (int64_t)((double)touch.qty * FLOW_PULL_LEFT) / SIM_LOT * SIM_LOT;
    flow_set(market, side, touch.price / SIM_TICK, left > 0 ? left : SIM_LOT);
    sim_flow_publish(market);
}

void sim_flow_sweep(struct sim_market *market, int sign)
{
    if (market->fair < FLOW_PRICE_MIN_TICKS)
        sign = 1;
    int64_t ticks =
        (int64_t)(sim_signal_sweep_ticks(&market->prng) * market->options.move_scale + 0.5);
    market->fair += sign * (ticks > 0 ? ticks : 1);
    enum sim_side_name side = sign > 0 ? SIM_ASK : SIM_BID;
    flow_pull(market, side);
    while (market->book.sides[side].count > 1) {
        struct sbe_level level = *flow_best(market, side);
        int64_t tick = level.price / SIM_TICK;
        if (sign > 0 ? tick > market->fair : tick <= market->fair)
            break;
        int fills = prng_f64(&market->prng) < FLOW_LEVEL_SHARED ? 2 : 1;
        flow_split(market, level.price, level.qty, fills, sign);
        flow_set(market, side, tick, 0);
    }
    flow_tell_trades(market);
    sim_flow_publish(market);
}

bool sim_flow_refill(struct sim_market *market)
{
    int64_t bid_gap = market->fair - flow_best_tick(market, SIM_BID);
    int64_t ask_gap = flow_best_tick(market, SIM_ASK) - (market->fair + 1);
    if (bid_gap <= 0 && ask_gap <= 0)
        return false;
    enum sim_side_name side = ask_gap > bid_gap ? SIM_ASK : SIM_BID;
    int64_t gap = ask_gap > bid_gap ? ask_gap : bid_gap;
    int64_t left = (int64_t)((double)gap * FLOW_GAP_LEFT);
    int64_t tick = side == SIM_BID ? market->fair - left : market->fair + 1 + left;
    flow_set(market, side, tick,
             left == 0 ? flow_qty(market, FLOW_TOUCH_QTY, FLOW_TOUCH_SIGMA)
                       : flow_level_qty(market));
    sim_flow_publish(market);
    return true;
}

void sim_flow_passive(struct sim_market *market)
{
    enum sim_side_name side = prng_below(&market->prng, 2) ? SIM_ASK : SIM_BID;
    double away = FLOW_DISTANCE_MEDIAN * exp(FLOW_DISTANCE_SIGMA * prng_normal(&market->prng));
    if (away > FLOW_DISTANCE_MAX)
        away = FLOW_DISTANCE_MAX * prng_f64(&market->prng);
    int64_t behind = 1 + (int64_t)away;
    int64_t tick = side == SIM_BID ? market->fair - behind : market->fair + 1 + behind;
    if (tick <= 0)
        return;
    int at = sim_book_at_or_behind(&market->book, side, tick * SIM_TICK);
    int64_t crowd = 1 + (int64_t)prng_below(&market->prng, 2 * FLOW_CROWDED_TICKS);
    if (at >= 0 && at < market->book.sides[side].count - 1) {
        int64_t found = market->book.sides[side].levels[at].price / SIM_TICK;
        if (llabs(found - tick) < crowd) {
            bool cancel = prng_f64(&market->prng) < FLOW_CANCEL;
            flow_set(market, side, found, cancel ? 0 : flow_level_qty(market));
            sim_flow_publish(market);
            return;
        }
    }
    flow_set(market, side, tick, flow_level_qty(market));
    sim_flow_publish(market);
}

/* Sum of the quantities of levels 2..10, and the touch's beside. */
static double flow_behind_touch(const struct sim_market *market, enum sim_side_name side)
{
    double sum = 0;
    for (int i = 1; i < SIM_TOP_LEVELS && i < market->book.sides[side].count; i++)
        sum += (double)sim_book_level(&market->book, side, i)->qty;
    return sum;
}

static void flow_set_touch(struct sim_market *market, enum sim_side_name side, double qty)
{
    int64_t lots = (int64_t)(qty / (double)SIM_LOT + 0.5);
    flow_set(market, side, flow_best_tick(market, side), (lots > 0 ? lots : 1) * SIM_LOT);
    sim_flow_publish(market);
}

/* Total quantity of the ten levels a side needs so that neither touch falls under a lot;
 * the touches then follow from the imbalance. */
static void flow_balance(struct sim_market *market, double imbalance, bool bid_too, bool ask_too)
{
    double bids = flow_behind_touch(market, SIM_BID);
    double asks = flow_behind_touch(market, SIM_ASK);
    double least = fmax(2 * (bids + (double)SIM_LOT) / (1 + imbalance),
                        2 * (asks + (double)SIM_LOT) / (1 - imbalance));
    double total = least + 2 * (double)flow_qty(market, FLOW_TOUCH_QTY, FLOW_TOUCH_SIGMA);
    if (bid_too)
        flow_set_touch(market, SIM_BID, total * (1 + imbalance) / 2 - bids);
    if (ask_too)
        flow_set_touch(market, SIM_ASK, total * (1 - imbalance) / 2 - asks);
}

void sim_flow_lean(struct sim_market *market)
{
    flow_balance(market, sim_signal_imbalance(&market->signal), true, true);
}

void sim_flow_touch(struct sim_market *market)
{
    bool bid = prng_below(&market->prng, 2) == 0;
    double imbalance = sim_signal_imbalance(&market->signal);
    double other = (double)flow_best(market, bid ? SIM_ASK : SIM_BID)->qty +
                   flow_behind_touch(market, bid ? SIM_ASK : SIM_BID);
    double own = flow_behind_touch(market, bid ? SIM_BID : SIM_ASK);
    double ratio = bid ? (1 + imbalance) / (1 - imbalance) : (1 - imbalance) / (1 + imbalance);
    double qty = other * ratio * exp(0.3 * prng_normal(&market->prng)) - own;
    if (qty < (double)SIM_LOT)
        qty = (double)SIM_LOT * (1 + (double)prng_below(&market->prng, 100));
    flow_set_touch(market, bid ? SIM_BID : SIM_ASK, qty);
}
