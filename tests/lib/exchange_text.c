/* What the exchange would say in JSON.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/exchange_text.h"

static void exchange_text_write_member(struct text *out, const char *name, int64_t value)
{
    text_add(out, ",\"");
    text_add(out, name);
    text_add(out, "\":");
    text_add_i64(out, value);
}

static void exchange_text_write_decimal(struct text *out, const char *name, int64_t mantissa,
                                        int exponent)
{
    text_add(out, ",\"");
    text_add(out, name);
    text_add(out, "\":\"");
    text_add_decimal(out, mantissa, exponent);
    text_add_char(out, '"');
}

static void exchange_text_write_symbol(struct text *out, const struct sbe_frame *frame)
{
    text_add(out, ",\"s\":\"");
    text_add_bytes(out, frame->symbol.data, frame->symbol.size);
    text_add_char(out, '"');
}

static void exchange_text_write_levels(struct text *out, const char *name,
                                       const struct level_view *view, const struct event *event)
{
    text_add(out, ",\"");
    text_add(out, name);
    text_add(out, "\":[");
    for (uint32_t i = 0; i < view->count; i++) {
        text_add(out, i == 0 ? "[\"" : ",[\"");
        text_add_decimal(out, level_price(view, i), event->price_exponent);
        text_add(out, "\",\"");
        text_add_decimal(out, level_qty(view, i), event->qty_exponent);
        text_add(out, "\"]");
    }
    text_add_char(out, ']');
}

static void exchange_text_write_trade(struct text *out, const struct sbe_frame *frame,
                                      uint32_t index)
{
    const struct event *event = &frame->event;
    struct trade trade = trade_at(&event->trades.list, index);
    text_add(out, "{\"e\":\"trade\"");
    exchange_text_write_member(out, "E", event->event_us / 1000);
    exchange_text_write_symbol(out, frame);
    exchange_text_write_member(out, "t", trade.id);
    exchange_text_write_decimal(out, "p", trade.price, event->price_exponent);
    exchange_text_write_decimal(out, "q", trade.qty, event->qty_exponent);
    exchange_text_write_member(out, "T", event->trades.transact_us / 1000);
    text_add(out, trade.is_buyer_maker ? ",\"m\":true,\"M\":true}" : ",\"m\":false,\"M\":true}");
}

static void exchange_text_write_quote(struct text *out, const struct sbe_frame *frame)
{
    const struct event *event = &frame->event;
    text_add(out, "{\"u\":");
    text_add_i64(out, event->quote.book_id);
    exchange_text_write_symbol(out, frame);
    exchange_text_write_decimal(out, "b", event->quote.bid_price, event->price_exponent);
    exchange_text_write_decimal(out, "B", event->quote.bid_qty, event->qty_exponent);
    exchange_text_write_decimal(out, "a", event->quote.ask_price, event->price_exponent);
    exchange_text_write_decimal(out, "A", event->quote.ask_qty, event->qty_exponent);
    text_add_char(out, '}');
}

static void exchange_text_write_snapshot(struct text *out, const struct sbe_frame *frame)
{
    const struct event *event = &frame->event;
    text_add(out, "{\"lastUpdateId\":");
    text_add_i64(out, event->snapshot.book_id);
    exchange_text_write_levels(out, "bids", &event->snapshot.bids, event);
    exchange_text_write_levels(out, "asks", &event->snapshot.asks, event);
    text_add_char(out, '}');
}

static void exchange_text_write_diff(struct text *out, const struct sbe_frame *frame)
{
    const struct event *event = &frame->event;
    text_add(out, "{\"e\":\"depthUpdate\"");
    exchange_text_write_member(out, "E", event->event_us / 1000);
    exchange_text_write_symbol(out, frame);
    exchange_text_write_member(out, "U", event->diff.first_id);
    exchange_text_write_member(out, "u", event->diff.last_id);
    exchange_text_write_levels(out, "b", &event->diff.bids, event);
    exchange_text_write_levels(out, "a", &event->diff.asks, event);
    text_add_char(out, '}');
}

void exchange_text_write(struct text *out, const struct sbe_frame *frame, uint32_t trade,
                         const char *stream)
{
    if (stream != NULL) {
        text_add(out, "{\"stream\":\"");
        text_add(out, stream);
        text_add(out, "\",\"data\":");
    }
    switch (frame->template_id) {
    case SBE_TRADES:
        exchange_text_write_trade(out, frame, trade);
        break;
    case SBE_BEST_BID_ASK:
        exchange_text_write_quote(out, frame);
        break;
    case SBE_DEPTH_SNAPSHOT:
        exchange_text_write_snapshot(out, frame);
        break;
    default:
        exchange_text_write_diff(out, frame);
    }
    if (stream != NULL)
        text_add_char(out, '}');
}
