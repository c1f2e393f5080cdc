/* One try: snapshot, trades and klines asked for side by side, each judged, the snapshot
 * handed over with what else has come in time and is sound.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "recover/anchor/reanchor_self.h"

static struct bytes reanchor_fetch_body(const struct reanchor *reanchor, enum reanchor_part part)
{
    return bytes_of(reanchor->fetch[part].body, reanchor->fetch[part].size);
}

void reanchor_fetch_abandon(struct reanchor *reanchor)
{
    for (int part = 0; part < REANCHOR_INFO; part++) {
        reanchor->fetch[part].stale = reanchor->fetch[part].in_flight;
        reanchor->fetch[part].answered = false;
    }
    reanchor->collecting = false;
}

/* The first page begins at a time, the others behind what there is. */
static bool reanchor_fetch_page(struct reanchor *reanchor)
{
    struct rest_query query = {.endpoint = REST_ENDPOINT_AGG_TRADES,
                               .limit = REANCHOR_TRADES_LIMIT,
                               .from_id = -1,
                               .start_us = -1,
                               .end_us = -1};
    if (reanchor->chain.count == 0)
        query.start_us = reanchor->now.wall_us - REANCHOR_TRADES_US;
    else
        query.from_id = reanchor->chain.last_id + 1;
    reanchor->pages++;
    return reanchor_budget_get(reanchor, REANCHOR_TRADES, &query, WEIGHT_ANCHOR);
}

static bool reanchor_fetch_klines(struct reanchor *reanchor)
{
    const struct rest_query query = {.endpoint = REST_ENDPOINT_KLINES,
                                     .limit = REANCHOR_KLINES_LIMIT,
                                     .from_id = -1,
                                     .start_us = -1,
                                     .end_us = -1};
    return reanchor_budget_get(reanchor, REANCHOR_KLINES, &query, WEIGHT_ANCHOR);
}

static void reanchor_fetch_start(struct reanchor *reanchor)
{
    const struct rest_query query = {.endpoint = REST_ENDPOINT_DEPTH,
                                     .limit = reanchor->ask_levels > 0 && !reanchor->forced
                                                  ? reanchor->ask_levels
                                                  : REANCHOR_DEPTH_LIMIT,
                                     .from_id = -1,
                                     .start_us = -1,
                                     .end_us = -1};
    if (reanchor->fetch[REANCHOR_DEPTH].in_flight || reanchor->now.mono_us < reanchor->fetch_us)
        return;
    reanchor->requested_us = reanchor->now.wall_us;
    reanchor->requested_levels = query.limit;
    if (!reanchor_budget_get(reanchor, REANCHOR_DEPTH, &query, WEIGHT_ANCHOR)) {
        reanchor->fetch_us = reanchor->now.mono_us + REANCHOR_RECONNECT_US;
        return;
    }
    /* Should this one fail, the next is not to follow at once. */
    reanchor->fetch_us = reanchor->now.mono_us + REANCHOR_BACKOFF_US;
    reanchor->tries++;
    reanchor->collecting = true;
    reanchor->has_depth = false;
    reanchor->pages = 0;
    reanchor->chain = (struct anchor_chain){0};
    reanchor->trades_size = 0;
    reanchor->fetch[REANCHOR_TRADES].finished = !reanchor_fetch_page(reanchor);
    reanchor->fetch[REANCHOR_KLINES].finished = !reanchor_fetch_klines(reanchor);
    reanchor->fetch[REANCHOR_KLINES].size = 0;
}

/* This try is over; another one comes when it may. */
static void reanchor_fetch_fail(struct reanchor *reanchor, const char *reason)
{
    if (reanchor->fetch[REANCHOR_DEPTH].result == ERR_CONNECTION)
        reanchor->fetch_us = reanchor->now.mono_us + REANCHOR_RECONNECT_US;
    if (reason != NULL)
        log_warn("snapshot_refused", "symbol=%s try=%u reason=\"%s\"", reanchor->options.symbol,
                 reanchor->tries, reason);
    reanchor_fetch_abandon(reanchor);
}

static void reanchor_fetch_depth(struct reanchor *reanchor)
{
    struct err err = {0};
    bool good;
    if (!reanchor_budget_answered(reanchor, REANCHOR_DEPTH, &good))
        return;
    if (!good) {
        reanchor_fetch_fail(reanchor, NULL);
        return;
    }
    if (anchor_judge_touch(reanchor_fetch_body(reanchor, REANCHOR_DEPTH), &reanchor->touch, &err) !=
        ERR_OK) {
        metric_add(reanchor->refused_unsound, 1);
        reanchor_fetch_fail(reanchor, err.text);
        return;
    }
    if (reanchor->touch.last_update_id < reanchor->ask_min_id) {
        metric_add(reanchor->refused_old, 1);
        reanchor_fetch_fail(reanchor, "older than the buffered diffs");
        return;
    }
    reanchor->has_depth = true;
    reanchor->depth_us = reanchor->now.mono_us;
}

/* The elements of a page, without its brackets, behind the others. */
static bool reanchor_fetch_keep_page(struct reanchor *reanchor, struct bytes body)
{
    const uint8_t *first = memchr(body.data, '[', body.size);
    const uint8_t *last = memrchr(body.data, ']', body.size);
    CHECK(first != NULL && last > first); /* it was read as an array */
    size_t size = (size_t)(last - first - 1);
    if (reanchor->trades_size + size + 3 > REANCHOR_TRADES_MAX)
        return false;
    reanchor->trades[reanchor->trades_size] = reanchor->trades_size == 0 ? '[' : ',';
    reanchor->trades_size++;
    memcpy(reanchor->trades + reanchor->trades_size, first + 1, size);
    reanchor->trades_size += size;
    return true;
}

/* Pages until one is not full; a chain that ends too early fills what it covers. */
static void reanchor_fetch_trades(struct reanchor *reanchor)
{
    struct reanchor_fetch *fetch = &reanchor->fetch[REANCHOR_TRADES];
    struct anchor_chain before = reanchor->chain;
    struct err err = {0};
    uint32_t added = 0;
    bool good;
    if (!reanchor_budget_answered(reanchor, REANCHOR_TRADES, &good))
        return;
    fetch->finished = true;
    if (!good)
        return;
    struct bytes body = reanchor_fetch_body(reanchor, REANCHOR_TRADES);
    if (anchor_judge_trades(body, &reanchor->chain, &added, &err) != ERR_OK) {
        log_warn("trades_refused", "symbol=%s reason=\"%s\"", reanchor->options.symbol, err.text);
        return;
    }
    if (added == 0)
        return;
    if (!reanchor_fetch_keep_page(reanchor, body)) {
        reanchor->chain = before;
        return;
    }
    if (added == REANCHOR_TRADES_LIMIT && reanchor->pages < REANCHOR_PAGES_MAX)
        fetch->finished = !reanchor_fetch_page(reanchor);
}

static void reanchor_fetch_kline_reply(struct reanchor *reanchor)
{
    struct reanchor_fetch *fetch = &reanchor->fetch[REANCHOR_KLINES];
    bool good;
    if (!reanchor_budget_answered(reanchor, REANCHOR_KLINES, &good))
        return;
    fetch->finished = true;
    if (!good)
        fetch->size = 0;
}

/* False: not plausible, and not for the last time. Klines that cannot be read are left out. */
static bool reanchor_fetch_is_plausible(struct reanchor *reanchor)
{
    struct reanchor_fetch *fetch = &reanchor->fetch[REANCHOR_KLINES];
    struct err err = {0};
    if (!fetch->finished || fetch->size == 0)
        return true;
    int result = anchor_judge_klines(bytes_of(fetch->body, fetch->size), &reanchor->touch, &err);
    if (result == ERR_OK)
        return true;
    if (result == ERR_REFUSED && reanchor->tries < REANCHOR_PLAUSIBLE_TRIES) {
        metric_add(reanchor->refused_far, 1);
        reanchor_fetch_fail(reanchor, err.text);
        return false;
    }
    log_warn("klines_ignored", "symbol=%s reason=\"%s\"", reanchor->options.symbol, err.text);
    fetch->size = 0;
    return true;
}

static void reanchor_fetch_hand(struct reanchor *reanchor)
{
    const struct anchor_claim_port *port = &reanchor->options.claim;
    const struct reanchor_fetch *klines = &reanchor->fetch[REANCHOR_KLINES];
    struct anchor_document meta = {.requested_us = reanchor->requested_us,
                                   .received_us = reanchor->fetch[REANCHOR_DEPTH].received_us,
                                   .levels = reanchor->requested_levels};
    struct text out = text_begin(reanchor->document, REANCHOR_DOCUMENT_MAX);
    if (reanchor->trades_size > 0) {
        reanchor->trades[reanchor->trades_size] = ']';
        meta.agg_trades = bytes_of(reanchor->trades, reanchor->trades_size + 1);
    } else if (!reanchor->fetch[REANCHOR_TRADES].finished) {
        metric_add(reanchor->without, 1);
    }
    if (klines->finished && klines->size > 0)
        meta.klines = bytes_of(klines->body, klines->size);
    snprintf(meta.symbol, sizeof(meta.symbol), "%s", reanchor->options.symbol);
    snprintf(meta.token, sizeof(meta.token), "%s", reanchor->token);
    snprintf(meta.cause, sizeof(meta.cause), "%s", reanchor->cause);
    anchor_document_write(&meta, reanchor_fetch_body(reanchor, REANCHOR_DEPTH), &out);
    CHECK(!out.truncated);
    reanchor->document_size = out.size;
    reanchor_fetch_abandon(reanchor);
    if (port->hand(port->self, reanchor->token, bytes_of(reanchor->document, out.size),
                   REANCHOR_DOCUMENT_TTL_MS, reanchor_on_call, &reanchor->hand) != ERR_OK)
        return; /* stays in FETCHING: fetched anew when the store is back */
    reanchor->hand.in_flight = true;
    reanchor->step = REANCHOR_HANDING;
}

void reanchor_fetch_do_work(struct reanchor *reanchor)
{
    const struct reanchor_fetch *fetch = reanchor->fetch;
    if (!reanchor->collecting) {
        reanchor_fetch_start(reanchor);
        return;
    }
    reanchor_fetch_trades(reanchor);
    reanchor_fetch_kline_reply(reanchor);
    reanchor_fetch_depth(reanchor);
    if (!reanchor->collecting || !reanchor->has_depth)
        return;
    bool complete = fetch[REANCHOR_TRADES].finished && fetch[REANCHOR_KLINES].finished;
    if ((complete || reanchor->now.mono_us - reanchor->depth_us >= REANCHOR_SIDE_US) &&
        reanchor_fetch_is_plausible(reanchor))
        reanchor_fetch_hand(reanchor);
}
