/* The ETL of a symbol: bronze -> replay of the world -> silver and the SQL store. A pass takes what
 * is new and settled, and then moves its place; killed at any moment it is made again from the
 * place before, and everything it writes replaces what was there. Blocking, for a thread or a
 * command of its own. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_ETL_ETL_JOB_H
#define BTCAST_SERVICES_ETL_ETL_JOB_H

#include <stdatomic.h>

#include "services/etl/etl_silver.h"

struct etl_job; /* opaque */

struct etl_job_options {
    const char *symbol;
    const char *lake; /* a folder, or s3://bucket/prefix */
    int64_t cache_mb; /* of copies of S3's objects, in <work>/cache-SYMBOL; 0: ETL_LAKE_CACHE_MB */
    const char *work; /* folder of the place and of the hours' files */
    const char *database; /* "": none */
    const char *library;  /* of DuckDB, see duckdb_api_load */
    int64_t memory_mb;    /* of DuckDB */
    /* Records are taken when they are so much older than the newest block: control records come
     * after the fact. A number that is missing is waited for so long. */
    int64_t settle_us, patience_us;
    const atomic_bool *stop;
};

struct etl_job_counters {
    uint64_t passes, records, slots, rows, mids, holes, hours;
    uint64_t late;                 /* objects that came behind the place: all is made again */
    uint64_t loaded, refused;      /* rows of the store */
    uint64_t corrupt, quarantined; /* records and objects that could not be read */
    struct etl_silver_counters silver;
    struct lake_files_counters lake; /* of a lake on S3 */
    int64_t newest_us, lag_us;       /* last record taken; how far behind the newest block it is */
};

/* ERR_AGAIN: another one works in the folder. */
int etl_job_open(const struct etl_job_options *options, struct etl_job **job,
                 struct err *err) MUST_CHECK;
void etl_job_close(struct etl_job *job);
/* One pass. ERR_OK, also when there is nothing new or no bronze yet; ERR_CONNECTION (the
 * store, or a lake on S3), ERR_TIMEOUT, ERR_IO or ERR_FULL (the lake, the disk), ERR_AGAIN (told to
 * stop): nothing is lost, call again.
 */
int etl_job_pass(struct etl_job *job, struct err *err) MUST_CHECK;
/* Silver's bars and snapshots of hours from..to (since 1970, both included) again from bronze. */
int etl_job_again(struct etl_job *job, int64_t from_hour, int64_t to_hour,
                  struct err *err) MUST_CHECK;
const struct etl_job_counters *etl_job_counters(const struct etl_job *job);

#endif
