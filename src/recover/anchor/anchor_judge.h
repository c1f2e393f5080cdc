/* Are the exchange's REST replies fit to anchor on? SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_ANCHOR_ANCHOR_JUDGE_H
#define BTCAST_RECOVER_ANCHOR_ANCHOR_JUDGE_H

#include "base/bytes.h"
#include "base/err.h"

/* Best prices, as mantissas. */
struct anchor_touch {
    int64_t last_update_id;
    int64_t best_bid, best_ask;
    int exponent;
};

/* Checks JSON, lastUpdateId > 0, both sides there, sorted best first without doubles,
 * prices and quantities positive, not crossed (CONTRACTS.md section 7, row 3). ERR_OK or
 * ERR_MALFORMED with what is wrong. *touch is set on success. */
int anchor_judge_touch(struct bytes body, struct anchor_touch *touch, struct err *err) MUST_CHECK;
/* The same for who wants the id alone. */
int anchor_judge_depth(struct bytes body, int64_t *last_update_id, struct err *err) MUST_CHECK;

/* The end of the pages read so far; count 0: none yet. */
struct anchor_chain {
    uint32_t count;   /* aggregated trades, over all pages */
    int64_t last_id;  /* own id of the newest */
    int64_t last_raw; /* raw id it ends with */
    int64_t last_us;  /* its time */
};

/* A page of aggTrades: JSON, prices and quantities positive, and one unbroken chain with
 * the pages before: own ids and raw ids rise by one, times do not fall (BINANCE.md section
 * 7). *added: how many it had. On error the chain is as it was. */
int anchor_judge_trades(struct bytes body, struct anchor_chain *chain, uint32_t *added,
                        struct err *err) MUST_CHECK;

/* Klines tell only whether the snapshot is plausible: its touch lies within 10 per cent of
 * the last kline's range (CONTRACTS.md section 7, row 3). ERR_MALFORMED: unreadable;
 * ERR_REFUSED: not plausible. */
int anchor_judge_klines(struct bytes body, const struct anchor_touch *touch,
                        struct err *err) MUST_CHECK;

#endif
