/* Every member of interest of one of the exchange's JSON messages, read in one pass before
 * anyone knows what kind of message it is (wire/exchange_json decides that).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_EXCHANGE_FIELDS_H
#define BTCAST_WIRE_EXCHANGE_FIELDS_H

#include "base/err.h"
#include "wire/exchange_json.h"
#include "wire/json_decimals.h"

/* Which members were met. */
enum exchange_member {
    EXCHANGE_MEMBER_EVENT = 1 << 0,      /* e */
    EXCHANGE_MEMBER_EVENT_TIME = 1 << 1, /* E */
    EXCHANGE_MEMBER_SYMBOL = 1 << 2,     /* s */
    EXCHANGE_MEMBER_TRADE_ID = 1 << 3,   /* t */
    EXCHANGE_MEMBER_PRICE = 1 << 4,      /* p */
    EXCHANGE_MEMBER_QTY = 1 << 5,        /* q */
    EXCHANGE_MEMBER_TRADE_TIME = 1 << 6, /* T */
    EXCHANGE_MEMBER_MAKER = 1 << 7,      /* m */
    EXCHANGE_MEMBER_FIRST_ID = 1 << 8,   /* U */
    EXCHANGE_MEMBER_LAST_ID = 1 << 9,    /* u */
    EXCHANGE_MEMBER_BIDS = 1 << 10,      /* b or bids: levels */
    EXCHANGE_MEMBER_ASKS = 1 << 11,      /* a or asks: levels */
    EXCHANGE_MEMBER_BID_PRICE = 1 << 12, /* b: a price */
    EXCHANGE_MEMBER_BID_QTY = 1 << 13,   /* B */
    EXCHANGE_MEMBER_ASK_PRICE = 1 << 14, /* a: a price */
    EXCHANGE_MEMBER_ASK_QTY = 1 << 15,   /* A */
    EXCHANGE_MEMBER_UPDATE_ID = 1 << 16, /* lastUpdateId */
    EXCHANGE_MEMBER_STREAM = 1 << 17,    /* stream */
    EXCHANGE_MEMBER_RESULT = 1 << 18,    /* result */
    EXCHANGE_MEMBER_CODE = 1 << 19,      /* code, here or in error */
    EXCHANGE_MEMBER_ID = 1 << 20,        /* id */
};

struct exchange_json {
    struct sbe_level bids[EXCHANGE_JSON_LEVELS_MAX];
    struct sbe_level asks[EXCHANGE_JSON_LEVELS_MAX];
};

/* The wrapper's members and the data's side by side: no name means two things. */
struct exchange_fields {
    struct exchange_json *scratch;
    struct json_decimals decimals;
    unsigned present;
    struct bytes event, symbol, stream, id, text;
    int64_t event_time, trade_time, trade_id, first_id, last_id, update_id, code;
    int64_t price, qty;
    struct sbe_level bid, ask;
    uint32_t bid_count, ask_count;
    bool is_buyer_maker;
};

/* Reads a whole message with decimals at these exponents; json takes its levels.
 * ERR_MALFORMED with the byte offset. */
int exchange_fields_read(struct exchange_fields *fields, struct exchange_json *json,
                         struct bytes text, int price_exponent, int qty_exponent,
                         struct err *err) MUST_CHECK;

/* Were all of these met? */
static inline bool exchange_fields_has(const struct exchange_fields *fields, unsigned members)
{
    return (fields->present & members) == members;
}

#endif
