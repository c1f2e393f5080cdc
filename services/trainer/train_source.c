/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/train_source.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "edge/duckdb/duckdb_bronze.h"
#include "edge/duckdb/duckdb_training.h"
#include "edge/postgres/pq_sync.h"
#include "learn/train/row_maker.h"
#include "services/etl/etl_lake.h"
#include "services/exchange-sim/sim_capture.h"
#include "services/service_options.h"

#define SOURCE_LINE_MAX (64 + FEATURE_COUNT * 24)

int train_source_time(const char *flag, const char *text, int64_t *us, struct err *err)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%s"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end == NULL || (*end != '\0' && strcmp(end, "Z") != 0))
            continue;
        /* %s fills in local time; everything else is UTC. */
        time_t seconds = i == 3 ? (time_t)strtoll(text, NULL, 10) : timegm(&tm);
        if (seconds < 0)
            break;
        *us = (int64_t)seconds * CLOCK_US_PER_S;
        return ERR_OK;
    }
    return err_set(err, ERR_CONFIG, "%s: expected a time like 2026-05-29T12:00 (UTC), found \"%s\"",
                   flag, text);
}

/* --- records --------------------------------------------------------------------------- */

static int source_record(void *context, const struct record *record, struct err *err)
{
    return row_maker_apply(context, record, err);
}

static int source_end(struct row_maker *maker, int rc, uint64_t *refused, struct err *err)
{
    if (rc == ERR_OK)
        rc = row_maker_end(maker, err);
    *refused += row_maker_refused(maker);
    row_maker_close(maker);
    return rc;
}

static int source_market(const struct train_simulate *simulate, struct sim_options *options,
                         struct err *err)
{
    struct config_schema schema;
    int rc = service_options_schema(&sim_schema, SIM_PORT, &schema, err);
    if (rc != ERR_OK)
        return rc;
    rc = config_load(&schema, NULL, NULL, 0, options, err);
    service_options_free(&schema);
    if (rc == ERR_OK)
        rc = service_options_symbol(simulate->symbol, err);
    const char *oracle = simulate->oracle != NULL ? simulate->oracle : "";
    if (rc == ERR_OK && strlen(oracle) >= sizeof(options->capture_oracle))
        rc = err_set(err, ERR_CONFIG, "--oracle: the path is too long");
    if (rc != ERR_OK)
        return rc;
    snprintf(options->symbol, sizeof(options->symbol), "%s", simulate->symbol);
    snprintf(options->capture_oracle, sizeof(options->capture_oracle), "%s", oracle);
    options->capture_hours = simulate->hours;
    options->seed = simulate->seed;
    if (simulate->from_us > 0)
        options->capture_start_ms = simulate->from_us / CLOCK_US_PER_MS;
    return ERR_OK;
}

int train_source_simulate(const struct train_simulate *simulate, struct dataset *dataset,
                          uint64_t *refused, struct err *err)
{
    struct sim_options options;
    struct sim_capture_result result;
    struct row_maker *maker;
    int rc = source_market(simulate, &options, err);
    if (rc != ERR_OK)
        return rc;
    rc = row_maker_open(simulate->symbol, dataset, &maker, err);
    if (rc != ERR_OK)
        return rc;
    rc = sim_capture_records(&options, source_record, maker, &result, err);
    rc = source_end(maker, rc, refused, err);
    dataset_finish(dataset);
    return rc;
}

static int source_read_bronze(struct lake_files *lake, const char *symbol, int64_t from_us,
                              int64_t to_us, struct row_maker *maker, uint64_t *refused,
                              struct err *err)
{
    struct duckdb_bronze_options options = {
        .lake = lake, .symbol = symbol, .from_us = from_us, .to_us = to_us};
    struct duckdb_bronze *bronze = NULL;
    struct record record;
    int rc = duckdb_bronze_open(&options, &bronze, err);
    if (rc != ERR_OK)
        return rc;
    while ((rc = duckdb_bronze_next(bronze, &record, err)) == ERR_OK)
        if ((rc = row_maker_apply(maker, &record, err)) != ERR_OK)
            break;
    *refused += duckdb_bronze_counters(bronze)->corrupt;
    duckdb_bronze_close(bronze);
    return rc == ERR_EMPTY ? ERR_OK : rc;
}

int train_source_lake(const char *lake, const char *symbol, int64_t from_us, int64_t to_us,
                      struct dataset *dataset, uint64_t *refused, struct err *err)
{
    const struct etl_lake_options where = {.where = lake};
    struct etl_lake source;
    struct row_maker *maker;
    int rc = row_maker_open(symbol, dataset, &maker, err);
    if (rc != ERR_OK)
        return rc;
    rc = etl_lake_open(&source, &where, err);
    if (rc == ERR_OK)
        rc = source_read_bronze(source.files, symbol, from_us, to_us, maker, refused, err);
    rc = source_end(maker, rc, refused, err);
    etl_lake_close(&source);
    dataset_finish(dataset);
    return rc;
}

int train_source_silver(const char *lake, const char *symbol, int64_t from_us, int64_t to_us,
                        struct dataset *dataset, struct err *err)
{
    const struct etl_lake_options where = {.where = lake};
    struct etl_lake source;
    int rc = etl_lake_open(&source, &where, err);
    if (rc == ERR_OK) {
        struct duckdb_training_options options = {
            .lake = source.files, .symbol = symbol, .from_us = from_us, .to_us = to_us};
        rc = duckdb_training_load(&options, dataset, err);
    }
    etl_lake_close(&source);
    dataset->counts.offered = dataset->counts.kept = dataset->count;
    return rc;
}

/* --- rows ------------------------------------------------------------------------------ */

struct source_rows {
    struct dataset *dataset;
    uint64_t *refused;
    struct err *err;
};

/* "{0.5,-1}" at the end of a line; false when it is not exactly that many finite numbers. */
static bool source_floats(char *text, float out[FEATURE_COUNT])
{
    for (int i = 0; i < FEATURE_COUNT; i++) {
        char *end;
        if (*text != (i == 0 ? '{' : ','))
            return false;
        out[i] = strtof(text + 1, &end);
        if (end == text + 1 || !(out[i] >= feature_minimum(i) && out[i] <= feature_maximum(i)))
            return false;
        text = end;
    }
    return strcmp(text, "}") == 0;
}

/* slot, mid, log return, features: parted by tabs. */
static bool source_parse(char *line, int64_t *slot, double *mid, double *label_bp,
                         float values[FEATURE_COUNT])
{
    char *end;
    *slot = strtoll(line, &end, 10);
    if (end == line || *end != '\t')
        return false;
    *mid = strtod(end + 1, &end);
    if (*end != '\t' || !(*mid > 0.0) || !isfinite(*mid))
        return false;
    *label_bp = strtod(end + 1, &end) * 1e4;
    return *end == '\t' && fabs(*label_bp) <= DATASET_LABEL_MAX_BP &&
           source_floats(end + 1, values);
}

static int source_row(void *context, struct bytes row)
{
    struct source_rows *rows = context;
    struct dataset *dataset = rows->dataset;
    char line[SOURCE_LINE_MAX];
    float values[FEATURE_COUNT];
    int64_t slot;
    double mid, label_bp;
    size_t size = row.size > 0 && row.data[row.size - 1] == '\n' ? row.size - 1 : row.size;
    if (size < sizeof(line)) {
        memcpy(line, row.data, size);
        line[size] = '\0';
    }
    bool after = dataset->count == 0;
    if (size >= sizeof(line) || !source_parse(line, &slot, &mid, &label_bp, values) ||
        !(after || slot > dataset->slot[dataset->count - 1])) {
        ++*rows->refused;
        return ERR_OK;
    }
    return dataset_add_labelled(dataset, slot, values, mid, label_bp, rows->err);
}

int train_source_store(const char *database, const char *symbol, int64_t from_us, int64_t to_us,
                       struct dataset *dataset, uint64_t *refused, struct err *err)
{
    struct pq_sync sync;
    char sql[640];
    struct source_rows rows = {.dataset = dataset, .refused = refused, .err = err};
    int rc = service_options_symbol(symbol, err); /* it stands in the text below */
    if (rc == ERR_OK)
        rc = pq_sync_open(&sync, database, err);
    if (rc != ERR_OK)
        return rc;
    snprintf(sql, sizeof(sql),
             "COPY (SELECT slot, price, target_return_10s, features FROM ml_training_data WHERE "
             "symbol = '%s' AND \"timestamp\" >= to_timestamp(%" PRId64 ") AND \"timestamp\" < "
             "to_timestamp(%" PRId64 ") AND schema_hash = '%016" PRIx64
             "' ORDER BY \"timestamp\") TO STDOUT",
             symbol, (int64_t)(from_us / CLOCK_US_PER_S), (int64_t)(to_us / CLOCK_US_PER_S),
             feature_schema_hash());
    rc = pq_sync_copy_out(&sync, sql, source_row, &rows, err);
    pq_sync_close(&sync);
    dataset->counts.offered = dataset->counts.kept = dataset->count;
    return rc;
}
