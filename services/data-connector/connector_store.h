/* The predictions log in the data-connector: from Redis into PostgreSQL, when there is one.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_STORE_H
#define BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_STORE_H

#include "base/metrics.h"
#include "edge/postgres/pq_store.h"
#include "edge/redis/redis_predictions.h"
#include "learn/store/prediction_log.h"

struct connector_store {
    struct pq_store *store; /* NULL: no database is wanted */
    struct redis_predictions source, shadow_source;
    struct prediction_log log, shadow_log;
    struct metric *loaded, *shadows, *missing, *refused, *waiting, *connected;
    struct prediction_log_stats counted;
    uint64_t counted_loaded, counted_shadows;
};

/* For the HTTP thread. */
struct connector_store_status {
    bool wanted, connected;
    int waiting;
    uint64_t loaded, refused;
};

/* database: its address; "": none is wanted. The link is borrowed. */
int connector_store_open(struct connector_store *self, const char *database, const char *symbol,
                         enum state_key_style style, struct redis_link *link, struct loop *loop,
                         struct metrics *metrics, struct err *err) MUST_CHECK;
void connector_store_close(struct connector_store *self);
int connector_store_do_work(struct connector_store *self, int64_t mono_us);
struct connector_store_status connector_store_status(const struct connector_store *self);

#endif
