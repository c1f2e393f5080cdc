/* Events for tests of market: levels and trades in the wire's layout, owned by the
 * fixture until the next call. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_MARKET_FIXTURE_H
#define BTCAST_TESTS_MARKET_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "market/event.h"
#include "market/world.h"

#define FIXTURE_LEVELS_MAX 8192

struct fixture {
    uint64_t epoch, seq;
    int64_t now_us;
    int price_exponent, qty_exponent;
    uint8_t bids[FIXTURE_LEVELS_MAX * 16], asks[FIXTURE_LEVELS_MAX * 16];
    uint8_t trades[1024 * 25];
};

static inline struct fixture *fixture_open(void)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->epoch = 1;
    fixture->now_us = INT64_C(1700000000000000);
    fixture->price_exponent = fixture->qty_exponent = -8;
    return fixture;
}

static inline struct world *fixture_world(void)
{
    struct world *world = NULL;
    struct world_options options = {.symbol = "BTCUSDT"};
    if (world_open(&options, &world, NULL) != ERR_OK)
        abort();
    return world;
}

static inline struct level_view fixture_levels(uint8_t *to, const struct world_level *levels,
                                               uint32_t count)
{
    if (count > FIXTURE_LEVELS_MAX)
        abort();
    for (uint32_t i = 0; i < count; i++) {
        bytes_store_i64(to + (size_t)i * 16, levels[i].price);
        bytes_store_i64(to + (size_t)i * 16 + 8, levels[i].qty);
    }
    return (struct level_view){to, count, 16};
}

static inline struct event fixture_event(struct fixture *fixture, enum event_kind kind)
{
    return (struct event){.kind = kind,
                          .epoch = fixture->epoch,
                          .seq = ++fixture->seq,
                          .recv_us = fixture->now_us,
                          .event_us = fixture->now_us - 1000,
                          .price_exponent = fixture->price_exponent,
                          .qty_exponent = fixture->qty_exponent};
}

static inline struct event fixture_diff(struct fixture *fixture, int64_t first_id, int64_t last_id,
                                        const struct world_level *bids, uint32_t bid_count,
                                        const struct world_level *asks, uint32_t ask_count)
{
    struct event event = fixture_event(fixture, EVENT_DIFF);
    event.diff.first_id = first_id;
    event.diff.last_id = last_id;
    event.diff.bids = fixture_levels(fixture->bids, bids, bid_count);
    event.diff.asks = fixture_levels(fixture->asks, asks, ask_count);
    return event;
}

static inline struct event fixture_snapshot(struct fixture *fixture, enum event_kind kind,
                                            int64_t id, const struct world_level *bids,
                                            uint32_t bid_count, const struct world_level *asks,
                                            uint32_t ask_count)
{
    struct event event = fixture_event(fixture, kind);
    if (kind == EVENT_ANCHOR)
        event.seq = --fixture->seq; /* control records have no seq of their own */
    event.snapshot.book_id = id;
    event.snapshot.bids = fixture_levels(fixture->bids, bids, bid_count);
    event.snapshot.asks = fixture_levels(fixture->asks, asks, ask_count);
    return event;
}

static inline struct event fixture_quote(struct fixture *fixture, int64_t id, int64_t bid,
                                         int64_t bid_qty, int64_t ask, int64_t ask_qty)
{
    struct event event = fixture_event(fixture, EVENT_QUOTE);
    event.quote.book_id = id;
    event.quote.bid_price = bid;
    event.quote.bid_qty = bid_qty;
    event.quote.ask_price = ask;
    event.quote.ask_qty = ask_qty;
    return event;
}

static inline struct event fixture_trades(struct fixture *fixture, const struct trade *trades,
                                          uint32_t count)
{
    struct event event = fixture_event(fixture, EVENT_TRADES);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *at = fixture->trades + (size_t)i * 25;
        bytes_store_i64(at, trades[i].id);
        bytes_store_i64(at + 8, trades[i].price);
        bytes_store_i64(at + 16, trades[i].qty);
        at[24] = trades[i].is_buyer_maker;
    }
    event.trades.transact_us = event.event_us;
    event.trades.list = (struct trade_view){fixture->trades, count, 25};
    return event;
}

static inline struct event fixture_trade(struct fixture *fixture, int64_t id, int64_t price,
                                         int64_t qty, bool is_sell)
{
    struct trade trade = {id, price, qty, is_sell};
    return fixture_trades(fixture, &trade, 1);
}

static inline struct event fixture_tick(struct fixture *fixture)
{
    return fixture_event(fixture, EVENT_TICK);
}

#endif
