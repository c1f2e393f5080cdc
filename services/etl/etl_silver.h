/* Silver of one hour: db_ready, snapshots, bars_1m (CONTRACTS.md section 4) from the rows of the
 * replay and from bronze, by the statements of sql/silver. The same hour again gives the same
 * names. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_ETL_ETL_SILVER_H
#define BTCAST_SERVICES_ETL_ETL_SILVER_H

#include "edge/duckdb/duckdb_silver.h"
#include "edge/lake/lake_files.h"
#include "services/etl/etl_files.h"
#include "services/etl/etl_store.h"

struct etl_silver_counters {
    uint64_t objects;     /* written */
    uint64_t rows, bars;  /* in them */
    uint64_t rows_failed; /* put into quarantine: a check failed */
    uint64_t quarantined; /* REST objects that could not be read */
};

struct etl_silver {
    struct duckdb_session *session;
    struct lake_files *lake;
    const char *symbol;
    const struct etl_files *files; /* NULL: rows are left as they are */
    struct etl_store *store;       /* bars and measures of quality go there */
    struct etl_silver_counters counters;
};

/* hour: since 1970. until_us: minutes that end after it are not whole yet. ERR_FULL: no space. */
int etl_silver_hour(struct etl_silver *silver, int64_t hour, int64_t until_us,
                    struct err *err) MUST_CHECK;

#endif
