/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/block_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/duckdb/block_fill.h"
#include "learn/lake/bronze_key.h"
#include "wire/sbe.h"

/* What a registered function knows of itself. */
struct block_table_function {
    struct block_table *table;
    enum archive_kind kind;
};

struct block_table {
    const struct duckdb_api *api;
    struct block_table_function functions[ARCHIVE_KINDS];
    const struct block_memory *block;
    struct block_cursor cursor;
    struct block_row held; /* a trades frame of which not all trades are rows yet */
    bool holds;
    uint64_t rows_read, undecoded;
    struct block_row rows[BLOCK_FILL_ROWS];
};

/* --- rows ------------------------------------------------------------------------------- */

static void block_table_decode(struct block_table *table, struct block_row *row)
{
    struct bytes symbol;
    row->trade = 0;
    row->event.event_us = 0;
    if (row->record.kind == RECORD_TICK) {
        row->event.kind = EVENT_TICK;
        row->decoded = true;
        return;
    }
    row->decoded = row->record.kind == RECORD_FRAME &&
                   sbe_decode_event(row->record.payload, &row->event, &symbol, NULL) == SBE_OK &&
                   symbol.size == strlen(table->block->identity.symbol) &&
                   memcmp(symbol.data, table->block->identity.symbol, symbol.size) == 0;
    table->undecoded += row->record.kind == RECORD_FRAME && !row->decoded;
}

static uint32_t block_table_trades(const struct block_row *row)
{
    return row->decoded && row->event.kind == EVENT_TRADES ? row->event.trades.list.count : 0;
}

static bool block_table_next(struct block_table *table, struct block_row *row)
{
    if (table->holds) {
        table->held.trade++;
    } else {
        if (table->block == NULL ||
            !block_memory_next(table->block, &table->cursor, &table->held.record))
            return false;
        block_table_decode(table, &table->held);
    }
    *row = table->held;
    table->holds = table->held.trade + 1 < block_table_trades(&table->held);
    return true;
}

static void block_table_read(duckdb_function_info info, duckdb_data_chunk chunk);

/* --- registration ----------------------------------------------------------------------- */

/* STRUCT(price DOUBLE, quantity DOUBLE, price_mantissa BIGINT, quantity_mantissa BIGINT)[] */
static duckdb_logical_type block_table_levels(const struct duckdb_api *api)
{
    const char *names[4] = {"price", "quantity", "price_mantissa", "quantity_mantissa"};
    duckdb_logical_type members[4];
    for (int i = 0; i < 4; i++)
        members[i] = api->create_logical_type(i < 2 ? DUCKDB_TYPE_DOUBLE : DUCKDB_TYPE_BIGINT);
    duckdb_logical_type level = api->create_struct_type(members, names, 4);
    duckdb_logical_type list = api->create_list_type(level);
    api->destroy_logical_type(&level);
    for (int i = 0; i < 4; i++)
        api->destroy_logical_type(&members[i]);
    return list;
}

static void block_table_bind(duckdb_bind_info info)
{
    /* The one loaded library: DuckDB calls without saying which of our objects it is for. */
    const struct duckdb_api *api = NULL;
    int loaded = duckdb_api_load(NULL, &api, NULL);
    (void)loaded; /* it is: DuckDB is what calls */
    const struct block_table_function *function = api->bind_get_extra_info(info);
    const struct block_column *column = block_fill_columns[function->kind];
    for (; column->name != NULL; column++) {
        duckdb_logical_type type = column->type == DUCKDB_TYPE_LIST
                                       ? block_table_levels(api)
                                       : api->create_logical_type(column->type);
        api->bind_add_result_column(info, column->name, type);
        api->destroy_logical_type(&type);
    }
}

static void block_table_init(duckdb_init_info info)
{
    (void)info; /* block_table_set is the beginning */
}

static void block_table_read(duckdb_function_info info, duckdb_data_chunk chunk)
{
    const struct duckdb_api *api = NULL;
    int loaded = duckdb_api_load(NULL, &api, NULL);
    (void)loaded;
    const struct block_table_function *function = api->function_get_extra_info(info);
    struct block_table *table = function->table;
    idx_t count = 0;
    while (count < BLOCK_FILL_ROWS && block_table_next(table, &table->rows[count]))
        count++;
    table->rows_read += count;
    block_fill(api, function->kind, table->rows, count, chunk);
}

static int block_table_register(struct duckdb_session *session,
                                struct block_table_function *function, struct err *err)
{
    const struct duckdb_api *api = session->api;
    char name[32];
    snprintf(name, sizeof(name), "btcast_%s", bronze_key_kind_text(function->kind));
    duckdb_table_function made = api->create_table_function();
    api->table_function_set_name(made, name);
    api->table_function_set_extra_info(made, function, NULL);
    api->table_function_set_bind(made, block_table_bind);
    api->table_function_set_init(made, block_table_init);
    api->table_function_set_function(made, block_table_read);
    int result = api->register_table_function(session->connection, made) == DuckDBSuccess
                     ? ERR_OK
                     : err_set(err, ERR_IO, "DuckDB refuses the table function %s", name);
    api->destroy_table_function(&made);
    return result;
}

int block_table_open(struct duckdb_session *session, struct block_table **out, struct err *err)
{
    if (session->api->vector_size() < BLOCK_FILL_ROWS)
        return err_set(err, ERR_UNSUPPORTED, "DuckDB's vectors have less than %d rows",
                       BLOCK_FILL_ROWS);
    struct block_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return err_set(err, ERR_MEMORY, "bronze table");
    table->api = session->api;
    int result = ERR_OK;
    for (int i = 0; i < ARCHIVE_KINDS && result == ERR_OK; i++) {
        table->functions[i] =
            (struct block_table_function){.table = table, .kind = (enum archive_kind)i};
        result = block_table_register(session, &table->functions[i], err);
    }
    if (result != ERR_OK) {
        free(table);
        return result;
    }
    *out = table;
    return ERR_OK;
}

void block_table_close(struct block_table *table)
{
    free(table);
}

void block_table_set(struct block_table *table, const struct block_memory *block)
{
    table->block = block;
    table->cursor = (struct block_cursor){0};
    table->holds = false;
    table->rows_read = table->undecoded = 0;
}

uint64_t block_table_rows(const struct block_table *table)
{
    return table->rows_read;
}

uint64_t block_table_undecoded(const struct block_table *table)
{
    return table->undecoded;
}

/* --- SQL -------------------------------------------------------------------------------- */

/* A kind's own columns behind the common ones. */
static const char *const block_table_own[ARCHIVE_KINDS] = {
    [ARCHIVE_TRADES] = "trade_id, price, quantity, is_buyer_maker, seq AS sequence_id, "
                       "transact_ts, trade_index, trade_count, price_mantissa, quantity_mantissa",
    [ARCHIVE_DEPTH] = "CASE event_kind WHEN 3 THEN 'diff' WHEN 2 THEN 'snapshot' "
                      "WHEN 4 THEN 'tick' END AS type, first_update_id, final_update_id, bids, "
                      "asks",
    [ARCHIVE_BBA] = "bid_price, bid_quantity, ask_price, ask_quantity, seq AS sequence_id, "
                    "book_update_id, bid_price_mantissa, bid_quantity_mantissa, "
                    "ask_price_mantissa, ask_quantity_mantissa",
    [ARCHIVE_CONTROL] =
        "CASE record_kind WHEN 3 THEN 'anchor' WHEN 4 THEN 'hole' WHEN 5 THEN 'slot' END AS type, "
        "next_epoch, next_seq, "
        "CASE record_kind WHEN 3 THEN TRY(json_extract_string(decode(frame), '$.cause')) END "
        "AS cause, "
        "CASE record_kind WHEN 3 THEN "
        "TRY(json_extract_string(decode(frame), '$.depth.lastUpdateId')::BIGINT) END "
        "AS last_update_id",
};
_Static_assert(EVENT_SNAPSHOT == 2 && EVENT_DIFF == 3 && EVENT_TICK == 4, "in block_table_own");
_Static_assert(RECORD_ANCHOR == 3 && RECORD_HOLE == 4 && RECORD_SLOT == 5, "in block_table_own");

void block_table_select(const struct archive_block *block, char *out)
{
    char date[11];
    int hour = bronze_key_partition(block->minute, date);
    snprintf(out, BLOCK_TABLE_SQL_SIZE,
             "SELECT '%s' AS symbol, event_ts, recv_us AS ingest_ts, "
             "CASE WHEN flags & 1 = 0 THEN 'sbe' ELSE 'json' END AS source, "
             "'%s' AS partition_date, %d::INTEGER AS partition_hour, "
             "%" PRId64 "::BIGINT AS epoch, seq, recv_us, flags, record_kind, "
             "price_exponent, quantity_exponent, %s, frame, frame_crc32c FROM btcast_%s()",
             block->symbol, date, hour, (int64_t)block->epoch, block_table_own[block->kind],
             bronze_key_kind_text(block->kind));
}
