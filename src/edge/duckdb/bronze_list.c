/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/bronze_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/lake/bronze_key.h"

static int bronze_list_compare(const void *a, const void *b)
{
    const struct bronze_file *left = a, *right = b;
    if (left->identity.kind != right->identity.kind)
        return left->identity.kind < right->identity.kind ? -1 : 1;
    return bronze_key_block_compare(&left->identity, &right->identity);
}

struct bronze_list_look {
    struct bronze_list *list;
    int64_t from_minute, to_minute;
};

/* Takes the file if its name is a block's; others are left alone. */
static int bronze_list_add(const struct bronze_list_look *look, struct bytes path, struct err *err)
{
    struct bronze_list *list = look->list;
    char key[OBJECT_KEY_SIZE];
    struct archive_block identity;
    const size_t skip = strlen(list->folder) + 1;
    if (path.size <= skip || path.size - skip >= sizeof(key))
        return ERR_OK;
    memcpy(key, path.data + skip, path.size - skip);
    key[path.size - skip] = '\0';
    if (bronze_key_read_block(key, &identity) != ERR_OK || identity.minute < look->from_minute ||
        identity.minute > look->to_minute)
        return ERR_OK;
    if (list->count >= BRONZE_LIST_FILES_MAX)
        return err_set(err, ERR_FULL, "more than %u objects", BRONZE_LIST_FILES_MAX);
    if ((list->count & (list->count - 1)) == 0) {
        const size_t capacity = list->count == 0 ? 1 : 2 * list->count;
        void *grown = realloc(list->files, capacity * sizeof(*list->files));
        if (grown == NULL)
            return err_set(err, ERR_MEMORY, "list of objects");
        list->files = grown;
    }
    char *copy = strdup(key);
    if (copy == NULL)
        return err_set(err, ERR_MEMORY, "list of objects");
    list->files[list->count++] = (struct bronze_file){.identity = identity, .key = copy};
    return ERR_OK;
}

static int bronze_list_chunk(void *context, const struct duckdb_api *api, duckdb_data_chunk chunk,
                             struct err *err)
{
    const duckdb_string_t *paths = api->vector_get_data(api->data_chunk_get_vector(chunk, 0));
    const idx_t rows = api->data_chunk_get_size(chunk);
    int code = ERR_OK;
    for (idx_t i = 0; i < rows && code == ERR_OK; i++)
        code = bronze_list_add(context, duckdb_session_bytes(&paths[i]), err);
    return code;
}

static void bronze_list_sort(struct bronze_list *list)
{
    if (list->count > 0)
        qsort(list->files, list->count, sizeof(*list->files), bronze_list_compare);
    size_t at = 0;
    for (int kind = 0; kind < ARCHIVE_KINDS; kind++) {
        list->first[kind] = at;
        while (at < list->count && list->files[at].identity.kind == (enum archive_kind)kind)
            at++;
    }
    list->first[ARCHIVE_KINDS] = at;
}

int bronze_list_make(struct duckdb_session *session, const char *folder, const char *symbol,
                     int64_t from_minute, int64_t to_minute, struct bronze_list *list,
                     struct err *err)
{
    char prefix[OBJECT_KEY_SIZE], pattern[2 * LAKE_FILE_PATH_SIZE], quoted[LAKE_FILE_PATH_SIZE * 2];
    *list = (struct bronze_list){0};
    size_t size = (size_t)snprintf(list->folder, sizeof(list->folder), "%s", folder);
    if (size >= sizeof(list->folder) || bronze_key_of_symbol(symbol, prefix) != ERR_OK)
        return err_set(err, ERR_INVALID, "%.80s: no usable folder, or %.30s no symbol", folder,
                       symbol);
    while (size > 1 && list->folder[size - 1] == '/')
        list->folder[--size] = '\0';
    snprintf(pattern, sizeof(pattern), "%s/%s*/*/*/*/*.parquet", list->folder, prefix);
    if (!duckdb_session_quote(pattern, quoted, sizeof(quoted)))
        return err_set(err, ERR_INVALID, "%.80s: the path is too long", folder);
    snprintf(pattern, sizeof(pattern), "SELECT file FROM glob(%.1500s)", quoted);
    struct bronze_list_look look = {list, from_minute, to_minute};
    int code = duckdb_session_chunks(session, pattern, bronze_list_chunk, &look, err);
    if (code == ERR_OK && list->count == 0)
        code = err_set(err, ERR_NOT_FOUND, "%s has no blocks of %s", list->folder, symbol);
    bronze_list_sort(list);
    return code;
}

void bronze_list_free(struct bronze_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->files[i].key);
    free(list->files);
    *list = (struct bronze_list){0};
}

int bronze_list_path(const struct bronze_list *list, const char *key, char *out)
{
    return snprintf(out, LAKE_FILE_PATH_SIZE, "%s/%s", list->folder, key) < LAKE_FILE_PATH_SIZE
               ? ERR_OK
               : ERR_INVALID;
}

int bronze_list_quarantine(const struct bronze_list *list, const char *key, struct err *err)
{
    char from[LAKE_FILE_PATH_SIZE], to[LAKE_FILE_PATH_SIZE];
    if (bronze_list_path(list, key, from) != ERR_OK ||
        snprintf(to, sizeof(to), "%s/quarantine/%s", list->folder, key) >= (int)sizeof(to))
        return err_set(err, ERR_INVALID, "%s: the path is too long", key);
    int result = lake_file_make_folders(to, true, err);
    return result == ERR_OK ? lake_file_rename(from, to, err) : result;
}
