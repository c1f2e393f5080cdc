/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/import_table.h"

#include <inttypes.h>
#include <stdio.h>

#include "learn/lake/bronze_key.h"

/* The text's exact value as an integer at IMPORT_ROW_EXPONENT. */
#define IMPORT_MANTISSA(text) "(" text "::DECIMAL(27,8) * 100000000)::BIGINT"
#define IMPORT_EXPONENTS      "-8::INTEGER AS price_exponent, -8::INTEGER AS quantity_exponent"

static const char *const import_table_own[IMPORT_TYPES] = {
    [IMPORT_TRADES] =
        "c0::BIGINT AS trade_id, c1::DOUBLE AS price, c2::DOUBLE AS quantity, "
        "c3::DOUBLE AS quote_quantity, c4::BIGINT AS timestamp, "
        "c5::BOOLEAN AS is_buyer_maker, c6::BOOLEAN AS is_best_match, " IMPORT_MANTISSA(
            "c1") " AS price_mantissa, " IMPORT_MANTISSA("c2") " AS "
                                                               "quantity_mantissa,"
                                                               " " IMPORT_EXPONENTS,
    [IMPORT_AGG_TRADES] =
        "c0::BIGINT AS agg_trade_id, c3::BIGINT AS first_trade_id, "
        "c4::BIGINT AS last_trade_id, c1::DOUBLE AS price, "
        "c2::DOUBLE AS quantity, c5::BIGINT AS timestamp, "
        "c6::BOOLEAN AS is_buyer_maker, c7::BOOLEAN AS is_best_match, " IMPORT_MANTISSA(
            "c1") " AS price_mantissa, " IMPORT_MANTISSA("c2") " AS "
                                                               "quantity_mantissa,"
                                                               " " IMPORT_EXPONENTS,
    [IMPORT_KLINES] =
        "c0::BIGINT AS open_time, c6::BIGINT AS close_time, c1::DOUBLE AS open_price, "
        "c2::DOUBLE AS high_price, c3::DOUBLE AS low_price, c4::DOUBLE AS close_price, "
        "c5::DOUBLE AS volume, c7::DOUBLE AS quote_volume, c8::INTEGER AS trade_count, "
        "c9::DOUBLE AS taker_buy_volume, c10::DOUBLE AS taker_buy_quote_volume, " IMPORT_MANTISSA(
            "c5") " AS volume_mantissa, -8::INTEGER AS quantity_exponent",
};
static const int import_table_columns[IMPORT_TYPES] = {7, 8, 12};

int import_table_select(enum import_type type, const char *csv, const char *symbol,
                        int64_t first_us, const char *file, char out[IMPORT_TABLE_SQL_SIZE])
{
    char date[11], quoted[2048], reason[600];
    if (!duckdb_session_quote(csv, quoted, sizeof(quoted)) ||
        !duckdb_session_quote(file, reason, sizeof(reason)))
        return ERR_INVALID;
    bronze_key_partition(first_us / BRONZE_KEY_MINUTE_US, date);
    int size = snprintf(
        out, IMPORT_TABLE_SQL_SIZE,
        "SELECT '%s' AS symbol, %" PRId64 "::BIGINT AS collection_ts, 'archive' AS source, "
        "'%s' AS partition_date, NULL::INTEGER AS api_latency_ms, NULL::BIGINT AS requested_ts, "
        "%s AS reason, %s, NULL::BLOB AS body, NULL::BIGINT AS body_crc32c FROM read_csv(%s, "
        "header = false, auto_detect = false, delim = ',', quote = '', escape = '', columns = {",
        symbol, first_us, date, reason, import_table_own[type], quoted);
    for (int i = 0; i < import_table_columns[type] && size < IMPORT_TABLE_SQL_SIZE; i++)
        size += snprintf(out + size, (size_t)(IMPORT_TABLE_SQL_SIZE - size), "%s'c%d': 'VARCHAR'",
                         i > 0 ? ", " : "", i);
    if (size < IMPORT_TABLE_SQL_SIZE)
        size += snprintf(out + size, (size_t)(IMPORT_TABLE_SQL_SIZE - size), "})");
    return size < IMPORT_TABLE_SQL_SIZE ? ERR_OK : ERR_INVALID;
}
