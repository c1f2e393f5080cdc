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

/* Runs a COPY to a file beside the object's, which then takes its place whole. */
static int etl_silver_write(struct etl_silver *silver, const char *root, const char *key,
                            const char *name, struct duckdb_silver_value *values, int count,
                            struct err *err)
{
    char path[SILVER_PATH], begun[SILVER_PATH + 8];
    if (snprintf(path, sizeof(path), "%s/%s%s", silver->lake, root, key) >= (int)sizeof(path))
        return err_set(err, ERR_INVALID, "%s: the path is too long", key);
    snprintf(begun, sizeof(begun), "%s.begun", path);
    values[count] = (struct duckdb_silver_value){"out", begun, false};
    int result = lake_file_make_folders(path, true, err);
    if (result == ERR_OK)
        result = duckdb_silver_run(silver->session, name, values, count + 1, err);
    if (result == ERR_OK)
        result = lake_file_sync(begun, err);
    if (result == ERR_OK)
        result = lake_file_rename(begun, path, err);
    if (result == ERR_OK)
        silver->counters.objects++;
    else
        unlink(begun);
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
    char key[OBJECT_KEY_SIZE], path[SILVER_PATH];
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
    snprintf(path, sizeof(path), "%s/quarantine/%s", silver->lake, key);
    unlink(path); /* what failed in an earlier pass does no longer */
    return ERR_OK;
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

/* Blocks of trades whose events lie in the hour: received in it, or a little later. The last
 * minute before it has the trade before the first. */
static int etl_silver_blocks(struct etl_silver *silver, int64_t hour, char **list, size_t *found,
                             struct err *err)
{
    static const struct {
        int minute;
        const char *name; /* behind the hour's two digits */
    } parts[] = {{-1, "59_*"}, {0, "*"}, {60, "0[01]_*"}};
    char patterns[3][SILVER_PATH];
    const char *each[3] = {patterns[0], patterns[1], patterns[2]};
    for (int i = 0; i < 3; i++) {
        struct silver_time at;
        etl_silver_time(hour * 60 + parts[i].minute, &at);
        snprintf(patterns[i], SILVER_PATH, "%s/bronze/sbe/%s/%s/hour=%02d/trades_%s_%02d%s.parquet",
                 silver->lake, silver->symbol, at.folder, at.hour, at.date, at.hour, parts[i].name);
    }
    return duckdb_silver_glob(silver->session, each, 3, list, found, err);
}

/* Replies of a type that were received in the hours from `hour` on. */
static int etl_silver_replies(struct etl_silver *silver, const char *type, int64_t hour, int hours,
                              char **list, size_t *found, struct err *err)
{
    char patterns[DUCKDB_SILVER_PATTERNS_MAX][SILVER_PATH];
    const char *each[DUCKDB_SILVER_PATTERNS_MAX];
    for (int i = 0; i < hours; i++) {
        struct silver_time at;
        etl_silver_time((hour + i) * 60, &at);
        snprintf(patterns[i], SILVER_PATH, "%s/bronze/rest/%s/%s/%s/%s_%s_%02d*.parquet",
                 silver->lake, silver->symbol, type, at.folder, type, at.date, at.hour);
        each[i] = patterns[i];
    }
    return duckdb_silver_glob(silver->session, each, hours, list, found, err);
}

/* An object that cannot be read goes into the quarantine; the disk's own trouble is none of its. */
struct silver_vet {
    struct etl_silver *silver;
    int result;
};

static int etl_silver_put_aside(struct etl_silver *silver, const char *path, const char *why,
                                struct err *err)
{
    char to[SILVER_PATH];
    const char *key = path + strlen(silver->lake) + 1;
    if (snprintf(to, sizeof(to), "%s/quarantine/%s", silver->lake, key) >= (int)sizeof(to))
        return err_set(err, ERR_INVALID, "%s: the path is too long", key);
    int result = lake_file_make_folders(to, true, err);
    if (result == ERR_OK)
        result = lake_file_rename(path, to, err);
    if (result == ERR_OK) {
        silver->counters.quarantined++;
        log_warn("object_quarantined", "key=%s reason=\"%s\"", key, why);
    }
    return result;
}

/* Looks at each file of the list "['a','b']" (none of ours has a quote in its name) with the
 * statement that failed; how many were put aside. */
static int etl_silver_vet(struct etl_silver *silver, const char *name, char *list, int *aside,
                          struct err *err)
{
    *aside = 0;
    for (char *at = strchr(list, '\''); at != NULL; at = strchr(at, '\'')) {
        char *path = at + 1, *end = strchr(path, '\'');
        char one[SILVER_PATH + 8];
        struct err why = {0};
        if (end == NULL)
            break;
        *end = '\0';
        snprintf(one, sizeof(one), "['%s']", path);
        const struct duckdb_silver_value file = {"files", one, true};
        int result = duckdb_silver_run(silver->session, name, &file, 1, &why);
        if (result == ERR_IO && strstr(why.text, "Cannot open file") == NULL &&
            strstr(why.text, "Could not read") == NULL && strstr(why.text, "Out of Memory") == NULL)
            result = (*aside)++, etl_silver_put_aside(silver, path, why.text, err);
        if (result != ERR_OK)
            return result;
        at = end + 1;
    }
    return ERR_OK;
}

typedef int (*silver_list_fn)(struct etl_silver *silver, int64_t hour, char **list, size_t *found,
                              struct err *err);

/* A table out of files: what cannot be read of them is put aside, and the rest is taken.
 * *found: how many files it came from. */
static int etl_silver_take(struct etl_silver *silver, const char *name, silver_list_fn files,
                           int64_t hour, size_t *found, struct err *err)
{
    int aside = 1, result = ERR_OK;
    while (aside > 0) {
        char *list = NULL;
        aside = 0;
        result = files(silver, hour, &list, found, err);
        if (result == ERR_OK && *found > 0) {
            const struct duckdb_silver_value value = {"files", list, true};
            result = duckdb_silver_run(silver->session, name, &value, 1, err);
            if (result == ERR_IO) {
                struct err vetted = {0};
                int looked = etl_silver_vet(silver, name, list, &aside, &vetted);
                result = aside > 0 && looked == ERR_OK ? ERR_OK : result;
            }
        }
        free(list);
    }
    return result;
}

/* --- bars ------------------------------------------------------------------------------- */

/* A backfill comes within the two hours after the loss. */
static int etl_silver_list_backfill(struct etl_silver *silver, int64_t hour, char **list,
                                    size_t *found, struct err *err)
{
    return etl_silver_replies(silver, "historicalTrades", hour, 3, list, found, err);
}

static int etl_silver_list_klines(struct etl_silver *silver, int64_t hour, char **list,
                                  size_t *found, struct err *err)
{
    return etl_silver_replies(silver, "klines", hour, 2, list, found, err);
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
    char first[24], end[24], key[OBJECT_KEY_SIZE], *list = NULL;
    int64_t end_ms = (hour + 1) * SILVER_HOUR_MS;
    size_t found = 0;
    end_ms = end_ms < until_us / 1000 ? end_ms : until_us / 1000;
    snprintf(first, sizeof(first), "%" PRId64, hour * SILVER_HOUR_MS);
    snprintf(end, sizeof(end), "%" PRId64, end_ms);
    etl_silver_key(silver, "snapshots", hour, key);
    int aside = 1, result = ERR_OK;
    while (aside > 0 && result == ERR_OK) {
        aside = 0;
        result = etl_silver_replies(silver, "depth", hour, 1, &list, &found, err);
        if (result != ERR_OK || found == 0)
            break;
        struct duckdb_silver_value values[4] = {
            {"files", list, true}, {"first_ms", first, true}, {"end_ms", end, true}};
        result = etl_silver_write(silver, "", key, "snapshots", values, 3, err);
        if (result == ERR_IO) {
            struct err vetted = {0};
            int looked = etl_silver_vet(silver, "snapshots_probe", list, &aside, &vetted);
            result = aside > 0 && looked == ERR_OK ? ERR_OK : result;
        }
        free(list);
        list = NULL;
    }
    free(list);
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
