/* Blocking PostgreSQL calls for command-line tools, the trainer's loading and tests; services
 * use pq_link. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_SYNC_H
#define BTCAST_EDGE_POSTGRES_PQ_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "edge/postgres/pq_api.h"

struct pq_sync {
    const struct pq_api *api;
    PGconn *connection;
};

/* Rows of a reply, in text. */
struct pq_rows {
    const struct pq_api *api;
    PGresult *result;
    int count, columns;
};

/* ERR_UNSUPPORTED without libpq, ERR_CONFIG for a target that is none, else what the server
 * said (ERR_CONNECTION, ERR_REFUSED, ERR_NOT_FOUND). Sessions run in UTC. */
int pq_sync_open(struct pq_sync *sync, const char *target, struct err *err) MUST_CHECK;
void pq_sync_close(struct pq_sync *sync);
/* One statement with $1… taken from params (NULL: SQL null). rows may be NULL; else free it. */
int pq_sync_run(struct pq_sync *sync, const char *sql, const char *const *params, int count,
                struct pq_rows *rows, struct err *err) MUST_CHECK;
/* Any number of statements, without parameters. */
int pq_sync_script(struct pq_sync *sync, const char *sql, struct err *err) MUST_CHECK;
/* COPY … TO STDOUT: row for each data line or binary piece, borrowed. What row returns other
 * than ERR_OK ends the copy with that result. */
typedef int (*pq_sync_row_fn)(void *context, struct bytes row);
int pq_sync_copy_out(struct pq_sync *sync, const char *sql, pq_sync_row_fn row, void *context,
                     struct err *err) MUST_CHECK;

void pq_rows_free(struct pq_rows *rows);
/* "" for SQL null; borrowed. */
const char *pq_rows_text(const struct pq_rows *rows, int row, int column);
bool pq_rows_is_null(const struct pq_rows *rows, int row, int column);
/* 0 for SQL null and what is no number. */
int64_t pq_rows_i64(const struct pq_rows *rows, int row, int column);
double pq_rows_f64(const struct pq_rows *rows, int row, int column);

#endif
