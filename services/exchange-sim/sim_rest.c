/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_rest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define REST_DEPTH_DEFAULT 100
#define REST_LIST_DEFAULT  500
/* Times above this are microseconds: as milliseconds it would be the year 5138. */
#define REST_MS_MAX 100000000000000LL

bool sim_rest_parameter(const char *query, const char *name, char *out)
{
    size_t name_size = strlen(name);
    for (const char *at = query; *at;) {
        size_t size = strcspn(at, "&");
        if (size > name_size && at[name_size] == '=' && memcmp(at, name, name_size) == 0) {
            size_t value_size = size - name_size - 1;
            if (value_size >= SIM_REST_VALUE_SIZE)
                return false;
            memcpy(out, at + name_size + 1, value_size);
            out[value_size] = '\0';
            return true;
        }
        at += size + (at[size] == '&');
    }
    return false;
}

int sim_rest_error(struct text *body, int status, int code, const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    body->size = 0;
    text_add_format(body, "{\"code\":%d,\"msg\":", code);
    text_add_json_string(body, message, strlen(message));
    text_add_char(body, '}');
    return status;
}

enum sim_number sim_rest_number(const struct sim_request *request, const char *name, int64_t *value,
                                struct text *body)
{
    char given[SIM_REST_VALUE_SIZE];
    if (!sim_rest_parameter(request->query, name, given))
        return SIM_NUMBER_ABSENT;
    size_t size = strlen(given);
    if (size == 0 || size > 18 || strspn(given, "0123456789") != size) {
        (void)sim_rest_error(body, 400, -1100,
                             "Illegal characters found in parameter '%s'; legal range is "
                             "'^[0-9]{1,20}$'.",
                             name);
        return SIM_NUMBER_BAD;
    }
    *value = strtoll(given, NULL, 10);
    return SIM_NUMBER_GIVEN;
}

static int64_t rest_microseconds(int64_t value)
{
    return value > REST_MS_MAX ? value : value * CLOCK_US_PER_MS;
}

int64_t sim_rest_time(const struct sim_request *request, int64_t time_us)
{
    return request->microseconds ? time_us : time_us / CLOCK_US_PER_MS;
}

void sim_rest_decimal(struct text *body, int64_t mantissa)
{
    text_add_char(body, '"');
    text_add_decimal(body, mantissa, SIM_EXPONENT);
    text_add_char(body, '"');
}

static int rest_limit(const struct sim_request *request, int64_t initial, int64_t most,
                      int64_t *limit, struct text *body)
{
    *limit = initial;
    if (sim_rest_number(request, "limit", limit, body) == SIM_NUMBER_BAD)
        return 400;
    if (*limit == 0)
        return sim_rest_error(body, 400, -1130, "Data sent for parameter 'limit' is not valid.");
    *limit = *limit < most ? *limit : most;
    return 200;
}

int sim_rest_range(const struct sim_request *request, struct sim_range *range, struct text *body)
{
    int64_t value = 0;
    *range = (struct sim_range){.from_us = 0, .to_us = INT64_MAX};
    enum sim_number from = sim_rest_number(request, "startTime", &value, body);
    if (from == SIM_NUMBER_GIVEN)
        range->from_us = rest_microseconds(value);
    enum sim_number to =
        from == SIM_NUMBER_BAD ? SIM_NUMBER_BAD : sim_rest_number(request, "endTime", &value, body);
    if (to == SIM_NUMBER_BAD)
        return 400;
    if (to == SIM_NUMBER_GIVEN)
        range->to_us = rest_microseconds(value);
    /* An end in milliseconds includes all of that millisecond. */
    if (to == SIM_NUMBER_GIVEN && value <= REST_MS_MAX)
        range->to_us += CLOCK_US_PER_MS - 1;
    range->has_from = from == SIM_NUMBER_GIVEN;
    range->has_to = to == SIM_NUMBER_GIVEN;
    return rest_limit(request, REST_LIST_DEFAULT, SIM_REST_LIST_MAX, &range->limit, body);
}

static int rest_symbol(const struct sim_feed *feed, const struct sim_request *request,
                       struct text *body)
{
    char symbol[SIM_REST_VALUE_SIZE];
    if (!sim_rest_parameter(request->query, "symbol", symbol) || !*symbol)
        return sim_rest_error(body, 400, -1102,
                              "Mandatory parameter 'symbol' was not sent, was empty/null, or "
                              "malformed.");
    if (strcmp(symbol, feed->options.symbol) != 0)
        return sim_rest_error(body, 400, -1121, "Invalid symbol.");
    return 200;
}

static int rest_depth(const struct sim_feed *feed, const struct sim_request *request,
                      struct text *body)
{
    static struct sbe_level levels[2][SIM_REST_DEPTH_MAX]; /* one thread serves REST */
    int64_t limit;
    char status[SIM_REST_VALUE_SIZE];
    int rc = rest_limit(request, REST_DEPTH_DEFAULT, SIM_REST_DEPTH_MAX, &limit, body);
    if (rc != 200)
        return rc;
    if (sim_rest_parameter(request->query, "symbolStatus", status) &&
        strcmp(status, "TRADING") != 0)
        return sim_rest_error(body, 400, -1220, "The symbol's status does not match.");
    if (!feed->book_ready)
        return sim_rest_error(body, 503, -1008,
                              "Server is currently overloaded with other "
                              "requests. Please try again in a few minutes.");
    const struct sim_copy *stale =
        request->stale_ids > 0
            ? sim_tape_copy_at(&feed->tape, feed->book->last_id - request->stale_ids)
            : NULL;
    int want = (int)limit;
    if (stale) {
        int bids = stale->counts[SIM_BID] < want ? stale->counts[SIM_BID] : want;
        int asks = stale->counts[SIM_ASK] < want ? stale->counts[SIM_ASK] : want;
        sim_json_depth(body, stale->id, stale->levels[SIM_BID], bids, stale->levels[SIM_ASK], asks);
        return 200;
    }
    int bids = sim_book_copy(feed->book, SIM_BID, levels[SIM_BID], want);
    int asks = sim_book_copy(feed->book, SIM_ASK, levels[SIM_ASK], want);
    sim_json_depth(body, feed->book->last_id, levels[SIM_BID], bids, levels[SIM_ASK], asks);
    return 200;
}

static void rest_trade(const struct sim_request *request, const struct sim_tape_trade *entry,
                       struct text *body)
{
    const struct trade *trade = &entry->trade;
    int64_t quote = (int64_t)((long double)trade->price * (long double)trade->qty / 1e8L + 0.5L);
    text_add_format(body, "{\"id\":%lld,\"price\":", (long long)trade->id);
    sim_rest_decimal(body, trade->price);
    text_add(body, ",\"qty\":");
    sim_rest_decimal(body, trade->qty);
    text_add(body, ",\"quoteQty\":");
    sim_rest_decimal(body, quote);
    text_add_format(body, ",\"time\":%lld,\"isBuyerMaker\":%s,\"isBestMatch\":true}",
                    (long long)sim_rest_time(request, entry->time_us),
                    trade->is_buyer_maker ? "true" : "false");
}

static int rest_trades(const struct sim_feed *feed, const struct sim_request *request, bool from_id,
                       struct text *body)
{
    int64_t limit, id = 0;
    int rc = rest_limit(request, REST_LIST_DEFAULT, SIM_REST_LIST_MAX, &limit, body);
    if (rc != 200)
        return rc;
    enum sim_number given =
        from_id ? sim_rest_number(request, "fromId", &id, body) : SIM_NUMBER_ABSENT;
    if (given == SIM_NUMBER_BAD)
        return 400;
    int64_t count = sim_tape_trade_count(&feed->tape);
    int64_t first = count > limit ? count - limit : 0;
    if (given == SIM_NUMBER_GIVEN && count > 0) {
        int64_t oldest = sim_tape_trade(&feed->tape, 0)->trade.id;
        /* Ids are consecutive; an id before the tape starts later, as the real one does. */
        first = id > oldest ? id - oldest : 0;
    }
    text_add_char(body, '[');
    for (int64_t i = first; i < count && i < first + limit; i++) {
        if (i > first)
            text_add_char(body, ',');
        rest_trade(request, sim_tape_trade(&feed->tape, i), body);
    }
    text_add_char(body, ']');
    return 200;
}

static void rest_aggregate(const struct sim_request *request, const struct sim_aggregate *entry,
                           struct text *body)
{
    text_add_format(body, "{\"a\":%lld,\"p\":", (long long)entry->id);
    sim_rest_decimal(body, entry->price);
    text_add(body, ",\"q\":");
    sim_rest_decimal(body, entry->qty);
    text_add_format(body, ",\"f\":%lld,\"l\":%lld,\"T\":%lld,\"m\":%s,\"M\":true}",
                    (long long)entry->first_id, (long long)entry->last_id,
                    (long long)sim_rest_time(request, entry->time_us),
                    entry->is_buyer_maker ? "true" : "false");
}

/* First index whose time is >= time_us. */
static int64_t rest_first_at(const struct sim_feed *feed, int64_t count, int64_t time_us)
{
    int64_t low = 0;
    int64_t high = count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (sim_tape_aggregate(&feed->tape, middle)->time_us < time_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int rest_aggregates(const struct sim_feed *feed, const struct sim_request *request,
                           struct text *body)
{
    struct sim_range range;
    int64_t id = 0;
    int rc = sim_rest_range(request, &range, body);
    if (rc != 200)
        return rc;
    enum sim_number given = sim_rest_number(request, "fromId", &id, body);
    if (given == SIM_NUMBER_BAD)
        return 400;
    int64_t count = sim_tape_aggregate_count(&feed->tape);
    int64_t end = range.has_to ? rest_first_at(feed, count, range.to_us + 1) : count;
    int64_t first = end > range.limit ? end - range.limit : 0;
    if (given == SIM_NUMBER_GIVEN && count > 0) {
        int64_t oldest = sim_tape_aggregate(&feed->tape, 0)->id;
        first = id > oldest ? id - oldest : 0;
    } else if (range.has_from) {
        first = rest_first_at(feed, count, range.from_us);
    }
    text_add_char(body, '[');
    for (int64_t i = first; i < end && i < first + range.limit; i++) {
        if (i > first)
            text_add_char(body, ',');
        rest_aggregate(request, sim_tape_aggregate(&feed->tape, i), body);
    }
    text_add_char(body, ']');
    return 200;
}

static int rest_info(const struct sim_feed *feed, const struct sim_request *request,
                     struct text *body)
{
    text_add_format(
        body,
        "{\"timezone\":\"UTC\",\"serverTime\":%lld,\"rateLimits\":["
        "{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,"
        "\"limit\":%lld},"
        "{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,"
        "\"limit\":61000}],\"exchangeFilters\":[],\"symbols\":[{\"symbol\":\"%s\","
        "\"status\":\"TRADING\",\"baseAssetPrecision\":8,\"quoteAssetPrecision\":8,",
        (long long)sim_rest_time(request, request->wall_us), (long long)request->weight_limit,
        feed->options.symbol);
    text_add(body, "\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"minPrice\":\"0.01000000\","
                   "\"maxPrice\":\"1000000.00000000\",\"tickSize\":\"0.01000000\"},"
                   "{\"filterType\":\"LOT_SIZE\",\"minQty\":\"0.00001000\","
                   "\"maxQty\":\"9000.00000000\",\"stepSize\":\"0.00001000\"}]}]}");
    return 200;
}

enum rest_call {
    REST_PING,
    REST_TIME,
    REST_DEPTH,
    REST_TRADES,
    REST_HISTORICAL,
    REST_AGGREGATES,
    REST_KLINES,
    REST_INFO,
    REST_UNKNOWN,
};

static enum rest_call rest_call(const char *path)
{
    static const char *const paths[REST_UNKNOWN] = {
        "ping",      "time",   "depth",       "trades", "historicalTrades",
        "aggTrades", "klines", "exchangeInfo"};
    const char *prefix = "/api/v3/";
    if (strncmp(path, prefix, strlen(prefix)) != 0)
        return REST_UNKNOWN;
    for (int i = 0; i < REST_UNKNOWN; i++)
        if (strcmp(path + strlen(prefix), paths[i]) == 0)
            return (enum rest_call)i;
    return REST_UNKNOWN;
}

static int64_t rest_depth_weight(const struct sim_request *request)
{
    char given[SIM_REST_VALUE_SIZE];
    long limit = REST_DEPTH_DEFAULT;
    if (sim_rest_parameter(request->query, "limit", given))
        limit = strtol(given, NULL, 10);
    return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
}

int64_t sim_rest_weight(const struct sim_request *request)
{
    switch (rest_call(request->path)) {
    case REST_DEPTH:
        return rest_depth_weight(request);
    case REST_TRADES:
    case REST_HISTORICAL:
        return 25;
    case REST_AGGREGATES:
        return 4;
    case REST_KLINES:
        return 2;
    case REST_INFO:
        return 20;
    default:
        return 1;
    }
}

static int rest_market_data(const struct sim_feed *feed, const struct sim_request *request,
                            enum rest_call call, struct text *body)
{
    int rc = rest_symbol(feed, request, body);
    if (rc != 200)
        return rc;
    switch (call) {
    case REST_DEPTH:
        return rest_depth(feed, request, body);
    case REST_TRADES:
        return rest_trades(feed, request, false, body);
    case REST_HISTORICAL:
        return rest_trades(feed, request, true, body);
    case REST_AGGREGATES:
        return rest_aggregates(feed, request, body);
    default:
        return sim_klines_answer(feed, request, body);
    }
}

int sim_rest_answer(const struct sim_feed *feed, const struct sim_request *request,
                    struct text *body)
{
    char symbol[SIM_REST_VALUE_SIZE];
    enum rest_call call = rest_call(request->path);
    switch (call) {
    case REST_PING:
        text_add(body, "{}");
        return 200;
    case REST_TIME:
        text_add_format(body, "{\"serverTime\":%lld}",
                        (long long)sim_rest_time(request, request->wall_us));
        return 200;
    case REST_INFO:
        if (sim_rest_parameter(request->query, "symbol", symbol) &&
            strcmp(symbol, feed->options.symbol) != 0)
            return sim_rest_error(body, 400, -1121, "Invalid symbol.");
        return rest_info(feed, request, body);
    case REST_UNKNOWN:
        return sim_rest_error(body, 404, -1000, "No such path: %.100s", request->path);
    default:
        return rest_market_data(feed, request, call, body);
    }
}
