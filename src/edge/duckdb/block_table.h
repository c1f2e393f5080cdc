/* A block of records as a table that DuckDB reads while it writes Parquet: a table function
 * a kind, which decodes frames straight from the block's memory into DuckDB's vectors. No
 * table is made in between. docs/lake.md lists the columns.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_BLOCK_TABLE_H
#define BTCAST_EDGE_DUCKDB_BLOCK_TABLE_H

#include "edge/duckdb/block_memory.h"
#include "edge/duckdb/duckdb_session.h"

#define BLOCK_TABLE_SQL_SIZE 4096

struct block_table;

/* Registers the functions with the session, which has to be closed before the table is. */
int block_table_open(struct duckdb_session *session, struct block_table **table,
                     struct err *err) MUST_CHECK;
void block_table_close(struct block_table *table);
/* What the next SELECT reads; borrowed until then. NULL: nothing. */
void block_table_set(struct block_table *table, const struct block_memory *block);
/* The SELECT with all columns of bronze, into out[BLOCK_TABLE_SQL_SIZE]. */
void block_table_select(const struct archive_block *block, char *out);
/* Rows read and frames that could not be decoded since block_table_set. */
uint64_t block_table_rows(const struct block_table *table);
uint64_t block_table_undecoded(const struct block_table *table);

#endif
