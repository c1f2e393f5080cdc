/* SPDX-License-Identifier: Apache-2.0 */
#include "services/rest-ingestor/rest_ingestor_options.h"

#include <stddef.h>

#define REST_INGESTOR_TEXT(path_, member, initial_, help_)                                         \
    {                                                                                              \
        .path = path_, .type = CONFIG_TEXT,                                                        \
        .offset = offsetof(struct rest_ingestor_options, member),                                  \
        .size = sizeof(((struct rest_ingestor_options *)0)->member), .initial = initial_,          \
        .help = help_                                                                              \
    }
#define REST_INGESTOR_I64(path_, member, low, high, initial_, help_)                               \
    {                                                                                              \
        .path = path_, .type = CONFIG_I64,                                                         \
        .offset = offsetof(struct rest_ingestor_options, member), .minimum = low, .maximum = high, \
        .initial = initial_, .help = help_                                                         \
    }
#define REST_INGESTOR_BOOL(path_, member, initial_, help_)                                         \
    {                                                                                              \
        .path = path_, .type = CONFIG_BOOL,                                                        \
        .offset = offsetof(struct rest_ingestor_options, member), .initial = initial_,             \
        .help = help_                                                                              \
    }

static const struct config_field rest_ingestor_fields[] = {
    REST_INGESTOR_TEXT("symbol", symbol, "BTCUSDT", "symbol to poll, upper case"),
    REDIS_SETTINGS_FIELDS(struct rest_ingestor_options),
    REST_SETTINGS_FIELDS(struct rest_ingestor_options),
    REST_INGESTOR_BOOL("poll.enabled", poll, "true", "depth, aggTrades and klines to bronze"),
    REST_INGESTOR_I64("poll.period_s", poll_period_s, 1, 86400, "60", "between polls"),
    REST_INGESTOR_I64("poll.lookback_s", poll_lookback_s, 1, 86400, "300",
                      "how far back the very first poll goes"),
    REST_INGESTOR_I64("poll.page_limit", poll_page_limit, 1, 1000, "1000", "entries of a page"),
    REST_INGESTOR_BOOL("view.enabled", view, "true", "the REST view every 2 s"),
    REST_INGESTOR_BOOL("backfill.enabled", backfill, "true", "what gaps lost to bronze"),
    REST_INGESTOR_TEXT("lake", lake, "",
                       "folder of the lake, or s3://bucket/prefix; empty: lake in data_dir"),
    REST_INGESTOR_I64("spool.max_mb", spool_mb, 1, 1000000, "1024",
                      "size at which polls wait until the lake is back"),
    REST_INGESTOR_TEXT("duckdb.library", duckdb_library, "", "libduckdb.so; empty: found"),
    REST_INGESTOR_I64("duckdb.memory_mb", duckdb_memory_mb, 16, 65536, "128", "DuckDB's limit"),
    REST_INGESTOR_I64("nice", nice, 0, 19, "10", "priority behind the hot path's, as of nice(1)"),
};

const struct config_schema rest_ingestor_schema = {
    .service = "rest-ingestor",
    .fields = rest_ingestor_fields,
    .count = sizeof(rest_ingestor_fields) / sizeof(rest_ingestor_fields[0]),
    .options_size = sizeof(struct rest_ingestor_options),
};
