/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_sync.h"

#include <stdlib.h>
#include <string.h>

#include "edge/postgres/pq_target.h"

#define PQ_SYNC_CONNECT_S "10"

static void pq_sync_ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

/* What libpq says at a failed login has no SQLSTATE; its words are stable. */
static int pq_sync_open_code(const char *words)
{
    if (strstr(words, "authentication failed") != NULL || strstr(words, "no password") != NULL ||
        strstr(words, "pg_hba.conf") != NULL)
        return ERR_REFUSED;
    if (strstr(words, "database \"") != NULL && strstr(words, "does not exist") != NULL)
        return ERR_NOT_FOUND;
    return ERR_CONNECTION;
}

int pq_sync_open(struct pq_sync *sync, const char *target, struct err *err)
{
    const char *keys[] = {"dbname",          "fallback_application_name",
                          "connect_timeout", "client_encoding",
                          "options",         NULL};
    const char *values[] = {target,
                            "btcast",
                            PQ_SYNC_CONNECT_S,
                            "UTF8",
                            "-c timezone=UTC -c client_min_messages=warning",
                            NULL};
    char words[256];
    memset(sync, 0, sizeof(*sync));
    int result = pq_target_check(target, err);
    if (result == ERR_OK)
        result = pq_api_load(&sync->api, err);
    if (result != ERR_OK)
        return result;
    sync->connection = sync->api->PQconnectdbParams(keys, values, 1);
    if (sync->connection != NULL && sync->api->PQstatus(sync->connection) == CONNECTION_OK) {
        sync->api->PQsetNoticeProcessor(sync->connection, pq_sync_ignore_notice, NULL);
        return ERR_OK;
    }
    pq_api_connection_words(sync->api, sync->connection, words, sizeof(words));
    pq_sync_close(sync);
    return err_set(err, pq_sync_open_code(words), "PostgreSQL: %s", words);
}

void pq_sync_close(struct pq_sync *sync)
{
    if (sync->connection != NULL)
        sync->api->PQfinish(sync->connection);
    sync->connection = NULL;
}

/* Takes the result over. */
static int pq_sync_finish(struct pq_sync *sync, PGresult *result, struct pq_rows *rows,
                          struct err *err)
{
    char words[400];
    int code = pq_api_result(sync->api, result);
    if (code != ERR_OK) {
        if (result != NULL)
            pq_api_words(sync->api, result, words, sizeof(words));
        else
            pq_api_connection_words(sync->api, sync->connection, words, sizeof(words));
        err_set(err, code, "PostgreSQL: %s", words);
    }
    if (code == ERR_OK && rows != NULL) {
        *rows = (struct pq_rows){.api = sync->api,
                                 .result = result,
                                 .count = sync->api->PQntuples(result),
                                 .columns = sync->api->PQnfields(result)};
        return ERR_OK;
    }
    sync->api->PQclear(result);
    return code;
}

int pq_sync_run(struct pq_sync *sync, const char *sql, const char *const *params, int count,
                struct pq_rows *rows, struct err *err)
{
    if (rows != NULL)
        memset(rows, 0, sizeof(*rows));
    return pq_sync_finish(
        sync, sync->api->PQexecParams(sync->connection, sql, count, NULL, params, NULL, NULL, 0),
        rows, err);
}

int pq_sync_script(struct pq_sync *sync, const char *sql, struct err *err)
{
    return pq_sync_finish(sync, sync->api->PQexec(sync->connection, sql), NULL, err);
}

/* All that is still to come is read, so that the connection can be used again. */
static int pq_sync_end_copy(struct pq_sync *sync, struct err *err)
{
    int code = ERR_OK;
    PGresult *result;
    while ((result = sync->api->PQgetResult(sync->connection)) != NULL) {
        int one = pq_sync_finish(sync, result, NULL, code == ERR_OK ? err : NULL);
        code = code == ERR_OK ? one : code;
    }
    return code;
}

int pq_sync_copy_out(struct pq_sync *sync, const char *sql, pq_sync_row_fn row, void *context,
                     struct err *err)
{
    PGresult *result = sync->api->PQexec(sync->connection, sql);
    bool copies = result != NULL && sync->api->PQresultStatus(result) == PGRES_COPY_OUT;
    int code = pq_sync_finish(sync, result, NULL, err);
    if (code != ERR_OK)
        return code;
    if (!copies)
        return err_set(err, ERR_INVALID, "not a COPY … TO STDOUT: %s", sql);
    int taken = ERR_OK;
    char *data = NULL;
    int size;
    while ((size = sync->api->PQgetCopyData(sync->connection, &data, 0)) > 0) {
        if (taken == ERR_OK)
            taken = row(context, bytes_of(data, (size_t)size));
        sync->api->PQfreemem(data);
    }
    code = pq_sync_end_copy(sync, err);
    return code != ERR_OK ? code : taken;
}

void pq_rows_free(struct pq_rows *rows)
{
    if (rows->result != NULL)
        rows->api->PQclear(rows->result);
    memset(rows, 0, sizeof(*rows));
}

const char *pq_rows_text(const struct pq_rows *rows, int row, int column)
{
    return rows->api->PQgetvalue(rows->result, row, column);
}

bool pq_rows_is_null(const struct pq_rows *rows, int row, int column)
{
    return rows->api->PQgetisnull(rows->result, row, column) != 0;
}

int64_t pq_rows_i64(const struct pq_rows *rows, int row, int column)
{
    return strtoll(pq_rows_text(rows, row, column), NULL, 10);
}

double pq_rows_f64(const struct pq_rows *rows, int row, int column)
{
    return strtod(pq_rows_text(rows, row, column), NULL);
}
