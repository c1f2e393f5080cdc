/* Rows of a block into the vectors of one DuckDB chunk, column by column.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_BLOCK_FILL_H
#define BTCAST_EDGE_DUCKDB_BLOCK_FILL_H

#include "edge/duckdb/duckdb_session.h"
#include "learn/lake/archive_port.h"
#include "market/event.h"

/* DuckDB's chunk. */
#define BLOCK_FILL_ROWS 2048

/* One row: a record, and in trades one trade of it. */
struct block_row {
    struct record record;
    struct event event;
    bool decoded;
    uint32_t trade;
};

/* Names and types of a kind's columns, in the order of the chunk's vectors; ended by a NULL
 * name. DUCKDB_TYPE_LIST stands for a list of book levels. */
struct block_column {
    const char *name;
    duckdb_type type;
};
extern const struct block_column *const block_fill_columns[ARCHIVE_KINDS];

void block_fill(const struct duckdb_api *api, enum archive_kind kind, const struct block_row *rows,
                idx_t count, duckdb_data_chunk chunk);

#endif
