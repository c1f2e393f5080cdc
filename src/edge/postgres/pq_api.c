/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/postgres/pq_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define PQ_API_LIBRARY "libpq.so.5"

static struct pq_api pq_api_table;
static char pq_api_missing[160]; /* empty: loaded */
static pthread_once_t pq_api_once = PTHREAD_ONCE_INIT;

static void pq_api_open(void)
{
    void *library = dlopen(PQ_API_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        snprintf(pq_api_missing, sizeof(pq_api_missing), "%s", why != NULL ? why : PQ_API_LIBRARY);
        return;
    }
    void *address;
#define X(name)                                                                                    \
    address = dlsym(library, #name);                                                               \
    if (address == NULL)                                                                           \
        snprintf(pq_api_missing, sizeof(pq_api_missing), "%s has no %s", PQ_API_LIBRARY, #name);   \
    memcpy(&pq_api_table.name, &address, sizeof(address));
    PQ_API_TABLE(X)
#undef X
}

int pq_api_load(const struct pq_api **api, struct err *err)
{
    pthread_once(&pq_api_once, pq_api_open);
    if (pq_api_missing[0] != '\0')
        return err_set(err, ERR_UNSUPPORTED, "PostgreSQL's client library cannot be used: %s",
                       pq_api_missing);
    *api = &pq_api_table;
    return ERR_OK;
}

static const struct {
    const char *prefix;
    int code;
} pq_api_states[] = {
    {"22", ERR_MALFORMED},   {"23", ERR_MALFORMED}, {"40", ERR_AGAIN},      {"55P03", ERR_AGAIN},
    {"53300", ERR_AGAIN},    {"53", ERR_FULL},      {"28", ERR_REFUSED},    {"42501", ERR_REFUSED},
    {"42", ERR_UNSUPPORTED}, {"3D", ERR_NOT_FOUND}, {"57014", ERR_TIMEOUT}, {"57", ERR_CONNECTION},
    {"08", ERR_CONNECTION},
};

int pq_api_result(const struct pq_api *api, const PGresult *result)
{
    if (result == NULL)
        return ERR_CONNECTION;
    switch (api->PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_EMPTY_QUERY:
        return ERR_OK;
    default:
        break;
    }
    const char *state = api->PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state == NULL)
        return ERR_CONNECTION; /* libpq's own: the connection broke */
    for (size_t i = 0; i < sizeof(pq_api_states) / sizeof(pq_api_states[0]); i++)
        if (strncmp(state, pq_api_states[i].prefix, strlen(pq_api_states[i].prefix)) == 0)
            return pq_api_states[i].code;
    return ERR_IO;
}

/* Line ends become "; ". */
static void pq_api_one_line(const char *words, char *out, size_t size)
{
    size_t used = 0;
    for (; *words != '\0' && used + 3 < size; words++) {
        if (*words != '\n')
            out[used++] = *words;
        else if (words[1] != '\0' && used > 0) {
            out[used++] = ';';
            out[used++] = ' ';
        }
    }
    out[used] = '\0';
}

void pq_api_words(const struct pq_api *api, const PGresult *result, char *out, size_t size)
{
    char joined[1024];
    const char *primary = api->PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = api->PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *where = api->PQresultErrorField(result, PG_DIAG_CONTEXT);
    if (primary == NULL)
        primary = api->PQresultErrorMessage(result);
    snprintf(joined, sizeof(joined), "%s%s%s%s%s", primary, detail != NULL ? "\n" : "",
             detail != NULL ? detail : "", where != NULL ? "\n" : "", where != NULL ? where : "");
    pq_api_one_line(joined, out, size);
}

void pq_api_connection_words(const struct pq_api *api, const PGconn *connection, char *out,
                             size_t size)
{
    pq_api_one_line(connection != NULL ? api->PQerrorMessage(connection) : "out of memory", out,
                    size);
}
