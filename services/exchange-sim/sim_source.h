/* Where the exchange's events come from: the market model or a replayed capture, behind
 * one face. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_SOURCE_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "services/exchange-sim/sim_book.h"

struct sim_source {
    void *self;
    /* Source time of the next event; INT64_MAX when there is none any more. */
    int64_t (*next_us)(void *self);
    /* Tells the sink everything before until_us. */
    void (*run)(void *self, int64_t until_us);
    /* REST may serve the book. */
    bool (*book_ready)(void *self);
    const struct sim_book *book;
};

#endif
