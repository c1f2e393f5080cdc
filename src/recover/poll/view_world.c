/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/poll/view_world.h"

#include <stdio.h>
#include <string.h>

/* A clock that was set back further than this begins anew. */
#define VIEW_WORLD_BACK_US CLOCK_US_PER_S

int view_world_open(struct view_world *self, const struct view_maker_options *options,
                    struct err *err)
{
    struct world_options world;
    *self = (struct view_world){.next_tick_us = options->next_tick_us, .epoch = 1};
    snprintf(self->symbol, sizeof(self->symbol), "%s", options->symbol);
    snprintf(world.symbol, sizeof(world.symbol), "%s", options->symbol);
    return world_open(&world, &self->world, err);
}

void view_world_close(struct view_world *self)
{
    if (self->world != NULL)
        world_close(self->world);
    self->world = NULL;
}

static struct event view_world_event(struct view_world *self, enum event_kind kind, int64_t at_us)
{
    return (struct event){.kind = kind,
                          .epoch = self->epoch,
                          .seq = ++self->seq,
                          .recv_us = at_us,
                          .price_exponent = VIEW_WORLD_SCALE.price_exponent,
                          .qty_exponent = VIEW_WORLD_SCALE.qty_exponent};
}

static void view_world_apply_tick(struct view_world *self, int64_t at_us)
{
    struct event event = view_world_event(self, EVENT_TICK, at_us);
    world_apply(self->world, &event);
    self->tick_us = at_us;
}

/* An aggregate counts as the raw trades it is made of: their quantities are not known one
 * by one, so each gets an equal part and the last one the rest. */
static uint32_t view_world_split(struct view_world *self, const struct rest_agg_trade *trade)
{
    int64_t count = trade->last_id - trade->first_id + 1;
    count = count > VIEW_MAKER_RAW_MAX ? VIEW_MAKER_RAW_MAX : count;
    count = count > trade->qty ? trade->qty : count;
    count = count < 1 ? 1 : count;
    int64_t part = trade->qty / count;
    for (int64_t i = 0; i < count; i++) {
        uint8_t *at = self->trades + 25 * i;
        bytes_store_i64(at, trade->last_id - count + 1 + i);
        bytes_store_i64(at + 8, trade->price);
        bytes_store_i64(at + 16, i + 1 < count ? part : trade->qty - part * (count - 1));
        at[24] = trade->is_buyer_maker;
    }
    return (uint32_t)count;
}

static void view_world_apply_trade(struct view_world *self, const struct rest_agg_trade *trade,
                                   int64_t at_us)
{
    struct event event = view_world_event(self, EVENT_TRADES, at_us);
    event.event_us = trade->time_us;
    event.trades.transact_us = trade->time_us;
    event.trades.list = (struct trade_view){
        .at = self->trades, .count = view_world_split(self, trade), .stride = 25};
    world_apply(self->world, &event);
}

static bool view_world_apply_book(struct view_world *self, const struct rest_depth *depth,
                                  int64_t at_us)
{
    struct event event = view_world_event(self, EVENT_ANCHOR, at_us);
    event.snapshot.book_id = depth->last_update_id;
    event.snapshot.bids = (struct level_view){.at = (const uint8_t *)depth->bids,
                                              .count = depth->bid_count,
                                              .stride = sizeof(struct sbe_level)};
    event.snapshot.asks = (struct level_view){.at = (const uint8_t *)depth->asks,
                                              .count = depth->ask_count,
                                              .stride = sizeof(struct sbe_level)};
    if ((world_apply(self->world, &event) & WORLD_ANCHORED) == 0) {
        self->refused++;
        return false;
    }
    self->refused = 0;
    self->book_us = at_us;
    self->book_id = depth->last_update_id;
    return true;
}

static void view_world_hole(struct view_world *self, int64_t at_us)
{
    struct event event = view_world_event(self, EVENT_HOLE, at_us);
    event.hole.next_epoch = self->epoch;
    event.hole.next_seq = self->seq + 1;
    world_apply(self->world, &event);
    self->history_us = self->tick_us = at_us;
}

/* Begins, begins again after a clock that was set back, or cuts off what is too old. */
static void view_world_begin(struct view_world *self, int64_t wall_us)
{
    if (self->tick_us != 0 && wall_us < self->tick_us - VIEW_WORLD_BACK_US) {
        self->epoch++;
        self->seq = 0;
        self->lag_count = 0;
    } else if (self->tick_us != 0 && wall_us - self->book_us <= VIEW_MAKER_HOLE_US) {
        return;
    }
    view_world_hole(self, wall_us);
}

/* What brings the exchange's times to ours: a collector's clock may be seconds off. */
static int64_t view_world_lag(struct view_world *self, const struct rest_agg_trade *trades,
                              uint32_t count, int64_t wall_us)
{
    int64_t least = INT64_MAX;
    if (count > 0)
        self->lags[self->lag_count++ % VIEW_WORLD_LAGS] = wall_us - trades[count - 1].time_us;
    for (unsigned i = 0; i < self->lag_count && i < VIEW_WORLD_LAGS; i++)
        least = self->lags[i] < least ? self->lags[i] : least;
    return self->lag_count > 0 ? least : 0;
}

bool view_world_apply(struct view_world *self, const struct rest_depth *depth,
                      const struct rest_agg_trade *trades, uint32_t count, int64_t wall_us)
{
    uint32_t next = 0;
    view_world_begin(self, wall_us);
    int64_t lag_us = view_world_lag(self, trades, count, wall_us);
    for (;;) {
        int64_t tick_us = self->next_tick_us(self->tick_us);
        /* A trade's own time says where it belongs, but not before what was applied and not
         * after now: the world takes the later of the two by itself. */
        while (next < count && trades[next].time_us + lag_us < tick_us && tick_us <= wall_us) {
            view_world_apply_trade(self, &trades[next], trades[next].time_us + lag_us);
            next++;
        }
        if (tick_us > wall_us)
            break;
        view_world_apply_tick(self, tick_us);
    }
    for (; next < count; next++)
        view_world_apply_trade(
            self, &trades[next],
            trades[next].time_us + lag_us < wall_us ? trades[next].time_us + lag_us : wall_us);
    return view_world_apply_book(self, depth, wall_us);
}

int view_world_reset(struct view_world *self, struct err *err)
{
    struct world_options options;
    struct world *fresh;
    snprintf(options.symbol, sizeof(options.symbol), "%s", self->symbol);
    int result = world_open(&options, &fresh, err);
    if (result != ERR_OK)
        return result;
    world_close(self->world);
    self->world = fresh;
    self->epoch = 1;
    self->seq = 0;
    self->lag_count = 0;
    self->tick_us = self->book_us = 0;
    self->refused = 0;
    return ERR_OK;
}

bool view_world_tick(struct view_world *self, int64_t wall_us)
{
    int64_t tick_us = self->next_tick_us(self->tick_us);
    if (tick_us > wall_us)
        return false;
    view_world_apply_tick(self, tick_us);
    return true;
}

void view_world_fill(const struct view_world *self, struct rest_view *view)
{
    struct world_view world;
    world_view(self->world, &world);
    *view = (struct rest_view){.received_us = self->book_us,
                               .last_update_id = self->book_id,
                               .price_exponent = world.price_exponent,
                               .qty_exponent = world.qty_exponent,
                               .best_bid = world.best_bid,
                               .best_ask = world.best_ask,
                               .mid2 = world.mid2,
                               .schema = world.vector.schema,
                               .as_of_us = world.vector.as_of_us};
    snprintf(view->symbol, sizeof(view->symbol), "%s", self->symbol);
    view->has_vector = world.vector.valid && world.vector.book_live &&
                       world.vector.as_of_us - self->history_us >= VIEW_MAKER_HISTORY_US;
    if (view->has_vector)
        memcpy(view->values, world.vector.values, sizeof(view->values));
    view->slot_mid_count = world_slot_mids(self->world, view->slot_mids, WORLD_SLOT_MIDS);
}
