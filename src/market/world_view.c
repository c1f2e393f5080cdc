/* The readers' view of a world. SPDX-License-Identifier: Apache-2.0 */
#include "base/decimal.h"
#include "market/world_state.h"

static int64_t world_saturate(window_sum sum)
{
    return sum > INT64_MAX ? INT64_MAX : sum < INT64_MIN ? INT64_MIN : (int64_t)sum;
}

static void world_view_window(const struct world *world, int index, struct world_window *view)
{
    const struct window *window = &world->windows.list[index];
    view->count = window_trades(&world->windows, index);
    view->vol = world_saturate(window->volume);
    view->signed_vol = world_saturate(window->signed_volume);
    view->vwap_minus_mid = 0.0;
    if (window->volume > 0 && world->mid2 > 0) {
        double unit = decimal_to_f64(1, world->scale.price_exponent);
        view->vwap_minus_mid = (window_vwap(window) - (double)world->mid2 / 2.0) * unit;
    }
    view->interarr_mean_s = window_gap_mean_s(window, view->count);
    view->interarr_var_s2 = window_gap_variance_s2(window, view->count);
    view->last_us = world->last_trade_us;
}

static void world_view_book(const struct world *world, struct world_view *view)
{
    const struct book *book = &world->book;
    view->book_live = world->is_live;
    view->book_is_rest = world->book_is_rest;
    view->market_us = world->market_us;
    view->join_min = recent_join_min(&world->recent);
    view->book_id = book->id;
    view->book_event_us = book->event_us;
    view->bid_count = (int)side_top(&book->bids, view->bids, WORLD_LEVELS);
    view->ask_count = (int)side_top(&book->asks, view->asks, WORLD_LEVELS);
    view->known_bid_min = book->known_bid_min;
    view->known_ask_max = book->known_ask_max;
    view->bids_whole = book->bids_whole;
    view->asks_whole = book->asks_whole;
    view->near_known_edge = book_is_near_known_edge(book);
}

void world_view(const struct world *world, struct world_view *view)
{
    *view = (struct world_view){.epoch = world->epoch,
                                .seq = world->seq,
                                .recv_us = world->now_us,
                                .price_exponent = world->scale.price_exponent,
                                .qty_exponent = world->scale.qty_exponent,
                                .mid2 = world->mid2,
                                .best_bid = world->touch.bid_price,
                                .best_ask = world->touch.ask_price,
                                .touch_flagged = world->touch_flagged,
                                .vector = world->vector};
    world_view_book(world, view);
    world_view_window(world, WINDOW_1S, &view->one_second);
    world_view_window(world, WINDOW_5S, &view->five_seconds);
}

int64_t world_silence_us(const struct world *world)
{
    return world->now_us - world->market_us;
}

bool world_book_is_rest(const struct world *world)
{
    return world->book_is_rest;
}

bool world_book_is_near_edge(const struct world *world)
{
    return book_is_near_known_edge(&world->book);
}
