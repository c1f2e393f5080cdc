/* The budget of REST request weight that this machine may spend, shared with everybody
 * behind the same address: the limit comes from exchangeInfo, what is used from the header
 * of every reply (BINANCE.md section 8), so others' use counts too. Classes have reserves:
 * a re-anchor always has room before a poll, a poll before the view. Never a ban: 429 and
 * 418 silence every class until Retry-After has passed. Pure; the clock is handed in.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_POLL_WEIGHT_BUDGET_H
#define BTCAST_RECOVER_POLL_WEIGHT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define WEIGHT_LIMIT_UNKNOWN 1200 /* until exchangeInfo has said it: today's is 6,000 */
#define WEIGHT_WINDOW_US     60000000
#define WEIGHT_GUARD_US      1000000      /* a new minute's weight is spent so much later */
#define WEIGHT_RETRY_AFTER_S 60           /* 429 or 418 without Retry-After */
#define WEIGHT_BLOCK_MAX_US  259200000000 /* three days, the longest ban there is */
#define WEIGHT_SHARE_PERCENT 90           /* of the limit is the most we let the total reach */
/* Kept free at most, and at least: three re-anchors and one; the minute's polls with some
 * backfill, and the polls alone. In between a quarter of what others leave us. */
#define WEIGHT_RESERVE_ANCHOR 150
#define WEIGHT_NEEDED_ANCHOR  56
#define WEIGHT_RESERVE_MINUTE 250
#define WEIGHT_NEEDED_MINUTE  60

enum weight_class { WEIGHT_ANCHOR, WEIGHT_MINUTE, WEIGHT_BACKFILL, WEIGHT_VIEW, WEIGHT_CLASSES };

struct weight_budget {
    int64_t limit;
    int64_t window;                /* (wall_us - WEIGHT_GUARD_US) / WEIGHT_WINDOW_US of `used` */
    int64_t used;                  /* the larger of header and own bookkeeping in the window */
    int64_t spent[WEIGHT_CLASSES]; /* our own part of `used` */
    int64_t blocked_until_us;      /* wall; 0: no */
    uint64_t granted[WEIGHT_CLASSES], refused[WEIGHT_CLASSES], throttled, banned;
};

void weight_budget_init(struct weight_budget *budget);
/* requestWeight limit a minute of exchangeInfo. */
void weight_budget_limit(struct weight_budget *budget, int64_t limit);
/* Takes weight for one request of the class: true, or false with *wait_us = how long until
 * asking again makes sense. */
bool weight_budget_take(struct weight_budget *budget, enum weight_class class, int64_t weight,
                        int64_t wall_us, int64_t *wait_us);
/* How long each of a row of requests of this weight has to last, if the class is to have
 * something until the window ends; The whole rest
 * of the window when there is no room for one more. */
int64_t weight_budget_pace_us(struct weight_budget *budget, enum weight_class class, int64_t weight,
                              int64_t wall_us);
/* What a reply said: HTTP status, used weight (-1: not said), Retry-After (-1: not said). */
void weight_budget_reply(struct weight_budget *budget, int status, int64_t used_weight,
                         int64_t retry_after_s, int64_t wall_us);
/* Another process of ours was told to be silent until then. */
void weight_budget_block(struct weight_budget *budget, int64_t until_us);

#endif
