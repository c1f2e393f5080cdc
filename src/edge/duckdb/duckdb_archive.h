/* The archive port through DuckDB: blocks and REST replies become Parquet files (zstd) in the
 * spool's folder, synced and renamed, and the spool hands them to the lake. A thread of its
 * own makes the files, so that the caller's loop never waits for a disk; blocks wait in
 * memory, copied, until it has made theirs (docs/lake.md). `done` says that the file is
 * durable in the spool. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_DUCKDB_ARCHIVE_H
#define BTCAST_EDGE_DUCKDB_DUCKDB_ARCHIVE_H

#include "base/metrics.h"
#include "edge/lake/lake_spool.h"
#include "learn/lake/archive_port.h"

/* Blocks open at a time, over all symbols. */
#define DUCKDB_ARCHIVE_OPEN_MAX 256
/* Files asked for and not made yet. */
#define DUCKDB_ARCHIVE_JOBS_MAX 128
/* Memory of blocks that are open or waiting for the thread; over it append answers ERR_AGAIN
 * while any file is being made. With none there is nothing to wait for: then it goes on. */
#define DUCKDB_ARCHIVE_MEMORY_MAX ((size_t)256 << 20)
/* Refused replies that are kept; more are only counted. */
#define DUCKDB_ARCHIVE_QUARANTINE_MAX 1000
#define DUCKDB_ARCHIVE_BODY_MAX       ((size_t)8 << 20)

struct duckdb_archive;

struct duckdb_archive_options {
    const char *library;           /* see duckdb_api_load; NULL: found */
    const char *quarantine_folder; /* refused replies, with their bytes */
    struct lake_spool *spool;      /* borrowed; closed after the archive */
    size_t memory_bytes_max;       /* 0: DUCKDB_ARCHIVE_MEMORY_MAX */
    int64_t duckdb_memory_mb;      /* 0: DUCKDB_SESSION_MEMORY_MB */
    struct metrics *metrics;       /* NULL: none */
};

struct duckdb_archive_counters {
    uint64_t records, blocks, replies;  /* taken; durable in the spool */
    uint64_t rows, undecoded, bytes;    /* of the files made */
    uint64_t failed, full, quarantined; /* files not made (disk full among them); replies */
    int64_t write_us;                   /* time the thread has spent on files */
};

int duckdb_archive_open(const struct duckdb_archive_options *options,
                        struct duckdb_archive **archive, struct err *err) MUST_CHECK;
/* Waits for the file being made; what else was asked for is dropped without a call. */
void duckdb_archive_close(struct duckdb_archive *archive);
struct archive_port duckdb_archive_port(struct duckdb_archive *archive);
const struct duckdb_archive_counters *duckdb_archive_counters(const struct duckdb_archive *archive);
/* Files asked for and not answered yet. */
int duckdb_archive_pending(const struct duckdb_archive *archive);

#endif
