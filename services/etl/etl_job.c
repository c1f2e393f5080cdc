/* SPDX-License-Identifier: Apache-2.0 */
#include "services/etl/etl_job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/duckdb/bronze_list.h"
#include "edge/duckdb/duckdb_bronze.h"
#include "learn/lake/bronze_key.h"
#include "services/etl/etl_lake.h"
#include "services/etl/etl_late.h"

#define ETL_JOB_MINUTE_US INT64_C(60000000)
#define ETL_JOB_HOUR_US   (60 * ETL_JOB_MINUTE_US)

struct etl_job {
    struct etl_job_options options;
    char place_path[LAKE_FILE_PATH_SIZE];
    struct etl_job_counters counters;
    struct etl_world *world;
    bool current; /* the world and the files are at the place */
    struct etl_place place;
    struct etl_files files;
    struct duckdb_session session;
    struct etl_lake lake;
    /* Of the pass under way. */
    struct bronze_list list;
    struct etl_store store;
    int64_t until_us, end_us;      /* records before the one are taken; the newest block's end */
    int64_t first_slot, last_slot; /* that came out of it; 0: none */
    int64_t stored_slot;
    uint64_t counted_loaded, counted_refused;
    int lock; /* of the work folder; -1: none */
};

/* --- rows ------------------------------------------------------------------------------- */

static int etl_job_row(struct etl_job *job, enum etl_file kind, enum etl_table table, int64_t slot,
                       const struct text *text, struct err *err)
{
    struct bytes line = bytes_of(text->at, text->size);
    job->first_slot = job->first_slot == 0 || slot < job->first_slot ? slot : job->first_slot;
    job->last_slot = slot > job->last_slot ? slot : job->last_slot;
    int result = etl_files_add(&job->files, kind, slot, line, err);
    return result == ERR_OK ? etl_store_add(&job->store, table, line, slot, err) : result;
}

static int etl_job_on_slot(void *context, const struct etl_slot *slot, struct err *err)
{
    struct etl_job *job = context;
    char buffer[ETL_ROWS_ROW_MAX];
    struct text text = text_begin(buffer, sizeof(buffer));
    job->counters.slots++;
    int result = etl_rows_add_slot(job->options.symbol, slot, &text, err);
    if (result == ERR_EMPTY)
        return ERR_OK;
    if (result == ERR_OK)
        result = etl_job_row(job, ETL_FILE_ROWS, ETL_FEATURES, slot->slot, &text, err);
    if (result == ERR_OK) {
        job->counters.rows++;
        job->stored_slot = slot->slot;
    }
    return result;
}

static int etl_job_on_mid(void *context, const struct world_slot_mid *mid, int exponent,
                          struct err *err)
{
    struct etl_job *job = context;
    char buffer[ETL_ROWS_ROW_MAX];
    struct text text = text_begin(buffer, sizeof(buffer));
    if (mid->mid2 <= 0)
        return ERR_OK; /* none is known */
    job->counters.mids++;
    int result = etl_rows_add_mid(job->options.symbol, mid, exponent, &text, err);
    return result == ERR_OK ? etl_job_row(job, ETL_FILE_MIDS, ETL_MIDS, mid->slot, &text, err)
                            : result;
}

/* --- what bronze has -------------------------------------------------------------------- */

static int etl_job_look(struct etl_job *job, struct err *err)
{
    int64_t from = job->place.minute_count > 0
                       ? job->place.first_minute + job->place.minute_count - ETL_PLACE_MINUTES
                       : 0;
    int64_t newest = -1;
    bronze_list_free(&job->list);
    lake_files_forget_aside(job->lake.files);
    int result =
        bronze_list_make(job->lake.files, job->options.symbol, from, INT64_MAX, &job->list, err);
    for (size_t i = 0; i < job->list.count; i++)
        if (job->list.files[i].identity.minute > newest)
            newest = job->list.files[i].identity.minute;
    job->end_us = (newest + 1) * ETL_JOB_MINUTE_US;
    job->until_us = job->end_us - job->options.settle_us;
    return result;
}

/* --- the place -------------------------------------------------------------------------- */

static int etl_job_begin(struct etl_job *job, bool anew, struct err *err)
{
    struct etl_sink sink = {.context = job, .slot = etl_job_on_slot, .mid = etl_job_on_mid};
    etl_world_close(job->world);
    job->world = NULL;
    memset(&job->place, 0, sizeof(job->place));
    int result = etl_world_open(job->options.symbol, &sink, &job->world, err);
    if (result == ERR_OK && !anew) {
        struct err why = {0};
        result = etl_place_load(job->place_path, &job->place, job->world, &why);
        if (result == ERR_OK &&
            etl_files_begin(&job->files, job->options.work, &job->place.files, &why) == ERR_OK)
            return ERR_OK;
        if (result != ERR_NOT_FOUND)
            log_warn("etl_anew", "symbol=%s reason=\"%s\"", job->options.symbol, why.text);
        return etl_job_begin(job, true, err);
    }
    job->stored_slot = 0;
    return result == ERR_OK
               ? etl_files_begin(&job->files, job->options.work, &job->place.files, err)
               : result;
}

/* The world where the place says; from the very beginning when that is no longer right. */
static int etl_job_find_place(struct etl_job *job, struct err *err)
{
    const char *why = NULL;
    int64_t minute = 0;
    int result = job->current ? ERR_OK : etl_job_begin(job, false, err);
    if (result != ERR_OK)
        return result;
    if (job->list.count > 0 && etl_late_find(&job->list, job->lake.files, &job->place, &minute)) {
        why = "an object came late";
        job->counters.late++;
    } else if (job->store.store != NULL && job->place.minute_count > 0 &&
               (!job->place.with_store || job->store.position < job->place.stored_slot)) {
        why = "the store does not have the rows";
    }
    job->current = true;
    if (why == NULL)
        return ERR_OK;
    log_info("etl_anew", "symbol=%s reason=\"%s\" minute=%" PRId64, job->options.symbol, why,
             minute);
    return etl_job_begin(job, true, err);
}

static int etl_job_keep_place(struct etl_job *job, struct err *err)
{
    uint64_t epoch, seq;
    int64_t recv_us;
    etl_world_place(job->world, &epoch, &seq, &recv_us);
    job->place.with_store = job->store.store != NULL;
    job->place.stored_slot = job->stored_slot > 0 ? job->stored_slot : job->place.stored_slot;
    /* The minute it stands in is not whole, unless everything was taken. */
    int64_t whole_us = job->options.settle_us == 0 ? job->end_us : recv_us;
    etl_late_note(&job->list, job->lake.files, whole_us / ETL_JOB_MINUTE_US - 1, &job->place);
    int result = etl_files_sync(&job->files, &job->place.files, err);
    return result == ERR_OK ? etl_place_save(job->place_path, &job->place, job->world, err)
                            : result;
}

/* --- a pass ----------------------------------------------------------------------------- */

/* A number is missing between two records: it may still come. */
static bool etl_job_waits(struct etl_job *job, const struct record *record)
{
    uint64_t epoch, seq;
    int64_t recv_us;
    etl_world_place(job->world, &epoch, &seq, &recv_us);
    if (record_is_control(record) || epoch == 0 || record->epoch != epoch || record->seq <= seq + 1)
        return false;
    if (job->end_us - record->recv_us < job->options.patience_us)
        return true;
    job->counters.holes++;
    return false;
}

static int etl_job_replay(struct etl_job *job, struct duckdb_bronze *bronze, struct err *err)
{
    struct record record;
    int result;
    while ((result = duckdb_bronze_next(bronze, &record, err)) == ERR_OK) {
        if (atomic_load(job->options.stop))
            return err_set(err, ERR_AGAIN, "told to stop");
        if (etl_job_waits(job, &record))
            break;
        job->counters.records++;
        result = etl_world_apply(job->world, &record, err);
        if (result != ERR_OK)
            return result;
    }
    const struct duckdb_bronze_counters *counters = duckdb_bronze_counters(bronze);
    job->counters.corrupt += counters->corrupt;
    job->counters.quarantined += counters->quarantined;
    return result == ERR_EMPTY || result == ERR_OK ? etl_world_end(job->world, err) : result;
}

static int etl_job_read(struct etl_job *job, struct err *err)
{
    uint64_t epoch, seq;
    int64_t recv_us;
    struct duckdb_bronze *bronze = NULL;
    etl_world_place(job->world, &epoch, &seq, &recv_us);
    /* From the block of the last record on; it passes over what it has seen. */
    struct duckdb_bronze_options options = {.lake = job->lake.files,
                                            .symbol = job->options.symbol,
                                            .library = job->options.library,
                                            .from_us =
                                                recv_us / ETL_JOB_MINUTE_US * ETL_JOB_MINUTE_US,
                                            .to_us = job->until_us,
                                            .after_epoch = epoch,
                                            .after_seq = seq};
    int result = duckdb_bronze_open(&options, &bronze, err);
    if (result == ERR_OK)
        result = etl_job_replay(job, bronze, err);
    duckdb_bronze_close(bronze);
    return result == ERR_NOT_FOUND ? ERR_OK : result; /* nothing is settled yet */
}

static int etl_job_silver(struct etl_job *job, int64_t from_hour, int64_t to_hour,
                          const struct etl_files *files, int64_t until_us, struct err *err)
{
    struct etl_silver silver = {.session = &job->session,
                                .lake = job->lake.files,
                                .symbol = job->options.symbol,
                                .files = files,
                                .store = &job->store,
                                .counters = job->counters.silver};
    int result = ERR_OK;
    for (int64_t hour = from_hour; hour <= to_hour && result == ERR_OK; hour++) {
        if (atomic_load(job->options.stop))
            return err_set(err, ERR_AGAIN, "told to stop");
        job->counters.hours++;
        result = etl_silver_hour(&silver, hour, until_us, err);
    }
    job->counters.silver = silver.counters;
    return result;
}

/* The hours that got rows, and the one before them: its last labels, and what a backfill brought.
 */
static int etl_job_write(struct etl_job *job, struct err *err)
{
    if (job->first_slot == 0)
        return ERR_OK;
    uint64_t epoch, seq;
    int64_t recv_us;
    struct etl_files_place at;
    etl_world_place(job->world, &epoch, &seq, &recv_us);
    int64_t last = job->last_slot / ETL_FILES_SLOTS_HOUR;
    int result = etl_files_sync(&job->files, &at, err);
    if (result == ERR_OK)
        result = etl_job_silver(job, job->first_slot / ETL_FILES_SLOTS_HOUR - 1, last, &job->files,
                                job->options.settle_us == 0 ? job->end_us : recv_us, err);
    return result;
}

static int etl_job_take(struct etl_job *job, struct err *err)
{
    job->first_slot = job->last_slot = 0;
    int result = etl_job_find_place(job, err);
    if (result == ERR_OK)
        result = etl_job_read(job, err);
    if (result == ERR_OK)
        result = etl_job_write(job, err);
    if (result == ERR_OK)
        result = etl_store_drain(&job->store, err);
    if (result == ERR_OK && job->first_slot != 0) {
        result = etl_job_keep_place(job, err);
        if (result == ERR_OK)
            etl_files_prune(&job->files, job->last_slot / ETL_FILES_SLOTS_HOUR - 1);
    }
    return result;
}

static int etl_job_connect(struct etl_job *job, struct err *err)
{
    return etl_store_open(&job->store, job->options.database, job->options.symbol,
                          job->options.stop, err);
}

/* The connection stays for the next pass, unless something is wrong. */
static void etl_job_disconnect(struct etl_job *job, int result)
{
    job->counters.loaded += job->store.loaded - job->counted_loaded;
    job->counters.refused += job->store.refused - job->counted_refused;
    if (result != ERR_OK)
        etl_store_close(&job->store);
    job->counted_loaded = job->store.loaded;
    job->counted_refused = job->store.refused;
}

int etl_job_pass(struct etl_job *job, struct err *err)
{
    int result = etl_job_look(job, err);
    job->counters.passes++;
    if (result == ERR_NOT_FOUND)
        return ERR_OK; /* no bronze yet */
    if (result == ERR_OK)
        result = etl_job_connect(job, err);
    if (result == ERR_OK)
        result = etl_job_take(job, err);
    etl_job_disconnect(job, result);
    job->counters.lake = lake_files_counters(job->lake.files);
    if (result != ERR_OK) {
        job->current = false; /* what was taken is taken again */
        etl_files_close(&job->files);
        return result;
    }
    uint64_t epoch, seq;
    etl_world_place(job->world, &epoch, &seq, &job->counters.newest_us);
    job->counters.lag_us = job->end_us - job->counters.newest_us;
    return ERR_OK;
}

int etl_job_again(struct etl_job *job, int64_t from_hour, int64_t to_hour, struct err *err)
{
    int result = etl_job_connect(job, err);
    if (result == ERR_OK)
        result =
            etl_job_silver(job, from_hour, to_hour, NULL, (to_hour + 1) * ETL_JOB_HOUR_US, err);
    if (result == ERR_OK)
        result = etl_store_drain(&job->store, err);
    etl_job_disconnect(job, result);
    return result;
}

/* --- open and close --------------------------------------------------------------------- */

/* One at a time: two would not see each other's place. Goes with the process, also when it is
 * killed. */
static int etl_job_lock(struct etl_job *job, struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE];
    snprintf(path, sizeof(path), "%.900s/lock-%s", job->options.work, job->options.symbol);
    int result = lake_file_make_folders(path, true, err);
    if (result != ERR_OK)
        return result;
    job->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (job->lock < 0)
        return err_set(err, lake_file_code(errno), "%s: %s", path, strerror(errno));
    if (flock(job->lock, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_AGAIN, "another ETL of %s is at work in %s", job->options.symbol,
                       job->options.work);
    return ERR_OK;
}

/* After the lock: the cache is emptied. */
static int etl_job_open_lake(struct etl_job *job, struct err *err)
{
    char cache[LAKE_FILE_PATH_SIZE / 2];
    struct etl_lake_options options = {.where = job->options.lake,
                                       .cache = cache,
                                       .cache_mb = job->options.cache_mb,
                                       .stop = job->options.stop};
    if (snprintf(cache, sizeof(cache), "%s/cache-%s", job->options.work, job->options.symbol) >=
        (int)sizeof(cache))
        return err_set(err, ERR_CONFIG, "%.80s: the path is too long", job->options.work);
    return etl_lake_open(&job->lake, &options, err);
}

int etl_job_open(const struct etl_job_options *options, struct etl_job **out, struct err *err)
{
    struct etl_job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return err_set(err, ERR_MEMORY, "no memory for an ETL");
    job->options = *options;
    job->lock = -1;
    int result = ERR_OK;
    if (snprintf(job->place_path, sizeof(job->place_path), "%s/place-%s", options->work,
                 options->symbol) >= LAKE_FILE_PATH_SIZE / 2)
        result = err_set(err, ERR_CONFIG, "%.80s: the path is too long", options->work);
    if (result == ERR_OK)
        result = etl_job_lock(job, err);
    if (result == ERR_OK)
        result = etl_job_open_lake(job, err);
    if (result == ERR_OK)
        result = duckdb_session_open(&job->session, options->library, options->memory_mb, err);
    if (result != ERR_OK) {
        etl_job_close(job);
        return result;
    }
    *out = job;
    return ERR_OK;
}

void etl_job_close(struct etl_job *job)
{
    if (job == NULL)
        return;
    etl_store_close(&job->store);
    etl_world_close(job->world);
    etl_files_close(&job->files);
    bronze_list_free(&job->list);
    etl_lake_close(&job->lake);
    if (job->session.api != NULL)
        duckdb_session_close(&job->session);
    if (job->lock >= 0)
        close(job->lock);
    free(job);
}

const struct etl_job_counters *etl_job_counters(const struct etl_job *job)
{
    return &job->counters;
}
