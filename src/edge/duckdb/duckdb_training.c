/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/duckdb_training.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "edge/duckdb/duckdb_silver.h"
#include "edge/lake/lake_file.h"
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

int duckdb_training_load(const struct duckdb_training_options *options, struct dataset *dataset,
                         struct err *err)
{
    char pattern[LAKE_FILE_PATH_SIZE];
    const char *patterns[] = {pattern};
    struct duckdb_session session = {0};
    char *files = NULL;
    size_t found = 0;
    const size_t before = dataset->count;
    if (!sbe_symbol_valid(bytes_text(options->symbol)) ||
        snprintf(pattern, sizeof(pattern), "%s/silver/db_ready/%s/*/*/*/*.parquet", options->folder,
                 options->symbol) >= (int)sizeof(pattern))
        return err_set(err, ERR_INVALID, "%.40s is no symbol, or %.80s too long", options->symbol,
                       options->folder);
    int result = duckdb_session_open(&session, options->library, DUCKDB_TRAINING_MEMORY_MB, err);
    if (result == ERR_OK)
        result = duckdb_silver_glob(&session, patterns, 1, &files, &found, err);
    if (result == ERR_OK && found > 0)
        result = duckdb_training_query(&session, options, files, dataset, err);
    if (session.api != NULL)
        duckdb_session_close(&session);
    free(files);
    if (result == ERR_OK && dataset->count == before)
        result = err_set(err, ERR_EMPTY, "silver has no training rows of %s then", options->symbol);
    return result;
}
