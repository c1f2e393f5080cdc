/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/poll/weight_budget.h"

#include <string.h>

#include "base/clock.h"

void weight_budget_init(struct weight_budget *budget)
{
    *budget = (struct weight_budget){.limit = WEIGHT_LIMIT_UNKNOWN};
}

void weight_budget_limit(struct weight_budget *budget, int64_t limit)
{
    if (limit > 0)
        budget->limit = limit;
}

/* The exchange's minute may begin a little later than ours: a request sent in between would
 * be counted to a minute that is spent already. */
static int64_t weight_budget_window(int64_t wall_us)
{
    return (wall_us - WEIGHT_GUARD_US) / WEIGHT_WINDOW_US;
}

static void weight_budget_turn(struct weight_budget *budget, int64_t wall_us)
{
    int64_t window = weight_budget_window(wall_us);
    if (window > budget->window) {
        budget->used = 0;
        memset(budget->spent, 0, sizeof(budget->spent));
    }
    /* After a step back of the clock the use of the minute stays: it may be the same one. */
    budget->window = window;
    /* No ban is longer: what says so comes from a clock that was stepped. */
    if (budget->blocked_until_us > wall_us + WEIGHT_BLOCK_MAX_US)
        budget->blocked_until_us = wall_us + WEIGHT_BLOCK_MAX_US;
}

static int64_t weight_budget_share(const struct weight_budget *budget)
{
    return budget->limit * WEIGHT_SHARE_PERCENT / 100;
}

/* A quarter of what others leave us, within bounds; with a tiny limit a quarter of that. */
static int64_t weight_budget_reserve(const struct weight_budget *budget, int64_t most,
                                     int64_t needed)
{
    int64_t share = weight_budget_share(budget), left = share - budget->used;
    for (int class = 0; class < WEIGHT_CLASSES; class ++)
        left += budget->spent[class];
    int64_t reserve = left / 4 > needed ? left / 4 : needed;
    reserve = reserve < most ? reserve : most;
    return reserve < share / 4 ? reserve : share / 4;
}

/* The most that the total may reach by a request of the class. What the minute's polls have
 * had already need not be kept for them; backfill leaves them half. */
static int64_t weight_budget_ceiling(const struct weight_budget *budget, enum weight_class class)
{
    int64_t share = weight_budget_share(budget);
    int64_t anchor = weight_budget_reserve(budget, WEIGHT_RESERVE_ANCHOR, WEIGHT_NEEDED_ANCHOR);
    int64_t minute = weight_budget_reserve(budget, WEIGHT_RESERVE_MINUTE, WEIGHT_NEEDED_MINUTE);
    int64_t half = minute / 2 - budget->spent[WEIGHT_MINUTE];
    minute -= budget->spent[WEIGHT_MINUTE] + budget->spent[WEIGHT_BACKFILL];
    switch (class) {
    case WEIGHT_ANCHOR:
        return share;
    case WEIGHT_MINUTE:
        return share - anchor;
    case WEIGHT_BACKFILL:
        return share - anchor - (half > 0 ? half : 0);
    default:
        return share - anchor - (minute > 0 ? minute : 0);
    }
}

static int64_t weight_budget_next_us(const struct weight_budget *budget, int64_t wall_us)
{
    return (budget->window + 1) * WEIGHT_WINDOW_US + WEIGHT_GUARD_US - wall_us;
}

int64_t weight_budget_pace_us(struct weight_budget *budget, enum weight_class class, int64_t weight,
                              int64_t wall_us)
{
    weight_budget_turn(budget, wall_us);
    int64_t room = weight_budget_ceiling(budget, class) - budget->used;
    int64_t rest_us = weight_budget_next_us(budget, wall_us);
    return room <= weight ? rest_us : rest_us * weight / room;
}

bool weight_budget_take(struct weight_budget *budget, enum weight_class class, int64_t weight,
                        int64_t wall_us, int64_t *wait_us)
{
    weight_budget_turn(budget, wall_us);
    *wait_us = 0;
    if (budget->blocked_until_us > wall_us) {
        *wait_us = budget->blocked_until_us - wall_us;
    } else if (budget->used + weight > weight_budget_ceiling(budget, class)) {
        *wait_us = weight_budget_next_us(budget, wall_us);
    } else {
        budget->used += weight;
        budget->spent[class] += weight;
        budget->granted[class]++;
        return true;
    }
    budget->refused[class]++;
    return false;
}

void weight_budget_reply(struct weight_budget *budget, int status, int64_t used_weight,
                         int64_t retry_after_s, int64_t wall_us)
{
    weight_budget_turn(budget, wall_us);
    if (used_weight > budget->used)
        budget->used = used_weight;
    if (status != 429 && status != 418)
        return;
    budget->throttled += status == 429;
    budget->banned += status == 418;
    if (retry_after_s < 0)
        retry_after_s = WEIGHT_RETRY_AFTER_S;
    if (retry_after_s > WEIGHT_BLOCK_MAX_US / CLOCK_US_PER_S)
        retry_after_s = WEIGHT_BLOCK_MAX_US / CLOCK_US_PER_S;
    /* Retry-After counts whole seconds and may be rounded down. */
    weight_budget_block(budget, wall_us + (retry_after_s + 1) * CLOCK_US_PER_S);
}

void weight_budget_block(struct weight_budget *budget, int64_t until_us)
{
    if (until_us > budget->blocked_until_us)
        budget->blocked_until_us = until_us;
}
