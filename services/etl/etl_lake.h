/* A lake by its name, as files of this machine, for the ETL, for training and for a replay: a
 * folder, or s3://bucket/prefix with the environment's keys and a cache folder.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_ETL_ETL_LAKE_H
#define BTCAST_SERVICES_ETL_ETL_LAKE_H

#include "edge/lake/lake_files.h"
#include "services/data-connector/connector_lake.h"

#define ETL_LAKE_CACHE_MB  2048 /* default */
#define ETL_LAKE_PATH_SIZE 256

struct etl_lake {
    struct loop *loop;                  /* of S3 only */
    char own_cache[ETL_LAKE_PATH_SIZE]; /* goes again at close; "": none */
    struct connector_lake door;
    struct lake_files *files;
};

struct etl_lake_options {
    const char *where; /* a folder or s3://bucket/prefix */
    const char *cache; /* folder for copies of S3's objects; NULL: one of its own in $TMPDIR */
    int64_t cache_mb;  /* 0: ETL_LAKE_CACHE_MB */
    const atomic_bool *stop; /* see lake_files_options */
};

/* ERR_CONFIG for what is neither, or when the environment lacks keys. Close also what could not be
 * opened. One thread's. */
int etl_lake_open(struct etl_lake *lake, const struct etl_lake_options *options,
                  struct err *err) MUST_CHECK;
void etl_lake_close(struct etl_lake *lake);

#endif
