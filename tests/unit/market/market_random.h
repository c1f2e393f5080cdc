/* A random market for property tests: every kind of event, with gaps, stale ids, holes,
 * new epochs, other exponents, anchors good and bad. The same seed gives the same events.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_MARKET_RANDOM_H
#define BTCAST_TESTS_MARKET_RANDOM_H

#include "unit/market/market_fixture.h"

struct random_market {
    struct prng prng;
    struct fixture *fixture;
    int64_t tick, mid; /* prices at exponent -8 */
    int64_t book_id, trade_id;
    bool has_other_exponents;
};

static inline struct random_market random_market_open(uint64_t seed, bool has_other_exponents)
{
    struct random_market market = {.fixture = fixture_open(),
                                   .tick = 1000000,
                                   .mid = INT64_C(6000000000000),
                                   .book_id = 1000,
                                   .trade_id = 50,
                                   .has_other_exponents = has_other_exponents};
    prng_init(&market.prng, seed);
    return market;
}

static inline int64_t random_in(struct random_market *market, int64_t low, int64_t high)
{
    return low + (int64_t)prng_below(&market->prng, (uint64_t)(high - low + 1));
}

static inline bool random_one_in(struct random_market *market, uint64_t n)
{
    return prng_below(&market->prng, n) == 0;
}

/* Prices are multiples of 10^-2, quantities of 10^-5, so coarser exponents can say them. */
static inline int64_t random_price(struct random_market *market, bool is_bid)
{
    int64_t away = random_in(market, 1, random_one_in(market, 20) ? 200000 : 60);
    return market->mid + (is_bid ? -away : away) * market->tick;
}

static inline int64_t random_qty(struct random_market *market)
{
    return random_in(market, 1, 100000) * 1000;
}

static inline uint32_t random_levels(struct random_market *market, bool is_bid,
                                     struct world_level *levels, int64_t most)
{
    uint32_t count = (uint32_t)random_in(market, 0, most);
    for (uint32_t i = 0; i < count; i++) {
        levels[i].price = random_price(market, is_bid);
        levels[i].qty = random_one_in(market, 3) ? 0 : random_qty(market);
    }
    return count;
}

static inline void random_rescale(struct random_market *market, struct world_level *levels,
                                  uint32_t count)
{
    int price_shift = market->fixture->price_exponent + 8;
    int qty_shift = market->fixture->qty_exponent + 8;
    for (uint32_t i = 0; i < count; i++) {
        for (int s = 0; s < price_shift; s++)
            levels[i].price /= 10;
        for (int s = 0; s < qty_shift; s++)
            levels[i].qty /= 10;
        for (int s = 0; s > price_shift; s--)
            levels[i].price *= 10;
        for (int s = 0; s > qty_shift; s--)
            levels[i].qty *= 10;
    }
}

static inline struct event random_diff(struct random_market *market)
{
    struct world_level bids[32], asks[32];
    uint32_t bid_count = random_levels(market, true, bids, 30);
    uint32_t ask_count = random_levels(market, false, asks, 30);
    random_rescale(market, bids, bid_count);
    random_rescale(market, asks, ask_count);
    if (random_one_in(market, 150))
        market->book_id += 3; /* a gap */
    int64_t first = market->book_id + 1 - (random_one_in(market, 10) ? 2 : 0);
    int64_t last = market->book_id + random_in(market, 1, 5);
    if (random_one_in(market, 30))
        last = market->book_id - 1, first = last - 1; /* stale */
    else
        market->book_id = last;
    return fixture_diff(market->fixture, first, last, bids, bid_count, asks, ask_count);
}

static inline struct event random_anchor(struct random_market *market, enum event_kind kind)
{
    struct world_level bids[400], asks[400];
    uint32_t count = kind == EVENT_ANCHOR ? (uint32_t)random_in(market, 1, 400) : 20;
    for (uint32_t i = 0; i < count; i++) {
        bids[i] = (struct world_level){market->mid - (1 + (int64_t)i * 3) * market->tick,
                                       random_qty(market)};
        asks[i] = (struct world_level){market->mid + (1 + (int64_t)i * 2) * market->tick,
                                       random_qty(market)};
    }
    if (kind == EVENT_ANCHOR && random_one_in(market, 20))
        bids[0] = asks[0]; /* crossed */
    random_rescale(market, bids, count);
    random_rescale(market, asks, count);
    int64_t id = market->book_id + random_in(market, -4, 4);
    return fixture_snapshot(market->fixture, kind, id, bids, count, asks, count);
}

static inline struct event random_quote(struct random_market *market)
{
    struct world_level levels[2] = {{market->mid - market->tick, random_qty(market)},
                                    {market->mid + market->tick, random_qty(market)}};
    if (random_one_in(market, 40))
        levels[0].price = levels[1].price; /* locked */
    random_rescale(market, levels, 2);
    return fixture_quote(market->fixture, market->book_id + random_in(market, -2, 3),
                         levels[0].price, levels[0].qty, levels[1].price, levels[1].qty);
}

static inline struct event random_trades(struct random_market *market)
{
    struct trade trades[20];
    uint32_t count = (uint32_t)random_in(market, 0, 19);
    for (uint32_t i = 0; i < count; i++) {
        struct world_level level = {random_price(market, random_one_in(market, 2)),
                                    random_qty(market)};
        random_rescale(market, &level, 1);
        market->trade_id += random_one_in(market, 200) ? 3 : random_one_in(market, 30) ? 0 : 1;
        trades[i] =
            (struct trade){market->trade_id, level.price, level.qty, random_one_in(market, 2)};
    }
    return fixture_trades(market->fixture, trades, count);
}

/* The next event; its views are the fixture's. */
static inline struct event random_event(struct random_market *market)
{
    struct fixture *fixture = market->fixture;
    if (random_one_in(market, 3))
        fixture->now_us += random_in(market, 0, random_one_in(market, 300) ? 9000000 : 60000);
    if (random_one_in(market, 500)) {
        fixture->epoch++;
        fixture->seq = 0;
        fixture->now_us -= random_one_in(market, 3) ? 7000000 : 100;
    }
    if (random_one_in(market, 10))
        market->mid += random_in(market, -5, 5) * market->tick;
    if (random_one_in(market, 400))
        market->mid += random_in(market, -80000, 80000) * market->tick;
    if (market->has_other_exponents && random_one_in(market, 20)) {
        fixture->price_exponent = (int)random_in(market, -9, -2);
        fixture->qty_exponent = (int)random_in(market, -9, -5);
    }
    switch (random_in(market, 0, 11)) {
    case 0:
    case 1:
    case 2:
    case 3:
        return random_diff(market);
    case 4:
    case 5:
        return random_quote(market);
    case 6:
    case 7:
        return random_trades(market);
    case 8:
        return random_anchor(market, random_one_in(market, 2) ? EVENT_ANCHOR : EVENT_SNAPSHOT);
    case 9:
        return random_one_in(market, 20) ? fixture_event(fixture, EVENT_HOLE)
                                         : random_quote(market);
    default:
        fixture->now_us += 30000;
        return fixture_tick(fixture);
    }
}

#endif
