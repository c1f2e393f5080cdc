/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/text.h"
#include "recover/rest_port.h"

static const struct {
    const char *name;
    int64_t weight;
} rest_query_endpoints[REST_ENDPOINTS] = {
    [REST_ENDPOINT_DEPTH] = {"depth", 5},   [REST_ENDPOINT_AGG_TRADES] = {"aggTrades", 4},
    [REST_ENDPOINT_KLINES] = {"klines", 2}, [REST_ENDPOINT_TRADES] = {"historicalTrades", 25},
    [REST_ENDPOINT_TIME] = {"time", 1},     [REST_ENDPOINT_INFO] = {"exchangeInfo", 20},
};

const char *rest_endpoint_name(enum rest_endpoint endpoint)
{
    return rest_query_endpoints[endpoint].name;
}

int64_t rest_query_weight(const struct rest_query *query)
{
    if (query->endpoint != REST_ENDPOINT_DEPTH || query->limit <= 100)
        return rest_query_endpoints[query->endpoint].weight;
    return query->limit <= 500 ? 25 : query->limit <= 1000 ? 50 : 250;
}

static void rest_query_add(struct text *text, const char *name, int64_t value)
{
    if (value >= 0)
        text_add_format(text, "&%s=%lld", name, (long long)value);
}

static int64_t rest_query_ms(int64_t time_us)
{
    return time_us < 0 ? -1 : time_us / CLOCK_US_PER_MS;
}

void rest_query_path(const struct rest_query *query, const char *symbol, char *out, size_t size)
{
    struct text text = text_begin(out, size);
    text_add_format(&text, "/api/v3/%s", rest_endpoint_name(query->endpoint));
    if (query->endpoint != REST_ENDPOINT_TIME)
        text_add_format(&text, "?symbol=%s", symbol);
    if (query->endpoint == REST_ENDPOINT_KLINES)
        text_add(&text, "&interval=1m");
    rest_query_add(&text, "limit", query->limit > 0 ? query->limit : -1);
    rest_query_add(&text, "fromId", query->from_id);
    rest_query_add(&text, "startTime", rest_query_ms(query->start_us));
    rest_query_add(&text, "endTime", rest_query_ms(query->end_us));
    text_end(&text);
}
