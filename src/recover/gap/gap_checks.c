/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/gap/gap_checks.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "market/minute.h"
#include "wire/rest_json.h"

/* As fine as the exchange writes; minutes bring their own quantity exponent. */
#define GAP_CHECK_EXPONENT (-8)

int gap_checks_open(struct gap_checks *checks, struct rest_desk *desk, struct err *err)
{
    *checks = (struct gap_checks){.asking = -1};
    return rest_errand_open(&checks->errand, desk, WEIGHT_MINUTE, err);
}

void gap_checks_close(struct gap_checks *checks)
{
    rest_errand_close(&checks->errand);
}

static void gap_checks_remove(struct gap_checks *checks, int index)
{
    checks->count--;
    memmove(&checks->list[index], &checks->list[index + 1],
            (size_t)(checks->count - index) * sizeof(checks->list[0]));
    if (checks->asking > index)
        checks->asking--;
    else if (checks->asking == index)
        checks->asking = -1;
}

/* The oldest minute, else the oldest trade hole, but not what is being asked. */
static int gap_checks_victim(const struct gap_checks *checks)
{
    int victim = -1;
    for (int i = 0; i < checks->count; i++) {
        if (i == checks->asking)
            continue;
        if (checks->list[i].event.kind == GAP_MINUTE)
            return i;
        if (victim < 0)
            victim = i;
    }
    return victim;
}

bool gap_checks_add(struct gap_checks *checks, const struct gap_event *event, const char *id,
                    int64_t mono_us, struct gap_check *pushed_out)
{
    bool full = checks->count == GAP_CHECKS_MAX;
    if (full) {
        int victim = gap_checks_victim(checks);
        *pushed_out = checks->list[victim];
        pushed_out->answer = GAP_ANSWER_UNKNOWN;
        checks->given_up++;
        gap_checks_remove(checks, victim);
    }
    struct gap_check *check = &checks->list[checks->count++];
    *check = (struct gap_check){.event = *event, .since_us = mono_us, .again_us = mono_us};
    snprintf(check->id, sizeof(check->id), "%s", id);
    return full;
}

static struct rest_query gap_check_query(const struct gap_check *check)
{
    struct rest_query query = {.limit = 1, .from_id = -1, .start_us = -1, .end_us = -1};
    if (check->event.kind == GAP_TRADE_HOLE) {
        query.endpoint = REST_ENDPOINT_TRADES;
        query.from_id = check->event.first_trade_id;
    } else {
        query.endpoint = REST_ENDPOINT_KLINES;
        query.start_us = check->event.minute * MINUTE_US;
    }
    return query;
}

static bool gap_check_is_due(const struct gap_check *check, int64_t mono_us)
{
    return check->answer == GAP_ANSWER_OPEN && mono_us >= check->again_us;
}

static void gap_checks_start(struct gap_checks *checks, int64_t mono_us)
{
    int next = -1;
    for (int i = 0; i < checks->count; i++) {
        if (!gap_check_is_due(&checks->list[i], mono_us))
            continue;
        bool trades = checks->list[i].event.kind == GAP_TRADE_HOLE;
        if (next < 0 || (trades && checks->list[next].event.kind != GAP_TRADE_HOLE))
            next = i;
    }
    if (next < 0)
        return;
    struct rest_query query = gap_check_query(&checks->list[next]);
    rest_errand_start(&checks->errand, &query);
    checks->asking = next;
}

/* The list begins with the first trade from that id on: it is one of the missing, or a
 * later one; an empty list says that the exchange does not know it yet. */
static int gap_check_trades(const struct gap_check *check, struct bytes body,
                            enum gap_answer *answer, struct err *err)
{
    struct trade trade = {.id = -1};
    int64_t time_us;
    uint32_t count = 0;
    int result =
        rest_json_read_trades(body, (struct sbe_scale){GAP_CHECK_EXPONENT, GAP_CHECK_EXPONENT},
                              &trade, &time_us, 1, &count, err);
    if (result != ERR_OK)
        return result;
    if (count > 0 && trade.id < check->event.first_trade_id)
        return err_set(err, ERR_MALFORMED, "trade %lld was not asked for", (long long)trade.id);
    *answer =
        count > 0 && trade.id <= check->event.last_trade_id ? GAP_ANSWER_LOST : GAP_ANSWER_FINE;
    return ERR_OK;
}

static int gap_check_minute(const struct gap_check *check, struct bytes body,
                            enum gap_answer *answer, struct err *err)
{
    struct rest_kline kline = {0};
    uint32_t count = 0;
    struct sbe_scale scale = {GAP_CHECK_EXPONENT, (int8_t)check->event.volume_exponent};
    int result = rest_json_read_klines(body, scale, &kline, 1, &count, err);
    if (result != ERR_OK)
        return result;
    if (count > 0 && kline.open_us != check->event.minute * MINUTE_US)
        return err_set(err, ERR_MALFORMED, "kline of %lld us was not asked for",
                       (long long)kline.open_us);
    bool equal = count > 0 ? kline.volume == check->event.volume &&
                                 (uint64_t)kline.trade_count == check->event.trades
                           : check->event.trades == 0;
    *answer = equal ? GAP_ANSWER_FINE : GAP_ANSWER_LOST;
    return ERR_OK;
}

/* What could come from REST's own delay is asked again before it counts. */
static bool gap_check_is_early(const struct gap_check *check, enum gap_answer answer)
{
    bool early =
        check->event.kind == GAP_TRADE_HOLE ? answer == GAP_ANSWER_FINE : answer == GAP_ANSWER_LOST;
    return early && check->tries < GAP_CHECK_TRIES;
}

static void gap_checks_done(struct gap_checks *checks, int64_t mono_us)
{
    struct gap_check *check = &checks->list[checks->asking];
    enum gap_answer answer = GAP_ANSWER_UNKNOWN;
    struct bytes body = rest_errand_body(&checks->errand);
    struct err err = {0};
    int result = check->event.kind == GAP_TRADE_HOLE ? gap_check_trades(check, body, &answer, &err)
                                                     : gap_check_minute(check, body, &answer, &err);
    if (result != ERR_OK) {
        rest_errand_retry(&checks->errand, err.text);
        return;
    }
    check->tries++;
    if (gap_check_is_early(check, answer))
        check->again_us = mono_us + GAP_CHECK_AGAIN_US;
    else
        check->answer = answer;
    (void)rest_errand_drop(&checks->errand);
    checks->asking = -1;
}

/* A question that the exchange refuses, or that nobody answers, stays open for nobody. */
static void gap_checks_expire(struct gap_checks *checks, int64_t mono_us)
{
    for (int i = 0; i < checks->count; i++) {
        struct gap_check *check = &checks->list[i];
        if (check->answer != GAP_ANSWER_OPEN || mono_us - check->since_us < GAP_CHECK_LIFE_US)
            continue;
        if (i == checks->asking && !rest_errand_drop(&checks->errand))
            continue;
        if (i == checks->asking)
            checks->asking = -1;
        check->answer = GAP_ANSWER_UNKNOWN;
    }
}

int gap_checks_do_work(struct gap_checks *checks, int64_t mono_us)
{
    gap_checks_expire(checks, mono_us);
    if (checks->asking < 0)
        gap_checks_start(checks, mono_us);
    if (checks->asking < 0)
        return 0;
    enum rest_errand_state state = rest_errand_do_work(&checks->errand);
    if (state == REST_ERRAND_DONE) {
        gap_checks_done(checks, mono_us);
    } else if (state == REST_ERRAND_REFUSED) {
        checks->list[checks->asking].answer = GAP_ANSWER_UNKNOWN;
        (void)rest_errand_drop(&checks->errand);
        checks->asking = -1;
    }
    return 1;
}

bool gap_checks_take(struct gap_checks *checks, struct gap_check *check)
{
    for (int i = 0; i < checks->count; i++) {
        if (checks->list[i].answer == GAP_ANSWER_OPEN)
            continue;
        *check = checks->list[i];
        gap_checks_remove(checks, i);
        return true;
    }
    return false;
}

const char *gap_checks_oldest(const struct gap_checks *checks)
{
    return checks->count > 0 ? checks->list[0].id : NULL;
}
