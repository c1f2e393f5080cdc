/* What a market source (model or replayed capture) says as it goes; the feed listens and
 * turns it into frames, tape and books. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_SINK_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_SINK_H

#include <stdint.h>

#include "market/event.h"
#include "services/exchange-sim/sim_book.h"

/* Levels a side of a depth20 snapshot. */
#define SIM_SNAPSHOT_LEVELS 20

/* Everything is borrowed for the call. time_us is the source's own clock. */
struct sim_sink {
    void *context;
    /* One taker order's fills: same time, ids consecutive; transact_us: when they matched. */
    void (*trades)(void *context, int64_t time_us, int64_t transact_us, const struct trade *trades,
                   int count);
    /* The touch changed at update id. */
    void (*quote)(void *context, int64_t time_us, int64_t id, struct sbe_level bid,
                  struct sbe_level ask);
    void (*diff)(void *context, int64_t time_us, enum sim_cadence cadence,
                 const struct sim_diff *diff);
    /* The top 20 at update id. */
    void (*snapshot)(void *context, int64_t time_us, int64_t id, const struct sbe_level *bids,
                     int bid_count, const struct sbe_level *asks, int ask_count);
    /* The best ten changed at book->last_id. */
    void (*top)(void *context, const struct sim_book *book);
};

#endif
