/* The statements of sql/silver in a DuckDB session: each file is one statement in which @name@
 * stands for a value. What each makes and wants is said in the file.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_DUCKDB_SILVER_H
#define BTCAST_EDGE_DUCKDB_DUCKDB_SILVER_H

#include "edge/duckdb/duckdb_session.h"
#include "edge/lake/lake_files.h"

struct duckdb_silver_value {
    const char *name; /* without its signs */
    const char *text;
    bool is_raw; /* a number or a list; else a string, which is quoted */
};

/* Runs the statement `name` ("bars_1m"). Codes as duckdb_session_run; ERR_NOT_FOUND for a name
 * that is none, ERR_INVALID when a value is missing. */
int duckdb_silver_run(struct duckdb_session *session, const char *name,
                      const struct duckdb_silver_value *values, int count,
                      struct err *err) MUST_CHECK;
/* The same for a query of one text column: line for each row, its text borrowed; a result other
 * than ERR_OK ends it. */
typedef int (*duckdb_silver_line_fn)(void *context, struct bytes line, struct err *err);
int duckdb_silver_lines(struct duckdb_session *session, const char *name,
                        const struct duckdb_silver_value *values, int count,
                        duckdb_silver_line_fn line, void *context, struct err *err) MUST_CHECK;
/* Its statement with the values in place; the caller's to free. NULL with err set. */
char *duckdb_silver_sql(const char *name, const struct duckdb_silver_value *values, int count,
                        struct err *err);

/* The files of these objects below root as a list for @files@: "['a','b']", the caller's to free.
 * NULL: no memory, or a path is too long. */
char *duckdb_silver_files(const char *root, const struct lake_entry *objects, size_t count,
                          struct err *err);

#endif
