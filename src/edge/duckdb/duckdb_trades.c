/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/duckdb_trades.h"

#include <stdio.h>
#include <string.h>

#include "edge/duckdb/duckdb_session.h"
#include "learn/lake/archive_port.h"
#include "learn/lake/bronze_key.h"

#define DUCKDB_TRADES_SQL (2 * LAKE_FILE_PATH_SIZE + 512)

struct trades_reader {
    struct duckdb_session session;
    struct lake_files *lake;
};

static int trades_add_object(struct trades_reader *reader, const struct lake_entry *object,
                             bool streamed, struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE], quoted[LAKE_FILE_PATH_SIZE + 64], sql[DUCKDB_TRADES_SQL];
    if (snprintf(path, sizeof(path), "%s/%s", lake_files_root(reader->lake), object->key) >=
            (int)sizeof(path) ||
        !duckdb_session_quote(path, quoted, sizeof(quoted)))
        return err_set(err, ERR_INVALID, "%s: the path is too long", object->key);
    snprintf(sql, sizeof(sql),
             "INSERT INTO spans SELECT min(id), max(id), %s FROM (SELECT id, id - row_number() "
             "OVER (ORDER BY id) AS span FROM (SELECT DISTINCT trade_id AS id FROM "
             "read_parquet(%s, hive_partitioning = false) WHERE trade_id IS NOT NULL)) GROUP BY "
             "span",
             streamed ? "true" : "false", quoted);
    int result = lake_files_hold(reader->lake, object, 1, err);
    if (result != ERR_OK)
        return result;
    result = duckdb_session_run(&reader->session, sql, err);
    lake_files_release(reader->lake, object, 1);
    return result;
}

static bool trades_are_in(const char *key, bool streamed)
{
    struct archive_block block;
    size_t length = strlen(key);
    if (streamed)
        return bronze_key_read_block(key, &block) == ERR_OK && block.kind == ARCHIVE_TRADES;
    return length > 8 && strcmp(key + length - 8, ".parquet") == 0;
}

static int trades_add(struct trades_reader *reader, const char *prefix, bool streamed,
                      struct err *err)
{
    struct lake_list list = {0};
    int result = lake_files_list(reader->lake, prefix, "", &list, err);
    for (size_t i = 0; i < list.count && result == ERR_OK; i++)
        if (trades_are_in(list.entries[i].key, streamed))
            result = trades_add_object(reader, &list.entries[i], streamed, err);
    lake_list_free(&list);
    return result;
}

/* A span adds what reaches past every span that begins before it. */
static int trades_sum(struct trades_reader *reader, struct duckdb_trades *trades, struct err *err)
{
    int64_t v[4];
    int result = duckdb_session_integers(
        &reader->session,
        "WITH ends AS (SELECT min(lo) AS first, max(hi) AS last FROM spans WHERE streamed), "
        "inside AS (SELECT greatest(lo, first) AS lo, least(hi, last) AS hi, streamed FROM spans, "
        "ends WHERE lo <= last AND hi >= first), "
        "sides AS (SELECT lo, hi, true AS streamed FROM inside WHERE streamed UNION ALL "
        "SELECT lo, hi, false FROM inside), "
        "grown AS (SELECT streamed, greatest(0, hi - greatest(lo - 1, coalesce(max(hi) OVER "
        "(PARTITION BY streamed ORDER BY lo, hi ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), "
        "lo - 1))) AS ids FROM sides) "
        "SELECT (SELECT first FROM ends), (SELECT last FROM ends), "
        "CAST(sum(ids) FILTER (streamed) AS BIGINT), "
        "CAST(sum(ids) FILTER (NOT streamed) AS BIGINT) FROM grown HAVING count(*) > 0",
        v, 4, err);
    if (result == ERR_EMPTY)
        return ERR_OK;
    if (result == ERR_OK)
        *trades = (struct duckdb_trades){.first_id = v[0],
                                         .last_id = v[1],
                                         .streamed = v[2],
                                         .backfilled = v[3] - v[2],
                                         .missing = v[1] - v[0] + 1 - v[3]};
    return result;
}

static int trades_read(struct trades_reader *reader, const char *symbol,
                       struct duckdb_trades *trades, struct err *err)
{
    char blocks[OBJECT_KEY_SIZE], replies[OBJECT_KEY_SIZE];
    int result = bronze_key_of_symbol(symbol, blocks);
    if (result != ERR_OK)
        return err_set(err, result, "\"%s\" is no symbol", symbol);
    snprintf(replies, sizeof(replies), "bronze/rest/%s/%s/", symbol,
             bronze_key_rest_text(ARCHIVE_REST_TRADES));
    result = duckdb_session_run(&reader->session,
                                "CREATE TABLE spans (lo BIGINT, hi BIGINT, streamed BOOLEAN)", err);
    if (result == ERR_OK)
        result = trades_add(reader, blocks, true, err);
    if (result == ERR_OK)
        result = trades_add(reader, replies, false, err);
    return result == ERR_OK ? trades_sum(reader, trades, err) : result;
}

int duckdb_trades_count(struct lake_files *lake, const char *symbol, const char *library,
                        struct duckdb_trades *trades, struct err *err)
{
    struct trades_reader reader = {.lake = lake};
    *trades = (struct duckdb_trades){0};
    int result = duckdb_session_open(&reader.session, library, 0, err);
    if (result == ERR_OK)
        result = trades_read(&reader, symbol, trades, err);
    duckdb_session_close(&reader.session);
    return result;
}
