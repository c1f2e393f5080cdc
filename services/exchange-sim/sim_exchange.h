/* The simulated exchange as one thing: source, feed, faults, limits, and the clients'
 * queues. Everything but sockets: the server above it moves bytes. Pure: times are handed
 * in. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_EXCHANGE_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "services/exchange-sim/sim_client.h"
#include "services/exchange-sim/sim_fault.h"
#include "services/exchange-sim/sim_feed.h"
#include "services/exchange-sim/sim_limits.h"
#include "services/exchange-sim/sim_market.h"
#include "services/exchange-sim/sim_options.h"
#include "services/exchange-sim/sim_replay.h"
#include "services/exchange-sim/sim_rest.h"
#include "services/exchange-sim/sim_source.h"

#define SIM_CLIENTS_MAX 64
/* Behind by more than this the source's clock is moved instead of catching up. */
#define SIM_LAG_MAX_US 250000
/* A stall or half-open connection that no duration was given for. */
#define SIM_STALL_DEFAULT_US 60000000

struct sim_exchange {
    struct sim_options *options;
    struct sim_market *market; /* NULL when replaying */
    struct sim_replay *replay; /* NULL without */
    struct sim_source source;
    struct sim_feed feed;
    struct sim_faults faults;
    struct sim_limits limits;
    struct sim_client *clients[SIM_CLIENTS_MAX];
    int client_count;
    struct clock_now now;
    double rate;
    bool paused, started, ended;
    bool running; /* the source's clock has been set to the first cycle's */
    uint64_t clients_total, overruns, slips, rate_closes, pong_timeouts, expired, refused_key;
};

int sim_exchange_open(struct sim_exchange *exchange, struct sim_options *options,
                      struct clock_now now, struct err *err) MUST_CHECK;
void sim_exchange_close(struct sim_exchange *exchange);
/* Runs source and clients up to now; returns microseconds it may wait. */
int64_t sim_exchange_do_work(struct sim_exchange *exchange, struct clock_now now);
/* Borrowed until removed. ERR_FULL over SIM_CLIENTS_MAX. */
int sim_exchange_add(struct sim_exchange *exchange, struct sim_client *client) MUST_CHECK;
void sim_exchange_remove(struct sim_exchange *exchange, struct sim_client *client);
void sim_exchange_set_rate(struct sim_exchange *exchange, double rate);
void sim_exchange_pause(struct sim_exchange *exchange, bool paused);

/* sim_admin.c: /control/…, answered as JSON. */
struct sim_admin_result {
    int status;
    bool cut; /* reset all WebSocket connections now */
};
struct sim_admin_result sim_admin_answer(struct sim_exchange *exchange, bool post, const char *path,
                                         const char *query, struct bytes body, struct text *reply);

#endif
