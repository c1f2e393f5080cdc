/* The exchange's REST replies (BINANCE.md section 8), read exactly and without
 * allocation: decimals become integers at the exponents asked for, times microseconds.
 * Which values make sense is the caller's judgement; here a reply is read or refused.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_REST_JSON_H
#define BTCAST_WIRE_REST_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "wire/json_decimals.h"
#include "wire/sbe.h"

#define REST_JSON_DEPTH_MAX 5000 /* levels a side */
#define REST_JSON_LIST_MAX  1000 /* aggTrades, trades, klines in one reply */

/* GET /api/v3/depth. bids and asks: the caller's arrays of `capacity` levels each. */
struct rest_depth {
    int64_t last_update_id;
    struct sbe_level *bids, *asks;
    uint32_t capacity;
    uint32_t bid_count, ask_count;
};
/* The reply as one value inside a larger document; false (and the scan failed) when it is
 * malformed or a member is missing. Says through decimals when finer exponents are wanted. */
bool rest_json_scan_depth(struct json_scan *scan, struct json_decimals *decimals,
                          struct rest_depth *depth);
/* A value finer than the exponents is ERR_MALFORMED, as is everything else. */
int rest_json_read_depth(struct bytes text, struct sbe_scale scale, struct rest_depth *depth,
                         struct err *err) MUST_CHECK;

/* GET /api/v3/aggTrades */
struct rest_agg_trade {
    int64_t id, first_id, last_id; /* own id, raw ids it covers */
    int64_t price, qty;
    int64_t time_us;
    bool is_buyer_maker;
};
/* Elements of one array inside a larger document; false when it is malformed or has more
 * than capacity. Says through decimals when finer exponents are wanted. */
bool rest_json_scan_agg_trades(struct json_scan *scan, struct json_decimals *decimals,
                               struct rest_agg_trade *trades, uint32_t capacity, uint32_t *count);
/* More than capacity: ERR_FULL. */
int rest_json_read_agg_trades(struct bytes text, struct sbe_scale scale,
                              struct rest_agg_trade *trades, uint32_t capacity, uint32_t *count,
                              struct err *err) MUST_CHECK;

/* GET /api/v3/trades and historicalTrades */
int rest_json_read_trades(struct bytes text, struct sbe_scale scale, struct trade *trades,
                          int64_t *times_us, uint32_t capacity, uint32_t *count,
                          struct err *err) MUST_CHECK;

/* GET /api/v3/klines. Prices at the price exponent, volumes in base currency at the
 * quantity exponent; quote volumes are not kept. */
struct rest_kline {
    int64_t open_us, close_us;
    int64_t open, high, low, close;
    int64_t volume, taker_buy_volume;
    int64_t trade_count;
};
int rest_json_read_klines(struct bytes text, struct sbe_scale scale, struct rest_kline *klines,
                          uint32_t capacity, uint32_t *count, struct err *err) MUST_CHECK;

/* GET /api/v3/time: the server's time, us. */
int rest_json_read_time(struct bytes text, int64_t *server_us, struct err *err) MUST_CHECK;

/* GET /api/v3/exchangeInfo?symbol=S */
struct rest_exchange_info {
    char symbol[24];
    bool trading;                      /* status is TRADING */
    int64_t request_weight_per_minute; /* 0: not stated */
    int64_t raw_requests_per_5m;       /* 0: not stated */
    int64_t tick_size;                 /* PRICE_FILTER, at the price exponent; 0: not stated */
    int64_t step_size;                 /* LOT_SIZE, at the quantity exponent; 0: not stated */
};
/* ERR_NOT_FOUND when the reply does not hold the symbol. */
int rest_json_read_exchange_info(struct bytes text, const char *symbol, struct sbe_scale scale,
                                 struct rest_exchange_info *info, struct err *err) MUST_CHECK;

/* An error's body, {"code":-1121,"msg":"…"}. banned_until_us: from a text with "IP banned
 * until <ms>", else 0. ERR_MALFORMED for anything else (a proxy's HTML page). */
struct rest_error {
    int64_t code;
    struct bytes text; /* borrowed, escapes not resolved */
    int64_t banned_until_us;
};
int rest_json_read_error(struct bytes text, struct rest_error *error, struct err *err) MUST_CHECK;

#endif
