/* The exchange: the market generator, book, frames and REST replies of exchange-sim, on the
 * simulation's clock and behind a network of its own. Frames are real SBE, replies real
 * JSON; what happens to them on the way is a fault's to say.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_VIRTUAL_EXCHANGE_H
#define BTCAST_SIM_VIRTUAL_EXCHANGE_H

#include "services/exchange-sim/sim_feed.h"
#include "services/exchange-sim/sim_limits.h"
#include "services/exchange-sim/sim_market.h"
#include "sim/model/blob.h"
#include "sim/virtual_process.h"

#define EXCHANGE_LINES 2
#define EXCHANGE_TOPS  16384

/* What is wrong with the frames of both connections, or of one. */
struct exchange_frame_faults {
    int drop_diffs, drop_trades, drop_any; /* so many more are lost on every line */
    int duplicate, reorder, truncate;
    int64_t delay_us, delay_until_us;
    int64_t stall_until_us; /* nothing comes at all */
};

struct exchange_rest_faults {
    int status;            /* answered instead, 0: none */
    int64_t retry_after_s; /* with it */
    int status_left;       /* so many times */
    int64_t slow_us;       /* added to the next replies until slow_until_us */
    int64_t slow_until_us;
    int partial_left;  /* the connection is lost in the middle of the reply */
    int64_t stale_ids; /* depth comes from a book so many ids old … */
    int stale_left;    /* … so many times */
};

/* Who asks: faults are counted down apart. */
enum exchange_rest { EXCHANGE_REST_ANCHOR, EXCHANGE_REST_POLL, EXCHANGE_RESTS };

struct exchange_line {
    uint64_t number; /* of the connection, 0: none */
    bool open;
    int64_t in_us; /* arrival of the last frame */
};

struct virtual_exchange {
    struct simulation *simulation;
    struct process *ingestor;
    struct sim_market *market;
    struct sim_feed feed;
    struct sim_limits limits;
    struct exchange_line lines[EXCHANGE_LINES];
    uint64_t connections;
    int64_t refuse_until_us;
    struct exchange_frame_faults frames;
    struct exchange_rest_faults rest[EXCHANGE_RESTS];
    int64_t rest_us;   /* from the request to the reply, without faults */
    struct blob *held; /* waits to be overtaken */
    enum sim_stream held_stream;
    uint64_t published, delivered, requests;
};

void virtual_exchange_open(struct virtual_exchange *exchange, struct simulation *simulation,
                           struct process *ingestor, uint64_t seed);
void virtual_exchange_close(struct virtual_exchange *exchange);

/* The ingestor's side of a connection. */
void virtual_exchange_connect(struct virtual_exchange *exchange, int line);
void virtual_exchange_drop(struct virtual_exchange *exchange, int line);
/* Cuts it from outside. */
void virtual_exchange_cut(struct virtual_exchange *exchange, int line);

/* One REST call: done comes later in the process' own step, never if it has died. */
struct exchange_reply {
    int result; /* ERR_OK, ERR_CONNECTION, ERR_TIMEOUT */
    int status;
    struct bytes body;
    int64_t retry_after_s, used_weight; /* -1: none */
};
typedef void (*exchange_reply_fn)(void *context, const struct exchange_reply *reply);
int virtual_exchange_get(struct virtual_exchange *exchange, struct process *process,
                         const char *path, const char *query, int64_t timeout_us,
                         exchange_reply_fn done, void *context);

#endif
