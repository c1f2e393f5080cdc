/* A record decoded: what market/world applies. Groups stay where they are on the
 * wire; the views below read them unaligned and without copying, with the wire's own
 * stride (BINANCE.md section 5, forward compatibility).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_EVENT_H
#define BTCAST_MARKET_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* count entries of {i64 price, i64 qty}, stride bytes apart (>= 16). Bids best first
 * descending and asks ascending in snapshots; any order in diffs. */
struct level_view {
    const uint8_t *at;
    uint32_t count;
    uint32_t stride;
};

static inline int64_t level_price(const struct level_view *view, uint32_t index)
{
    return bytes_load_i64(view->at + (size_t)index * view->stride);
}

static inline int64_t level_qty(const struct level_view *view, uint32_t index)
{
    return bytes_load_i64(view->at + (size_t)index * view->stride + 8);
}

/* count entries of {i64 id, i64 price, i64 qty, u8 isBuyerMaker}, stride >= 25. */
struct trade_view {
    const uint8_t *at;
    uint32_t count;
    uint32_t stride;
};

struct trade {
    int64_t id;
    int64_t price;
    int64_t qty;
    bool is_buyer_maker; /* true: the seller was the aggressor */
};

static inline struct trade trade_at(const struct trade_view *view, uint32_t index)
{
    const uint8_t *at = view->at + (size_t)index * view->stride;
    return (struct trade){.id = bytes_load_i64(at),
                          .price = bytes_load_i64(at + 8),
                          .qty = bytes_load_i64(at + 16),
                          .is_buyer_maker = at[24] == 1};
}

/* One aggregated trade of the exchange's REST reply: the raw ids it covers, what they sum
 * up to, and the exchange's time. */
struct anchor_trade {
    int64_t first_id, last_id;
    int64_t price, qty;
    int64_t time_us;
    bool is_buyer_maker;
};

enum event_kind {
    EVENT_TRADES,   /* TradesStreamEvent 10000 */
    EVENT_QUOTE,    /* BestBidAskStreamEvent 10001 */
    EVENT_SNAPSHOT, /* DepthSnapshotStreamEvent 10002: top 20, for verification only */
    EVENT_DIFF,     /* DepthDiffStreamEvent 10003 */
    EVENT_TICK,     /* time passes */
    EVENT_ANCHOR,   /* a REST depth snapshot to re-anchor on */
    EVENT_HOLE,     /* records were lost before this point */
};

struct event {
    enum event_kind kind;
    uint64_t epoch;
    uint64_t seq;
    int64_t recv_us;
    uint8_t flags;    /* enum record_flag */
    int64_t event_us; /* the exchange's time; 0 for ticks, anchors and holes */
    int price_exponent;
    int qty_exponent;
    union {
        struct {
            int64_t transact_us;
            struct trade_view list;
        } trades;
        struct {
            int64_t book_id;
            int64_t bid_price, bid_qty, ask_price, ask_qty;
        } quote;
        struct {
            int64_t book_id;
            struct level_view bids, asks;
            /* EVENT_ANCHOR alone: levels asked for a side (fewer are all there are), 0: not
             * known; what the exchange says was traded, oldest first. */
            uint32_t asked;
            const struct anchor_trade *trades;
            uint32_t trade_count;
        } snapshot; /* EVENT_SNAPSHOT and EVENT_ANCHOR (book_id = REST lastUpdateId) */
        struct {
            int64_t first_id, last_id; /* U, u */
            struct level_view bids, asks;
        } diff;
        struct {
            uint64_t next_epoch, next_seq; /* first record applied after the hole */
        } hole;
    };
};

#endif
