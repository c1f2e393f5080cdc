/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/exchange_json.h"

#include <stdlib.h>
#include <string.h>

#include "market/record.h"
#include "wire/exchange_fields.h"

/* A time at or above this is in microseconds: as milliseconds it lies in the year 5138. */
#define EXCHANGE_JSON_MICROSECONDS 100000000000000

#define EXCHANGE_MEMBERS_TRADE                                                                     \
    (EXCHANGE_MEMBER_EVENT_TIME | EXCHANGE_MEMBER_SYMBOL | EXCHANGE_MEMBER_TRADE_ID |              \
     EXCHANGE_MEMBER_PRICE | EXCHANGE_MEMBER_QTY | EXCHANGE_MEMBER_TRADE_TIME |                    \
     EXCHANGE_MEMBER_MAKER)
#define EXCHANGE_MEMBERS_DIFF                                                                      \
    (EXCHANGE_MEMBER_EVENT_TIME | EXCHANGE_MEMBER_SYMBOL | EXCHANGE_MEMBER_FIRST_ID |              \
     EXCHANGE_MEMBER_LAST_ID | EXCHANGE_MEMBER_BIDS | EXCHANGE_MEMBER_ASKS)
#define EXCHANGE_MEMBERS_QUOTE                                                                     \
    (EXCHANGE_MEMBER_SYMBOL | EXCHANGE_MEMBER_LAST_ID | EXCHANGE_MEMBER_BID_PRICE |                \
     EXCHANGE_MEMBER_BID_QTY | EXCHANGE_MEMBER_ASK_PRICE | EXCHANGE_MEMBER_ASK_QTY)
#define EXCHANGE_MEMBERS_DEPTH                                                                     \
    (EXCHANGE_MEMBER_UPDATE_ID | EXCHANGE_MEMBER_BIDS | EXCHANGE_MEMBER_ASKS)

int exchange_json_open(struct exchange_json **json, struct err *err)
{
    *json = malloc(sizeof(**json));
    return *json != NULL ? ERR_OK : err_set(err, ERR_MEMORY, "scratch for JSON levels");
}

void exchange_json_close(struct exchange_json *json)
{
    free(json);
}

/* Milliseconds or microseconds to microseconds; a negative one is the encoder's to refuse. */
static int64_t exchange_json_us(int64_t time)
{
    return time < EXCHANGE_JSON_MICROSECONDS && time > 0 ? time * 1000 : time;
}

/* The symbol as a C string: of the data, or (depth20) of the stream's name. */
static void exchange_json_symbol(const struct exchange_fields *fields, char *symbol)
{
    bool named = exchange_fields_has(fields, EXCHANGE_MEMBER_SYMBOL);
    struct bytes from = named ? fields->symbol : fields->stream;
    size_t size = 0;
    for (; size < from.size && size < SBE_SYMBOL_MAX + 1; size++) {
        uint8_t c = from.data[size];
        if (!named && c == '@')
            break;
        symbol[size] = (char)(!named && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    symbol[size] = '\0';
}

/* Where the frame goes, and what it is. */
struct exchange_json_target {
    uint8_t *frame;
    size_t capacity;
    int64_t recv_us;
    char symbol[SBE_SYMBOL_MAX + 2];
    struct sbe_scale scale;
};

static size_t exchange_json_encode_trade(const struct exchange_fields *fields,
                                         const struct exchange_json_target *to)
{
    struct trade trade = {.id = fields->trade_id,
                          .price = fields->price,
                          .qty = fields->qty,
                          .is_buyer_maker = fields->is_buyer_maker};
    return sbe_encode_trades(to->frame, to->capacity, to->symbol, to->scale,
                             exchange_json_us(fields->event_time),
                             exchange_json_us(fields->trade_time), &trade, 1);
}

static size_t exchange_json_encode_diff(const struct exchange_fields *fields,
                                        const struct exchange_json_target *to)
{
    return sbe_encode_diff(to->frame, to->capacity, to->symbol, to->scale,
                           exchange_json_us(fields->event_time), fields->first_id, fields->last_id,
                           fields->scratch->bids, fields->bid_count, fields->scratch->asks,
                           fields->ask_count);
}

static size_t exchange_json_encode_quote(const struct exchange_fields *fields,
                                         const struct exchange_json_target *to)
{
    return sbe_encode_quote(to->frame, to->capacity, to->symbol, to->scale, to->recv_us,
                            fields->last_id, fields->bid, fields->ask);
}

static size_t exchange_json_encode_depth(const struct exchange_fields *fields,
                                         const struct exchange_json_target *to)
{
    return sbe_encode_snapshot(to->frame, to->capacity, to->symbol, to->scale, to->recv_us,
                               fields->update_id, fields->scratch->bids, fields->bid_count,
                               fields->scratch->asks, fields->ask_count);
}

/* Stream kinds: what marks one, what it must have, how it becomes a frame. */
static const struct exchange_json_stream {
    const char *event; /* value of e, NULL: there is none */
    unsigned mark;     /* members that tell it from others without e */
    unsigned members;
    uint16_t template_id;
    uint8_t flags;
    size_t (*encode)(const struct exchange_fields *fields, const struct exchange_json_target *to);
} exchange_json_streams[] = {
    {"trade", 0, EXCHANGE_MEMBERS_TRADE, SBE_TRADES, RECORD_SYNTHETIC_FRAME,
     exchange_json_encode_trade},
    {"depthUpdate", 0, EXCHANGE_MEMBERS_DIFF, SBE_DEPTH_DIFF, RECORD_SYNTHETIC_FRAME,
     exchange_json_encode_diff},
    {NULL, EXCHANGE_MEMBER_LAST_ID, EXCHANGE_MEMBERS_QUOTE, SBE_BEST_BID_ASK,
     RECORD_SYNTHETIC_FRAME | RECORD_SYNTHETIC_TIME, exchange_json_encode_quote},
    {NULL, EXCHANGE_MEMBER_UPDATE_ID | EXCHANGE_MEMBER_STREAM, EXCHANGE_MEMBERS_DEPTH,
     SBE_DEPTH_SNAPSHOT, RECORD_SYNTHETIC_FRAME | RECORD_SYNTHETIC_TIME,
     exchange_json_encode_depth},
};

static const struct exchange_json_stream *exchange_json_find(const struct exchange_fields *fields)
{
    size_t count = sizeof(exchange_json_streams) / sizeof(exchange_json_streams[0]);
    for (size_t i = 0; i < count; i++) {
        const struct exchange_json_stream *stream = &exchange_json_streams[i];
        bool named = exchange_fields_has(fields, EXCHANGE_MEMBER_EVENT);
        if (stream->event == NULL
                ? !named && exchange_fields_has(fields, stream->mark)
                : named && fields->event.size == strlen(stream->event) &&
                      memcmp(fields->event.data, stream->event, fields->event.size) == 0)
            return stream;
    }
    return NULL;
}

static int exchange_json_encode(const struct exchange_json_stream *stream,
                                const struct exchange_fields *fields,
                                struct exchange_json_target *to,
                                struct exchange_json_message *message, struct err *err)
{
    if (!exchange_fields_has(fields, stream->members))
        return err_set(err, ERR_MALFORMED, "JSON message for template %u: members %#x are missing",
                       stream->template_id, stream->members & ~fields->present);
    exchange_json_symbol(fields, to->symbol);
    to->scale = (struct sbe_scale){.price_exponent = (int8_t)fields->decimals.price_exponent,
                                   .qty_exponent = (int8_t)fields->decimals.qty_exponent};
    message->kind = EXCHANGE_JSON_FRAME;
    message->template_id = stream->template_id;
    message->flags = stream->flags;
    message->frame_size = stream->encode(fields, to);
    if (message->frame_size > 0)
        return ERR_OK;
    return err_set(err, ERR_MALFORMED,
                   "JSON message for template %u: a value is out of range, or the frame does not "
                   "fit in %zu bytes",
                   stream->template_id, to->capacity);
}

/* What is no market data. */
static void exchange_json_control(const struct exchange_fields *fields, struct bytes text,
                                  struct exchange_json_message *message)
{
    if (exchange_fields_has(fields, EXCHANGE_MEMBER_EVENT) &&
        JSON_SCAN_IS(fields->event, "serverShutdown"))
        message->kind = EXCHANGE_JSON_SHUTDOWN;
    else if (exchange_fields_has(fields, EXCHANGE_MEMBERS_DEPTH))
        message->kind = EXCHANGE_JSON_DEPTH;
    else if (fields->present & (EXCHANGE_MEMBER_RESULT | EXCHANGE_MEMBER_CODE))
        message->kind = EXCHANGE_JSON_REPLY;
    message->id = fields->id;
    message->code = fields->code;
    message->text = fields->text;
    if (message->kind == EXCHANGE_JSON_DEPTH)
        message->depth = text;
}

int exchange_json_read(struct exchange_json *json, struct bytes text, int64_t recv_us,
                       uint8_t *frame, size_t capacity, struct exchange_json_message *message,
                       struct err *err)
{
    struct exchange_fields fields;
    *message = (struct exchange_json_message){.kind = EXCHANGE_JSON_OTHER};
    int rv = exchange_fields_read(&fields, json, text, EXCHANGE_JSON_EXPONENT,
                                  EXCHANGE_JSON_EXPONENT, err);
    if (rv == ERR_OK && json_decimals_finer(&fields.decimals))
        rv = exchange_fields_read(&fields, json, text, fields.decimals.price_wanted,
                                  fields.decimals.qty_wanted, err);
    if (rv != ERR_OK)
        return rv;
    const struct exchange_json_stream *stream = exchange_json_find(&fields);
    if (stream == NULL) {
        exchange_json_control(&fields, text, message);
        return ERR_OK;
    }
    struct exchange_json_target to = {.frame = frame, .capacity = capacity, .recv_us = recv_us};
    return exchange_json_encode(stream, &fields, &to, message, err);
}

int exchange_json_line(struct bytes line, int64_t *recv_us, struct bytes *json)
{
    size_t digits = 0;
    int64_t ns = 0;
    for (; digits < line.size && line.data[digits] >= '0' && line.data[digits] <= '9'; digits++)
        if (__builtin_mul_overflow(ns, 10, &ns) ||
            __builtin_add_overflow(ns, line.data[digits] - '0', &ns))
            return ERR_MALFORMED;
    if (digits == 0 || digits == line.size || line.data[digits] != ' ')
        return ERR_MALFORMED;
    *recv_us = ns / 1000;
    size_t end = line.size;
    while (end > digits + 1 && (line.data[end - 1] == '\n' || line.data[end - 1] == '\r'))
        end--;
    *json = bytes_of(line.data + digits + 1, end - digits - 1);
    return json->size > 0 ? ERR_OK : ERR_MALFORMED;
}
