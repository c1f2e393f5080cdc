/* The vectors that were served live: read out of Redis behind each slot, into the SQL store, to be
 * compared with those that the archive gives (view feature_skew).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_SERVED_H
#define BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_SERVED_H

#include "base/clock.h"
#include "base/metrics.h"
#include "edge/redis/redis_link.h"
#include "hot/state/state_parse.h"
#include "learn/store/feature_rows.h"
#include "learn/store/row_loader.h"

struct connector_served {
    bool wanted; /* there is a store */
    char symbol[24], key[STATE_KEY_SIZE];
    struct redis_link *link; /* borrowed */
    struct feature_rows_sql sql;
    struct row_loader rows;
    int64_t now_us, slot, due_us; /* slot asked for next, and when */
    bool asked;
    struct state_read read;
    struct metric *stored, *missed;
    uint64_t counted_loaded;
};

/* port NULL: there is no store, and nothing is done. */
int connector_served_open(struct connector_served *self, const struct store_port *port,
                          const char *symbol, enum state_key_style style, struct redis_link *link,
                          struct metrics *metrics, struct err *err) MUST_CHECK;
/* After the store's port was closed. */
void connector_served_close(struct connector_served *self);
int connector_served_do_work(struct connector_served *self, struct clock_now now);
/* Rows that are not in the store yet. */
int connector_served_waiting(const struct connector_served *self);

#endif
