/* Trades: what the stream brings, which ids it lost, and how an anchor's list fills the
 * windows again. SPDX-License-Identifier: Apache-2.0 */
#include "market/record.h"
#include "market/world_state.h"

/* More raw trades in one aggregated trade are no trade. */
#define WORLD_PARTS_MAX 10000
/* … and so many in one list are not looked through. */
#define WORLD_LIST_PARTS_MAX 100000

void world_note_lag(struct world *world, const struct event *event, int64_t exchange_us)
{
    int64_t lag_us = world->now_us - exchange_us;
    if ((event->flags & RECORD_SYNTHETIC_TIME) == 0 && exchange_us > 0 && world_lag_is_sane(lag_us))
        world->lag_us = lag_us;
}

/* The ids from the last one known to before this one never came. Before the first trade
 * ever nothing is known, which is no loss, but an anchor may fill it. */
static unsigned world_lose_trades(struct world *world, int64_t next_id)
{
    lost_add(&world->lost, &(struct lost_range){.first = world->last_trade_id + 1,
                                                .last = next_id - 1,
                                                .before_us = world->last_trade_us,
                                                .after_us = world->now_us});
    if (world->last_trade_id < 0)
        return 0;
    world->counters.trade_holes++;
    world->counters.trades_missing += (uint64_t)(next_id - world->last_trade_id - 1);
    if (world->hole_first_id == 0) /* several in one event are told as one that holds them all */
        world->hole_first_id = world->last_trade_id + 1;
    world->hole_last_id = next_id - 1;
    return WORLD_TRADE_HOLE;
}

static bool world_trades_are_sane(const struct trade_view *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct trade trade = trade_at(list, i);
        if (trade.id < 0 || !window_trade_is_sane(trade.price, trade.qty))
            return false;
    }
    return true;
}

/* Between this id and the last one of the stream there may be trades that only an anchor
 * brought. */
static unsigned world_note_streamed(struct world *world, int64_t id)
{
    int64_t before = world->streamed_trade_id;
    int64_t last = id - 1 < world->last_trade_id ? id - 1 : world->last_trade_id;
    if (id <= before)
        return 0;
    world->streamed_trade_id = id;
    if (before < 0 || last <= before)
        return 0;
    if (world->absent_first_id == 0) /* several in one event are told as one */
        world->absent_first_id = before + 1;
    world->absent_last_id = last;
    return WORLD_TRADES_ABSENT;
}

/* Ids rise by one on the spot market; a jump is a candidate for a loss, not a proof
 * (BINANCE.md section 7). */
static unsigned world_apply_trade(struct world *world, const struct trade *trade,
                                  int64_t transact_us, struct scale_step step)
{
    unsigned effects = world_note_streamed(world, trade->id);
    if (trade->id <= world->last_trade_id) {
        world->counters.trades_duplicate++;
        return effects;
    }
    effects |= WORLD_CHANGED;
    if (trade->id > world->last_trade_id + 1)
        effects |= world_lose_trades(world, trade->id);
    world->last_trade_id = trade->id;
    world->last_trade_us = world->now_us;
    world->counters.trades++;
    int64_t qty = scale_value(trade->qty, step.qty_shift);
    int64_t price = scale_value(trade->price, step.price_shift);
    if (!windows_add(&world->windows, world->now_us, price, qty, trade->is_buyer_maker))
        world->counters.trades_evicted_full++;
    flow_on_trade(&world->flow, qty, trade->is_buyer_maker);
    burst_on_trade(&world->burst, world->now_us, transact_us, price, trade->is_buyer_maker);
    if (minutes_add(&world->minutes, transact_us, trade->id, qty))
        effects |= WORLD_MINUTE;
    return effects;
}

unsigned world_apply_trades(struct world *world, const struct event *event)
{
    const struct trade_view *list = &event->trades.list;
    if (!world_trades_are_sane(list) || !world_take_scale(world, event))
        return world_reject(world);
    struct scale_step step = world_step(world, event);
    unsigned effects = 0;
    world_note_lag(world, event, event->trades.transact_us);
    world->hole_first_id = world->hole_last_id = 0;
    world->absent_first_id = world->absent_last_id = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct trade trade = trade_at(list, i);
        effects |= world_apply_trade(world, &trade, event->trades.transact_us, step);
    }
    return effects;
}

/* --- an anchor's list ----------------------------------------------------------------- */

/* Where a raw trade of the list belongs. */
struct world_refill {
    struct world *world;
    const struct anchor_trade *trades;
    uint32_t count;
    struct scale_step step;
    struct windows_fill fill;
    uint64_t left; /* how many more may be put */
};

static bool world_list_trade_is_sane(const struct anchor_trade *trade, struct scale_step step)
{
    return trade->first_id >= 0 && trade->last_id >= trade->first_id &&
           trade->last_id < INT64_MAX && trade->last_id - trade->first_id < WORLD_PARTS_MAX &&
           trade->time_us >= 0 && trade->time_us <= WORLD_TIME_US_MAX &&
           scale_fit_value(trade->price, step.price_shift) == SCALE_FITS &&
           scale_fit_value(trade->qty, step.qty_shift) == SCALE_FITS &&
           window_trade_is_sane(scale_value(trade->price, step.price_shift),
                                scale_value(trade->qty, step.qty_shift));
}

/* An unbroken chain of sane trades, times not decreasing (BINANCE.md section 7). */
static bool world_list_is_sound(const struct anchor_trade *trades, uint32_t count,
                                struct scale_step step)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!world_list_trade_is_sane(&trades[i], step))
            return false;
        if (i > 0 && (trades[i].first_id != trades[i - 1].last_id + 1 ||
                      trades[i].time_us < trades[i - 1].time_us))
            return false;
    }
    return trades[count - 1].last_id - trades[0].first_id < WORLD_LIST_PARTS_MAX;
}

/* The receive time of a raw trade that is not known yet: the exchange's time and the last
 * frame's lag, between the trades around it; -1 when the world has it. */
static int64_t world_refill_time(const struct world *world, const struct anchor_trade *trade,
                                 int64_t id)
{
    int64_t before_us = world->last_trade_us, after_us = world->now_us;
    if (id <= world->last_trade_id) {
        const struct lost_range *range = lost_find(&world->lost, id);
        if (range == NULL)
            return -1;
        before_us = range->before_us;
        after_us = range->after_us;
    }
    int64_t time_us = trade->time_us + world->lag_us;
    return time_us < before_us ? before_us : time_us > after_us ? after_us : time_us;
}

/* How many trades of the list lie before the world's own time. The snapshot knows what the
 * streams have not brought yet: those trades come as records of their own, at their own time.
 * Were they taken now, they would be a moment's trades that grow old too early. */
static uint32_t world_refill_ripe(const struct world *world, const struct anchor_trade *trades,
                                  uint32_t count)
{
    while (count > 0 && trades[count - 1].first_id > world->last_trade_id &&
           trades[count - 1].time_us + world->lag_us > world->now_us)
        count--;
    return count;
}

/* One raw trade: the list knows sums only, so that each has an equal part of its quantity,
 * the last one what is left over. Sum, count, notional and gaps are exact. */
static struct window_trade world_refill_part(const struct world_refill *refill,
                                             const struct anchor_trade *trade, int64_t id,
                                             int64_t recv_us)
{
    int64_t parts = trade->last_id - trade->first_id + 1;
    int64_t qty = scale_value(trade->qty, refill->step.qty_shift);
    int64_t part = id == trade->last_id ? qty - qty / parts * (parts - 1) : qty / parts;
    return (struct window_trade){.recv_us = recv_us,
                                 .price = scale_value(trade->price, refill->step.price_shift),
                                 .signed_qty = trade->is_buyer_maker ? -part : part};
}

/* Newest first, down to the oldest that any window still holds; times fall with the ids.
 * Counts, or puts. Returns how many there were. */
static uint64_t world_refill_walk(struct world_refill *refill, bool put)
{
    int64_t horizon_us = windows_horizon_us(refill->world->now_us);
    uint64_t found = 0;
    for (uint32_t i = refill->count; i-- > 0;)
        for (int64_t id = refill->trades[i].last_id; id >= refill->trades[i].first_id; id--) {
            int64_t recv_us = world_refill_time(refill->world, &refill->trades[i], id);
            if (recv_us < 0)
                continue;
            if (recv_us <= horizon_us || found == refill->left)
                return found;
            found++;
            if (!put)
                continue;
            struct window_trade trade = world_refill_part(refill, &refill->trades[i], id, recv_us);
            windows_fill_put(&refill->fill, &trade);
        }
    return found;
}

/* The list reaches past the last trade of the stream: what it still brings of that is a
 * duplicate then. */
static unsigned world_refill_newest(struct world *world, const struct anchor_trade *trades,
                                    uint32_t count)
{
    const struct anchor_trade *newest = &trades[count - 1];
    unsigned effects = 0;
    if (newest->last_id <= world->last_trade_id)
        return 0;
    int64_t recv_us = world_refill_time(world, newest, newest->last_id);
    if (trades[0].first_id > world->last_trade_id + 1)
        effects = world_lose_trades(world, trades[0].first_id);
    world->last_trade_id = newest->last_id;
    world->last_trade_us = recv_us;
    return effects;
}

unsigned world_refill_trades(struct world *world, const struct event *event)
{
    struct world_refill refill = {.world = world,
                                  .trades = event->snapshot.trades,
                                  .count = event->snapshot.trade_count,
                                  .step = world_step(world, event),
                                  .left = windows_room(&world->windows)};
    if (refill.count == 0)
        return 0;
    if (!world_list_is_sound(refill.trades, refill.count, refill.step)) {
        world->counters.anchor_trades_bad++;
        return 0;
    }
    refill.count = world_refill_ripe(world, refill.trades, refill.count);
    if (refill.count == 0)
        return 0;
    world->hole_first_id = world->hole_last_id = 0;
    refill.left = world_refill_walk(&refill, false);
    refill.fill = windows_fill_begin(&world->windows, refill.left);
    (void)world_refill_walk(&refill, true);
    windows_fill_end(&refill.fill, world->now_us);
    world->counters.trades_refilled += refill.left;
    unsigned effects = world_refill_newest(world, refill.trades, refill.count);
    lost_found(&world->lost, refill.trades[0].first_id, refill.trades[refill.count - 1].last_id);
    return effects;
}
