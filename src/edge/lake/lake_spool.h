/* The spool of the lake: a folder of whole, synced files on their way into it. Each file has
 * a number and its object's key in its name, so that a restart finds what is owed and in
 * which order; the file goes when the lake has the object. One put is under way at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_LAKE_LAKE_SPOOL_H
#define BTCAST_EDGE_LAKE_LAKE_SPOOL_H

#include "base/metrics.h"
#include "edge/lake/lake_file.h"
#include "learn/lake/object_port.h"

#define LAKE_SPOOL_BYTES_MAX (4ULL << 30)
/* Beginnings of files that are no files yet; removed at open. */
#define LAKE_SPOOL_BEGUN    ".begun-"
#define LAKE_SPOOL_RETRY_US 1000000

struct lake_spool;

struct lake_spool_options {
    const char *folder;         /* made when missing */
    uint64_t bytes_max;         /* 0: LAKE_SPOOL_BYTES_MAX */
    struct object_port objects; /* the lake; closed after the spool */
    struct metrics *metrics;    /* NULL: none */
};

/* ERR_IO and its like when the folder cannot be made or read. */
int lake_spool_open(const struct lake_spool_options *options, struct lake_spool **spool,
                    struct err *err) MUST_CHECK;
/* Not while a put is under way: its engine is closed first, or has answered. */
void lake_spool_close(struct lake_spool *spool);

/* Two paths for a new object: where to write it, and what to rename it to when it is whole
 * and synced. May be called from another thread. Both LAKE_FILE_PATH_SIZE. */
int lake_spool_paths(struct lake_spool *spool, const char *key, char *begun, char *path,
                     struct err *err) MUST_CHECK;
/* A file that was renamed so is owed to the lake from now on. */
int lake_spool_add(struct lake_spool *spool, const char *path, struct err *err) MUST_CHECK;
/* Full: no new file may be begun. Files under way may carry it over its limit. */
bool lake_spool_full(const struct lake_spool *spool);
/* Bytes of the journal beside it: part of lake_spool_bytes. */
void lake_spool_set_journal(struct lake_spool *spool, uint64_t bytes);
/* Files and journal together are over the limit, and there are files: when the lake takes them,
 * there is room again. The journal alone never is: its blocks need more to become whole. */
bool lake_spool_crowded(const struct lake_spool *spool);
bool lake_spool_ready(const struct lake_spool *spool);     /* the last put succeeded */
uint64_t lake_spool_bytes(const struct lake_spool *spool); /* the journal's with them */
uint64_t lake_spool_journal_bytes(const struct lake_spool *spool);
uint64_t lake_spool_bytes_max(const struct lake_spool *spool);
uint64_t lake_spool_files(const struct lake_spool *spool);
int lake_spool_do_work(struct lake_spool *spool, int64_t mono_us);

#endif
