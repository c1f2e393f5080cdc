/* The lake's objects as files of this machine, for readers that want files (DuckDB): those of a
 * folder lake where they lie, or copies of what is behind an object port, in a cache folder of
 * bounded size. What is held stays; of the rest goes first what was not used for longest. Blocking,
 * one thread's. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_LAKE_LAKE_FILES_H
#define BTCAST_EDGE_LAKE_LAKE_FILES_H

#include <stdatomic.h>

#include "edge/lake/lake_file.h"
#include "edge/loop/loop.h"
#include "learn/lake/object_port.h"

#define LAKE_FILES_CACHE_BYTES (2ULL << 30)

struct lake_files; /* opaque */

struct lake_files_options {
    const char *folder;         /* a folder lake; NULL: the lake is behind … */
    struct object_port objects; /* … this port, driven by the loop; both close before the files */
    struct loop *loop;
    const char *cache;        /* folder of the copies; what is in it goes at open and at close */
    uint64_t cache_bytes_max; /* 0: LAKE_FILES_CACHE_BYTES */
    const atomic_bool *stop;  /* set: every wait ends with ERR_AGAIN. NULL: nobody does */
};

struct lake_files_counters {
    uint64_t fetched, bytes_fetched; /* copies taken */
    uint64_t evicted;                /* … that had to go for others */
    uint64_t put;
};

int lake_files_open(const struct lake_files_options *options, struct lake_files **files,
                    struct err *err) MUST_CHECK;
void lake_files_close(struct lake_files *files);
struct lake_files_counters lake_files_counters(const struct lake_files *files);
/* Path of the object of a key is <root>/<key>. */
const char *lake_files_root(const struct lake_files *files);
/* True for a folder lake: every object is a file under its root, held or not. */
bool lake_files_local(const struct lake_files *files);

/* --- what there is ----------------------------------------------------------------------- */

struct lake_entry {
    char *key; /* owned */
    uint64_t size;
    int64_t modified_us;
};

struct lake_list {
    struct lake_entry *entries; /* of each call in the order of keys */
    size_t count;
};

/* Adds the objects whose keys begin with prefix and come after `after` ("": all). A folder lake
 * that was not made yet has none. ERR_CONNECTION, ERR_TIMEOUT: the lake is away. Free the list
 * also after an error. */
int lake_files_list(struct lake_files *files, const char *prefix, const char *after,
                    struct lake_list *list, struct err *err) MUST_CHECK;
void lake_list_free(struct lake_list *list);

/* --- reading ----------------------------------------------------------------------------- */

/* Copies what is not there yet, four at a time, and holds all: each entry stays until it is
 * released. A copy is taken again when size or time are not the listed ones. ERR_FULL: what is held
 * at once is over the cache's limit, or the disk is full; ERR_NOT_FOUND: an object has gone. */
int lake_files_hold(struct lake_files *files, const struct lake_entry *entries, size_t count,
                    struct err *err) MUST_CHECK;
void lake_files_release(struct lake_files *files, const struct lake_entry *entries, size_t count);

/* --- writing ----------------------------------------------------------------------------- */

/* Where to write what will be the object, into path[LAKE_FILE_PATH_SIZE]. */
int lake_files_begin(struct lake_files *files, const char *key, char *path,
                     struct err *err) MUST_CHECK;
/* The file that was begun becomes the object, whole and durable. It is gone then, also after an
 * error. */
int lake_files_commit(struct lake_files *files, const char *key, const char *path,
                      struct err *err) MUST_CHECK;
/* ERR_OK also when there is none. */
int lake_files_drop(struct lake_files *files, const char *key, struct err *err) MUST_CHECK;

/* Moves a held object to quarantine/<key> with its bytes. */
int lake_files_quarantine(struct lake_files *files, const char *key, struct err *err) MUST_CHECK;
/* Was put aside since the last forget: a list that was made before may still name it. */
bool lake_files_is_aside(const struct lake_files *files, const char *key);
void lake_files_forget_aside(struct lake_files *files);

#endif
