/* Options of the REST ingestor. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REST_INGESTOR_OPTIONS_H
#define BTCAST_SERVICES_REST_INGESTOR_OPTIONS_H

#include "services/redis_settings.h"
#include "services/rest_settings.h"
#include "services/service.h"

struct rest_ingestor_options {
    struct service_common common;
    char symbol[24];
    struct redis_settings redis;
    struct rest_settings rest;
    int64_t poll_period_s, poll_lookback_s, poll_page_limit;
    bool poll, view, backfill;
    char lake[256];
    int64_t spool_mb, duckdb_memory_mb, nice;
    char duckdb_library[256];
};

extern const struct config_schema rest_ingestor_schema;

#endif
