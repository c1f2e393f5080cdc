/* What lies in a folder of copies, and which of them may go: a table by key with sizes, holds and
 * the order of use. Knows files only to remove them. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_LAKE_LAKE_CACHE_H
#define BTCAST_EDGE_LAKE_LAKE_CACHE_H

#include "edge/lake/lake_file.h"
#include "learn/lake/object_port.h"

struct lake_copy {
    char *key; /* owned */
    uint64_t size;
    int64_t modified_us; /* of the object, as it was listed */
    uint64_t used;       /* the higher, the later */
    int held;
};

struct lake_cache {
    char folder[LAKE_FILE_PATH_SIZE / 2];
    uint64_t bytes, bytes_max, uses, evicted;
    struct lake_copy *copies; /* sorted by key */
    size_t count, capacity;
};

/* Empties the folder. */
int lake_cache_open(struct lake_cache *cache, const char *folder, uint64_t bytes_max,
                    struct err *err) MUST_CHECK;
/* Empties it again. */
void lake_cache_close(struct lake_cache *cache);
/* Of the key's file, into path[LAKE_FILE_PATH_SIZE]. */
int lake_cache_path(const struct lake_cache *cache, const char *key, char *path,
                    struct err *err) MUST_CHECK;
/* NULL when there is none. Valid until the next add. */
struct lake_copy *lake_cache_find(const struct lake_cache *cache, const char *key);
/* Removes what is not held, least recently used first, until `size` more bytes fit; ERR_FULL when
 * what is held leaves no room. */
int lake_cache_room(struct lake_cache *cache, uint64_t size, struct err *err) MUST_CHECK;
/* A file that has come, held once. */
int lake_cache_add(struct lake_cache *cache, const char *key, uint64_t size, int64_t modified_us,
                   struct err *err) MUST_CHECK;
void lake_cache_hold(struct lake_cache *cache, struct lake_copy *copy);
/* Removes the copy and its file, held or not. */
void lake_cache_drop(struct lake_cache *cache, struct lake_copy *copy);

#endif
