/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/duckdb_session.h"

#include <stdio.h>
#include <string.h>

static int duckdb_session_configure(struct duckdb_session *session, int64_t memory_mb,
                                    duckdb_config *config, struct err *err)
{
    char memory[32];
    snprintf(memory, sizeof(memory), "%lldMB",
             (long long)(memory_mb > 0 ? memory_mb : DUCKDB_SESSION_MEMORY_MB));
    const char *const settings[][2] = {
        {"threads", "1"}, /* measured: two are slower and take twice the memory */
        {"memory_limit", memory},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"temp_directory", ""},
        {"enable_external_file_cache", "false"},
    };
    if (session->api->create_config(config) != DuckDBSuccess)
        return err_set(err, ERR_MEMORY, "DuckDB: no configuration");
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (session->api->set_config(*config, settings[i][0], settings[i][1]) != DuckDBSuccess)
            return err_set(err, ERR_UNSUPPORTED, "DuckDB %s refuses the setting %s=%s",
                           session->api->library_version(), settings[i][0], settings[i][1]);
    return ERR_OK;
}

int duckdb_session_open(struct duckdb_session *session, const char *library, int64_t memory_mb,
                        struct err *err)
{
    duckdb_config config = NULL;
    char *why = NULL;
    *session = (struct duckdb_session){0};
    int result = duckdb_api_load(library, &session->api, err);
    if (result != ERR_OK)
        return result;
    result = duckdb_session_configure(session, memory_mb, &config, err);
    if (result == ERR_OK &&
        session->api->open_ext(NULL, &session->database, config, &why) != DuckDBSuccess)
        result = err_set(err, ERR_IO, "DuckDB: %s", why != NULL ? why : "cannot be opened");
    if (result == ERR_OK &&
        session->api->connect(session->database, &session->connection) != DuckDBSuccess)
        result = err_set(err, ERR_IO, "DuckDB: no connection");
    session->api->free(why);
    session->api->destroy_config(&config);
    return result;
}

void duckdb_session_close(struct duckdb_session *session)
{
    if (session->connection != NULL)
        session->api->disconnect(&session->connection);
    if (session->database != NULL)
        session->api->close(&session->database);
}

int duckdb_session_refused(const char *text, struct err *err)
{
    static const char *const full[] = {"No space left", "File too large", "Disk quota"};
    int code = ERR_IO;
    if (text == NULL)
        text = "DuckDB: failed without a reason";
    for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++)
        if (strstr(text, full[i]) != NULL)
            code = ERR_FULL;
    /* Its first line says what; the next ones quote our own SQL. */
    err_set(err, code, "%.*s", (int)strcspn(text, "\n"), text);
    for (char *at = err != NULL ? err->text : NULL; at != NULL && *at != '\0'; at++)
        if (*at == '"')
            *at = '\''; /* it goes into a log line's quotes */
    return code;
}

int duckdb_session_query(struct duckdb_session *session, const char *sql, duckdb_result *result,
                         struct err *err)
{
    if (session->api->query(session->connection, sql, result) == DuckDBSuccess)
        return ERR_OK;
    int code = duckdb_session_refused(session->api->result_error(result), err);
    session->api->destroy_result(result);
    return code;
}

int duckdb_session_run(struct duckdb_session *session, const char *sql, struct err *err)
{
    duckdb_result result;
    int code = duckdb_session_query(session, sql, &result, err);
    if (code == ERR_OK)
        session->api->destroy_result(&result);
    return code;
}

int duckdb_session_chunks(struct duckdb_session *session, const char *sql, duckdb_session_fn fn,
                          void *context, struct err *err)
{
    duckdb_result result;
    duckdb_data_chunk chunk;
    int code = duckdb_session_query(session, sql, &result, err);
    if (code != ERR_OK)
        return code;
    while (code == ERR_OK && (chunk = session->api->fetch_chunk(result)) != NULL) {
        code = fn(context, session->api, chunk, err);
        session->api->destroy_data_chunk(&chunk);
    }
    session->api->destroy_result(&result);
    return code;
}

int duckdb_session_integers(struct duckdb_session *session, const char *sql, int64_t *values,
                            int count, struct err *err)
{
    const struct duckdb_api *api = session->api;
    duckdb_result result;
    int code = duckdb_session_query(session, sql, &result, err);
    if (code != ERR_OK)
        return code;
    duckdb_data_chunk chunk = api->fetch_chunk(result);
    if (chunk == NULL || api->data_chunk_get_size(chunk) == 0)
        code = err_set(err, ERR_EMPTY, "no row");
    for (int i = 0; code == ERR_OK && i < count; i++) {
        duckdb_vector column = api->data_chunk_get_vector(chunk, (idx_t)i);
        const int64_t *data = api->vector_get_data(column);
        values[i] = duckdb_session_has(api->vector_get_validity(column), 0) ? data[0] : 0;
    }
    if (chunk != NULL)
        api->destroy_data_chunk(&chunk);
    api->destroy_result(&result);
    return code;
}

bool duckdb_session_quote(const char *text, char *out, size_t capacity)
{
    size_t at = 0;
    if (capacity < 3)
        return false;
    out[at++] = '\'';
    for (; *text != '\0'; text++) {
        if (at + 4 > capacity)
            return false;
        if (*text == '\'')
            out[at++] = '\'';
        out[at++] = *text;
    }
    out[at++] = '\'';
    out[at] = '\0';
    return true;
}
