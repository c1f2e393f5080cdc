/* libpq, loaded when a command needs it: the hot services run on machines without it
 * (DESIGN.md section 1). SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_POSTGRES_PQ_API_H
#define BTCAST_EDGE_POSTGRES_PQ_API_H

#include <libpq-fe.h>

#include "base/err.h"

#define PQ_API_TABLE(X)                                                                            \
    X(PQconnectStartParams)                                                                        \
    X(PQconnectdbParams)                                                                           \
    X(PQconnectPoll)                                                                               \
    X(PQconninfoParse)                                                                             \
    X(PQconninfoFree)                                                                              \
    X(PQstatus)                                                                                    \
    X(PQsocket)                                                                                    \
    X(PQsetnonblocking)                                                                            \
    X(PQserverVersion)                                                                             \
    X(PQerrorMessage)                                                                              \
    X(PQsetNoticeProcessor)                                                                        \
    X(PQexec)                                                                                      \
    X(PQexecParams)                                                                                \
    X(PQsendQuery)                                                                                 \
    X(PQsendQueryParams)                                                                           \
    X(PQsendPrepare)                                                                               \
    X(PQsendQueryPrepared)                                                                         \
    X(PQflush)                                                                                     \
    X(PQconsumeInput)                                                                              \
    X(PQisBusy)                                                                                    \
    X(PQgetResult)                                                                                 \
    X(PQresultStatus)                                                                              \
    X(PQresultErrorMessage)                                                                        \
    X(PQresultErrorField)                                                                          \
    X(PQntuples)                                                                                   \
    X(PQnfields)                                                                                   \
    X(PQgetvalue)                                                                                  \
    X(PQgetlength)                                                                                 \
    X(PQgetisnull)                                                                                 \
    X(PQcmdTuples)                                                                                 \
    X(PQclear)                                                                                     \
    X(PQfinish)                                                                                    \
    X(PQputCopyData)                                                                               \
    X(PQputCopyEnd)                                                                                \
    X(PQgetCopyData)                                                                               \
    X(PQfreemem)

struct pq_api {
#define X(name) __typeof__(&(name)) name;
    PQ_API_TABLE(X)
#undef X
};

/* Loads the library once for the process; every function is there or none. ERR_UNSUPPORTED
 * with what is missing. Thread-safe. */
int pq_api_load(const struct pq_api **api, struct err *err) MUST_CHECK;

/* Our code for a result's SQLSTATE; ERR_OK when the result is good (rows, command done, or
 * COPY begun). ERR_MALFORMED: the data is at fault (classes 22, 23); ERR_AGAIN: a conflict
 * that a new try solves (40, 55P03); ERR_FULL (53); ERR_REFUSED: login or rights (28, 42501);
 * ERR_CONNECTION: the server goes away (57P01…, 08); ERR_UNSUPPORTED: a table, column or
 * function is missing (42): not migrated; else ERR_IO. */
int pq_api_result(const struct pq_api *api, const PGresult *result);
/* The server's words on one line ("relation \"x\" does not exist"), with its detail. */
void pq_api_words(const struct pq_api *api, const PGresult *result, char *out, size_t size);
/* libpq's words for the connection on one line, "" when it has none. */
void pq_api_connection_words(const struct pq_api *api, const PGconn *connection, char *out,
                             size_t size);

#endif
