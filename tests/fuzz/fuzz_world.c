/* covers: src/market/world.c src/market/world_trades.c src/market/lost.c */
/* Bytes as a sequence of events: whatever comes, a world keeps its promises: no crash, every
 * feature finite and in range, a live book is not empty of ids, and a world loaded from a
 * checkpoint in the middle ends with the very same checkpoint.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "market/world.h"

#define LEVELS_MAX 24
#define TRADES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input, eaten from the front; zeros when it is used up. */
struct feed {
    const uint8_t *at;
    size_t left;
    int64_t book_id, trade_id, now_us;
    uint64_t epoch, seq;
    uint8_t bids[LEVELS_MAX * 16], asks[LEVELS_MAX * 16], trades[TRADES_MAX * 25];
    struct anchor_trade list[TRADES_MAX];
};

static uint8_t feed_byte(struct feed *feed)
{
    if (feed->left == 0)
        return 0;
    feed->left--;
    return *feed->at++;
}

/* Mostly a small step; sometimes any value at all. */
static int64_t feed_value(struct feed *feed, int64_t usual)
{
    int8_t step = (int8_t)feed_byte(feed);
    if (step != 127)
        return (int64_t)((uint64_t)usual + (uint64_t)step); /* may wrap: any value is fair */
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | feed_byte(feed);
    return (int64_t)value;
}

static struct level_view feed_levels(struct feed *feed, uint8_t *to, int64_t start, int64_t step)
{
    uint32_t count = feed_byte(feed) % (LEVELS_MAX + 1);
    bool is_sorted = feed_byte(feed) % 4 != 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t usual = is_sorted ? start + step * (int64_t)i : start;
        bytes_store_i64(to + (size_t)i * 16, is_sorted ? usual : feed_value(feed, usual));
        bytes_store_i64(to + (size_t)i * 16 + 8,
                        is_sorted ? 1 + (feed_byte(feed) & 7) : feed_value(feed, 5));
    }
    return (struct level_view){to, count, 16};
}

static void feed_book_event(struct feed *feed, struct event *event)
{
    int64_t touch = 100000 + (int8_t)feed_byte(feed);
    struct level_view bids = feed_levels(feed, feed->bids, touch, -1);
    struct level_view asks = feed_levels(feed, feed->asks, touch + 1, 1);
    if (event->kind == EVENT_DIFF) {
        event->diff.first_id = feed_value(feed, (int64_t)((uint64_t)feed->book_id + 1));
        event->diff.last_id = feed_value(feed, event->diff.first_id);
        event->diff.bids = bids;
        event->diff.asks = asks;
        if (event->diff.last_id > 0 && event->diff.last_id < feed->book_id + 1000)
            feed->book_id = event->diff.last_id;
    } else {
        event->snapshot.book_id = feed_value(feed, feed->book_id);
        event->snapshot.bids = bids;
        event->snapshot.asks = asks;
    }
}

/* Mostly a chain about the trades that came. */
static void feed_anchor_trades(struct feed *feed, struct event *event)
{
    uint32_t count = feed_byte(feed) % (TRADES_MAX + 1);
    int64_t id = feed_value(feed, feed->trade_id - 8);
    int64_t time_us = feed_value(feed, feed->now_us - 500000);
    for (uint32_t i = 0; i < count; i++) {
        struct anchor_trade *trade = &feed->list[i];
        bool is_odd = feed_byte(feed) == 255;
        trade->first_id = is_odd ? feed_value(feed, id) : id;
        trade->last_id = is_odd ? feed_value(feed, id) : id + (feed_byte(feed) & 3);
        trade->price = is_odd ? feed_value(feed, 100000) : 100000;
        trade->qty = is_odd ? feed_value(feed, 100) : 100 + feed_byte(feed);
        trade->time_us = time_us;
        trade->is_buyer_maker = (feed_byte(feed) & 1) != 0;
        id = trade->last_id < INT64_MAX ? trade->last_id + 1 : 0;
        time_us = (int64_t)((uint64_t)time_us + feed_byte(feed) * 1000u);
    }
    event->snapshot.trades = feed->list;
    event->snapshot.trade_count = count;
}

static void feed_trades(struct feed *feed, struct event *event)
{
    uint32_t count = feed_byte(feed) % (TRADES_MAX + 1);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *at = feed->trades + (size_t)i * 25;
        bytes_store_i64(at, feed_value(feed, ++feed->trade_id));
        bytes_store_i64(at + 8, feed_value(feed, 100000));
        bytes_store_i64(at + 16, feed_value(feed, 100));
        at[24] = feed_byte(feed);
    }
    event->trades.list = (struct trade_view){feed->trades, count, 25};
    event->trades.transact_us = feed_value(feed, feed->now_us);
}

static void feed_quote(struct feed *feed, struct event *event)
{
    event->quote.book_id = feed_value(feed, feed->book_id);
    event->quote.bid_price = feed_value(feed, 100000);
    event->quote.bid_qty = feed_value(feed, 5);
    event->quote.ask_price = feed_value(feed, 100001);
    event->quote.ask_qty = feed_value(feed, 5);
}

static struct event feed_event(struct feed *feed)
{
    static const enum event_kind kinds[] = {EVENT_DIFF, EVENT_TRADES, EVENT_QUOTE,
                                            EVENT_DIFF, EVENT_ANCHOR, EVENT_SNAPSHOT,
                                            EVENT_TICK, EVENT_TICK,   EVENT_HOLE};
    uint8_t head = feed_byte(feed);
    uint8_t scale = feed_byte(feed);
    feed->now_us = feed_value(feed, feed->now_us);
    if ((head & 0x10) != 0 && feed->now_us < INT64_MAX - 100000)
        feed->now_us += 100000;
    if (head >= 250) {
        feed->epoch++;
        feed->seq = 0;
    }
    struct event event = {.kind = kinds[head % 9],
                          .epoch = feed->epoch,
                          .seq = ++feed->seq,
                          .recv_us = feed->now_us,
                          .price_exponent = (scale & 1) != 0 ? (int8_t)feed_byte(feed) : -2,
                          .qty_exponent = (scale & 2) != 0 ? (int8_t)feed_byte(feed) : -5};
    if (event.kind == EVENT_DIFF || event.kind == EVENT_ANCHOR || event.kind == EVENT_SNAPSHOT)
        feed_book_event(feed, &event);
    if (event.kind == EVENT_ANCHOR && (head & 0x20) != 0)
        feed_anchor_trades(feed, &event);
    if (event.kind == EVENT_TRADES)
        feed_trades(feed, &event);
    else if (event.kind == EVENT_QUOTE)
        feed_quote(feed, &event);
    return event;
}

static void check_world(const struct world *world)
{
    struct world_view view;
    world_view(world, &view);
    CHECK(view.mid2 >= 0 && (view.mid2 == 0 || view.best_bid < view.best_ask));
    CHECK(!view.book_live || view.book_id > 0);
    for (int i = 1; i < view.bid_count; i++)
        CHECK(view.bids[i].price < view.bids[i - 1].price && view.bids[i].qty > 0);
    for (int i = 1; i < view.ask_count; i++)
        CHECK(view.asks[i].price > view.asks[i - 1].price && view.asks[i].qty > 0);
    for (int i = 0; i < FEATURE_COUNT; i++) {
        float value = view.vector.values[i];
        CHECK(isfinite(value));
        CHECK(!view.vector.valid || (value >= feature_minimum(i) && value <= feature_maximum(i)));
    }
}

static struct world *open_world(void)
{
    struct world *world = NULL;
    struct world_options options = {.symbol = "BTCUSDT"};
    CHECK(world_open(&options, &world, NULL) == ERR_OK);
    return world;
}

static size_t save_into(const struct world *world, uint8_t *out, size_t capacity)
{
    size_t size = 0;
    CHECK(world_save(world, out, capacity, &size, NULL) == ERR_OK);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Opening two worlds costs more than most inputs: they are emptied by a load instead. */
    static struct world *steady, *resumed;
    static uint8_t *empty, *first, *second;
    static size_t capacity, empty_size;
    if (steady == NULL) {
        steady = open_world();
        resumed = open_world();
        capacity = world_save_size_max(steady);
        empty = malloc(capacity);
        first = malloc(capacity);
        second = malloc(capacity);
        empty_size = save_into(steady, empty, capacity);
    }
    CHECK(world_load(steady, bytes_of(empty, empty_size), NULL) == ERR_OK);
    struct feed feed = {.at = data,
                        .left = size,
                        .book_id = 1000,
                        .trade_id = 10,
                        .epoch = 1,
                        .now_us = INT64_C(1700000000000000)};
    size_t middle = size / 2;
    bool is_resumed = false;
    while (feed.left > 0) {
        if (!is_resumed && feed.left <= middle) {
            size_t saved = save_into(steady, first, capacity);
            CHECK(world_load(resumed, bytes_of(first, saved), NULL) == ERR_OK);
            is_resumed = true;
        }
        struct event event = feed_event(&feed);
        unsigned effects = world_apply(steady, &event);
        if (is_resumed)
            CHECK(world_apply(resumed, &event) == effects);
        if ((effects & WORLD_CHANGED) != 0)
            check_world(steady);
    }
    if (!is_resumed)
        return 0;
    size_t saved = save_into(steady, first, capacity);
    CHECK(save_into(resumed, second, capacity) == saved && memcmp(first, second, saved) == 0);
    return 0;
}
