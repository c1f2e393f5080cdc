/* A world whose exponents have to become finer: all or nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#include "market/world_state.h"

static enum scale_fit world_worst(enum scale_fit a, enum scale_fit b)
{
    return a > b ? a : b;
}

static enum scale_fit world_fit_trades(const struct trade_view *list, struct scale_step step)
{
    enum scale_fit worst = SCALE_FITS;
    if (scale_step_is_none(step))
        return worst;
    for (uint32_t i = 0; i < list->count && worst != SCALE_OVERFLOW; i++) {
        struct trade trade = trade_at(list, i);
        enum scale_fit fit = world_worst(scale_fit_value(trade.price, step.price_shift),
                                         scale_fit_value(trade.qty, step.qty_shift));
        if (fit == SCALE_FITS && !window_trade_is_sane(scale_value(trade.price, step.price_shift),
                                                       scale_value(trade.qty, step.qty_shift)))
            fit = SCALE_OVERFLOW;
        worst = world_worst(worst, fit);
    }
    return worst;
}

static enum scale_fit world_fit_event(const struct event *event, struct scale_step step)
{
    switch (event->kind) {
    case EVENT_TRADES:
        return world_fit_trades(&event->trades.list, step);
    case EVENT_QUOTE:
        return world_worst(world_worst(scale_fit_value(event->quote.bid_price, step.price_shift),
                                       scale_fit_value(event->quote.ask_price, step.price_shift)),
                           world_worst(scale_fit_value(event->quote.bid_qty, step.qty_shift),
                                       scale_fit_value(event->quote.ask_qty, step.qty_shift)));
    case EVENT_DIFF:
        return world_worst(scale_fit_levels(&event->diff.bids, step),
                           scale_fit_levels(&event->diff.asks, step));
    case EVENT_SNAPSHOT:
    case EVENT_ANCHOR:
        return world_worst(scale_fit_levels(&event->snapshot.bids, step),
                           scale_fit_levels(&event->snapshot.asks, step));
    case EVENT_TICK:
    case EVENT_HOLE:
        break;
    }
    return SCALE_FITS;
}

static bool world_touch_fits(const struct book_touch *touch, struct scale_step step)
{
    return scale_fit_value(touch->bid_price, step.price_shift) == SCALE_FITS &&
           scale_fit_value(touch->ask_price, step.price_shift) == SCALE_FITS &&
           scale_fit_value(touch->bid_qty, step.qty_shift) == SCALE_FITS &&
           scale_fit_value(touch->ask_qty, step.qty_shift) == SCALE_FITS;
}

/* Levels of a snapshot that was compared already are nothing: a checkpoint leaves them out. */
static bool world_pending_fits(const struct world_pending *pending, struct scale_step step)
{
    bool fits = true;
    if (!pending->is_there)
        return true;
    for (uint32_t i = 0; i < pending->bid_count; i++)
        fits = fits && scale_fit_value(pending->bids[i].price, step.price_shift) == SCALE_FITS &&
               scale_fit_value(pending->bids[i].qty, step.qty_shift) == SCALE_FITS;
    for (uint32_t i = 0; i < pending->ask_count; i++)
        fits = fits && scale_fit_value(pending->asks[i].price, step.price_shift) == SCALE_FITS &&
               scale_fit_value(pending->asks[i].qty, step.qty_shift) == SCALE_FITS;
    return fits;
}

static bool world_can_rescale(const struct world *world, struct scale target)
{
    struct scale_step step = scale_between(world->scale, target);
    for (int i = 0; i < WORLD_SLOT_MIDS; i++)
        if (scale_fit_value(world->slots.list[i].mid2, step.price_shift) != SCALE_FITS)
            return false;
    return world_touch_fits(&world->quote, step) && world_touch_fits(&world->touch, step) &&
           world_pending_fits(&world->pending, step) && flow_can_rescale(&world->flow, step) &&
           burst_can_rescale(&world->burst, step) && windows_can_rescale(&world->windows, step) &&
           recent_fits(&world->recent, target) && book_can_rescale(&world->book, step);
}

static void world_rescale_touch(struct book_touch *touch, struct scale_step step)
{
    touch->bid_price = scale_value(touch->bid_price, step.price_shift);
    touch->ask_price = scale_value(touch->ask_price, step.price_shift);
    touch->bid_qty = scale_value(touch->bid_qty, step.qty_shift);
    touch->ask_qty = scale_value(touch->ask_qty, step.qty_shift);
}

static void world_rescale_levels(struct world_level *levels, uint32_t count, struct scale_step step)
{
    for (uint32_t i = 0; i < count; i++) {
        levels[i].price = scale_value(levels[i].price, step.price_shift);
        levels[i].qty = scale_value(levels[i].qty, step.qty_shift);
    }
}

static void world_rescale(struct world *world, struct scale target)
{
    struct scale_step step = scale_between(world->scale, target);
    for (int i = 0; i < WORLD_SLOT_MIDS; i++)
        world->slots.list[i].mid2 = scale_value(world->slots.list[i].mid2, step.price_shift);
    world_rescale_touch(&world->quote, step);
    world_rescale_touch(&world->touch, step);
    world->mid2 = world->touch.bid_price + world->touch.ask_price;
    if (world->pending.is_there) {
        world_rescale_levels(world->pending.bids, world->pending.bid_count, step);
        world_rescale_levels(world->pending.asks, world->pending.ask_count, step);
    }
    flow_rescale(&world->flow, step);
    burst_rescale(&world->burst, step);
    windows_rescale(&world->windows, step);
    minutes_rescale(&world->minutes, step);
    book_rescale(&world->book, step);
    world->scale = target;
}

bool world_take_other_scale(struct world *world, const struct event *event)
{
    struct scale from = {event->price_exponent, event->qty_exponent};
    if (!scale_is_sane(from))
        return false;
    if (!world->has_scale) {
        world->scale = from;
        world->has_scale = true;
    }
    enum scale_fit fit = world_fit_event(event, scale_between(from, world->scale));
    if (fit != SCALE_FINER)
        return fit == SCALE_FITS;
    struct scale target = scale_finest(from, world->scale);
    if (world_fit_event(event, scale_between(from, target)) != SCALE_FITS ||
        !world_can_rescale(world, target))
        return false;
    world_rescale(world, target);
    return true;
}
