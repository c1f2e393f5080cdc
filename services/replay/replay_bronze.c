/* SPDX-License-Identifier: Apache-2.0 */
#include "services/replay/replay_bronze.h"

#include <sys/stat.h>

bool replay_bronze_is(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int replay_bronze(const char *folder, const char *symbol,
                  void (*record)(void *context, const struct record *record), void *context,
                  struct replay_bronze_counters *counters, struct err *err)
{
    struct lake_files_options lake = {.folder = folder};
    struct duckdb_bronze_options options = {.symbol = symbol};
    struct duckdb_bronze *bronze = NULL;
    struct record next;
    *counters = (struct replay_bronze_counters){0};
    int result = lake_files_open(&lake, &options.lake, err);
    if (result != ERR_OK)
        return result;
    result = duckdb_bronze_open(&options, &bronze, err);
    if (result != ERR_OK) {
        lake_files_close(options.lake);
        return result;
    }
    while ((result = duckdb_bronze_next(bronze, &next, err)) == ERR_OK)
        record(context, &next);
    if (result == ERR_EMPTY)
        result = duckdb_bronze_trades(bronze, &counters->trades, err);
    counters->bronze = *duckdb_bronze_counters(bronze);
    duckdb_bronze_close(bronze);
    lake_files_close(options.lake);
    return result;
}
