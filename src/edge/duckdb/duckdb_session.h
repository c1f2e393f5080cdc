/* One DuckDB in memory with one connection: one thread's. No extension is ever installed or
 * loaded by itself, nothing spills to disk. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_DUCKDB_SESSION_H
#define BTCAST_EDGE_DUCKDB_DUCKDB_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "edge/duckdb/duckdb_api.h"

#define DUCKDB_SESSION_MEMORY_MB 256

struct duckdb_session {
    const struct duckdb_api *api;
    duckdb_database database;
    duckdb_connection connection;
};

/* library: see duckdb_api_load. memory_mb: DuckDB's limit, 0: DUCKDB_SESSION_MEMORY_MB.
 * Close also a session that could not be opened. */
int duckdb_session_open(struct duckdb_session *session, const char *library, int64_t memory_mb,
                        struct err *err) MUST_CHECK;
void duckdb_session_close(struct duckdb_session *session);

/* Runs one statement and forgets its result. ERR_FULL when the disk is full (ENOSPC, EFBIG,
 * EDQUOT in DuckDB's text), else ERR_IO; the text is DuckDB's. */
int duckdb_session_run(struct duckdb_session *session, const char *sql, struct err *err) MUST_CHECK;
/* The same with its result, which is to be destroyed after success. */
int duckdb_session_query(struct duckdb_session *session, const char *sql, duckdb_result *result,
                         struct err *err) MUST_CHECK;
/* The same, its result chunk by chunk; a code of fn's other than ERR_OK ends it and is returned. */
typedef int (*duckdb_session_fn)(void *context, const struct duckdb_api *api,
                                 duckdb_data_chunk chunk, struct err *err);
int duckdb_session_chunks(struct duckdb_session *session, const char *sql, duckdb_session_fn fn,
                          void *context, struct err *err) MUST_CHECK;
/* The code of a DuckDB error text, with that text in err. */
int duckdb_session_refused(const char *text, struct err *err);

/* The first row's columns of a result of BIGINTs into values[count]; missing: ERR_EMPTY. */
int duckdb_session_integers(struct duckdb_session *session, const char *sql, int64_t *values,
                            int count, struct err *err) MUST_CHECK;

/* Text as an SQL string literal: quotes doubled, into out. False when it does not fit. */
bool duckdb_session_quote(const char *text, char *out, size_t capacity);

/* --- vectors ---------------------------------------------------------------------------- */

/* A string or blob of a vector's data, borrowed from it. */
static inline struct bytes duckdb_session_bytes(const duckdb_string_t *at)
{
    const uint32_t size = at->value.inlined.length;
    return bytes_of(size <= sizeof(at->value.inlined.inlined) ? at->value.inlined.inlined
                                                              : at->value.pointer.ptr,
                    size);
}

/* validity NULL: every row has a value. */
static inline bool duckdb_session_has(const uint64_t *validity, idx_t row)
{
    return validity == NULL || (validity[row / 64] >> (row % 64) & 1) != 0;
}

#endif
