/* A piece of an archive as rows of bronze/rest: the same columns as of replies (docs/lake.md), with
 * the file's name as reason and no body. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_IMPORT_TABLE_H
#define BTCAST_EDGE_DUCKDB_IMPORT_TABLE_H

#include "edge/duckdb/duckdb_session.h"
#include "learn/import/import_row.h"

#define IMPORT_TABLE_SQL_SIZE 8192

/* csv: path of the rows, without a head, judged. file: where they came from. ERR_INVALID for
 * texts that are too long. */
int import_table_select(enum import_type type, const char *csv, const char *symbol,
                        int64_t first_us, const char *file,
                        char out[IMPORT_TABLE_SQL_SIZE]) MUST_CHECK;

#endif
