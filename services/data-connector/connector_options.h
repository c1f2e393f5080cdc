/* Options of the data-connector. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_OPTIONS_H
#define BTCAST_SERVICES_DATA_CONNECTOR_CONNECTOR_OPTIONS_H

#include "services/redis_settings.h"
#include "services/service.h"
#include "services/store_settings.h"

struct connector_options {
    struct service_common common;
    char symbol[24];
    struct redis_settings redis;
    char lake[192]; /* "": the folder `lake` below data_dir; may be s3://bucket/prefix */
    char database[STORE_SETTINGS_SIZE]; /* "": none */
    char spool[192];                    /* "": the folder `data-connector` below data_dir */
    char duckdb[192];                   /* "": found */
    int64_t spool_mb, memory_mb, duckdb_memory_mb;
    bool etl;
    int64_t etl_every_s, etl_settle_s, etl_patience_s, etl_cache_mb;
    int64_t nice;
    char model_name[32];
    bool promote;
    bool backup;
    int64_t backup_keep_days;
};

extern const struct config_schema connector_schema;

#endif
