/* The exchange's REST calls (BINANCE.md section 8) as the agents of recover/poll and
 * recover/backfill want them. Asynchronous: `done` is called exactly once, never from
 * inside the call; a call that could not be started returns an error and does not call
 * back. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_REST_PORT_H
#define BTCAST_RECOVER_REST_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum rest_endpoint {
    REST_ENDPOINT_DEPTH,
    REST_ENDPOINT_AGG_TRADES,
    REST_ENDPOINT_KLINES, /* interval 1m */
    REST_ENDPOINT_TRADES, /* historicalTrades */
    REST_ENDPOINT_TIME,
    REST_ENDPOINT_INFO, /* exchangeInfo */
    REST_ENDPOINTS,
};

/* Values below 0 are not sent, nor is a limit of 0. */
struct rest_query {
    enum rest_endpoint endpoint;
    int limit;
    int64_t from_id;
    int64_t start_us, end_us; /* sent in whole milliseconds, rounded down */
};

struct rest_reply {
    int result; /* ERR_OK when a reply came, whatever its status */
    const char *why;
    int status;
    struct bytes body;     /* borrowed for the call */
    int64_t retry_after_s; /* -1: none */
    int64_t used_weight;   /* -1: not said */
    int64_t duration_us;
};
typedef void (*rest_done_fn)(void *context, const struct rest_reply *reply);

/* Several calls may be under way; ERR_AGAIN when too many are. */
struct rest_port {
    void *self;
    int (*get)(void *self, const char *symbol, const struct rest_query *query, rest_done_fn done,
               void *context);
    int (*do_work)(void *self, int64_t mono_us);
};

/* What processes behind one address tell each other: until when the exchange wants none of
 * them to ask (429, 418). Without anybody to talk to each keeps its own silence. */
struct rest_silence_port {
    void *self;
    /* Wall time as last heard; 0: nothing heard. */
    int64_t (*until_us)(void *self);
    void (*say)(void *self, int64_t until_us);
    int (*do_work)(void *self, int64_t mono_us);
};

/* Path and query behind the exchange's base address: "/api/v3/depth?symbol=…". */
void rest_query_path(const struct rest_query *query, const char *symbol, char *out, size_t size);
/* Request weight (BINANCE.md section 8). */
int64_t rest_query_weight(const struct rest_query *query);
/* "depth", "aggTrades" … */
const char *rest_endpoint_name(enum rest_endpoint endpoint);

#endif
