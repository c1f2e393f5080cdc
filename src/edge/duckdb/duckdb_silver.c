/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/duckdb_silver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "edge/duckdb/silver_files.h"

static const struct silver_file *duckdb_silver_find(const char *name)
{
    const size_t size = strlen(name);
    for (int i = 0; i < silver_file_count; i++)
        if (strncmp(silver_files[i].name, name, size) == 0 &&
            strcmp(silver_files[i].name + size, ".sql") == 0)
            return &silver_files[i];
    return NULL;
}

static const struct duckdb_silver_value *
duckdb_silver_value(const struct duckdb_silver_value *values, int count, const char *name,
                    size_t size)
{
    for (int i = 0; i < count; i++)
        if (strlen(values[i].name) == size && memcmp(values[i].name, name, size) == 0)
            return &values[i];
    return NULL;
}

static void duckdb_silver_add(struct text *out, const struct duckdb_silver_value *value)
{
    text_add(out, value->is_raw ? "" : "'");
    for (const char *at = value->text; *at != '\0'; at++) {
        text_add(out, !value->is_raw && *at == '\'' ? "'" : "");
        text_add_char(out, *at);
    }
    text_add(out, value->is_raw ? "" : "'");
}

/* The text of a file is ours: what stands between two @ is a name. */
static int duckdb_silver_fill(const struct silver_file *file,
                              const struct duckdb_silver_value *values, int count, struct text *out,
                              struct err *err)
{
    const char *at = (const char *)file->start, *end = (const char *)file->end;
    while (at < end) {
        const char *sign = memchr(at, '@', (size_t)(end - at));
        text_add_bytes(out, at, (size_t)((sign != NULL ? sign : end) - at));
        if (sign == NULL)
            break;
        const char *close = memchr(sign + 1, '@', (size_t)(end - sign - 1));
        const struct duckdb_silver_value *value =
            close != NULL ? duckdb_silver_value(values, count, sign + 1, (size_t)(close - sign - 1))
                          : NULL;
        /* A comment may name a value that this use of it has none for. */
        if (value == NULL)
            return err_set(err, ERR_INVALID, "%s: no value for %.20s", file->name, sign);
        duckdb_silver_add(out, value);
        at = close + 1;
    }
    return ERR_OK;
}

char *duckdb_silver_sql(const char *name, const struct duckdb_silver_value *values, int count,
                        struct err *err)
{
    const struct silver_file *file = duckdb_silver_find(name);
    if (file == NULL) {
        err_set(err, ERR_NOT_FOUND, "no statement %s", name);
        return NULL;
    }
    size_t capacity = (size_t)(file->end - file->start) + 1;
    for (int i = 0; i < count; i++)
        capacity += 8 * (2 * strlen(values[i].text) + 2); /* a value may stand at several places */
    char *buffer = malloc(capacity);
    if (buffer == NULL) {
        err_set(err, ERR_MEMORY, "%s: no memory for the statement", name);
        return NULL;
    }
    struct text out = text_begin(buffer, capacity);
    int result = duckdb_silver_fill(file, values, count, &out, err);
    text_end(&out);
    if (result == ERR_OK && out.truncated)
        result = err_set(err, ERR_FULL, "%s: a value stands at too many places", name);
    if (result == ERR_OK)
        return buffer;
    free(buffer);
    return NULL;
}

int duckdb_silver_run(struct duckdb_session *session, const char *name,
                      const struct duckdb_silver_value *values, int count, struct err *err)
{
    char *sql = duckdb_silver_sql(name, values, count, err);
    if (sql == NULL)
        return ERR_INVALID;
    int result = duckdb_session_run(session, sql, err);
    free(sql);
    return result == ERR_OK ? ERR_OK : err_wrap(err, result, "%s.sql", name);
}

struct duckdb_silver_reader {
    duckdb_silver_line_fn line;
    void *context;
};

static int duckdb_silver_chunk(void *context, const struct duckdb_api *api, duckdb_data_chunk chunk,
                               struct err *err)
{
    const struct duckdb_silver_reader *reader = context;
    duckdb_vector column = api->data_chunk_get_vector(chunk, 0);
    const duckdb_string_t *texts = api->vector_get_data(column);
    const uint64_t *validity = api->vector_get_validity(column);
    const idx_t rows = api->data_chunk_get_size(chunk);
    int result = ERR_OK;
    for (idx_t i = 0; i < rows && result == ERR_OK; i++)
        if (duckdb_session_has(validity, i))
            result = reader->line(reader->context, duckdb_session_bytes(&texts[i]), err);
    return result;
}

static int duckdb_silver_query(struct duckdb_session *session, const char *sql,
                               duckdb_silver_line_fn line, void *context, struct err *err)
{
    struct duckdb_silver_reader reader = {line, context};
    return duckdb_session_chunks(session, sql, duckdb_silver_chunk, &reader, err);
}

int duckdb_silver_lines(struct duckdb_session *session, const char *name,
                        const struct duckdb_silver_value *values, int count,
                        duckdb_silver_line_fn line, void *context, struct err *err)
{
    char *sql = duckdb_silver_sql(name, values, count, err);
    if (sql == NULL)
        return ERR_INVALID;
    int result = duckdb_silver_query(session, sql, line, context, err);
    free(sql);
    return result == ERR_OK ? ERR_OK : err_wrap(err, result, "%s.sql", name);
}

/* --- lists of files --------------------------------------------------------------------- */

char *duckdb_silver_files(const char *root, const struct lake_entry *objects, size_t count,
                          struct err *err)
{
    size_t capacity = 3;
    for (size_t i = 0; i < count; i++)
        capacity += 2 * (strlen(root) + strlen(objects[i].key) + 1) + 3;
    char *buffer = malloc(capacity);
    if (buffer == NULL) {
        err_set(err, ERR_MEMORY, "list of files");
        return NULL;
    }
    struct text out = text_begin(buffer, capacity);
    text_add(&out, "[");
    for (size_t i = 0; i < count; i++) {
        char path[LAKE_FILE_PATH_SIZE], quoted[2 * LAKE_FILE_PATH_SIZE + 2];
        if (snprintf(path, sizeof(path), "%s/%s", root, objects[i].key) >= (int)sizeof(path) ||
            !duckdb_session_quote(path, quoted, sizeof(quoted))) {
            err_set(err, ERR_INVALID, "%s: the path is too long", objects[i].key);
            free(buffer);
            return NULL;
        }
        text_add_format(&out, "%s%s", i > 0 ? "," : "", quoted);
    }
    text_add(&out, "]");
    text_end(&out);
    return buffer;
}
