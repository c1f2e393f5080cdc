/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/archive_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/loop/loop.h"
#include "learn/lake/bronze_key.h"

#define ARCHIVE_JOB_SQL_SIZE (REPLY_TABLE_SQL_SIZE + 2 * LAKE_FILE_PATH_SIZE + 256)

struct archive_job *archive_job_of_reply(const struct archive_rest_reply *reply)
{
    struct archive_job *job = calloc(1, sizeof(*job));
    uint8_t *body = malloc(reply->body.size + 1);
    if (job == NULL || body == NULL) {
        free(job);
        free(body);
        return NULL;
    }
    if (reply->body.size > 0)
        memcpy(body, reply->body.data, reply->body.size);
    snprintf(job->symbol, sizeof(job->symbol), "%s", reply->symbol);
    snprintf(job->reason, sizeof(job->reason), "%s", reply->reason != NULL ? reply->reason : "");
    job->body = body;
    job->reply = *reply;
    job->reply.symbol = job->symbol;
    job->reply.reason = job->reason;
    job->reply.body = bytes_of(body, reply->body.size);
    return job;
}

void archive_job_free(struct archive_job *job)
{
    if (job != NULL)
        free(job->body);
    free(job);
}

int archive_maker_open(struct archive_maker *maker, const char *library, int64_t memory_mb,
                       struct lake_spool *spool, struct err *err)
{
    *maker = (struct archive_maker){.spool = spool};
    int result = duckdb_session_open(&maker->session, library, memory_mb, err);
    if (result == ERR_OK)
        result = block_table_open(&maker->session, &maker->blocks, err);
    if (result == ERR_OK)
        result = reply_table_open(&maker->session, &maker->replies, err);
    if (result != ERR_OK)
        archive_maker_close(maker);
    return result;
}

void archive_maker_close(struct archive_maker *maker)
{
    duckdb_session_close(&maker->session);
    block_table_close(maker->blocks);
    reply_table_close(maker->replies);
    *maker = (struct archive_maker){0};
}

/* DuckDB writes a new name directly, never syncs, and leaves what it began on a full disk
 * (TOOLS.md section 5): so a name of ours, a sync, a rename, and the beginning removed. */
static int archive_maker_copy(struct archive_maker *maker, const char *select, const char *begun,
                              const char *path, struct err *err)
{
    char sql[ARCHIVE_JOB_SQL_SIZE], quoted[LAKE_FILE_PATH_SIZE + 64];
    if (!duckdb_session_quote(begun, quoted, sizeof(quoted)))
        return err_set(err, ERR_INVALID, "the spool's path is too long");
    snprintf(sql, sizeof(sql), "COPY (%s) TO %s (" ARCHIVE_JOB_FORMAT ")", select, quoted);
    int result = duckdb_session_run(&maker->session, sql, err);
    if (result == ERR_OK)
        result = lake_file_sync(begun, err);
    if (result == ERR_OK)
        result = lake_file_rename(begun, path, err);
    if (result != ERR_OK)
        unlink(begun);
    return result;
}

int archive_maker_make(struct archive_maker *maker, const char *select, const char *key, char *path,
                       struct err *err)
{
    char begun[LAKE_FILE_PATH_SIZE];
    int result = lake_spool_paths(maker->spool, key, begun, path, err);
    return result == ERR_OK ? archive_maker_copy(maker, select, begun, path, err) : result;
}

static int archive_maker_block(struct archive_maker *maker, struct archive_job *job)
{
    char key[OBJECT_KEY_SIZE], select[BLOCK_TABLE_SQL_SIZE];
    if (bronze_key_of_block(&job->block->identity, key) != ERR_OK)
        return err_set(&job->err, ERR_INVALID, "a block without a name: receive time or symbol");
    block_table_set(maker->blocks, job->block);
    block_table_select(&job->block->identity, select);
    int result = archive_maker_make(maker, select, key, job->path, &job->err);
    job->rows = block_table_rows(maker->blocks);
    job->undecoded = block_table_undecoded(maker->blocks);
    block_table_set(maker->blocks, NULL);
    return result;
}

static int archive_maker_reply(struct archive_maker *maker, struct archive_job *job)
{
    char key[OBJECT_KEY_SIZE], select[REPLY_TABLE_SQL_SIZE];
    int result = reply_table_judge(maker->replies, &job->reply, &job->err);
    if (result != ERR_OK)
        return result;
    if (bronze_key_of_reply(&job->reply, key) != ERR_OK ||
        reply_table_select(&job->reply, select) != ERR_OK)
        return err_set(&job->err, ERR_MALFORMED, "a reply without a name");
    reply_table_set(maker->replies, job->reply.body);
    result = archive_maker_make(maker, select, key, job->path, &job->err);
    /* Not the disk's fault: the body holds something that the columns do not take. */
    if (result == ERR_IO && strncmp(job->err.text, "IO Error", 8) != 0 &&
        strncmp(job->err.text, "Out of Memory", 13) != 0 &&
        strncmp(job->err.text, "cannot", 6) != 0)
        result = job->err.code = ERR_MALFORMED;
    return result;
}

void archive_maker_run(struct archive_maker *maker, struct archive_job *job)
{
    const int64_t begin_us = loop_mono_us();
    job->err = (struct err){0};
    job->result =
        job->block != NULL ? archive_maker_block(maker, job) : archive_maker_reply(maker, job);
    job->elapsed_us = loop_mono_us() - begin_us;
}
