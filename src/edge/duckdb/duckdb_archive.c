/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/duckdb/duckdb_archive.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "edge/duckdb/archive_job.h"
#include "learn/lake/bronze_key.h"

/* A first-in first-out list. */
struct archive_queue {
    struct archive_job *first, *last;
};

struct duckdb_archive {
    struct lake_spool *spool;
    char quarantine[LAKE_FILE_PATH_SIZE / 2];
    size_t memory_max, memory; /* of open and queued blocks */
    /* Room also for every block whose file could not be made. */
    struct block_memory *open[DUCKDB_ARCHIVE_OPEN_MAX + DUCKDB_ARCHIVE_JOBS_MAX];
    int open_count, recent; /* index of the block last appended to */
    int pending;            /* jobs not answered */
    int64_t now_us;
    struct duckdb_archive_counters counters;
    struct log_limit log;
    struct metric *metric_records, *metric_rows, *metric_blocks, *metric_replies, *metric_failed,
        *metric_full, *metric_quarantined, *metric_undecoded, *metric_bytes, *metric_duration;

    /* Shared with the thread, under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct archive_queue asked, made;
    bool stopping, running;
    pthread_t thread;
    struct archive_maker maker; /* the thread's own */
};

static void archive_queue_push(struct archive_queue *queue, struct archive_job *job)
{
    job->next = NULL;
    if (queue->last == NULL)
        queue->first = job;
    else
        queue->last->next = job;
    queue->last = job;
}

static struct archive_job *archive_queue_pop(struct archive_queue *queue)
{
    struct archive_job *job = queue->first;
    if (job == NULL)
        return NULL;
    queue->first = job->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return job;
}

/* --- the thread ------------------------------------------------------------------------- */

static void *duckdb_archive_thread(void *context)
{
    struct duckdb_archive *archive = context;
    prctl(PR_SET_NAME, "archive");
    pthread_mutex_lock(&archive->mutex);
    while (!archive->stopping) {
        struct archive_job *job = archive_queue_pop(&archive->asked);
        if (job == NULL) {
            pthread_cond_wait(&archive->work, &archive->mutex);
            continue;
        }
        pthread_mutex_unlock(&archive->mutex);
        archive_maker_run(&archive->maker, job);
        pthread_mutex_lock(&archive->mutex);
        archive_queue_push(&archive->made, job);
    }
    pthread_mutex_unlock(&archive->mutex);
    return NULL;
}

static void duckdb_archive_ask(struct duckdb_archive *archive, struct archive_job *job)
{
    archive->pending++;
    pthread_mutex_lock(&archive->mutex);
    archive_queue_push(&archive->asked, job);
    pthread_cond_signal(&archive->work);
    pthread_mutex_unlock(&archive->mutex);
}

/* --- blocks ----------------------------------------------------------------------------- */

static int duckdb_archive_find(struct duckdb_archive *archive, const struct archive_block *block)
{
    if (archive->recent < archive->open_count &&
        bronze_key_block_equal(&archive->open[archive->recent]->identity, block))
        return archive->recent;
    for (int i = 0; i < archive->open_count; i++)
        if (bronze_key_block_equal(&archive->open[i]->identity, block))
            return i;
    return -1;
}

static int duckdb_archive_begin(struct duckdb_archive *archive, const struct archive_block *block)
{
    if (archive->open_count >= DUCKDB_ARCHIVE_OPEN_MAX)
        return ERR_AGAIN;
    struct block_memory *fresh = block_memory_new(block);
    if (fresh == NULL)
        return ERR_AGAIN;
    archive->open[archive->open_count] = fresh;
    return archive->open_count++;
}

static bool duckdb_archive_no_room(const struct duckdb_archive *archive)
{
    return lake_spool_crowded(archive->spool) || lake_spool_full(archive->spool) ||
           (archive->memory >= archive->memory_max && archive->pending > 0);
}

static int duckdb_archive_append(void *self, const struct archive_block *block,
                                 const struct record *record)
{
    struct duckdb_archive *archive = self;
    if (duckdb_archive_no_room(archive))
        return ERR_AGAIN;
    int index = duckdb_archive_find(archive, block);
    if (index < 0)
        index = duckdb_archive_begin(archive, block);
    if (index < 0)
        return ERR_AGAIN;
    struct block_memory *memory = archive->open[index];
    const size_t before = memory->bytes;
    if (block_memory_add(memory, record) != ERR_OK)
        return ERR_AGAIN;
    archive->recent = index;
    archive->memory += memory->bytes - before;
    archive->counters.records++;
    if (archive->metric_records != NULL)
        metric_add(archive->metric_records, 1);
    return ERR_OK;
}

static struct block_memory *duckdb_archive_take(struct duckdb_archive *archive, int index)
{
    struct block_memory *memory = archive->open[index];
    archive->open[index] = archive->open[--archive->open_count];
    archive->recent = 0;
    return memory;
}

static int duckdb_archive_finish(void *self, const struct archive_block *block,
                                 archive_done_fn done, void *context)
{
    struct duckdb_archive *archive = self;
    int index = duckdb_archive_find(archive, block);
    if (index < 0)
        return ERR_NOT_FOUND;
    if (archive->pending >= DUCKDB_ARCHIVE_JOBS_MAX || lake_spool_full(archive->spool))
        return ERR_AGAIN;
    struct archive_job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return ERR_AGAIN;
    job->block = duckdb_archive_take(archive, index);
    job->done = done;
    job->context = context;
    duckdb_archive_ask(archive, job);
    return ERR_OK;
}

static void duckdb_archive_forget(struct duckdb_archive *archive, struct block_memory *memory)
{
    archive->memory -= memory->bytes;
    block_memory_free(memory);
}

static void duckdb_archive_discard(void *self, const struct archive_block *block)
{
    struct duckdb_archive *archive = self;
    int index = duckdb_archive_find(archive, block);
    if (index >= 0)
        duckdb_archive_forget(archive, duckdb_archive_take(archive, index));
}

/* --- replies ---------------------------------------------------------------------------- */

static int duckdb_archive_rest(void *self, const struct archive_rest_reply *reply,
                               archive_done_fn done, void *context)
{
    struct duckdb_archive *archive = self;
    char key[OBJECT_KEY_SIZE];
    if (reply->body.size > DUCKDB_ARCHIVE_BODY_MAX || bronze_key_of_reply(reply, key) != ERR_OK ||
        (reply->reason != NULL && strlen(reply->reason) >= REPLY_TABLE_REASON_SIZE))
        return ERR_INVALID;
    if (archive->pending >= DUCKDB_ARCHIVE_JOBS_MAX || lake_spool_full(archive->spool))
        return ERR_AGAIN;
    struct archive_job *job = archive_job_of_reply(reply);
    if (job == NULL)
        return ERR_AGAIN;
    job->done = done;
    job->context = context;
    duckdb_archive_ask(archive, job);
    return ERR_OK;
}

/* The bytes of a refused reply, for people to look at. */
static void duckdb_archive_quarantine(struct duckdb_archive *archive, struct archive_job *job)
{
    char path[LAKE_FILE_PATH_SIZE];
    struct err err = {0};
    archive->counters.quarantined++;
    if (archive->metric_quarantined != NULL)
        metric_add(archive->metric_quarantined, 1);
    snprintf(path, sizeof(path), "%s/%s_%s_%" PRId64 "_%" PRIu64 ".json", archive->quarantine,
             job->symbol, bronze_key_rest_text(job->reply.type), job->reply.received_us,
             archive->counters.quarantined);
    const char *kept = path;
    if (archive->quarantine[0] == '\0' ||
        archive->counters.quarantined > DUCKDB_ARCHIVE_QUARANTINE_MAX)
        kept = "";
    else if (lake_file_make_folders(path, true, &err) != ERR_OK ||
             lake_file_write(path, job->reply.body, &err) != ERR_OK)
        kept = err.text;
    log_warn("reply_quarantined", "type=%s symbol=%s bytes=%zu reason=\"%s\" kept=\"%s\"",
             bronze_key_rest_text(job->reply.type), job->symbol, job->reply.body.size,
             job->err.text, kept);
}

/* --- answers ---------------------------------------------------------------------------- */

static void duckdb_archive_count(struct duckdb_archive *archive, const struct archive_job *job)
{
    struct duckdb_archive_counters *counters = &archive->counters;
    const bool block = job->block != NULL;
    counters->blocks += block;
    counters->replies += !block;
    counters->rows += job->rows;
    counters->undecoded += job->undecoded;
    if (archive->metric_rows == NULL)
        return;
    metric_add(block ? archive->metric_blocks : archive->metric_replies, 1);
    metric_add(archive->metric_rows, job->rows);
    metric_add(archive->metric_undecoded, job->undecoded);
    metric_observe_ns(archive->metric_duration, job->elapsed_us * 1000);
}

static void duckdb_archive_failed(struct duckdb_archive *archive, const struct archive_job *job)
{
    uint64_t skipped = 0;
    archive->counters.failed++;
    archive->counters.full += job->result == ERR_FULL;
    if (archive->metric_failed != NULL)
        metric_add(job->result == ERR_FULL ? archive->metric_full : archive->metric_failed, 1);
    if (log_limit_pass(&archive->log, archive->now_us, &skipped))
        log_error("file_not_made", "full=%d skipped=%" PRIu64 " reason=\"%s\"",
                  job->result == ERR_FULL, skipped, job->err.text);
}

/* A block whose file could not be made is open again, before what came for it meanwhile. */
static void duckdb_archive_reopen(struct duckdb_archive *archive, struct block_memory *block)
{
    struct block_cursor cursor = {0};
    struct record record;
    int index = duckdb_archive_find(archive, &block->identity);
    if (index >= 0) {
        struct block_memory *later = archive->open[index];
        while (block_memory_next(later, &cursor, &record)) {
            const size_t before = block->bytes;
            if (block_memory_add(block, &record) != ERR_OK)
                break;
            archive->memory += block->bytes - before;
        }
        duckdb_archive_forget(archive, later);
        archive->open[index] = block;
    } else {
        archive->open[archive->open_count++] = block;
    }
}

static void duckdb_archive_answer(struct duckdb_archive *archive, struct archive_job *job)
{
    archive->pending--;
    archive->counters.write_us += job->elapsed_us;
    if (job->result == ERR_OK)
        job->result = lake_spool_add(archive->spool, job->path, &job->err);
    if (job->result == ERR_OK)
        duckdb_archive_count(archive, job);
    else if (job->result == ERR_MALFORMED && job->block == NULL)
        duckdb_archive_quarantine(archive, job);
    else
        duckdb_archive_failed(archive, job);
    if (job->block != NULL) {
        if (job->result == ERR_OK)
            duckdb_archive_forget(archive, job->block);
        else
            duckdb_archive_reopen(archive, job->block);
    }
    struct archive_reply reply = {.result = job->result, .text = job->err.text};
    if (job->done != NULL)
        job->done(job->context, &reply);
    archive_job_free(job);
}

static int duckdb_archive_do_work(void *self, int64_t mono_us)
{
    struct duckdb_archive *archive = self;
    int done = 0;
    archive->now_us = mono_us;
    pthread_mutex_lock(&archive->mutex);
    struct archive_queue made = archive->made;
    archive->made = (struct archive_queue){0};
    pthread_mutex_unlock(&archive->mutex);
    for (struct archive_job *job; (job = archive_queue_pop(&made)) != NULL; done++)
        duckdb_archive_answer(archive, job);
    return done + lake_spool_do_work(archive->spool, mono_us);
}

static void duckdb_archive_status(void *self, struct archive_status *status)
{
    struct duckdb_archive *archive = self;
    *status = (struct archive_status){.lake_ready = lake_spool_ready(archive->spool),
                                      .no_room = duckdb_archive_no_room(archive),
                                      .spool_full = lake_spool_crowded(archive->spool),
                                      .journal_bytes = lake_spool_journal_bytes(archive->spool),
                                      .spool_bytes = lake_spool_bytes(archive->spool),
                                      .spool_bytes_max = lake_spool_bytes_max(archive->spool),
                                      .spool_files = lake_spool_files(archive->spool)};
}

/* --- open and close --------------------------------------------------------------------- */

static void duckdb_archive_metrics(struct duckdb_archive *archive, struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    archive->metric_records = metrics_counter(metrics, "data_connector_records_total", NULL,
                                              "Records taken into blocks of bronze.");
    archive->metric_rows = metrics_counter(metrics, "data_connector_records_transformed_total",
                                           NULL, "Rows written to Parquet files.");
    archive->metric_blocks = metrics_counter(metrics, "data_connector_blocks_total", NULL,
                                             "Blocks of records made into Parquet files.");
    archive->metric_replies = metrics_counter(metrics, "data_connector_replies_total", NULL,
                                              "REST replies made into Parquet files.");
    archive->metric_failed =
        metrics_counter(metrics, "data_connector_file_failures_total", "cause=\"error\"",
                        "Parquet files that could not be made; tried again.");
    archive->metric_full =
        metrics_counter(metrics, "data_connector_file_failures_total", "cause=\"disk_full\"",
                        "Parquet files that could not be made; tried again.");
    archive->metric_quarantined =
        metrics_counter(metrics, "data_connector_quarantined_total", NULL,
                        "REST replies that are none, put aside with their bytes.");
    archive->metric_undecoded =
        metrics_counter(metrics, "data_connector_undecoded_total", NULL,
                        "Frames archived raw because they could not be decoded.");
    archive->metric_duration = metrics_histogram(metrics, "data_connector_job_duration_seconds",
                                                 NULL, "Time to make one Parquet file.");
}

static int duckdb_archive_start(struct duckdb_archive *archive, struct err *err)
{
    if (pthread_create(&archive->thread, NULL, duckdb_archive_thread, archive) != 0)
        return err_set(err, ERR_MEMORY, "no thread for the archive");
    archive->running = true;
    return ERR_OK;
}

int duckdb_archive_open(const struct duckdb_archive_options *options, struct duckdb_archive **out,
                        struct err *err)
{
    struct duckdb_archive *archive = calloc(1, sizeof(*archive));
    if (archive == NULL)
        return err_set(err, ERR_MEMORY, "archive");
    archive->spool = options->spool;
    archive->memory_max =
        options->memory_bytes_max > 0 ? options->memory_bytes_max : DUCKDB_ARCHIVE_MEMORY_MAX;
    archive->log = LOG_LIMIT_DEFAULT;
    snprintf(archive->quarantine, sizeof(archive->quarantine), "%s",
             options->quarantine_folder != NULL ? options->quarantine_folder : "");
    pthread_mutex_init(&archive->mutex, NULL);
    pthread_cond_init(&archive->work, NULL);
    duckdb_archive_metrics(archive, options->metrics);
    int result = archive_maker_open(&archive->maker, options->library, options->duckdb_memory_mb,
                                    options->spool, err);
    if (result == ERR_OK)
        result = duckdb_archive_start(archive, err);
    if (result != ERR_OK) {
        duckdb_archive_close(archive);
        return result;
    }
    *out = archive;
    return ERR_OK;
}

static void duckdb_archive_drop(struct archive_queue *queue)
{
    for (struct archive_job *job; (job = archive_queue_pop(queue)) != NULL;) {
        block_memory_free(job->block);
        archive_job_free(job);
    }
}

void duckdb_archive_close(struct duckdb_archive *archive)
{
    if (archive == NULL)
        return;
    if (archive->running) {
        pthread_mutex_lock(&archive->mutex);
        archive->stopping = true;
        pthread_cond_signal(&archive->work);
        pthread_mutex_unlock(&archive->mutex);
        pthread_join(archive->thread, NULL);
    }
    duckdb_archive_drop(&archive->asked);
    duckdb_archive_drop(&archive->made);
    for (int i = 0; i < archive->open_count; i++)
        block_memory_free(archive->open[i]);
    archive_maker_close(&archive->maker);
    pthread_cond_destroy(&archive->work);
    pthread_mutex_destroy(&archive->mutex);
    free(archive);
}

struct archive_port duckdb_archive_port(struct duckdb_archive *archive)
{
    return (struct archive_port){
        .self = archive,
        .append = duckdb_archive_append,
        .finish = duckdb_archive_finish,
        .discard = duckdb_archive_discard,
        .rest = duckdb_archive_rest,
        .status = duckdb_archive_status,
        .do_work = duckdb_archive_do_work,
    };
}

const struct duckdb_archive_counters *duckdb_archive_counters(const struct duckdb_archive *archive)
{
    return &archive->counters;
}

int duckdb_archive_pending(const struct duckdb_archive *archive)
{
    return archive->pending;
}
