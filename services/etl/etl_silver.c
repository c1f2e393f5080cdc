/* SPDX-License-Identifier: Apache-2.0 */
#include "services/etl/etl_silver.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "learn/lake/bronze_key.h"

#define SILVER_PATH      LAKE_FILE_PATH_SIZE
#define SILVER_HOUR_MS   INT64_C(3600000)
#define SILVER_MINUTE_MS INT64_C(60000)
/* What a price of BTC in a dollar coin can be (CONTRACTS.md section 4, checks). Of another
 * symbol only the sign is known. */
#define SILVER_PRICE_MIN "1000"
#define SILVER_PRICE_MAX "200000"
#define SILVER_ANY_MIN   "0.00000001"
#define SILVER_ANY_MAX   "99999999999"

/* --- names ------------------------------------------------------------------------------ */

/* year=…/month=…/day=… of a minute, and its parts for names. */
struct silver_time {
    char date[16], folder[40]; /* "20261120" */
    int hour;
};

static void etl_silver_time(int64_t minute, struct silver_time *out)
{
    char day[11];
    out->hour = bronze_key_partition(minute, day);
    snprintf(out->date, sizeof(out->date), "%.4s%.2s%.2s", day, day + 5, day + 8);
    snprintf(out->folder, sizeof(out->folder), "year=%.4s/month=%.2s/day=%.2s", day, day + 5,
             day + 8);
}

static void etl_silver_key(const struct etl_silver *silver, const char *set, int64_t hour,
                           char *out)
{
    struct silver_time at;
    etl_silver_time(hour * 60, &at);
    snprintf(out, OBJECT_KEY_SIZE, "silver/%s/%s/%s/%s_%s_%02d00.parquet", set, silver->symbol,
             at.folder, set, at.date, at.hour);
}

/* --- objects ---------------------------------------------------------------------------- */

/* Runs a COPY to a file, which then becomes the object. */
static int etl_silver_write(struct etl_silver *silver, const char *root, const char *key,
                            const char *name, struct duckdb_silver_value *values, int count,
                            struct err *err)
{
    char whole[OBJECT_KEY_SIZE], begun[SILVER_PATH];
    if (snprintf(whole, sizeof(whole), "%s%s", root, key) >= (int)sizeof(whole))
        return err_set(err, ERR_INVALID, "%s: the path is too long", key);
    int result = lake_files_begin(silver->lake, whole, begun, err);
    if (result != ERR_OK)
        return err_wrap(err, result, "%s", key);
    values[count] = (struct duckdb_silver_value){"out", begun, false};
    result = duckdb_silver_run(silver->session, name, values, count + 1, err);
    if (result == ERR_OK)
        result = lake_files_commit(silver->lake, whole, begun, err);
    else
        unlink(begun);
    if (result == ERR_OK)
        silver->counters.objects++;
    return result == ERR_OK ? ERR_OK : err_wrap(err, result, "%s", key);
}

/* --- db_ready --------------------------------------------------------------------------- */

/* The mids of the hour and of the next one: of its last slots' labels. */
static void etl_silver_mids(const struct etl_silver *silver, int64_t hour, char *list, size_t size)
{
    char path[LAKE_FILE_PATH_SIZE];
    struct text out = text_begin(list, size);
    text_add(&out, "[");
    for (int i = 0, found = 0; i < 2; i++) {
        char quoted[2 * LAKE_FILE_PATH_SIZE];
        if (!etl_files_path(silver->files, ETL_FILE_MIDS, hour + i, path) ||
            !duckdb_session_quote(path, quoted, sizeof(quoted)))
            continue;
        text_add_format(&out, "%s%s", found++ > 0 ? "," : "", quoted);
    }
    text_add(&out, "]");
    text_end(&out);
}

static int etl_silver_checked(struct etl_silver *silver, int64_t hour, struct err *err)
{
    const bool is_btc = strncmp(silver->symbol, "BTC", 3) == 0;
    struct duckdb_silver_value values[3] = {
        {"price_min", is_btc ? SILVER_PRICE_MIN : SILVER_ANY_MIN, true},
        {"price_max", is_btc ? SILVER_PRICE_MAX : SILVER_ANY_MAX, true}};
    char key[OBJECT_KEY_SIZE], aside[OBJECT_KEY_SIZE + 16];
    int64_t rows[2];
    etl_silver_key(silver, "db_ready", hour, key);
    char *sql = duckdb_silver_sql("db_ready_count", values, 2, err);
    if (sql == NULL)
        return ERR_INVALID;
    int result = duckdb_session_integers(silver->session, sql, rows, 2, err);
    free(sql);
    if (result == ERR_OK)
        result = etl_silver_write(silver, "", key, "db_ready_good", values, 2, err);
    if (result != ERR_OK)
        return result;
    silver->counters.rows += (uint64_t)(rows[0] - rows[1]);
    if (rows[1] > 0) {
        silver->counters.rows_failed += (uint64_t)rows[1];
        log_warn("rows_quarantined", "key=%s rows=%lld", key, (long long)rows[1]);
        return etl_silver_write(silver, "quarantine/", key, "db_ready_bad", values, 2, err);
    }
    snprintf(aside, sizeof(aside), "quarantine/%s", key);
    return lake_files_drop(silver->lake, aside, err); /* what failed in an earlier pass */
}

static int etl_silver_rows(struct etl_silver *silver, int64_t hour, struct err *err)
{
    char rows[LAKE_FILE_PATH_SIZE], mids[5 * LAKE_FILE_PATH_SIZE], first[24], last[24];
    if (silver->files == NULL || !etl_files_path(silver->files, ETL_FILE_ROWS, hour, rows))
        return ERR_OK;
    etl_silver_mids(silver, hour, mids, sizeof(mids));
    if (strcmp(mids, "[]") == 0)
        return ERR_OK; /* the next pass has them */
    snprintf(first, sizeof(first), "%" PRId64, hour * ETL_FILES_SLOTS_HOUR);
    snprintf(last, sizeof(last), "%" PRId64, (hour + 1) * ETL_FILES_SLOTS_HOUR - 1);
    const struct duckdb_silver_value values[] = {
        {"rows", rows, false}, {"mids", mids, true}, {"first", first, true}, {"last", last, true}};
    int result = duckdb_silver_run(silver->session, "db_ready", values, 4, err);
    return result == ERR_OK ? etl_silver_checked(silver, hour, err) : result;
}

/* --- files of bronze -------------------------------------------------------------------- */

/* Objects of bronze that a statement reads: held. */
struct silver_input {
    struct lake_list objects;
    char *list; /* for @files@ */
};

static void etl_silver_free(struct etl_silver *silver, struct silver_input *input)
{
    lake_files_release(silver->lake, input->objects.entries, input->objects.count);
    lake_list_free(&input->objects);
    free(input->list);
    *input = (struct silver_input){0};
}

/* All of them are files now. */
static int etl_silver_hold(struct etl_silver *silver, struct silver_input *input, struct err *err)
{
    int result = lake_files_hold(silver->lake, input->objects.entries, input->objects.count, err);
    if (result != ERR_OK) {
        lake_list_free(&input->objects); /* nothing is held */
        return result;
    }
    input->list = duckdb_silver_files(lake_files_root(silver->lake), input->objects.entries,
                                      input->objects.count, err);
    return input->list != NULL ? ERR_OK : ERR_INVALID;
}

/* Blocks of trades whose events lie in the hour: received in it, or a little later. The last
 * minute before it has the trade before the first. */
static int etl_silver_blocks(struct etl_silver *silver, int64_t hour, struct silver_input *input,
                             struct err *err)
{
    static const struct {
        int minute;
        const char *name; /* behind the hour's two digits */
    } parts[] = {{-1, "59_"}, {0, ""}, {60, "00_"}, {60, "01_"}};
    int result = ERR_OK;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && result == ERR_OK; i++) {
        char prefix[OBJECT_KEY_SIZE];
        struct silver_time at;
        etl_silver_time(hour * 60 + parts[i].minute, &at);
        snprintf(prefix, sizeof(prefix), "bronze/sbe/%s/%s/hour=%02d/trades_%s_%02d%s",
                 silver->symbol, at.folder, at.hour, at.date, at.hour, parts[i].name);
        result = lake_files_list(silver->lake, prefix, "", &input->objects, err);
    }
    return result;
}

/* Replies of a type that were received in the hours from `hour` on. */
static int etl_silver_replies(struct etl_silver *silver, const char *type, int64_t hour, int hours,
                              struct silver_input *input, struct err *err)
{
    int result = ERR_OK;
    for (int i = 0; i < hours && result == ERR_OK; i++) {
        char prefix[OBJECT_KEY_SIZE];
        struct silver_time at;
        etl_silver_time((hour + i) * 60, &at);
        snprintf(prefix, sizeof(prefix), "bronze/rest/%s/%s/%s/%s_%s_%02d", silver->symbol, type,
                 at.folder, type, at.date, at.hour);
        result = lake_files_list(silver->lake, prefix, "", &input->objects, err);
    }
    return result;
}

/* What DuckDB says of the disk's own trouble is none of the object's. */
static bool etl_silver_is_damaged(int result, const char *why)
{
    return result == ERR_IO && strstr(why, "Cannot open file") == NULL &&
           strstr(why, "Could not read") == NULL && strstr(why, "Out of Memory") == NULL;
}

/* Looks at each object with the statement that failed; those that cannot be read go into the
 * quarantine. *aside: how many. */
static int etl_silver_vet(struct etl_silver *silver, const char *name,
                          const struct silver_input *input, int *aside, struct err *err)
{
    *aside = 0;
    for (size_t i = 0; i < input->objects.count; i++) {
        struct err why = {0};
        const char *key = input->objects.entries[i].key;
        char *one =
            duckdb_silver_files(lake_files_root(silver->lake), &input->objects.entries[i], 1, err);
        if (one == NULL)
            return ERR_INVALID;
        const struct duckdb_silver_value file = {"files", one, true};
        int result = duckdb_silver_run(silver->session, name, &file, 1, &why);
        free(one);
        if (etl_silver_is_damaged(result, why.text)) {
            log_warn("object_quarantined", "key=%s reason=\"%s\"", key, why.text);
            result = lake_files_quarantine(silver->lake, key, err);
            silver->counters.quarantined += result == ERR_OK;
            (*aside)++;
        }
        if (result != ERR_OK)
            return result;
    }
    return ERR_OK;
}

typedef int (*silver_list_fn)(struct etl_silver *silver, int64_t hour, struct silver_input *input,
                              struct err *err);

/* A table out of files: what cannot be read of them is put aside, and the rest is taken.
 * *found: how many files it came from. */
static int etl_silver_take(struct etl_silver *silver, const char *name, silver_list_fn files,
                           int64_t hour, size_t *found, struct err *err)
{
    int aside = 1, result = ERR_OK;
    while (aside > 0) {
        struct silver_input input = {0};
        aside = 0;
        result = files(silver, hour, &input, err);
        if (result == ERR_OK)
            result = etl_silver_hold(silver, &input, err);
        *found = input.objects.count;
        if (result == ERR_OK && *found > 0) {
            const struct duckdb_silver_value value = {"files", input.list, true};
            result = duckdb_silver_run(silver->session, name, &value, 1, err);
            if (result == ERR_IO) {
                struct err vetted = {0};
                int looked = etl_silver_vet(silver, name, &input, &aside, &vetted);
                result = aside > 0 && looked == ERR_OK ? ERR_OK : result;
            }
        }
        etl_silver_free(silver, &input);
    }
    return result;
}

/* --- bars ------------------------------------------------------------------------------- */

/* A backfill comes within the two hours after the loss. */
static int etl_silver_list_backfill(struct etl_silver *silver, int64_t hour,
                                    struct silver_input *input, struct err *err)
{
    return etl_silver_replies(silver, "historicalTrades", hour, 3, input, err);
}

static int etl_silver_list_klines(struct etl_silver *silver, int64_t hour,
                                  struct silver_input *input, struct err *err)
{
    return etl_silver_replies(silver, "klines", hour, 2, input, err);
}

static int etl_silver_tables(struct etl_silver *silver, int64_t hour, size_t *blocks,
                             struct err *err)
{
    size_t found;
    int result = etl_silver_take(silver, "trades", etl_silver_blocks, hour, blocks, err);
    if (result != ERR_OK || *blocks == 0)
        return result;
    result = etl_silver_take(silver, "trades_rest", etl_silver_list_backfill, hour, &found, err);
    if (result == ERR_OK)
        result = duckdb_session_run(
            silver->session,
            "CREATE OR REPLACE TEMP TABLE klines (open_ms BIGINT, volume HUGEINT, "
            "trade_count BIGINT)",
            err);
    if (result == ERR_OK)
        result = etl_silver_take(silver, "klines", etl_silver_list_klines, hour, &found, err);
    return result;
}

struct silver_lines {
    struct etl_silver *silver;
    enum etl_table table;
    uint64_t lines;
};

static int etl_silver_line(void *context, struct bytes line, struct err *err)
{
    struct silver_lines *lines = context;
    lines->lines++;
    return etl_store_add(lines->silver->store, lines->table, line, 0, err);
}

static int etl_silver_load(struct etl_silver *silver, struct err *err)
{
    const struct duckdb_silver_value symbol = {"symbol", silver->symbol, false};
    struct silver_lines bars = {silver, ETL_BARS, 0}, quality = {silver, ETL_QUALITY, 0};
    int result = duckdb_silver_lines(silver->session, "bars_1m_rows", &symbol, 1, etl_silver_line,
                                     &bars, err);
    if (result == ERR_OK)
        result = duckdb_silver_lines(silver->session, "bars_1m_quality", &symbol, 1,
                                     etl_silver_line, &quality, err);
    silver->counters.bars += bars.lines;
    return result;
}

static int etl_silver_bars(struct etl_silver *silver, int64_t hour, int64_t until_us,
                           struct err *err)
{
    char first[24], last[24], created[24], key[OBJECT_KEY_SIZE];
    int64_t end_ms = until_us / 1000 / SILVER_MINUTE_MS * SILVER_MINUTE_MS;
    int64_t last_ms = (hour + 1) * SILVER_HOUR_MS;
    size_t blocks = 0;
    last_ms = (last_ms < end_ms ? last_ms : end_ms) - SILVER_MINUTE_MS;
    snprintf(first, sizeof(first), "%" PRId64, hour * SILVER_HOUR_MS);
    snprintf(last, sizeof(last), "%" PRId64, last_ms);
    /* Of the data, not of the clock: the same bronze gives the same bytes. */
    snprintf(created, sizeof(created), "%" PRId64, last_ms + SILVER_MINUTE_MS);
    if (last_ms < hour * SILVER_HOUR_MS)
        return ERR_OK;
    int result = etl_silver_tables(silver, hour, &blocks, err);
    if (result != ERR_OK || blocks == 0)
        return result;
    const struct duckdb_silver_value range[] = {{"first_ms", first, true}, {"last_ms", last, true}};
    result = duckdb_silver_run(silver->session, "bars_1m", range, 2, err);
    struct duckdb_silver_value values[2] = {{"created", created, true}};
    etl_silver_key(silver, "bars_1m", hour, key);
    if (result == ERR_OK)
        result = etl_silver_write(silver, "", key, "bars_1m_out", values, 1, err);
    return result == ERR_OK ? etl_silver_load(silver, err) : result;
}

/* --- snapshots -------------------------------------------------------------------------- */

static int etl_silver_snapshots(struct etl_silver *silver, int64_t hour, int64_t until_us,
                                struct err *err)
{
    char first[24], end[24], key[OBJECT_KEY_SIZE];
    int64_t end_ms = (hour + 1) * SILVER_HOUR_MS;
    end_ms = end_ms < until_us / 1000 ? end_ms : until_us / 1000;
    snprintf(first, sizeof(first), "%" PRId64, hour * SILVER_HOUR_MS);
    snprintf(end, sizeof(end), "%" PRId64, end_ms);
    etl_silver_key(silver, "snapshots", hour, key);
    int aside = 1, result = ERR_OK;
    while (aside > 0 && result == ERR_OK) {
        struct silver_input input = {0};
        aside = 0;
        result = etl_silver_replies(silver, "depth", hour, 1, &input, err);
        if (result == ERR_OK)
            result = etl_silver_hold(silver, &input, err);
        if (result == ERR_OK && input.objects.count > 0) {
            struct duckdb_silver_value values[4] = {
                {"files", input.list, true}, {"first_ms", first, true}, {"end_ms", end, true}};
            result = etl_silver_write(silver, "", key, "snapshots", values, 3, err);
        }
        if (result == ERR_IO && input.list != NULL) {
            struct err vetted = {0};
            int looked = etl_silver_vet(silver, "snapshots_probe", &input, &aside, &vetted);
            result = aside > 0 && looked == ERR_OK ? ERR_OK : result;
        }
        etl_silver_free(silver, &input);
    }
    return result;
}

int etl_silver_hour(struct etl_silver *silver, int64_t hour, int64_t until_us, struct err *err)
{
    int result = etl_silver_rows(silver, hour, err);
    if (result == ERR_OK)
        result = etl_silver_bars(silver, hour, until_us, err);
    if (result == ERR_OK)
        result = etl_silver_snapshots(silver, hour, until_us, err);
    return result;
}
