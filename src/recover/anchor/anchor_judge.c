/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/anchor/anchor_judge.h"

#include <stdlib.h>

#include "base/decimal.h"

#include "wire/decode.h"
#include "wire/json_decimals.h"
#include "wire/rest_json.h"

#define ANCHOR_JUDGE_EXPONENT (-8)
/* Lists are read at these; one that is finer is done without. */
#define ANCHOR_JUDGE_FINEST ANCHOR_JUDGE_EXPONENT
#define ANCHOR_JUDGE_KLINES 8
#define ANCHOR_JUDGE_FAR    0.10

struct anchor_judge {
    struct json_decimals decimals;
    int64_t id;
    bool has_id, has_bids, has_asks;
    uint32_t bid_count, ask_count;
    struct sbe_level bids[DECODE_ANCHOR_LEVELS_MAX];
    struct sbe_level asks[DECODE_ANCHOR_LEVELS_MAX];
};

static bool anchor_judge_read(struct anchor_judge *judge, struct bytes body, size_t *offset)
{
    struct json_scan scan = json_scan_begin(body);
    struct bytes key;
    judge->has_id = judge->has_bids = judge->has_asks = false;
    if (json_scan_object(&scan))
        while (json_scan_member(&scan, &key)) {
            if (JSON_SCAN_IS(key, "lastUpdateId"))
                judge->has_id = json_scan_i64(&scan, &judge->id);
            else if (JSON_SCAN_IS(key, "bids"))
                judge->has_bids = json_decimals_levels(&judge->decimals, &scan, judge->bids,
                                                       DECODE_ANCHOR_LEVELS_MAX, &judge->bid_count);
            else if (JSON_SCAN_IS(key, "asks"))
                judge->has_asks = json_decimals_levels(&judge->decimals, &scan, judge->asks,
                                                       DECODE_ANCHOR_LEVELS_MAX, &judge->ask_count);
            else
                (void)json_scan_skip(&scan, NULL);
        }
    *offset = json_scan_offset(&scan);
    return json_scan_finish(&scan);
}

/* direction: 1 for asks (ascending), -1 for bids (descending). */
static int anchor_judge_side(const struct sbe_level *levels, uint32_t count, int direction,
                             const char *name, struct err *err)
{
    if (count == 0)
        return err_set(err, ERR_MALFORMED, "depth: no %s", name);
    for (uint32_t i = 0; i < count; i++) {
        if (levels[i].price <= 0 || levels[i].qty <= 0)
            return err_set(err, ERR_MALFORMED, "depth: %s %u is not positive", name, i);
        if (i > 0 && (levels[i].price > levels[i - 1].price) != (direction > 0))
            return err_set(err, ERR_MALFORMED, "depth: %s %u is out of order", name, i);
        if (i > 0 && levels[i].price == levels[i - 1].price)
            return err_set(err, ERR_MALFORMED, "depth: %s %u is there twice", name, i);
    }
    return ERR_OK;
}

static int anchor_judge_levels(const struct anchor_judge *judge, struct err *err)
{
    if (!judge->has_id || !judge->has_bids || !judge->has_asks)
        return err_set(err, ERR_MALFORMED, "depth: lastUpdateId, bids and asks are wanted");
    if (judge->id <= 0)
        return err_set(err, ERR_MALFORMED, "depth: lastUpdateId %lld", (long long)judge->id);
    int result = anchor_judge_side(judge->bids, judge->bid_count, -1, "bids", err);
    if (result == ERR_OK)
        result = anchor_judge_side(judge->asks, judge->ask_count, 1, "asks", err);
    if (result == ERR_OK && judge->bids[0].price >= judge->asks[0].price)
        result = err_set(err, ERR_MALFORMED, "depth: crossed");
    return result;
}

int anchor_judge_touch(struct bytes body, struct anchor_touch *touch, struct err *err)
{
    size_t offset;
    struct anchor_judge *judge = malloc(sizeof(*judge));
    if (judge == NULL)
        return err_set(err, ERR_MEMORY, "depth: out of memory");
    judge->decimals = json_decimals_begin(ANCHOR_JUDGE_EXPONENT, ANCHOR_JUDGE_EXPONENT);
    bool good = anchor_judge_read(judge, body, &offset);
    if (good && json_decimals_finer(&judge->decimals)) {
        judge->decimals =
            json_decimals_begin(judge->decimals.price_wanted, judge->decimals.qty_wanted);
        good = anchor_judge_read(judge, body, &offset);
    }
    int result = good ? anchor_judge_levels(judge, err)
                      : err_set(err, ERR_MALFORMED, "depth: unreadable at byte %zu of %zu", offset,
                                body.size);
    if (result == ERR_OK)
        *touch = (struct anchor_touch){.last_update_id = judge->id,
                                       .best_bid = judge->bids[0].price,
                                       .best_ask = judge->asks[0].price,
                                       .exponent = judge->decimals.price_exponent};
    free(judge);
    return result;
}

int anchor_judge_depth(struct bytes body, int64_t *last_update_id, struct err *err)
{
    struct anchor_touch touch = {0};
    int result = anchor_judge_touch(body, &touch, err);
    if (result == ERR_OK)
        *last_update_id = touch.last_update_id;
    return result;
}

static int anchor_judge_trade(const struct rest_agg_trade *trade, struct anchor_chain *chain,
                              struct err *err)
{
    if (trade->price <= 0 || trade->qty <= 0 || trade->last_id < trade->first_id)
        return err_set(err, ERR_MALFORMED, "aggTrades: %lld makes no sense", (long long)trade->id);
    if (chain->count > 0 &&
        (trade->id != chain->last_id + 1 || trade->first_id != chain->last_raw + 1 ||
         trade->time_us < chain->last_us))
        return err_set(err, ERR_MALFORMED, "aggTrades: %lld does not follow %lld",
                       (long long)trade->id, (long long)chain->last_id);
    chain->count++;
    chain->last_id = trade->id;
    chain->last_raw = trade->last_id;
    chain->last_us = trade->time_us;
    return ERR_OK;
}

int anchor_judge_trades(struct bytes body, struct anchor_chain *chain, uint32_t *added,
                        struct err *err)
{
    static const struct sbe_scale scale = {ANCHOR_JUDGE_FINEST, ANCHOR_JUDGE_FINEST};
    struct rest_agg_trade *trades = malloc(REST_JSON_LIST_MAX * sizeof(*trades));
    struct anchor_chain next = *chain;
    uint32_t count = 0;
    if (trades == NULL)
        return err_set(err, ERR_MEMORY, "aggTrades: out of memory");
    int result = rest_json_read_agg_trades(body, scale, trades, REST_JSON_LIST_MAX, &count, err);
    for (uint32_t i = 0; i < count && result == ERR_OK; i++)
        result = anchor_judge_trade(&trades[i], &next, err);
    free(trades);
    if (result != ERR_OK)
        return result;
    *chain = next;
    *added = count;
    return ERR_OK;
}

int anchor_judge_klines(struct bytes body, const struct anchor_touch *touch, struct err *err)
{
    static const struct sbe_scale scale = {ANCHOR_JUDGE_FINEST, ANCHOR_JUDGE_FINEST};
    struct rest_kline klines[ANCHOR_JUDGE_KLINES];
    uint32_t count = 0;
    int result = rest_json_read_klines(body, scale, klines, ANCHOR_JUDGE_KLINES, &count, err);
    if (result != ERR_OK)
        return result;
    if (count == 0 || klines[count - 1].low <= 0 || klines[count - 1].high < klines[count - 1].low)
        return err_set(err, ERR_MALFORMED, "klines: none that makes sense");
    double low = decimal_to_f64(klines[count - 1].low, ANCHOR_JUDGE_FINEST);
    double high = decimal_to_f64(klines[count - 1].high, ANCHOR_JUDGE_FINEST);
    if (decimal_to_f64(touch->best_ask, touch->exponent) < low * (1 - ANCHOR_JUDGE_FAR) ||
        decimal_to_f64(touch->best_bid, touch->exponent) > high * (1 + ANCHOR_JUDGE_FAR))
        return err_set(err, ERR_REFUSED, "depth: far from the last minute's prices");
    return ERR_OK;
}
