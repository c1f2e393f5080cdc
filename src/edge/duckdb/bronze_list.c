/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/bronze_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/lake/bronze_key.h"

#define BRONZE_LIST_HOUR_MINUTES 60

static int bronze_list_compare(const void *a, const void *b)
{
    const struct bronze_file *left = a, *right = b;
    if (left->identity.kind != right->identity.kind)
        return left->identity.kind < right->identity.kind ? -1 : 1;
    return bronze_key_block_compare(&left->identity, &right->identity);
}

/* The folder of the minute's hour without its '/': what comes before it lies before. */
static int bronze_list_after(const char *prefix, int64_t minute, char *after)
{
    char day[11];
    after[0] = '\0';
    if (minute < BRONZE_LIST_HOUR_MINUTES || minute > BRONZE_KEY_MINUTE_MAX)
        return ERR_OK;
    int hour = bronze_key_partition(minute, day);
    return snprintf(after, OBJECT_KEY_SIZE, "%syear=%.4s/month=%.2s/day=%.2s/hour=%02d", prefix,
                    day, day + 5, day + 8, hour) < OBJECT_KEY_SIZE
               ? ERR_OK
               : ERR_INVALID;
}

/* Objects whose names are blocks'; others are left alone. */
static void bronze_list_take(struct bronze_list *list, int64_t from_minute, int64_t to_minute)
{
    for (size_t i = 0; i < list->objects.count; i++) {
        struct bronze_file file = {.object = list->objects.entries[i]};
        if (bronze_key_read_block(file.object.key, &file.identity) == ERR_OK &&
            file.identity.minute >= from_minute && file.identity.minute <= to_minute)
            list->files[list->count++] = file;
    }
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

int bronze_list_make(struct lake_files *lake, const char *symbol, int64_t from_minute,
                     int64_t to_minute, struct bronze_list *list, struct err *err)
{
    char prefix[OBJECT_KEY_SIZE], after[OBJECT_KEY_SIZE];
    *list = (struct bronze_list){0};
    if (bronze_key_of_symbol(symbol, prefix) != ERR_OK ||
        bronze_list_after(prefix, from_minute, after) != ERR_OK)
        return err_set(err, ERR_INVALID, "%.30s is no symbol", symbol);
    int result = lake_files_list(lake, prefix, after, &list->objects, err);
    if (result != ERR_OK)
        return result;
    if (list->objects.count > BRONZE_LIST_FILES_MAX)
        return err_set(err, ERR_FULL, "more than %u objects", BRONZE_LIST_FILES_MAX);
    list->files = calloc(list->objects.count + 1, sizeof(*list->files));
    if (list->files == NULL)
        return err_set(err, ERR_MEMORY, "list of objects");
    bronze_list_take(list, from_minute, to_minute);
    bronze_list_sort(list);
    if (list->count > 0)
        return ERR_OK;
    return err_set(err, ERR_NOT_FOUND, "%s has no blocks of %s", lake_files_root(lake), symbol);
}

void bronze_list_free(struct bronze_list *list)
{
    lake_list_free(&list->objects);
    free(list->files);
    *list = (struct bronze_list){0};
}
