/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "services/exchange-sim/sim_feed.h"

static void json_decimal(struct text *text, int64_t mantissa)
{
    text_add_char(text, '"');
    text_add_decimal(text, mantissa, SIM_EXPONENT);
    text_add_char(text, '"');
}

static void json_levels(struct text *text, const struct sbe_level *levels, int count)
{
    text_add_char(text, '[');
    for (int i = 0; i < count; i++) {
        text_add(text, i ? ",[" : "[");
        json_decimal(text, levels[i].price);
        text_add_char(text, ',');
        json_decimal(text, levels[i].qty);
        text_add_char(text, ']');
    }
    text_add_char(text, ']');
}

static void json_event(struct text *text, const char *event, int64_t event_us, const char *symbol)
{
    text_add_format(text, "{\"e\":\"%s\",\"E\":%lld,\"s\":\"%s\"", event,
                    (long long)(event_us / CLOCK_US_PER_MS), symbol);
}

void sim_json_trade(struct text *text, const char *symbol, int64_t event_us, int64_t transact_us,
                    const struct trade *trade)
{
    json_event(text, "trade", event_us, symbol);
    text_add(text, ",\"t\":");
    text_add_i64(text, trade->id);
    text_add(text, ",\"p\":");
    json_decimal(text, trade->price);
    text_add(text, ",\"q\":");
    json_decimal(text, trade->qty);
    text_add(text, ",\"T\":");
    text_add_i64(text, transact_us / CLOCK_US_PER_MS);
    text_add(text, trade->is_buyer_maker ? ",\"m\":true,\"M\":true}" : ",\"m\":false,\"M\":true}");
}

void sim_json_book_ticker(struct text *text, const char *symbol, int64_t id, struct sbe_level bid,
                          struct sbe_level ask)
{
    text_add(text, "{\"u\":");
    text_add_i64(text, id);
    text_add(text, ",\"s\":\"");
    text_add(text, symbol);
    text_add(text, "\",\"b\":");
    json_decimal(text, bid.price);
    text_add(text, ",\"B\":");
    json_decimal(text, bid.qty);
    text_add(text, ",\"a\":");
    json_decimal(text, ask.price);
    text_add(text, ",\"A\":");
    json_decimal(text, ask.qty);
    text_add_char(text, '}');
}

void sim_json_diff(struct text *text, const char *symbol, int64_t event_us,
                   const struct sim_diff *diff)
{
    json_event(text, "depthUpdate", event_us, symbol);
    text_add(text, ",\"U\":");
    text_add_i64(text, diff->first_id);
    text_add(text, ",\"u\":");
    text_add_i64(text, diff->last_id);
    text_add(text, ",\"b\":");
    json_levels(text, diff->levels[SIM_BID], diff->counts[SIM_BID]);
    text_add(text, ",\"a\":");
    json_levels(text, diff->levels[SIM_ASK], diff->counts[SIM_ASK]);
    text_add_char(text, '}');
}

void sim_json_depth(struct text *text, int64_t id, const struct sbe_level *bids, int bid_count,
                    const struct sbe_level *asks, int ask_count)
{
    text_add(text, "{\"lastUpdateId\":");
    text_add_i64(text, id);
    text_add(text, ",\"bids\":");
    json_levels(text, bids, bid_count);
    text_add(text, ",\"asks\":");
    json_levels(text, asks, ask_count);
    text_add_char(text, '}');
}
