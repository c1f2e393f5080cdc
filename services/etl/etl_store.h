/* The SQL store of a pass: a connection, a loop and a loader for each table, driven until what was
 * added is in. Blocking, for a thread or a command of its own.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_ETL_ETL_STORE_H
#define BTCAST_SERVICES_ETL_ETL_STORE_H

#include <stdatomic.h>

#include "edge/postgres/pq_store.h"
#include "learn/etl/etl_rows.h"
#include "learn/store/row_loader.h"

/* So long a pass waits for the store without a row getting in. */
#define ETL_STORE_PATIENCE_US (20 * CLOCK_US_PER_S)

enum etl_table { ETL_FEATURES, ETL_MIDS, ETL_BARS, ETL_QUALITY, ETL_TABLES };

struct etl_store {
    struct loop *loop;
    struct pq_store *store; /* NULL: no database is wanted */
    struct row_loader loaders[ETL_TABLES];
    struct feature_rows_sql features;
    struct store_load mids;
    const atomic_bool *stop;
    int64_t position; /* slot up to which the store has all rows; 0: none */
    bool asked, has_position;
    uint64_t loaded, refused;
};

/* database "": none is wanted, and what is added is forgotten. One that is open already stays so.
 * Waits for the connection and asks how far it is; ERR_CONNECTION when it is away, ERR_AGAIN when
 * told to stop. Close it when a call failed: rows may be under way. */
int etl_store_open(struct etl_store *self, const char *database, const char *symbol,
                   const atomic_bool *stop, struct err *err) MUST_CHECK;
void etl_store_close(struct etl_store *self);
/* One row; waits for room. position: the slot, for ETL_FEATURES. */
int etl_store_add(struct etl_store *self, enum etl_table table, struct bytes row, int64_t position,
                  struct err *err) MUST_CHECK;
/* Everything that was added is in, or was refused for good. */
int etl_store_drain(struct etl_store *self, struct err *err) MUST_CHECK;

#endif
