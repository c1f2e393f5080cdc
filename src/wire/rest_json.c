/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/rest_json.h"

#include <string.h>

/* A time at or above this is in microseconds already (X-MBX-TIME-UNIT). */
#define REST_JSON_MICROSECONDS 100000000000000

static int rest_json_refuse(struct err *err, const char *what, const struct json_scan *scan,
                            struct bytes text)
{
    return err_set(err, ERR_MALFORMED, "%s: unreadable at byte %zu of %zu", what,
                   json_scan_offset(scan), text.size);
}

/* The whole text read, and every value at its exponent? */
static int rest_json_finish(struct json_scan *scan, const struct json_decimals *decimals,
                            const char *what, struct bytes text, struct err *err)
{
    if (!json_scan_finish(scan))
        return rest_json_refuse(err, what, scan, text);
    if (json_decimals_finer(decimals))
        return err_set(err, ERR_MALFORMED, "%s: a value is finer than the exponents %d and %d",
                       what, decimals->price_exponent, decimals->qty_exponent);
    return ERR_OK;
}

static bool rest_json_time(struct json_scan *scan, int64_t *time_us)
{
    int64_t time = 0;
    if (!json_scan_i64(scan, &time) || time < 0)
        return json_scan_fail(scan);
    *time_us = time < REST_JSON_MICROSECONDS ? time * 1000 : time;
    return true;
}

static bool rest_json_id(struct json_scan *scan, int64_t *id)
{
    return (json_scan_i64(scan, id) && *id >= 0) || json_scan_fail(scan);
}

bool rest_json_scan_depth(struct json_scan *scan, struct json_decimals *decimals,
                          struct rest_depth *depth)
{
    struct bytes key;
    bool id = false;
    bool bids = false;
    bool asks = false;
    if (!json_scan_object(scan))
        return false;
    while (json_scan_member(scan, &key)) {
        if (JSON_SCAN_IS(key, "lastUpdateId"))
            id = rest_json_id(scan, &depth->last_update_id);
        else if (JSON_SCAN_IS(key, "bids"))
            bids = json_decimals_levels(decimals, scan, depth->bids, depth->capacity,
                                        &depth->bid_count);
        else if (JSON_SCAN_IS(key, "asks"))
            asks = json_decimals_levels(decimals, scan, depth->asks, depth->capacity,
                                        &depth->ask_count);
        else
            (void)json_scan_skip(scan, NULL);
    }
    return (id && bids && asks && !scan->failed) || json_scan_fail(scan);
}

int rest_json_read_depth(struct bytes text, struct sbe_scale scale, struct rest_depth *depth,
                         struct err *err)
{
    struct json_scan scan = json_scan_begin(text);
    struct json_decimals decimals = json_decimals_begin(scale.price_exponent, scale.qty_exponent);
    (void)rest_json_scan_depth(&scan, &decimals, depth);
    return rest_json_finish(&scan, &decimals, "depth reply", text, err);
}

/* Every member of an aggTrades element, as bits. */
enum rest_json_agg_member {
    REST_AGG_ID = 1,
    REST_AGG_PRICE = 2,
    REST_AGG_QTY = 4,
    REST_AGG_FIRST = 8,
    REST_AGG_LAST = 16,
    REST_AGG_TIME = 32,
    REST_AGG_MAKER = 64,
    REST_AGG_ALL = 127,
};

/* Reads one member; returns its bit, 0 for one that is not wanted or not readable. */
static unsigned rest_json_agg_member(struct json_scan *scan, struct json_decimals *decimals,
                                     uint8_t letter, struct rest_agg_trade *trade)
{
    switch (letter) {
    case 'a':
        return rest_json_id(scan, &trade->id) ? REST_AGG_ID : 0;
    case 'p':
        return json_decimals_price(decimals, scan, &trade->price) ? REST_AGG_PRICE : 0;
    case 'q':
        return json_decimals_qty(decimals, scan, &trade->qty) ? REST_AGG_QTY : 0;
    case 'f':
        return rest_json_id(scan, &trade->first_id) ? REST_AGG_FIRST : 0;
    case 'l':
        return rest_json_id(scan, &trade->last_id) ? REST_AGG_LAST : 0;
    case 'T':
        return rest_json_time(scan, &trade->time_us) ? REST_AGG_TIME : 0;
    case 'm':
        return json_scan_bool(scan, &trade->is_buyer_maker) ? REST_AGG_MAKER : 0;
    default:
        (void)json_scan_skip(scan, NULL);
        return 0;
    }
}

static bool rest_json_agg_trade(struct json_scan *scan, struct json_decimals *decimals,
                                struct rest_agg_trade *trade)
{
    struct bytes key;
    unsigned present = 0;
    if (!json_scan_object(scan))
        return false;
    while (json_scan_member(scan, &key))
        present |= rest_json_agg_member(scan, decimals, key.size == 1 ? key.data[0] : 0, trade);
    return present == REST_AGG_ALL || json_scan_fail(scan);
}

bool rest_json_scan_agg_trades(struct json_scan *scan, struct json_decimals *decimals,
                               struct rest_agg_trade *trades, uint32_t capacity, uint32_t *count)
{
    *count = 0;
    if (!json_scan_array(scan))
        return false;
    while (json_scan_element(scan)) {
        if (*count == capacity)
            return json_scan_fail(scan);
        if (rest_json_agg_trade(scan, decimals, &trades[*count]))
            ++*count;
    }
    return !scan->failed;
}

int rest_json_read_agg_trades(struct bytes text, struct sbe_scale scale,
                              struct rest_agg_trade *trades, uint32_t capacity, uint32_t *count,
                              struct err *err)
{
    struct json_scan scan = json_scan_begin(text);
    struct json_decimals decimals = json_decimals_begin(scale.price_exponent, scale.qty_exponent);
    *count = 0;
    (void)json_scan_array(&scan);
    while (json_scan_element(&scan)) {
        if (*count == capacity)
            return err_set(err, ERR_FULL, "aggTrades reply: more than %u", capacity);
        if (rest_json_agg_trade(&scan, &decimals, &trades[*count]))
            ++*count;
    }
    return rest_json_finish(&scan, &decimals, "aggTrades reply", text, err);
}

static bool rest_json_trade(struct json_scan *scan, struct json_decimals *decimals,
                            struct trade *trade, int64_t *time_us)
{
    struct bytes key;
    int members = 0;
    if (!json_scan_object(scan))
        return false;
    while (json_scan_member(scan, &key)) {
        if (JSON_SCAN_IS(key, "id"))
            members += rest_json_id(scan, &trade->id);
        else if (JSON_SCAN_IS(key, "price"))
            members += json_decimals_price(decimals, scan, &trade->price);
        else if (JSON_SCAN_IS(key, "qty"))
            members += json_decimals_qty(decimals, scan, &trade->qty);
        else if (JSON_SCAN_IS(key, "time"))
            members += rest_json_time(scan, time_us);
        else if (JSON_SCAN_IS(key, "isBuyerMaker"))
            members += json_scan_bool(scan, &trade->is_buyer_maker);
        else
            (void)json_scan_skip(scan, NULL);
    }
    return members == 5 || json_scan_fail(scan);
}

int rest_json_read_trades(struct bytes text, struct sbe_scale scale, struct trade *trades,
                          int64_t *times_us, uint32_t capacity, uint32_t *count, struct err *err)
{
    struct json_scan scan = json_scan_begin(text);
    struct json_decimals decimals = json_decimals_begin(scale.price_exponent, scale.qty_exponent);
    *count = 0;
    (void)json_scan_array(&scan);
    while (json_scan_element(&scan)) {
        if (*count == capacity)
            return err_set(err, ERR_FULL, "trades reply: more than %u", capacity);
        if (rest_json_trade(&scan, &decimals, &trades[*count], &times_us[*count]))
            ++*count;
    }
    return rest_json_finish(&scan, &decimals, "trades reply", text, err);
}

/* An array's next element, which must be there. */
static bool rest_json_next(struct json_scan *scan)
{
    return json_scan_element(scan) || json_scan_fail(scan);
}

/* [openTime,"o","h","l","c","vol",closeTime,"quoteVol",n,"takerBase","takerQuote","0"] */
static bool rest_json_kline(struct json_scan *scan, struct json_decimals *decimals,
                            struct rest_kline *kline)
{
    int64_t *prices[] = {&kline->open, &kline->high, &kline->low, &kline->close};
    if (!json_scan_array(scan) || !rest_json_next(scan) || !rest_json_time(scan, &kline->open_us))
        return json_scan_fail(scan);
    for (int i = 0; i < 4; i++)
        if (!rest_json_next(scan) || !json_decimals_price(decimals, scan, prices[i]))
            return json_scan_fail(scan);
    if (!rest_json_next(scan) || !json_decimals_qty(decimals, scan, &kline->volume) ||
        !rest_json_next(scan) || !rest_json_time(scan, &kline->close_us) || !rest_json_next(scan) ||
        !json_scan_skip(scan, NULL) || !rest_json_next(scan) ||
        !rest_json_id(scan, &kline->trade_count) || !rest_json_next(scan) ||
        !json_decimals_qty(decimals, scan, &kline->taker_buy_volume))
        return json_scan_fail(scan);
    while (json_scan_element(scan))
        (void)json_scan_skip(scan, NULL);
    return !scan->failed;
}

int rest_json_read_klines(struct bytes text, struct sbe_scale scale, struct rest_kline *klines,
                          uint32_t capacity, uint32_t *count, struct err *err)
{
    struct json_scan scan = json_scan_begin(text);
    struct json_decimals decimals = json_decimals_begin(scale.price_exponent, scale.qty_exponent);
    *count = 0;
    (void)json_scan_array(&scan);
    while (json_scan_element(&scan)) {
        if (*count == capacity)
            return err_set(err, ERR_FULL, "klines reply: more than %u", capacity);
        if (rest_json_kline(&scan, &decimals, &klines[*count]))
            ++*count;
    }
    return rest_json_finish(&scan, &decimals, "klines reply", text, err);
}

int rest_json_read_time(struct bytes text, int64_t *server_us, struct err *err)
{
    struct json_scan scan = json_scan_begin(text);
    struct bytes key;
    bool found = false;
    (void)json_scan_object(&scan);
    while (json_scan_member(&scan, &key)) {
        if (JSON_SCAN_IS(key, "serverTime"))
            found = rest_json_time(&scan, server_us);
        else
            (void)json_scan_skip(&scan, NULL);
    }
    if (!json_scan_finish(&scan) || !found)
        return rest_json_refuse(err, "time reply", &scan, text);
    return ERR_OK;
}

/* Milliseconds behind "banned until ", as us; 0 when the text has none. */
static int64_t rest_json_banned_us(struct bytes text)
{
    static const char mark[] = "banned until ";
    const uint8_t *at = memmem(text.data, text.size, mark, sizeof(mark) - 1);
    if (at == NULL)
        return 0;
    int64_t ms = 0;
    const uint8_t *end = text.data + text.size;
    for (at += sizeof(mark) - 1; at < end && *at >= '0' && *at <= '9'; at++)
        if (ms < REST_JSON_MICROSECONDS)
            ms = ms * 10 + (*at - '0');
    return ms < REST_JSON_MICROSECONDS ? ms * 1000 : ms;
}

int rest_json_read_error(struct bytes text, struct rest_error *error, struct err *err)
{
    struct json_scan scan = json_scan_begin(text);
    struct bytes key;
    bool found = false;
    *error = (struct rest_error){0};
    (void)json_scan_object(&scan);
    while (json_scan_member(&scan, &key)) {
        if (JSON_SCAN_IS(key, "code"))
            found = json_scan_i64(&scan, &error->code);
        else if (JSON_SCAN_IS(key, "msg"))
            (void)json_scan_string(&scan, &error->text);
        else
            (void)json_scan_skip(&scan, NULL);
    }
    if (!json_scan_finish(&scan) || !found)
        return rest_json_refuse(err, "error reply", &scan, text);
    if (error->text.size > 0)
        error->banned_until_us = rest_json_banned_us(error->text);
    return ERR_OK;
}
