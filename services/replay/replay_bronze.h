/* A lake as the source of a replay. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REPLAY_REPLAY_BRONZE_H
#define BTCAST_SERVICES_REPLAY_REPLAY_BRONZE_H

#include "edge/duckdb/duckdb_bronze.h"
#include "edge/duckdb/duckdb_trades.h"

struct replay_bronze_counters {
    struct duckdb_bronze_counters bronze;
    struct duckdb_trades trades;
};

/* True for a folder and for s3://bucket/prefix. */
bool replay_bronze_is(const char *path);
/* Hands out every record of the symbol in the order of the world. */
int replay_bronze(const char *where, const char *symbol,
                  void (*record)(void *context, const struct record *record), void *context,
                  struct replay_bronze_counters *counters, struct err *err) MUST_CHECK;

#endif
