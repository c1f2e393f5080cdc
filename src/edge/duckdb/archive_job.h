/* One Parquet file to be made, and the making of it: what runs on the archive's thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_DUCKDB_ARCHIVE_JOB_H
#define BTCAST_EDGE_DUCKDB_ARCHIVE_JOB_H

#include "edge/duckdb/block_table.h"
#include "edge/duckdb/reply_table.h"
#include "edge/lake/lake_spool.h"

/* Measured on frames of a real market: level 1 takes three quarters of the time of the default (3)
 * and 0 to 10 % more space; values that rarely repeat are not worth a dictionary, and without the
 * limit DuckDB hashes a fifth of each column before it finds that out. Pages of the second
 * version (delta encodings) are larger where levels of a book are compressed. */
#define ARCHIVE_JOB_FORMAT                                                                         \
    "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 64"

struct archive_job {
    struct archive_job *next;
    struct block_memory *block; /* NULL: a reply */
    struct archive_rest_reply reply;
    char symbol[RECORD_SYMBOL_SIZE], reason[REPLY_TABLE_REASON_SIZE];
    uint8_t *body;
    archive_done_fn done;
    void *context;
    /* The result: */
    int result;
    struct err err;
    char path[LAKE_FILE_PATH_SIZE]; /* of the whole file in the spool */
    uint64_t rows, undecoded;
    int64_t elapsed_us;
};

/* What makes files: of one thread. */
struct archive_maker {
    struct duckdb_session session;
    struct block_table *blocks;
    struct reply_table *replies;
    struct lake_spool *spool;
};

int archive_maker_open(struct archive_maker *maker, const char *library, int64_t memory_mb,
                       struct lake_spool *spool, struct err *err) MUST_CHECK;
void archive_maker_close(struct archive_maker *maker);
/* Fills the job's result. ERR_MALFORMED: of a reply, it is to be quarantined. */
void archive_maker_run(struct archive_maker *maker, struct archive_job *job);

/* The SELECT's rows become the file of this key in the spool, durable; its path into
 * path[LAKE_FILE_PATH_SIZE]. For callers without a thread. */
int archive_maker_make(struct archive_maker *maker, const char *select, const char *key, char *path,
                       struct err *err) MUST_CHECK;

/* A job for a reply, with its own copy of everything; NULL: out of memory. */
struct archive_job *archive_job_of_reply(const struct archive_rest_reply *reply);
/* Not its block. */
void archive_job_free(struct archive_job *job);

#endif
