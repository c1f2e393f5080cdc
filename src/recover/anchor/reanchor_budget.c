/* How the re-anchor agent asks the exchange: within the weight that all behind one address
 * share, silent when the exchange wants it (BINANCE.md section 8).
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "recover/anchor/reanchor_self.h"
#include "wire/rest_json.h"

static void reanchor_budget_on_reply(void *context, const struct rest_reply *reply)
{
    struct reanchor_fetch *fetch = context;
    struct reanchor *reanchor = fetch->reanchor;
    fetch->in_flight = false;
    weight_budget_reply(&reanchor->budget, reply->status, reply->used_weight, reply->retry_after_s,
                        reanchor->now.wall_us);
    metric_set(reanchor->weight, (double)reanchor->budget.used);
    if (fetch->stale)
        return;
    fetch->answered = true;
    fetch->result = reply->result;
    fetch->status = reply->status;
    fetch->received_us = reanchor->now.wall_us;
    fetch->size = 0;
    snprintf(fetch->why, sizeof(fetch->why), "%s", reply->why != NULL ? reply->why : "");
    if (reply->result != ERR_OK)
        return;
    if (reply->body.size > fetch->capacity) {
        fetch->result = ERR_FULL;
        return;
    }
    if (reply->body.size > 0)
        memcpy(fetch->body, reply->body.data, reply->body.size);
    fetch->size = reply->body.size;
}

bool reanchor_budget_get(struct reanchor *reanchor, enum reanchor_part part,
                         const struct rest_query *query, enum weight_class class)
{
    const struct rest_port *port = &reanchor->options.rest;
    struct reanchor_fetch *fetch = &reanchor->fetch[part];
    int64_t wait_us;
    if (fetch->in_flight)
        return false;
    if (!weight_budget_take(&reanchor->budget, class, rest_query_weight(query),
                            reanchor->now.wall_us, &wait_us)) {
        metric_add(reanchor->waits, 1);
        return false;
    }
    fetch->answered = fetch->stale = false;
    fetch->in_flight = port->get(port->self, reanchor->options.symbol, query,
                                 reanchor_budget_on_reply, fetch) == ERR_OK;
    return fetch->in_flight;
}

/* 429 and 418: the others behind this address are told. */
static void reanchor_budget_respect(struct reanchor *reanchor, int status)
{
    const struct rest_silence_port *silence = &reanchor->options.silence;
    int64_t until_us = reanchor->budget.blocked_until_us;
    if (until_us > reanchor->said_until_us && silence->self != NULL)
        silence->say(silence->self, until_us);
    reanchor->said_until_us = until_us;
    log_warn("rest_limited", "symbol=%s status=%d wait_s=%lld", reanchor->options.symbol, status,
             (long long)((until_us - reanchor->now.wall_us) / CLOCK_US_PER_S));
}

bool reanchor_budget_answered(struct reanchor *reanchor, enum reanchor_part part, bool *good)
{
    static const char *const names[REANCHOR_PARTS] = {"depth", "aggTrades", "klines",
                                                      "exchangeInfo"};
    struct reanchor_fetch *fetch = &reanchor->fetch[part];
    if (!fetch->answered)
        return false;
    fetch->answered = false;
    *good = fetch->result == ERR_OK && fetch->status == 200;
    metric_add(*good ? reanchor->rest_ok[part] : reanchor->rest_error[part], 1);
    if (*good)
        return true;
    if (fetch->status == 429 || fetch->status == 418)
        reanchor_budget_respect(reanchor, fetch->status);
    log_warn("rest_failed", "symbol=%s call=%s try=%u status=%d reason=\"%s%s%s\"",
             reanchor->options.symbol, names[part], reanchor->tries, fetch->status,
             fetch->result == ERR_OK ? "refused" : err_text(fetch->result),
             fetch->why[0] != 0 ? ": " : "", fetch->why);
    return true;
}

/* The limit of the address; until it is known the budget is careful. */
static void reanchor_budget_info(struct reanchor *reanchor)
{
    static const struct sbe_scale scale = {-8, -8};
    const struct reanchor_fetch *fetch = &reanchor->fetch[REANCHOR_INFO];
    const struct rest_query query = {
        .endpoint = REST_ENDPOINT_INFO, .from_id = -1, .start_us = -1, .end_us = -1};
    struct rest_exchange_info info = {0};
    bool good = false;
    if (reanchor_budget_answered(reanchor, REANCHOR_INFO, &good) && good &&
        rest_json_read_exchange_info(bytes_of(fetch->body, fetch->size), reanchor->options.symbol,
                                     scale, &info, NULL) == ERR_OK) {
        weight_budget_limit(&reanchor->budget, info.request_weight_per_minute);
        reanchor->info_us = reanchor->now.mono_us + REANCHOR_INFO_US;
    }
    if (reanchor->step != REANCHOR_IDLE || fetch->in_flight ||
        reanchor->now.mono_us < reanchor->info_us)
        return;
    reanchor->info_us = reanchor->now.mono_us + REANCHOR_INFO_RETRY_US;
    (void)reanchor_budget_get(reanchor, REANCHOR_INFO, &query, WEIGHT_VIEW);
}

void reanchor_budget_do_work(struct reanchor *reanchor)
{
    const struct rest_silence_port *silence = &reanchor->options.silence;
    if (silence->self != NULL) {
        (void)silence->do_work(silence->self, reanchor->now.mono_us);
        weight_budget_block(&reanchor->budget, silence->until_us(silence->self));
    }
    reanchor_budget_info(reanchor);
}
