/* The re-anchor agent of one symbol: hears that the aggregator has lost its book (or an
 * operator forces it), claims the flag, fetches what the exchange says, judges it, hands
 * it over under its token and watches until the aggregator has swapped it in (DESIGN.md
 * section 6, Re-anchor). It never touches the live keys; without an aggregator nothing is
 * swapped. Pure: ports and clocks are handed in. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_ANCHOR_REANCHOR_H
#define BTCAST_RECOVER_ANCHOR_REANCHOR_H

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "recover/anchor/anchor_port.h"
#include "recover/poll/weight_budget.h"
#include "recover/rest_port.h"

#define REANCHOR_LOOK_US      50000
#define REANCHOR_CLAIM_TTL_MS 10000
#define REANCHOR_RENEW_US     2000000
#define REANCHOR_LIFE_US      300000000 /* at most so long in one claim */
#define REANCHOR_BACKOFF_US   2000000   /* between snapshots from the second try on */
/* Trades and klines are waited for so long behind the snapshot, and then done without. */
#define REANCHOR_SIDE_US 250000
/* Trades are asked for from so long ago: what the windows hold, a second for the way, and
 * clocks that differ by a few. */
#define REANCHOR_TRADES_US    10000000
#define REANCHOR_TRADES_LIMIT 1000 /* a page */
#define REANCHOR_PAGES_MAX    6
#define REANCHOR_KLINES_LIMIT 5
/* A snapshot far from the klines is asked for again so often, then believed. */
#define REANCHOR_PLAUSIBLE_TRIES 3
#define REANCHOR_INFO_US         3600000000 /* the weight limit is read so often */
#define REANCHOR_INFO_RETRY_US   5000000
/* No connection, no snapshot, no weight: asked again sooner. */
#define REANCHOR_RECONNECT_US    250000
#define REANCHOR_WAIT_US         5000000 /* for the aggregator to take the document */
#define REANCHOR_DOCUMENT_TTL_MS 10000
#define REANCHOR_DEPTH_LIMIT     1000 /* weight 50 (CONTRACTS.md section 12, row 25) */
/* When the ask says so: weight 250 (BINANCE.md section 6). */
#define REANCHOR_DEPTH_MAX 5000
#define REANCHOR_REPLY_MAX ((size_t)512 * 1024)
/* Pages of trades together; with the rest they fit into one record. */
#define REANCHOR_TRADES_MAX ((size_t)448 * 1024)
#define REANCHOR_KLINES_MAX ((size_t)16 * 1024)

struct reanchor;

struct reanchor_options {
    const char *symbol;
    const char *owner; /* unique for this process and start; token prefix: letters, digits, - */
    struct anchor_claim_port claim;
    struct rest_port rest;
    struct rest_silence_port silence; /* self NULL: nobody else asks the exchange */
    struct metrics *metrics;          /* required */
};

enum reanchor_step {
    REANCHOR_IDLE,
    REANCHOR_CLAIMING,
    REANCHOR_FETCHING, /* or waiting until it may */
    REANCHOR_HANDING,
    REANCHOR_WAITING, /* for the swap */
};

struct reanchor_status {
    enum reanchor_step step;
    bool ready, asked;
    int64_t blocked_until_us; /* wall: the exchange wants silence until then; 0: no */
    int64_t weight_used, weight_limit;
    int64_t finished_us; /* wall: end of the last one; 0: none yet */
    int64_t duration_us;
    uint64_t succeeded, failed, tries;
    char cause[96], result[64];
};

int reanchor_open(const struct reanchor_options *options, struct reanchor **reanchor,
                  struct err *err) MUST_CHECK;
/* After its ports are closed. */
void reanchor_close(struct reanchor *reanchor);
/* An operator wants one, whatever the aggregator thinks; no cool-down applies. One that is
 * under way does not count: its snapshot may be older than the wish. */
void reanchor_force(struct reanchor *reanchor, const char *cause);
int reanchor_do_work(struct reanchor *reanchor, struct clock_now now);
/* At a clean stop: frees the flag, so that another coordinator need not wait. */
void reanchor_stop(struct reanchor *reanchor);
void reanchor_status(const struct reanchor *reanchor, struct reanchor_status *status);
const char *reanchor_step_text(enum reanchor_step step);

#endif
