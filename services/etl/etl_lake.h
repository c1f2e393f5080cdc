/* A lake by its name, as files of this machine, for the ETL and for training: a folder, or
 * s3://bucket/prefix with the environment's keys and a cache folder.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_ETL_ETL_LAKE_H
#define BTCAST_SERVICES_ETL_ETL_LAKE_H

#include "edge/lake/lake_files.h"
#include "services/data-connector/connector_lake.h"

#define ETL_LAKE_CACHE_MB 2048 /* default */

struct etl_lake {
    struct loop *loop; /* of S3 only */
    struct connector_lake door;
    struct lake_files *files;
};

struct etl_lake_options {
    const char *where;       /* a folder or s3://bucket/prefix */
    const char *cache;       /* folder for copies of S3's objects */
    int64_t cache_mb;        /* 0: ETL_LAKE_CACHE_MB */
    const atomic_bool *stop; /* see lake_files_options */
};

/* ERR_CONFIG for what is neither, or when the environment lacks keys. Close also what could not be
 * opened. One thread's. */
int etl_lake_open(struct etl_lake *lake, const struct etl_lake_options *options,
                  struct err *err) MUST_CHECK;
void etl_lake_close(struct etl_lake *lake);

#endif
