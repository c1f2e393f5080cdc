/* SPDX-License-Identifier: Apache-2.0 */
#include "market/world.h"

#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "market/record.h"
#include "market/vector.h"
#include "market/world_state.h"

/* A new ingestor whose clock is further back than this starts the windows afresh. */
#define WORLD_CLOCK_BACK_US_MAX CLOCK_US_PER_S

int world_open(const struct world_options *options, struct world **world, struct err *err)
{
    size_t length = strnlen(options->symbol, sizeof(options->symbol));
    if (length == 0 || length == sizeof(options->symbol))
        return err_set(err, ERR_INVALID, "world: the symbol must have 1 to %zu characters",
                       sizeof(options->symbol) - 1);
    struct world *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return err_set(err, ERR_MEMORY, "world: %zu bytes", sizeof(*self));
    memcpy(self->symbol, options->symbol, length);
    world_reset(self);
    *world = self;
    return ERR_OK;
}

void world_close(struct world *world)
{
    free(world);
}

void world_reset(struct world *world)
{
    world->epoch = world->seq = 0;
    world->now_us = 0;
    world->has_scale = false;
    world->scale = (struct scale){0, 0};
    world->is_live = world->hole_is_open = world->touch_flagged = false;
    world->book_is_rest = false;
    world->market_us = world->lag_us = 0;
    world->crossed_streak = 0;
    world->pending = (struct world_pending){0};
    world->quote_id = world->mid2 = 0;
    world->quote = world->touch = (struct book_touch){0};
    world->last_trade_id = world->streamed_trade_id = -1;
    world->last_trade_us = 0;
    world->vector = (struct feature_vector){.schema = feature_schema_hash()};
    world->hole_first_id = world->hole_last_id = 0;
    minutes_init(&world->minutes);
    lost_init(&world->lost);
    slots_init(&world->slots);
    flow_init(&world->flow);
    burst_init(&world->burst);
    lean_init(&world->lean);
    history_init(&world->history);
    windows_init(&world->windows);
    recent_init(&world->recent);
    book_init(&world->book);
}

unsigned world_reject(struct world *world)
{
    world->counters.rejected++;
    return WORLD_REJECTED;
}

void world_refresh_touch(struct world *world)
{
    struct book_touch touch =
        world->quote_id > world->book.id ? world->quote : book_touch(&world->book);
    world->touch_flagged = touch.bid_qty == 0 || touch.ask_qty == 0 || touch.bid_price <= 0 ||
                           touch.bid_price >= touch.ask_price;
    if (world->touch_flagged || book_touch_equals(&touch, &world->touch))
        return;
    flow_on_touch(&world->flow, &touch);
    world->touch = touch;
    world->mid2 = touch.bid_price + touch.ask_price;
}

static bool world_quote_value_is_sane(int64_t value)
{
    return value >= 0 && value <= SCALE_VALUE_MAX;
}

static unsigned world_apply_quote(struct world *world, const struct event *event)
{
    if (event->quote.book_id <= 0 || !world_quote_value_is_sane(event->quote.bid_price) ||
        !world_quote_value_is_sane(event->quote.bid_qty) ||
        !world_quote_value_is_sane(event->quote.ask_price) ||
        !world_quote_value_is_sane(event->quote.ask_qty) || !world_take_scale(world, event))
        return world_reject(world);
    if (event->quote.book_id <= world->quote_id) {
        world->counters.quotes_stale++;
        return 0;
    }
    struct scale_step step = world_step(world, event);
    world->counters.quotes++;
    world->flow.quotes++;
    world->quote_id = event->quote.book_id;
    world->quote =
        (struct book_touch){.bid_price = scale_value(event->quote.bid_price, step.price_shift),
                            .bid_qty = scale_value(event->quote.bid_qty, step.qty_shift),
                            .ask_price = scale_value(event->quote.ask_price, step.price_shift),
                            .ask_qty = scale_value(event->quote.ask_qty, step.qty_shift)};
    world_refresh_touch(world);
    return WORLD_CHANGED;
}

static void world_sample(struct world *world, const struct flow_ladder *ladder)
{
    struct flow_tick tick =
        flow_on_tick(&world->flow, world->now_us, ladder, world->scale.qty_exponent);
    double mid = decimal_to_f64(world->mid2, world->scale.price_exponent) / 2.0;
    struct history_step step = {.recv_us = world->now_us,
                                .log_mid = log(mid),
                                .flow = tick.touch_flow,
                                .flow_deep = tick.ladder_flow,
                                .quotes = world->flow.quotes};
    history_push(&world->history, &step);
}

static void world_fill_vector(struct world *world)
{
    struct world_level bids[WORLD_LEVELS], asks[WORLD_LEVELS];
    uint32_t bid_count = side_top(&world->book.bids, bids, WORLD_LEVELS);
    uint32_t ask_count = side_top(&world->book.asks, asks, WORLD_LEVELS);
    struct flow_ladder ladder = {.bid_count = bid_count < FLOW_LEVELS ? bid_count : FLOW_LEVELS,
                                 .ask_count = ask_count < FLOW_LEVELS ? ask_count : FLOW_LEVELS};
    memcpy(ladder.bids, bids, ladder.bid_count * sizeof(bids[0]));
    memcpy(ladder.asks, asks, ladder.ask_count * sizeof(asks[0]));
    world_sample(world, &ladder);
    double imbalance = lean_imbalance(bids, bid_count, asks, ask_count);
    if (lean_is_due(&world->lean, world->now_us))
        lean_sample(&world->lean, world->now_us, imbalance);
    struct vector_inputs inputs = {.now_us = world->now_us,
                                   .last_trade_us = world->last_trade_us,
                                   .scale = world->scale,
                                   .mid2 = world->mid2,
                                   .touch = &world->touch,
                                   .bid_count = bid_count,
                                   .ask_count = ask_count,
                                   .bids = bids,
                                   .asks = asks,
                                   .imbalance = imbalance,
                                   .imbalance_mean = world->lean.mean,
                                   .windows = &world->windows,
                                   .history = &world->history,
                                   .flow = &world->flow,
                                   .burst = &world->burst};
    vector_fill(&inputs, world->vector.values);
}

static unsigned world_apply_tick(struct world *world, const struct event *event)
{
    struct feature_vector *vector = &world->vector;
    world->counters.ticks++;
    vector->epoch = event->epoch;
    vector->seq = event->seq;
    vector->as_of_us = world->now_us;
    vector->mid2 = world->mid2;
    vector->price_exponent = world->scale.price_exponent;
    vector->valid = world->mid2 > 0;
    vector->book_live = world->is_live;
    if (vector->valid)
        world_fill_vector(world);
    return WORLD_TICKED | WORLD_CHANGED;
}

static unsigned world_apply_hole(struct world *world)
{
    world->counters.holes++;
    world->hole_is_open = true;
    slots_mark_bad(&world->slots, world->now_us);
    minutes_spoil(&world->minutes);
    return 0;
}

/* The clock was set back between two ingestors: spans over the break mean nothing. */
static void world_restart_time(struct world *world)
{
    windows_clear(&world->windows);
    history_init(&world->history);
    slots_init(&world->slots);
    flow_break(&world->flow);
    lost_init(&world->lost);
    world->flow.tick_us = 0;
    burst_restart(&world->burst);
    lean_init(&world->lean);
    world->last_trade_us = 0;
    world->market_us = 0;
}

/* Returns WORLD_MINUTE or 0. */
static unsigned world_take_time(struct world *world, const struct event *event)
{
    int64_t now_us = event->recv_us;
    bool is_new_epoch = event->epoch != world->epoch;
    if (now_us < world->now_us) {
        if (is_new_epoch && world->now_us - now_us > WORLD_CLOCK_BACK_US_MAX)
            world_restart_time(world);
        else
            now_us = world->now_us;
    }
    slots_advance(&world->slots, now_us, world->mid2, world->is_live);
    if (world->hole_is_open)
        slots_mark_bad(&world->slots, now_us); /* the lost records may be as late as this one */
    world->hole_is_open = false;
    windows_advance(&world->windows, now_us);
    if (event->kind != EVENT_TICK || (event->flags & RECORD_CONNECTED) != 0 ||
        world->market_us == 0)
        world->market_us = now_us;
    world->now_us = now_us;
    world->epoch = event->epoch;
    world->seq = event->seq;
    return minutes_advance(&world->minutes, now_us) ? WORLD_MINUTE : 0;
}

static unsigned world_apply_kind(struct world *world, const struct event *event)
{
    switch (event->kind) {
    case EVENT_TRADES:
        return world_apply_trades(world, event);
    case EVENT_QUOTE:
        return world_apply_quote(world, event);
    case EVENT_SNAPSHOT:
        return world_apply_snapshot(world, event);
    case EVENT_DIFF:
        return world_apply_diff(world, event);
    case EVENT_TICK:
        return world_apply_tick(world, event);
    case EVENT_ANCHOR:
    case EVENT_HOLE:
        break;
    }
    return world_reject(world);
}

unsigned world_apply(struct world *world, const struct event *event)
{
    /* Control records stand between two others: they have no time of their own. */
    if (event->kind == EVENT_ANCHOR)
        return world_apply_anchor(world, event);
    if (event->kind == EVENT_HOLE)
        return world_apply_hole(world);
    if (event->recv_us < 0 || event->recv_us > WORLD_TIME_US_MAX)
        return world_reject(world);
    unsigned closed = world_take_time(world, event);
    return closed | world_apply_kind(world, event);
}

const struct world_counters *world_counters(const struct world *world)
{
    return &world->counters;
}

int world_slot_mids(const struct world *world, struct world_slot_mid *mids, int capacity)
{
    return slots_newest(&world->slots, mids, capacity);
}

int world_minutes(const struct world *world, struct minute *minutes, int capacity)
{
    return minutes_newest(&world->minutes, minutes, capacity);
}

void world_trade_hole(const struct world *world, int64_t *first_id, int64_t *last_id)
{
    *first_id = world->hole_first_id;
    *last_id = world->hole_last_id;
}

void world_trades_absent(const struct world *world, int64_t *first_id, int64_t *last_id)
{
    *first_id = world->absent_first_id;
    *last_id = world->absent_last_id;
}
