/* Fetching, judging and handing over (BINANCE.md section 8 for the limits).
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "recover/anchor/anchor_judge.h"
#include "recover/anchor/reanchor_self.h"

static void reanchor_on_rest(void *context, const struct anchor_rest_reply *reply)
{
    struct reanchor *reanchor = context;
    reanchor->rest.in_flight = false;
    reanchor->rest.answered = true;
    reanchor->rest.result = reply->result;
    reanchor->status = reply->status;
    reanchor->retry_after_s = reply->retry_after_s;
    reanchor->body_size = 0;
    snprintf(reanchor->why, sizeof(reanchor->why), "%s", reply->why != NULL ? reply->why : "");
    if (reply->used_weight >= 0)
        metric_set(reanchor->weight, (double)reply->used_weight);
    if (reply->result != ERR_OK)
        return;
    if (reply->body.size > REANCHOR_REPLY_MAX) {
        reanchor->rest.result = ERR_FULL;
        return;
    }
    if (reply->body.size > 0)
        memcpy(reanchor->body, reply->body.data, reply->body.size);
    reanchor->body_size = reply->body.size;
}

static void reanchor_fetch(struct reanchor *reanchor)
{
    const struct anchor_rest_port *port = &reanchor->options.rest;
    struct anchor_rest_query query = {.call = ANCHOR_REST_DEPTH,
                                      .symbol = reanchor->options.symbol,
                                      .limit = REANCHOR_DEPTH_LIMIT};
    if (reanchor->rest.in_flight || reanchor->now.mono_us < reanchor->fetch_us ||
        reanchor->now.mono_us < reanchor->blocked_until_us)
        return;
    reanchor->requested_us = reanchor->now.wall_us;
    /* Should this one fail, the next is not to follow at once. */
    reanchor->fetch_us = reanchor->now.mono_us + REANCHOR_BACKOFF_US;
    if (port->get(port->self, &query, reanchor_on_rest, reanchor) != ERR_OK)
        return;
    reanchor->rest.in_flight = true;
    reanchor->tries++;
}

/* 429 and 418: nothing is asked before the time the exchange names (BINANCE.md section 8). */
static void reanchor_respect(struct reanchor *reanchor)
{
    int64_t wait_s =
        reanchor->retry_after_s >= 0 ? reanchor->retry_after_s : REANCHOR_RETRY_AFTER_S;
    reanchor->blocked_until_us = reanchor->now.mono_us + wait_s * CLOCK_US_PER_S;
    log_warn("rest_limited", "symbol=%s status=%d wait_s=%lld", reanchor->options.symbol,
             reanchor->status, (long long)wait_s);
}

static bool reanchor_judge(struct reanchor *reanchor)
{
    int64_t last_update_id;
    struct err err = {0};
    if (reanchor->rest.result != ERR_OK)
        err_set(&err, reanchor->rest.result, "%s: %s", err_text(reanchor->rest.result),
                reanchor->why);
    else if (reanchor->status != 200)
        err_set(&err, ERR_REFUSED, "HTTP status %d", reanchor->status);
    else if (anchor_judge_depth(bytes_of(reanchor->body, reanchor->body_size), &last_update_id,
                                &err) == ERR_OK)
        return true;
    if (reanchor->rest.result == ERR_CONNECTION)
        reanchor->fetch_us = reanchor->now.mono_us + REANCHOR_RECONNECT_US;
    else if (reanchor->status == 429 || reanchor->status == 418)
        reanchor_respect(reanchor);
    log_warn("rest_failed", "symbol=%s try=%u reason=\"%s\"", reanchor->options.symbol,
             reanchor->tries, err.text);
    return false;
}

static void reanchor_hand(struct reanchor *reanchor)
{
    const struct anchor_claim_port *port = &reanchor->options.claim;
    struct anchor_document meta = {.requested_us = reanchor->requested_us,
                                   .received_us = reanchor->now.wall_us};
    struct text out = text_begin(reanchor->document, REANCHOR_REPLY_MAX + 1024);
    snprintf(meta.symbol, sizeof(meta.symbol), "%s", reanchor->options.symbol);
    snprintf(meta.token, sizeof(meta.token), "%s", reanchor->token);
    snprintf(meta.cause, sizeof(meta.cause), "%s", reanchor->cause);
    anchor_document_write(&meta, bytes_of(reanchor->body, reanchor->body_size), &out);
    CHECK(!out.truncated);
    reanchor->document_size = out.size;
    if (port->hand(port->self, reanchor->token, bytes_of(reanchor->document, out.size),
                   REANCHOR_DOCUMENT_TTL_MS, reanchor_on_call, &reanchor->hand) != ERR_OK)
        return; /* stays in FETCHING: fetched anew when the store is back */
    reanchor->hand.in_flight = true;
    reanchor->step = REANCHOR_HANDING;
}

void reanchor_fetch_do_work(struct reanchor *reanchor)
{
    if (!reanchor_answered(&reanchor->rest)) {
        reanchor_fetch(reanchor);
        return;
    }
    bool good = reanchor_judge(reanchor);
    metric_add(good ? reanchor->rest_ok : reanchor->rest_error, 1);
    if (good)
        reanchor_hand(reanchor);
}
