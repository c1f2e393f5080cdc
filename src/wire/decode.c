/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/decode.h"

#include <stdlib.h>
#include <string.h>

#include "wire/json_decimals.h"
#include "wire/json_scan.h"
#include "wire/rest_json.h"

/* Before any frame has shown its own. */
#define DECODE_FIRST_EXPONENT (-8)
#define DECODE_HOLE_SIZE      16

struct decode {
    char symbol[RECORD_SYMBOL_SIZE];
    size_t symbol_size;
    int price_exponent, qty_exponent;
    struct sbe_level bids[DECODE_ANCHOR_LEVELS_MAX];
    struct sbe_level asks[DECODE_ANCHOR_LEVELS_MAX];
    struct rest_agg_trade list[DECODE_ANCHOR_TRADES_MAX];
    struct anchor_trade trades[DECODE_ANCHOR_TRADES_MAX];
};

/* The members of an anchor document met so far. */
struct decode_anchor {
    bool symbol, depth;
    struct rest_depth reply;
    int64_t asked;
    struct bytes trades; /* as written; size 0: none */
};

int decode_open(const char *symbol, struct decode **decode, struct err *err)
{
    size_t size = strlen(symbol);
    if (!sbe_symbol_valid(bytes_of(symbol, size)))
        return err_set(err, ERR_INVALID, "decode: bad symbol \"%.32s\"", symbol);
    struct decode *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return err_set(err, ERR_MEMORY, "decode of %s", symbol);
    memcpy(self->symbol, symbol, size + 1);
    self->symbol_size = size;
    self->price_exponent = DECODE_FIRST_EXPONENT;
    self->qty_exponent = DECODE_FIRST_EXPONENT;
    *decode = self;
    return ERR_OK;
}

void decode_close(struct decode *decode)
{
    free(decode);
}

static bool decode_is_symbol(const struct decode *decode, struct bytes symbol)
{
    return symbol.size == decode->symbol_size &&
           memcmp(symbol.data, decode->symbol, symbol.size) == 0;
}

static int decode_record_frame(struct decode *decode, struct bytes payload, struct event *event,
                               enum sbe_verdict *verdict, struct err *err)
{
    struct bytes symbol = {NULL, 0};
    size_t offset = 0;
    enum sbe_verdict judged = sbe_decode_event(payload, event, &symbol, &offset);
    if (judged == SBE_OK && !decode_is_symbol(decode, symbol)) {
        judged = SBE_BAD_SYMBOL;
        offset = (size_t)(symbol.data - payload.data);
    }
    if (verdict != NULL)
        *verdict = judged;
    if (judged != SBE_OK) {
        bool unsupported = judged == SBE_UNKNOWN_SCHEMA || judged == SBE_UNKNOWN_TEMPLATE;
        return err_set(err, unsupported ? ERR_UNSUPPORTED : ERR_MALFORMED,
                       "frame of %zu bytes: %s at byte %zu", payload.size, sbe_verdict_text(judged),
                       offset);
    }
    decode->price_exponent = event->price_exponent;
    decode->qty_exponent = event->qty_exponent;
    return ERR_OK;
}

static void decode_anchor_document(const struct decode *decode, struct json_scan *scan,
                                   struct json_decimals *decimals, struct decode_anchor *found)
{
    struct bytes key;
    struct bytes symbol;
    if (!json_scan_object(scan))
        return;
    while (json_scan_member(scan, &key)) {
        if (JSON_SCAN_IS(key, "depth"))
            found->depth = rest_json_scan_depth(scan, decimals, &found->reply);
        else if (JSON_SCAN_IS(key, "levels"))
            (void)json_scan_i64(scan, &found->asked);
        else if (JSON_SCAN_IS(key, "aggTrades"))
            (void)json_scan_skip(scan, &found->trades);
        else if (JSON_SCAN_IS(key, "symbol"))
            found->symbol = json_scan_string(scan, &symbol) && decode_is_symbol(decode, symbol);
        else
            (void)json_scan_skip(scan, NULL);
    }
}

static struct level_view decode_anchor_view(const struct sbe_level *levels, uint32_t count)
{
    return (struct level_view){
        .at = (const uint8_t *)levels, .count = count, .stride = sizeof(*levels)};
}

/* Into decode->trades; returns how many, 0 when they cannot be read. */
static uint32_t decode_anchor_trades(struct decode *decode, struct bytes raw)
{
    struct json_scan scan = json_scan_begin(raw);
    struct json_decimals decimals =
        json_decimals_begin(decode->price_exponent, decode->qty_exponent);
    uint32_t count = 0;
    if (raw.size == 0 ||
        !rest_json_scan_agg_trades(&scan, &decimals, decode->list, DECODE_ANCHOR_TRADES_MAX,
                                   &count) ||
        json_decimals_finer(&decimals))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct rest_agg_trade *from = &decode->list[i];
        decode->trades[i] = (struct anchor_trade){.first_id = from->first_id,
                                                  .last_id = from->last_id,
                                                  .price = from->price,
                                                  .qty = from->qty,
                                                  .time_us = from->time_us,
                                                  .is_buyer_maker = from->is_buyer_maker};
    }
    return count;
}

/* Sorted and sane is the world's judgement; here the document is read exactly or refused. */
static int decode_record_anchor(struct decode *decode, struct bytes payload, struct event *event,
                                struct err *err)
{
    struct json_scan scan = json_scan_begin(payload);
    struct json_decimals decimals =
        json_decimals_begin(decode->price_exponent, decode->qty_exponent);
    struct decode_anchor found = {.reply = {.bids = decode->bids,
                                            .asks = decode->asks,
                                            .capacity = DECODE_ANCHOR_LEVELS_MAX}};
    decode_anchor_document(decode, &scan, &decimals, &found);
    if (!json_scan_finish(&scan))
        return err_set(err, ERR_MALFORMED, "anchor document: unreadable at byte %zu of %zu",
                       json_scan_offset(&scan), payload.size);
    if (!found.symbol)
        return err_set(err, ERR_MALFORMED, "anchor document: symbol is not %s", decode->symbol);
    if (!found.depth)
        return err_set(err, ERR_MALFORMED, "anchor document: no depth");
    if (json_decimals_finer(&decimals))
        return err_set(err, ERR_MALFORMED,
                       "anchor document: a value is finer than the stream's exponents %d and %d",
                       decode->price_exponent, decode->qty_exponent);
    *event = (struct event){
        .kind = EVENT_ANCHOR,
        .price_exponent = decode->price_exponent,
        .qty_exponent = decode->qty_exponent,
        .snapshot = {.book_id = found.reply.last_update_id,
                     .bids = decode_anchor_view(decode->bids, found.reply.bid_count),
                     .asks = decode_anchor_view(decode->asks, found.reply.ask_count),
                     .asked = found.asked > 0 && found.asked <= DECODE_ANCHOR_LEVELS_MAX
                                  ? (uint32_t)found.asked
                                  : 0,
                     .trades = decode->trades,
                     .trade_count = decode_anchor_trades(decode, found.trades)},
    };
    return ERR_OK;
}

static int decode_record_tick(struct bytes payload, struct event *event, struct err *err)
{
    if (payload.size != 0)
        return err_set(err, ERR_MALFORMED, "tick with %zu bytes", payload.size);
    /* Member by member: a tick has nothing else, and the levels' room is large. */
    event->kind = EVENT_TICK;
    event->event_us = 0;
    event->price_exponent = event->qty_exponent = 0;
    return ERR_OK;
}

static int decode_record_hole(struct bytes payload, struct event *event, struct err *err)
{
    if (payload.size != DECODE_HOLE_SIZE)
        return err_set(err, ERR_MALFORMED, "hole with %zu bytes instead of %d", payload.size,
                       DECODE_HOLE_SIZE);
    *event = (struct event){
        .kind = EVENT_HOLE,
        .hole = {.next_epoch = bytes_load_u64(payload.data),
                 .next_seq = bytes_load_u64(payload.data + 8)},
    };
    return ERR_OK;
}

static int decode_record_payload(struct decode *decode, const struct record *record,
                                 struct event *event, enum sbe_verdict *verdict, struct err *err)
{
    switch (record->kind) {
    case RECORD_FRAME:
        return decode_record_frame(decode, record->payload, event, verdict, err);
    case RECORD_TICK:
        return decode_record_tick(record->payload, event, err);
    case RECORD_ANCHOR:
        return decode_record_anchor(decode, record->payload, event, err);
    case RECORD_HOLE:
        return decode_record_hole(record->payload, event, err);
    default:
        return err_set(err, ERR_MALFORMED, "record of unknown kind %u", record->kind);
    }
}

int decode_record(struct decode *decode, const struct record *record, struct event *event,
                  enum sbe_verdict *verdict, struct err *err)
{
    if (verdict != NULL)
        *verdict = SBE_OK;
    int rv = decode_record_payload(decode, record, event, verdict, err);
    if (rv != ERR_OK)
        return rv;
    event->epoch = record->epoch;
    event->seq = record->seq;
    event->recv_us = record->recv_us;
    event->flags = record->flags;
    return ERR_OK;
}
