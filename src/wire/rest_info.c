/* The exchangeInfo part of wire/rest_json: limits, and one symbol's status and filters.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "wire/rest_json.h"

/* What the members of one rateLimits element say together. */
struct rest_info_limit {
    struct bytes type, interval;
    int64_t interval_count, limit;
};

static bool rest_info_is(struct bytes text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

static void rest_info_limit(struct json_scan *scan, struct rest_exchange_info *info)
{
    struct rest_info_limit limit = {.type = bytes_text(""), .interval = bytes_text("")};
    struct bytes key;
    if (!json_scan_object(scan))
        return;
    while (json_scan_member(scan, &key)) {
        if (JSON_SCAN_IS(key, "rateLimitType"))
            (void)json_scan_string(scan, &limit.type);
        else if (JSON_SCAN_IS(key, "interval"))
            (void)json_scan_string(scan, &limit.interval);
        else if (JSON_SCAN_IS(key, "intervalNum"))
            (void)json_scan_i64(scan, &limit.interval_count);
        else if (JSON_SCAN_IS(key, "limit"))
            (void)json_scan_i64(scan, &limit.limit);
        else
            (void)json_scan_skip(scan, NULL);
    }
    if (scan->failed || limit.limit < 0 || !rest_info_is(limit.interval, "MINUTE"))
        return;
    if (limit.interval_count == 1 && rest_info_is(limit.type, "REQUEST_WEIGHT"))
        info->request_weight_per_minute = limit.limit;
    else if (limit.interval_count == 5 && rest_info_is(limit.type, "RAW_REQUESTS"))
        info->raw_requests_per_5m = limit.limit;
}

/* A filter's size member counts only under the filter's own type, which may come later. */
static void rest_info_filter(struct json_scan *scan, struct json_decimals *decimals,
                             struct rest_exchange_info *info)
{
    struct bytes type = bytes_text("");
    struct bytes key;
    int64_t tick = 0;
    int64_t step = 0;
    if (!json_scan_object(scan))
        return;
    while (json_scan_member(scan, &key)) {
        if (JSON_SCAN_IS(key, "filterType"))
            (void)json_scan_string(scan, &type);
        else if (JSON_SCAN_IS(key, "tickSize"))
            (void)json_decimals_price(decimals, scan, &tick);
        else if (JSON_SCAN_IS(key, "stepSize"))
            (void)json_decimals_qty(decimals, scan, &step);
        else
            (void)json_scan_skip(scan, NULL);
    }
    if (!scan->failed && rest_info_is(type, "PRICE_FILTER"))
        info->tick_size = tick;
    else if (!scan->failed && rest_info_is(type, "LOT_SIZE"))
        info->step_size = step;
}

static void rest_info_filters(struct json_scan *scan, struct json_decimals *decimals,
                              struct rest_exchange_info *info)
{
    (void)json_scan_array(scan);
    while (json_scan_element(scan))
        rest_info_filter(scan, decimals, info);
}

/* One element of symbols; true if it is the one wanted, whose values it leaves in info. */
static bool rest_info_symbol(struct json_scan *scan, struct json_decimals *decimals,
                             const char *symbol, struct rest_exchange_info *info)
{
    struct rest_exchange_info found = *info;
    struct bytes name = bytes_text("");
    struct bytes status = bytes_text("");
    struct bytes key;
    if (!json_scan_object(scan))
        return false;
    while (json_scan_member(scan, &key)) {
        if (JSON_SCAN_IS(key, "symbol"))
            (void)json_scan_string(scan, &name);
        else if (JSON_SCAN_IS(key, "status"))
            (void)json_scan_string(scan, &status);
        else if (JSON_SCAN_IS(key, "filters"))
            rest_info_filters(scan, decimals, &found);
        else
            (void)json_scan_skip(scan, NULL);
    }
    if (scan->failed || !rest_info_is(name, symbol))
        return false;
    *info = found;
    memcpy(info->symbol, name.data, name.size);
    info->trading = rest_info_is(status, "TRADING");
    return true;
}

int rest_json_read_exchange_info(struct bytes text, const char *symbol, struct sbe_scale scale,
                                 struct rest_exchange_info *info, struct err *err)
{
    if (!sbe_symbol_valid(bytes_text(symbol)))
        return err_set(err, ERR_INVALID, "exchangeInfo: bad symbol \"%.32s\"", symbol);
    struct json_scan scan = json_scan_begin(text);
    struct json_decimals decimals = json_decimals_begin(scale.price_exponent, scale.qty_exponent);
    struct bytes key;
    bool found = false;
    *info = (struct rest_exchange_info){0};
    (void)json_scan_object(&scan);
    while (json_scan_member(&scan, &key)) {
        bool symbols = JSON_SCAN_IS(key, "symbols");
        if (!symbols && !JSON_SCAN_IS(key, "rateLimits")) {
            (void)json_scan_skip(&scan, NULL);
            continue;
        }
        (void)json_scan_array(&scan);
        while (json_scan_element(&scan)) {
            if (symbols)
                found |= rest_info_symbol(&scan, &decimals, symbol, info);
            else
                rest_info_limit(&scan, info);
        }
    }
    if (!json_scan_finish(&scan))
        return err_set(err, ERR_MALFORMED, "exchangeInfo reply: unreadable at byte %zu of %zu",
                       json_scan_offset(&scan), text.size);
    return found ? ERR_OK : err_set(err, ERR_NOT_FOUND, "exchangeInfo reply: no symbol %s", symbol);
}
