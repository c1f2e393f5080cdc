/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/exchange_fields.h"

#include <string.h>

static void exchange_fields_integer(struct exchange_fields *fields, struct json_scan *scan,
                                    unsigned member, int64_t *value)
{
    if (json_scan_i64(scan, value))
        fields->present |= member;
}

static void exchange_fields_string(struct exchange_fields *fields, struct json_scan *scan,
                                   unsigned member, struct bytes *value)
{
    if (json_scan_string(scan, value))
        fields->present |= member;
}

/* b and a: levels in a diff, a price in bookTicker, an order id in old trades. */
static void exchange_fields_side(struct exchange_fields *fields, struct json_scan *scan, bool bid)
{
    struct exchange_json *scratch = fields->scratch;
    enum json_kind kind = json_scan_kind(scan);
    if (kind == JSON_SCAN_ARRAY) {
        if (json_decimals_levels(&fields->decimals, scan, bid ? scratch->bids : scratch->asks,
                                 EXCHANGE_JSON_LEVELS_MAX,
                                 bid ? &fields->bid_count : &fields->ask_count))
            fields->present |= bid ? EXCHANGE_MEMBER_BIDS : EXCHANGE_MEMBER_ASKS;
    } else if (kind == JSON_SCAN_STRING) {
        if (json_decimals_price(&fields->decimals, scan,
                                bid ? &fields->bid.price : &fields->ask.price))
            fields->present |= bid ? EXCHANGE_MEMBER_BID_PRICE : EXCHANGE_MEMBER_ASK_PRICE;
    } else {
        (void)json_scan_skip(scan, NULL);
    }
}

static void exchange_fields_qty(struct exchange_fields *fields, struct json_scan *scan,
                                unsigned member, int64_t *value)
{
    if (json_scan_kind(scan) != JSON_SCAN_STRING)
        (void)json_scan_skip(scan, NULL);
    else if (json_decimals_qty(&fields->decimals, scan, value))
        fields->present |= member;
}

static void exchange_fields_price(struct exchange_fields *fields, struct json_scan *scan)
{
    if (json_decimals_price(&fields->decimals, scan, &fields->price))
        fields->present |= EXCHANGE_MEMBER_PRICE;
}

static void exchange_fields_maker(struct exchange_fields *fields, struct json_scan *scan)
{
    if (json_scan_bool(scan, &fields->is_buyer_maker))
        fields->present |= EXCHANGE_MEMBER_MAKER;
}

/* The one-letter names of market data. */
static void exchange_fields_letter(struct exchange_fields *fields, struct json_scan *scan,
                                   uint8_t letter)
{
    switch (letter) {
    case 'e':
        exchange_fields_string(fields, scan, EXCHANGE_MEMBER_EVENT, &fields->event);
        break;
    case 'E':
        exchange_fields_integer(fields, scan, EXCHANGE_MEMBER_EVENT_TIME, &fields->event_time);
        break;
    case 's':
        exchange_fields_string(fields, scan, EXCHANGE_MEMBER_SYMBOL, &fields->symbol);
        break;
    case 't':
        exchange_fields_integer(fields, scan, EXCHANGE_MEMBER_TRADE_ID, &fields->trade_id);
        break;
    case 'T':
        exchange_fields_integer(fields, scan, EXCHANGE_MEMBER_TRADE_TIME, &fields->trade_time);
        break;
    case 'p':
        exchange_fields_price(fields, scan);
        break;
    case 'q':
        exchange_fields_qty(fields, scan, EXCHANGE_MEMBER_QTY, &fields->qty);
        break;
    case 'm':
        exchange_fields_maker(fields, scan);
        break;
    case 'U':
        exchange_fields_integer(fields, scan, EXCHANGE_MEMBER_FIRST_ID, &fields->first_id);
        break;
    case 'u':
        exchange_fields_integer(fields, scan, EXCHANGE_MEMBER_LAST_ID, &fields->last_id);
        break;
    case 'b':
    case 'a':
        exchange_fields_side(fields, scan, letter == 'b');
        break;
    case 'B':
        exchange_fields_qty(fields, scan, EXCHANGE_MEMBER_BID_QTY, &fields->bid.qty);
        break;
    case 'A':
        exchange_fields_qty(fields, scan, EXCHANGE_MEMBER_ASK_QTY, &fields->ask.qty);
        break;
    default:
        (void)json_scan_skip(scan, NULL);
    }
}

/* Values of `id`: a number, a string or null. */
static void exchange_fields_id(struct exchange_fields *fields, struct json_scan *scan)
{
    bool read = json_scan_kind(scan) == JSON_SCAN_STRING ? json_scan_string(scan, &fields->id)
                                                         : json_scan_skip(scan, &fields->id);
    if (read)
        fields->present |= EXCHANGE_MEMBER_ID;
}

static void exchange_fields_result(struct exchange_fields *fields, struct json_scan *scan)
{
    if (json_scan_skip(scan, NULL))
        fields->present |= EXCHANGE_MEMBER_RESULT;
}

/* The longer names, but for the two that hold an object to look into. */
static void exchange_fields_word(struct exchange_fields *fields, struct json_scan *scan,
                                 struct bytes key)
{
    if (JSON_SCAN_IS(key, "stream"))
        exchange_fields_string(fields, scan, EXCHANGE_MEMBER_STREAM, &fields->stream);
    else if (JSON_SCAN_IS(key, "lastUpdateId"))
        exchange_fields_integer(fields, scan, EXCHANGE_MEMBER_UPDATE_ID, &fields->update_id);
    else if (JSON_SCAN_IS(key, "bids") || JSON_SCAN_IS(key, "asks"))
        exchange_fields_side(fields, scan, key.data[0] == 'b');
    else if (JSON_SCAN_IS(key, "id"))
        exchange_fields_id(fields, scan);
    else if (JSON_SCAN_IS(key, "result"))
        exchange_fields_result(fields, scan);
    else if (JSON_SCAN_IS(key, "code"))
        exchange_fields_integer(fields, scan, EXCHANGE_MEMBER_CODE, &fields->code);
    else if (JSON_SCAN_IS(key, "msg"))
        exchange_fields_string(fields, scan, 0, &fields->text);
    else
        (void)json_scan_skip(scan, NULL);
}

/* An object's members; `outer`: look into data and error too, once. */
static void exchange_fields_object(struct exchange_fields *fields, struct json_scan *scan,
                                   bool outer)
{
    struct bytes key;
    if (!json_scan_object(scan))
        return;
    while (json_scan_member(scan, &key)) {
        bool inner = JSON_SCAN_IS(key, "data") || JSON_SCAN_IS(key, "error");
        if (key.size == 1)
            exchange_fields_letter(fields, scan, key.data[0]);
        else if (inner && !outer)
            (void)json_scan_skip(scan, NULL);
        else if (inner && json_scan_kind(scan) == JSON_SCAN_OBJECT)
            exchange_fields_object(fields, scan, false);
        else
            exchange_fields_word(fields, scan, key);
    }
}

int exchange_fields_read(struct exchange_fields *fields, struct exchange_json *json,
                         struct bytes text, int price_exponent, int qty_exponent, struct err *err)
{
    struct json_scan scan = json_scan_begin(text);
    *fields = (struct exchange_fields){
        .scratch = json, .decimals = json_decimals_begin(price_exponent, qty_exponent)};
    exchange_fields_object(fields, &scan, true);
    if (json_scan_finish(&scan))
        return ERR_OK;
    return err_set(err, ERR_MALFORMED, "JSON message of %zu bytes: unreadable at byte %zu",
                   text.size, json_scan_offset(&scan));
}
