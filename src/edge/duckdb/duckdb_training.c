/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/duckdb_training.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/duckdb/duckdb_silver.h"
#include "learn/lake/bronze_key.h"
#include "learn/store/training_rows.h"
#include "wire/sbe.h"

#define DUCKDB_TRAINING_MEMORY_MB 1024

enum { TRAINING_SLOT, TRAINING_FEATURES, TRAINING_MID, TRAINING_TARGET };

static int duckdb_training_chunk(void *context, const struct duckdb_api *api,
                                 duckdb_data_chunk chunk, struct err *err)
{
    struct dataset *dataset = context;
    duckdb_vector vectors = api->data_chunk_get_vector(chunk, TRAINING_FEATURES);
    const int64_t *slots = api->vector_get_data(api->data_chunk_get_vector(chunk, TRAINING_SLOT));
    const double *mids = api->vector_get_data(api->data_chunk_get_vector(chunk, TRAINING_MID));
    const double *targets =
        api->vector_get_data(api->data_chunk_get_vector(chunk, TRAINING_TARGET));
    const duckdb_list_entry *lists = api->vector_get_data(vectors);
    const float *values = api->vector_get_data(api->list_vector_get_child(vectors));
    const idx_t rows = api->data_chunk_get_size(chunk);
    int result = ERR_OK;
    for (idx_t i = 0; i < rows && result == ERR_OK; i++)
        result = lists[i].length == FEATURE_COUNT
                     ? training_rows_add(dataset, slots[i], values + lists[i].offset, mids[i],
                                         targets[i], err)
                     : err_set(err, ERR_MALFORMED, "slot %" PRId64 ": a vector of %d values",
                               slots[i], (int)lists[i].length);
    return result;
}

static int duckdb_training_query(struct duckdb_session *session,
                                 const struct duckdb_training_options *options, const char *files,
                                 struct dataset *dataset, struct err *err)
{
    char first[32], end[32], schema[20];
    snprintf(first, sizeof(first), "%" PRId64, clock_slot(options->from_us + CLOCK_SLOT_US - 1));
    snprintf(end, sizeof(end), "%" PRId64,
             options->to_us > 0 ? clock_slot(options->to_us + CLOCK_SLOT_US - 1) : INT64_MAX);
    snprintf(schema, sizeof(schema), "%016" PRIx64, feature_schema_hash());
    const struct duckdb_silver_value values[] = {{"files", files, true},
                                                 {"first", first, true},
                                                 {"end", end, true},
                                                 {"schema", schema, false}};
    char *sql = duckdb_silver_sql("training", values, 4, err);
    if (sql == NULL)
        return ERR_INVALID;
    int result = duckdb_session_chunks(session, sql, duckdb_training_chunk, dataset, err);
    free(sql);
    return result;
}

/* "_20261120_13" of a slot's hour, as names of silver have it. */
static void duckdb_training_stamp(int64_t us, char out[24])
{
    char day[11];
    int hour = bronze_key_partition(us / BRONZE_KEY_MINUTE_US, day);
    snprintf(out, 24, "_%.4s%.2s%.2s_%02d", day, day + 5, day + 8, hour);
}

/* Objects of the hours that may have rows of the range, to the front; how many. The others stay in
 * the list. */
static size_t duckdb_training_choose(const struct duckdb_training_options *options,
                                     struct lake_list *list)
{
    char first[24], last[24];
    size_t kept = 0;
    duckdb_training_stamp(options->from_us, first);
    duckdb_training_stamp(
        options->to_us > 0 ? options->to_us : BRONZE_KEY_MINUTE_MAX * BRONZE_KEY_MINUTE_US, last);
    for (size_t i = 0; i < list->count; i++) {
        const char *name = strrchr(list->entries[i].key, '/');
        const char *stamp = name != NULL ? strstr(name, "db_ready_") : NULL;
        if (stamp == NULL || strncmp(stamp + 8, first, strlen(first)) < 0 ||
            strncmp(stamp + 8, last, strlen(last)) > 0)
            continue;
        struct lake_entry entry = list->entries[i];
        list->entries[i] = list->entries[kept];
        list->entries[kept++] = entry;
    }
    return kept;
}

static int duckdb_training_objects(const struct duckdb_training_options *options,
                                   struct duckdb_session *session, const struct lake_list *list,
                                   size_t count, struct dataset *dataset, struct err *err)
{
    int result = lake_files_hold(options->lake, list->entries, count, err);
    if (result != ERR_OK)
        return result;
    char *files = duckdb_silver_files(lake_files_root(options->lake), list->entries, count, err);
    result =
        files != NULL ? duckdb_training_query(session, options, files, dataset, err) : ERR_INVALID;
    lake_files_release(options->lake, list->entries, count);
    free(files);
    return result;
}

int duckdb_training_load(const struct duckdb_training_options *options, struct dataset *dataset,
                         struct err *err)
{
    char prefix[OBJECT_KEY_SIZE];
    struct duckdb_session session = {0};
    struct lake_list list = {0};
    const size_t before = dataset->count;
    if (!sbe_symbol_valid(bytes_text(options->symbol)))
        return err_set(err, ERR_INVALID, "%.40s is no symbol", options->symbol);
    snprintf(prefix, sizeof(prefix), "silver/db_ready/%s/", options->symbol);
    int result = duckdb_session_open(&session, options->library, DUCKDB_TRAINING_MEMORY_MB, err);
    if (result == ERR_OK)
        result = lake_files_list(options->lake, prefix, "", &list, err);
    const size_t count = result == ERR_OK ? duckdb_training_choose(options, &list) : 0;
    if (result == ERR_OK && count > 0)
        result = duckdb_training_objects(options, &session, &list, count, dataset, err);
    if (session.api != NULL)
        duckdb_session_close(&session);
    lake_list_free(&list);
    if (result == ERR_OK && dataset->count == before)
        result = err_set(err, ERR_EMPTY, "silver has no training rows of %s then", options->symbol);
    return result;
}
