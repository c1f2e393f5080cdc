/* Where every REST request of a process is asked for: one weight budget, the silence that
 * processes share, retries with full jitter, metrics. An agent has one errand for each kind
 * of thing it fetches: it starts a query and looks until the reply is there; what the
 * exchange or the network refuses meanwhile is the desk's business (BINANCE.md section 8).
 * Pure: ports and clocks are handed in. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_POLL_REST_DESK_H
#define BTCAST_RECOVER_POLL_REST_DESK_H

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/prng.h"
#include "recover/poll/weight_budget.h"
#include "recover/rest_port.h"

#define REST_DESK_BODY_MAX ((size_t)1024 * 1024)
/* Full jitter: a retry waits a random time below the smaller of LAST and FIRST doubled at
 * each failure. */
#define REST_DESK_RETRY_FIRST_US 250000
#define REST_DESK_RETRY_LAST_US  16000000
#define REST_DESK_LOOK_US        1000000  /* a refused budget is asked again so soon */
#define REST_DESK_WAF_US         60000000 /* silence after a 403, which names no time */

struct rest_desk_options {
    const char *symbol;
    struct rest_port rest;
    struct rest_silence_port silence; /* self NULL: none */
    struct metrics *metrics;          /* required */
    uint64_t seed;                    /* jitter */
};

struct rest_desk {
    struct rest_desk_options options;
    struct weight_budget budget;
    struct clock_now now;
    struct prng prng;
    int64_t said_until_us; /* the silence that the others were told of */
    struct log_limit warn;
    uint64_t failures, malformed;
    struct metric *calls[REST_ENDPOINTS][3]; /* by enum rest_desk_status */
    struct metric *duration, *remaining, *limit, *throttled, *banned, *yields;
};

enum rest_desk_status { REST_DESK_OK, REST_DESK_REFUSED, REST_DESK_FAILED };

enum rest_errand_state {
    REST_ERRAND_IDLE,
    REST_ERRAND_WAITING, /* for budget, silence or the time of its retry */
    REST_ERRAND_FLYING,
    REST_ERRAND_DONE,    /* status 200: body is there until the next start */
    REST_ERRAND_REFUSED, /* the exchange does not want this query: 4xx */
};

struct rest_errand {
    struct rest_desk *desk;
    enum weight_class class;
    enum rest_errand_state state;
    struct rest_query query;
    int tries;                         /* failures since the start */
    int64_t retry_us;                  /* monotonic */
    int64_t requested_us, received_us; /* wall, of the last try */
    int status;
    bool answered;
    int result;
    int64_t retry_after_s, used_weight, duration_us;
    char why[128];
    uint8_t *body;
    size_t body_size;
};

void rest_desk_open(struct rest_desk *desk, const struct rest_desk_options *options);
/* Each cycle, before the agents. */
int rest_desk_do_work(struct rest_desk *desk, struct clock_now now);
/* Wall time until which the exchange wants silence; 0: it does not. */
int64_t rest_desk_blocked_until_us(const struct rest_desk *desk);

/* ERR_MEMORY. */
int rest_errand_open(struct rest_errand *errand, struct rest_desk *desk, enum weight_class class,
                     struct err *err) MUST_CHECK;
/* After the REST port has answered everything. */
void rest_errand_close(struct rest_errand *errand);
/* PRE: not WAITING and not FLYING. */
void rest_errand_start(struct rest_errand *errand, const struct rest_query *query);
enum rest_errand_state rest_errand_do_work(struct rest_errand *errand);
struct bytes rest_errand_body(const struct rest_errand *errand);
/* The reply was of no use (not readable, not what was asked): the same again later. PRE:
 * DONE. */
void rest_errand_retry(struct rest_errand *errand, const char *why);
/* DONE or REFUSED has been looked at, or what waits is not wanted any more: IDLE. False
 * while it flies. */
bool rest_errand_drop(struct rest_errand *errand);

#endif
