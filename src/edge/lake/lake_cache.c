/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lake/lake_cache.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAKE_CACHE_DESCRIPTORS 16

static int lake_cache_remove(const char *path, const struct stat *status, int type,
                             struct FTW *where)
{
    (void)status;
    (void)type;
    return where->level > 0 ? remove(path) : 0;
}

static void lake_cache_empty(const struct lake_cache *cache)
{
    nftw(cache->folder, lake_cache_remove, LAKE_CACHE_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

int lake_cache_open(struct lake_cache *cache, const char *folder, uint64_t bytes_max,
                    struct err *err)
{
    memset(cache, 0, sizeof(*cache));
    cache->bytes_max = bytes_max;
    if (snprintf(cache->folder, sizeof(cache->folder), "%s", folder) >= (int)sizeof(cache->folder))
        return err_set(err, ERR_CONFIG, "%.80s: the path is too long", folder);
    int result = lake_file_make_folders(folder, false, err);
    if (result == ERR_OK)
        lake_cache_empty(cache); /* another run's: nobody knows how whole it is */
    return result;
}

void lake_cache_close(struct lake_cache *cache)
{
    if (cache->folder[0] != '\0')
        lake_cache_empty(cache);
    for (size_t i = 0; i < cache->count; i++)
        free(cache->copies[i].key);
    free(cache->copies);
    memset(cache, 0, sizeof(*cache));
}

int lake_cache_path(const struct lake_cache *cache, const char *key, char *path, struct err *err)
{
    return snprintf(path, LAKE_FILE_PATH_SIZE, "%s/%s", cache->folder, key) < LAKE_FILE_PATH_SIZE
               ? ERR_OK
               : err_set(err, ERR_INVALID, "%s: the path is too long", key);
}

/* The first copy whose key is not below this one. */
static size_t lake_cache_at(const struct lake_cache *cache, const char *key)
{
    size_t low = 0, high = cache->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(cache->copies[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct lake_copy *lake_cache_find(const struct lake_cache *cache, const char *key)
{
    const size_t at = lake_cache_at(cache, key);
    return at < cache->count && strcmp(cache->copies[at].key, key) == 0 ? &cache->copies[at] : NULL;
}

void lake_cache_drop(struct lake_cache *cache, struct lake_copy *copy)
{
    char path[LAKE_FILE_PATH_SIZE];
    const size_t at = (size_t)(copy - cache->copies);
    if (lake_cache_path(cache, copy->key, path, NULL) == ERR_OK)
        unlink(path);
    cache->bytes -= copy->size;
    free(copy->key);
    memmove(copy, copy + 1, (cache->count - at - 1) * sizeof(*copy));
    cache->count--;
}

static struct lake_copy *lake_cache_oldest(const struct lake_cache *cache)
{
    struct lake_copy *oldest = NULL;
    for (size_t i = 0; i < cache->count; i++) {
        struct lake_copy *copy = &cache->copies[i];
        if (copy->held == 0 && (oldest == NULL || copy->used < oldest->used))
            oldest = copy;
    }
    return oldest;
}

int lake_cache_room(struct lake_cache *cache, uint64_t size, struct err *err)
{
    while (cache->bytes + size > cache->bytes_max) {
        struct lake_copy *oldest = lake_cache_oldest(cache);
        if (oldest == NULL)
            return err_set(err, ERR_FULL,
                           "%s: more than its %llu MB are needed at once (%llu KB held, %llu KB "
                           "wanted)",
                           cache->folder, (unsigned long long)cache->bytes_max >> 20,
                           (unsigned long long)cache->bytes >> 10, (unsigned long long)size >> 10);
        lake_cache_drop(cache, oldest);
        cache->evicted++;
    }
    return ERR_OK;
}

int lake_cache_add(struct lake_cache *cache, const char *key, uint64_t size, int64_t modified_us,
                   struct err *err)
{
    if (cache->count == cache->capacity) {
        const size_t capacity = cache->capacity == 0 ? 64 : 2 * cache->capacity;
        struct lake_copy *grown = realloc(cache->copies, capacity * sizeof(*grown));
        if (grown == NULL)
            return err_set(err, ERR_MEMORY, "list of copies");
        cache->copies = grown;
        cache->capacity = capacity;
    }
    char *copy = strdup(key);
    if (copy == NULL)
        return err_set(err, ERR_MEMORY, "list of copies");
    const size_t at = lake_cache_at(cache, key);
    memmove(&cache->copies[at + 1], &cache->copies[at],
            (cache->count - at) * sizeof(*cache->copies));
    cache->copies[at] = (struct lake_copy){.key = copy, .size = size, .modified_us = modified_us};
    cache->count++;
    cache->bytes += size;
    lake_cache_hold(cache, &cache->copies[at]);
    return ERR_OK;
}

void lake_cache_hold(struct lake_cache *cache, struct lake_copy *copy)
{
    copy->held++;
    copy->used = ++cache->uses;
}
