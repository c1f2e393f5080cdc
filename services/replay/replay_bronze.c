/* SPDX-License-Identifier: Apache-2.0 */
#include "services/replay/replay_bronze.h"

#include <string.h>
#include <sys/stat.h>

#include "services/etl/etl_lake.h"

bool replay_bronze_is(const char *path)
{
    struct stat status;
    if (strncmp(path, "s3:", 3) == 0)
        return true;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* ERR_EMPTY: all is read. */
static int replay_bronze_read(struct lake_files *lake, const char *symbol,
                              void (*record)(void *context, const struct record *record),
                              void *context, struct duckdb_bronze_counters *counters,
                              struct err *err)
{
    struct duckdb_bronze_options options = {.lake = lake, .symbol = symbol};
    struct duckdb_bronze *bronze = NULL;
    struct record next;
    int result = duckdb_bronze_open(&options, &bronze, err);
    if (result != ERR_OK)
        return result;
    while ((result = duckdb_bronze_next(bronze, &next, err)) == ERR_OK)
        record(context, &next);
    *counters = *duckdb_bronze_counters(bronze);
    duckdb_bronze_close(bronze);
    return result;
}

int replay_bronze(const char *where, const char *symbol,
                  void (*record)(void *context, const struct record *record), void *context,
                  struct replay_bronze_counters *counters, struct err *err)
{
    const struct etl_lake_options options = {.where = where};
    struct etl_lake lake;
    *counters = (struct replay_bronze_counters){0};
    int result = etl_lake_open(&lake, &options, err);
    if (result == ERR_OK)
        result = replay_bronze_read(lake.files, symbol, record, context, &counters->bronze, err);
    if (result == ERR_EMPTY)
        result = duckdb_trades_count(lake.files, symbol, NULL, &counters->trades, err);
    etl_lake_close(&lake);
    return result;
}
