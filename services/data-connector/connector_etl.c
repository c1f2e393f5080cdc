/* SPDX-License-Identifier: Apache-2.0 */
#include "services/data-connector/connector_etl.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/log.h"
#include "edge/loop/loop.h"

/* Objects come three at a time: a pass begins so long behind the first. */
#define CONNECTOR_ETL_GATHER_US (1 * CLOCK_US_PER_S)
/* The store or the lake may be back: sooner than by schedule. */
#define CONNECTOR_ETL_RETRY_US (5 * CLOCK_US_PER_S)
/* Between two passes so many times what the last one took, `every_s` at most: a pass has costs of
 * its own (what bronze has is listed), and the archive shares the cores with it. */
#define CONNECTOR_ETL_RESTS     4
#define CONNECTOR_ETL_PATH_SIZE LAKE_FILE_PATH_SIZE

struct connector_etl {
    struct connector_etl_options options;
    char symbol[24], lake[CONNECTOR_ETL_PATH_SIZE], work[CONNECTOR_ETL_PATH_SIZE];
    char database[PQ_TARGET_SIZE], library[CONNECTOR_ETL_PATH_SIZE];
    struct etl_job *job;
    pthread_t thread;
    bool has_thread;
    atomic_bool stop;
    pthread_mutex_t mutex; /* for what follows */
    pthread_cond_t wake;
    bool poked;
    struct connector_etl_status status;
};

/* Waits for a poke, the schedule or the end; false at the end. */
static bool connector_etl_wait(struct connector_etl *self, int64_t wait_us, bool for_poke)
{
    struct timespec until;
    int64_t end_us = loop_wall_us() + wait_us;
    until.tv_sec = (time_t)(end_us / CLOCK_US_PER_S);
    until.tv_nsec = (long)(end_us % CLOCK_US_PER_S) * 1000;
    pthread_mutex_lock(&self->mutex);
    int waited = 0;
    while (!atomic_load(&self->stop) && !(for_poke && self->poked) && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&self->wake, &self->mutex, &until);
    if (for_poke)
        self->poked = false;
    pthread_mutex_unlock(&self->mutex);
    return !atomic_load(&self->stop);
}

static void connector_etl_show(struct connector_etl *self, int result, const struct err *err)
{
    pthread_mutex_lock(&self->mutex);
    bool was_good = self->status.good;
    self->status.good = result == ERR_OK;
    snprintf(self->status.trouble, sizeof(self->status.trouble), "%.150s",
             result == ERR_OK ? "" : err->text);
    self->status.counters = *etl_job_counters(self->job);
    pthread_mutex_unlock(&self->mutex);
    if (result != ERR_OK && was_good && !atomic_load(&self->stop))
        log_warn("etl_failed", "symbol=%s reason=\"%s\"", self->symbol, err->text);
    else if (result == ERR_OK && !was_good)
        log_info("etl_works", "symbol=%s", self->symbol);
}

static int64_t connector_etl_rest_us(const struct connector_etl *self, int64_t took_us)
{
    int64_t rest_us = CONNECTOR_ETL_RESTS * took_us;
    if (rest_us < CONNECTOR_ETL_GATHER_US)
        rest_us = CONNECTOR_ETL_GATHER_US;
    return rest_us > self->options.every_us ? self->options.every_us : rest_us;
}

static void *connector_etl_thread(void *context)
{
    struct connector_etl *self = context;
    int64_t wait_us = self->options.every_us, rest_us = CONNECTOR_ETL_GATHER_US;
    prctl(PR_SET_NAME, "etl");
    while (connector_etl_wait(self, wait_us, true) && connector_etl_wait(self, rest_us, false)) {
        struct err err = {0};
        const int64_t begin_us = loop_mono_us();
        int result = etl_job_pass(self->job, &err);
        wait_us = result != ERR_OK && CONNECTOR_ETL_RETRY_US < self->options.every_us
                      ? CONNECTOR_ETL_RETRY_US
                      : self->options.every_us;
        connector_etl_show(self, result, &err);
        rest_us = connector_etl_rest_us(self, loop_mono_us() - begin_us);
    }
    return NULL;
}

static void connector_etl_copy(struct connector_etl *self,
                               const struct connector_etl_options *options)
{
    self->options = *options;
    snprintf(self->symbol, sizeof(self->symbol), "%s", options->job.symbol);
    snprintf(self->lake, sizeof(self->lake), "%s", options->job.lake);
    snprintf(self->work, sizeof(self->work), "%s", options->job.work);
    snprintf(self->database, sizeof(self->database), "%s", options->job.database);
    snprintf(self->library, sizeof(self->library), "%s", options->job.library);
    self->options.job.symbol = self->symbol;
    self->options.job.lake = self->lake;
    self->options.job.work = self->work;
    self->options.job.database = self->database;
    self->options.job.library = self->library;
    self->options.job.stop = &self->stop;
}

int connector_etl_open(const struct connector_etl_options *options, struct connector_etl **out,
                       struct err *err)
{
    struct connector_etl *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return err_set(err, ERR_MEMORY, "no memory for the ETL");
    connector_etl_copy(self, options);
    self->status = (struct connector_etl_status){.wanted = true, .good = true};
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->wake, NULL);
    int result = etl_job_open(&self->options.job, &self->job, err);
    if (result == ERR_OK) {
        self->has_thread = pthread_create(&self->thread, NULL, connector_etl_thread, self) == 0;
        result = self->has_thread ? ERR_OK : err_set(err, ERR_MEMORY, "no thread for the ETL");
    }
    if (result != ERR_OK) {
        connector_etl_close(self);
        return result;
    }
    *out = self;
    return ERR_OK;
}

void connector_etl_close(struct connector_etl *self)
{
    if (self == NULL)
        return;
    atomic_store(&self->stop, true);
    pthread_mutex_lock(&self->mutex);
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->mutex);
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    etl_job_close(self->job);
    pthread_cond_destroy(&self->wake);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

void connector_etl_poke(struct connector_etl *self)
{
    if (self == NULL)
        return;
    pthread_mutex_lock(&self->mutex);
    self->poked = true;
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->mutex);
}

void connector_etl_status(struct connector_etl *self, struct connector_etl_status *status)
{
    *status = (struct connector_etl_status){0};
    if (self == NULL)
        return;
    pthread_mutex_lock(&self->mutex);
    *status = self->status;
    pthread_mutex_unlock(&self->mutex);
}

void connector_etl_health(const struct connector_etl_status *status, struct text *out)
{
    const struct etl_job_counters *counters = &status->counters;
    text_add_format(out,
                    "\"etl\":{\"status\":\"%s\",\"passes\":%llu,\"records\":%llu,\"rows\":%llu,"
                    "\"late\":%llu,\"lag_ms\":%lld,\"trouble\":",
                    !status->wanted ? "off"
                    : status->good  ? "healthy"
                                    : "degraded",
                    (unsigned long long)counters->passes, (unsigned long long)counters->records,
                    (unsigned long long)counters->rows, (unsigned long long)counters->late,
                    (long long)(counters->lag_us / CLOCK_US_PER_MS));
    text_add_json_string(out, status->trouble, strlen(status->trouble));
    text_add(out, "},");
}

/* --- metrics ---------------------------------------------------------------------------- */

void connector_etl_metrics_open(struct connector_etl_metrics *self, struct metrics *metrics)
{
    memset(self, 0, sizeof(*self));
    self->records = metrics_counter(metrics, "data_connector_records_transformed_total", NULL,
                                    "Records of bronze that the ETL has replayed.");
    self->rows = metrics_counter(metrics, "data_connector_db_writes_total", NULL,
                                 "Rows of the ETL that are in the SQL store.");
    self->late = metrics_counter(metrics, "data_connector_etl_late_objects_total", NULL,
                                 "Objects of bronze that came behind the ETL's place: it began "
                                 "anew.");
    self->rows_failed = metrics_counter(metrics, "data_connector_etl_rows_quarantined_total", NULL,
                                        "Rows of silver that failed a check, or that the store "
                                        "refused.");
    self->objects_failed = metrics_counter(metrics, "data_connector_etl_objects_quarantined_total",
                                           NULL, "Objects of bronze that could not be read.");
    self->passes = metrics_counter(metrics, "data_connector_etl_passes_total", NULL,
                                   "Passes of the ETL, failed ones among them.");
    self->fetched = metrics_counter(metrics, "data_connector_etl_fetched_bytes_total", NULL,
                                    "Bytes of a lake on S3 that the ETL has copied to read them.");
    self->lag = metrics_gauge(metrics, "data_connector_etl_lag_seconds", NULL,
                              "How far the ETL is behind the newest block of bronze.");
}

void connector_etl_metrics_count(struct connector_etl_metrics *self,
                                 const struct connector_etl_status *status)
{
    const struct etl_job_counters *now = &status->counters, *then = &self->counted;
    if (!status->wanted)
        return;
    metric_add(self->records, now->records - then->records);
    metric_add(self->rows, now->loaded - then->loaded);
    metric_add(self->late, now->late - then->late);
    metric_add(self->rows_failed,
               now->silver.rows_failed + now->refused - then->silver.rows_failed - then->refused);
    metric_add(self->objects_failed, now->quarantined + now->silver.quarantined -
                                         then->quarantined - then->silver.quarantined);
    metric_add(self->passes, now->passes - then->passes);
    metric_add(self->fetched, now->lake.bytes_fetched - then->lake.bytes_fetched);
    metric_set(self->lag, (double)now->lag_us / (double)CLOCK_US_PER_S);
    self->counted = *now;
}
