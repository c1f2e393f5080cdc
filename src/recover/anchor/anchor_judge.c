/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/anchor/anchor_judge.h"

#include <stdlib.h>

#include "wire/decode.h"
#include "wire/json_decimals.h"

#define ANCHOR_JUDGE_EXPONENT (-8)

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

int anchor_judge_depth(struct bytes body, int64_t *last_update_id, struct err *err)
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
        *last_update_id = judge->id;
    free(judge);
    return result;
}
