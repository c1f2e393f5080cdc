/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sbe_json.h"

#include "wire/json_scan.h"
#include "wire/sbe.h"

static void sbe_json_integer(struct text *out, const char *name, int64_t value)
{
    text_add(out, ",\"");
    text_add(out, name);
    text_add(out, "\":");
    text_add_i64(out, value);
}

static void sbe_json_quoted(struct text *out, int64_t mantissa, int exponent)
{
    text_add_char(out, '"');
    text_add_decimal(out, mantissa, exponent);
    text_add_char(out, '"');
}

static void sbe_json_decimal(struct text *out, const char *name, int64_t mantissa, int exponent)
{
    text_add(out, ",\"");
    text_add(out, name);
    text_add(out, "\":");
    sbe_json_quoted(out, mantissa, exponent);
}

static const char *sbe_json_template(uint16_t template_id)
{
    switch (template_id) {
    case SBE_TRADES:
        return "TradesStreamEvent";
    case SBE_BEST_BID_ASK:
        return "BestBidAskStreamEvent";
    case SBE_DEPTH_SNAPSHOT:
        return "DepthSnapshotStreamEvent";
    default:
        return "DepthDiffStreamEvent";
    }
}

static void sbe_json_levels(struct text *out, const char *name, const struct level_view *view,
                            const struct event *event)
{
    text_add(out, ",\"");
    text_add(out, name);
    text_add(out, "\":[");
    for (uint32_t i = 0; i < view->count; i++) {
        text_add(out, i == 0 ? "[" : ",[");
        sbe_json_quoted(out, level_price(view, i), event->price_exponent);
        text_add_char(out, ',');
        sbe_json_quoted(out, level_qty(view, i), event->qty_exponent);
        text_add_char(out, ']');
    }
    text_add_char(out, ']');
}

static void sbe_json_trades(struct text *out, const struct event *event)
{
    text_add(out, ",\"trades\":[");
    for (uint32_t i = 0; i < event->trades.list.count; i++) {
        struct trade trade = trade_at(&event->trades.list, i);
        text_add(out, i == 0 ? "{\"id\":" : ",{\"id\":");
        text_add_i64(out, trade.id);
        sbe_json_decimal(out, "price", trade.price, event->price_exponent);
        sbe_json_decimal(out, "qty", trade.qty, event->qty_exponent);
        text_add(out,
                 trade.is_buyer_maker ? ",\"isBuyerMaker\":true}" : ",\"isBuyerMaker\":false}");
    }
    text_add_char(out, ']');
}

static void sbe_json_quote(struct text *out, const struct event *event)
{
    sbe_json_decimal(out, "bidPrice", event->quote.bid_price, event->price_exponent);
    sbe_json_decimal(out, "bidQty", event->quote.bid_qty, event->qty_exponent);
    sbe_json_decimal(out, "askPrice", event->quote.ask_price, event->price_exponent);
    sbe_json_decimal(out, "askQty", event->quote.ask_qty, event->qty_exponent);
}

/* Fields in the schema's order: the root's times and ids, exponents, groups. */
static void sbe_json_ids(struct text *out, const struct event *event)
{
    sbe_json_integer(out, "eventTime", event->event_us);
    switch (event->kind) {
    case EVENT_TRADES:
        sbe_json_integer(out, "transactTime", event->trades.transact_us);
        break;
    case EVENT_QUOTE:
        sbe_json_integer(out, "bookUpdateId", event->quote.book_id);
        break;
    case EVENT_SNAPSHOT:
        sbe_json_integer(out, "bookUpdateId", event->snapshot.book_id);
        break;
    default:
        sbe_json_integer(out, "firstBookUpdateId", event->diff.first_id);
        sbe_json_integer(out, "lastBookUpdateId", event->diff.last_id);
    }
}

static void sbe_json_body(struct text *out, const struct event *event)
{
    switch (event->kind) {
    case EVENT_TRADES:
        sbe_json_trades(out, event);
        break;
    case EVENT_QUOTE:
        sbe_json_quote(out, event);
        break;
    case EVENT_SNAPSHOT:
        sbe_json_levels(out, "bids", &event->snapshot.bids, event);
        sbe_json_levels(out, "asks", &event->snapshot.asks, event);
        break;
    default:
        sbe_json_levels(out, "bids", &event->diff.bids, event);
        sbe_json_levels(out, "asks", &event->diff.asks, event);
    }
}

static void sbe_json_error(struct text *out, enum sbe_verdict verdict, size_t offset, size_t size)
{
    text_add_format(out, "\"error\":\"%s at byte %zu\",\"cause\":\"%s\"", sbe_verdict_text(verdict),
                    offset, sbe_verdict_text(verdict));
    text_add_format(out, ",\"offset\":%zu,\"size\":%zu", offset, size);
}

/* The members of a frame, without braces. */
static bool sbe_json_members(struct text *out, struct bytes data)
{
    struct sbe_frame frame;
    size_t offset = 0;
    enum sbe_verdict verdict = sbe_decode(data, &frame, &offset);
    if (verdict != SBE_OK) {
        sbe_json_error(out, verdict, offset, data.size);
        return false;
    }
    text_add(out, "\"template\":\"");
    text_add(out, sbe_json_template(frame.template_id));
    text_add_char(out, '"');
    sbe_json_integer(out, "templateId", frame.template_id);
    sbe_json_integer(out, "schemaId", frame.schema_id);
    sbe_json_integer(out, "version", frame.version);
    sbe_json_ids(out, &frame.event);
    sbe_json_integer(out, "priceExponent", frame.event.price_exponent);
    sbe_json_integer(out, "qtyExponent", frame.event.qty_exponent);
    text_add(out, ",\"symbol\":");
    text_add_json_string(out, (const char *)frame.symbol.data, frame.symbol.size);
    sbe_json_body(out, &frame.event);
    if (frame.trailing > 0)
        sbe_json_integer(out, "trailingBytes", frame.trailing);
    return true;
}

bool sbe_json_write(struct text *out, struct bytes data)
{
    text_add_char(out, '{');
    bool good = sbe_json_members(out, data);
    text_add_char(out, '}');
    return good;
}

static bool sbe_json_anchor(struct text *out, struct bytes document)
{
    struct json_scan scan = json_scan_begin(document);
    (void)json_scan_skip(&scan, NULL);
    if (!json_scan_finish(&scan)) {
        text_add_format(out, ",\"error\":\"anchor document unreadable at byte %zu\"",
                        json_scan_offset(&scan));
        return false;
    }
    text_add(out, ",\"anchor\":");
    /* One line a record: line ends are white space between tokens. */
    for (size_t i = 0; i < document.size; i++)
        if (document.data[i] != '\n' && document.data[i] != '\r')
            text_add_char(out, (char)document.data[i]);
    return true;
}

static bool sbe_json_hole(struct text *out, struct bytes payload)
{
    if (payload.size != 16) {
        text_add_format(out, ",\"error\":\"hole with %zu bytes instead of 16\"", payload.size);
        return false;
    }
    text_add(out, ",\"nextEpoch\":");
    text_add_u64(out, bytes_load_u64(payload.data));
    text_add(out, ",\"nextSeq\":");
    text_add_u64(out, bytes_load_u64(payload.data + 8));
    return true;
}

static bool sbe_json_slot(struct text *out, struct bytes payload)
{
    if (payload.size != RECORD_SLOT_SIZE) {
        text_add_format(out, ",\"error\":\"slot with %zu bytes instead of %d\"", payload.size,
                        RECORD_SLOT_SIZE);
        return false;
    }
    sbe_json_integer(out, "slot", bytes_load_i64(payload.data));
    return true;
}

static bool sbe_json_payload(struct text *out, const struct record *record)
{
    switch (record->kind) {
    case RECORD_FRAME:
        text_add_char(out, ',');
        return sbe_json_members(out, record->payload);
    case RECORD_ANCHOR:
        return sbe_json_anchor(out, record->payload);
    case RECORD_HOLE:
        return sbe_json_hole(out, record->payload);
    case RECORD_SLOT:
        return sbe_json_slot(out, record->payload);
    default:
        return true;
    }
}

bool sbe_json_write_record(struct text *out, const struct record *record)
{
    static const char *const kinds[] = {[RECORD_FRAME] = "frame",
                                        [RECORD_TICK] = "tick",
                                        [RECORD_ANCHOR] = "anchor",
                                        [RECORD_HOLE] = "hole",
                                        [RECORD_SLOT] = "slot"};
    bool known = record->kind >= RECORD_FRAME && record->kind <= RECORD_SLOT;
    text_add_format(out, "{\"kind\":\"%s\",\"epoch\":", known ? kinds[record->kind] : "unknown");
    text_add_u64(out, record->epoch);
    text_add(out, ",\"seq\":");
    text_add_u64(out, record->seq);
    sbe_json_integer(out, "recvTime", record->recv_us);
    sbe_json_integer(out, "flags", record->flags);
    bool good = sbe_json_payload(out, record);
    text_add_char(out, '}');
    return good && known;
}
