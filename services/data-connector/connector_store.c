/* SPDX-License-Identifier: Apache-2.0 */
#include "services/data-connector/connector_store.h"

#include <stdio.h>
#include <string.h>

#define CONNECTOR_STORE_POLL_US      (500 * CLOCK_US_PER_MS)
#define CONNECTOR_STORE_RETRY_MIN_US (100 * CLOCK_US_PER_MS)
#define CONNECTOR_STORE_RETRY_MAX_US (10 * CLOCK_US_PER_S)

static void connector_store_metrics(struct connector_store *self, struct metrics *metrics)
{
    self->shadows = metrics_counter(metrics, "store_shadow_rows_loaded_total", NULL,
                                    "Predictions of a shadow model that are in the SQL store.");
    self->loaded = metrics_counter(metrics, "store_rows_loaded_total", "table=\"predictions_log\"",
                                   "Rows that are in the SQL store.");
    self->refused = metrics_counter(metrics, "store_rows_refused_total", NULL,
                                    "Rows and records that could not be loaded for good.");
    self->missing = metrics_counter(metrics, "store_predictions_missing_total", NULL,
                                    "Slots of which the stream had no prediction.");
    self->waiting = metrics_gauge(metrics, "store_rows_waiting", NULL,
                                  "Rows that are not in the SQL store yet.");
    self->connected =
        metrics_gauge(metrics, "store_connected", NULL, "1 while the SQL store answers.");
}

/* What was published, and what the shadow said beside it. */
static int connector_store_open_logs(struct connector_store *self, const char *symbol,
                                     uint64_t seed, struct err *err)
{
    struct prediction_log_options log = {.store = pq_store_port(self->store),
                                         .source = &self->source.source,
                                         .role = "live",
                                         .poll_us = CONNECTOR_STORE_POLL_US,
                                         .retry_min_us = CONNECTOR_STORE_RETRY_MIN_US,
                                         .retry_max_us = CONNECTOR_STORE_RETRY_MAX_US,
                                         .seed = seed};
    snprintf(log.symbol, sizeof(log.symbol), "%s", symbol);
    int result = prediction_log_open(&self->log, &log, err);
    if (result != ERR_OK)
        return result;
    log.source = &self->shadow_source.source;
    log.role = "shadow";
    log.seed = seed + 2;
    result = prediction_log_open(&self->shadow_log, &log, err);
    if (result != ERR_OK)
        prediction_log_close(&self->log);
    return result;
}

int connector_store_open(struct connector_store *self, const char *database, const char *symbol,
                         enum state_key_style style, struct redis_link *link, struct loop *loop,
                         struct metrics *metrics, struct err *err)
{
    uint64_t seed = (uint64_t)loop_wall_us();
    memset(self, 0, sizeof(*self));
    if (database[0] == '\0')
        return ERR_OK;
    struct pq_link_options options = {.target = database, .seed = seed};
    int result = pq_store_open(&options, loop, &self->store, err);
    if (result != ERR_OK)
        return err_wrap(err, result, PQ_TARGET_ENV);
    redis_predictions_init(&self->source, link, STATE_PREDICTIONS, style, symbol);
    redis_predictions_init(&self->shadow_source, link, STATE_SHADOW, style, symbol);
    result = connector_store_open_logs(self, symbol, seed, err);
    if (result != ERR_OK) {
        pq_store_close(self->store);
        self->store = NULL;
        return result;
    }
    connector_store_metrics(self, metrics);
    return ERR_OK;
}

/* After the Redis link was closed: nothing is answered any more then. */
void connector_store_close(struct connector_store *self)
{
    if (self->store == NULL)
        return;
    pq_store_close(self->store);
    prediction_log_close(&self->log);
    prediction_log_close(&self->shadow_log);
    self->store = NULL;
}

static void connector_store_count(struct connector_store *self)
{
    const struct prediction_log_stats *stats = &self->log.stats;
    uint64_t loaded = self->log.predictions.stats.loaded;
    metric_add(self->loaded, loaded - self->counted_loaded);
    uint64_t shadows = self->shadow_log.predictions.stats.loaded;
    metric_add(self->shadows, shadows - self->counted_shadows);
    self->counted_shadows = shadows;
    metric_add(self->missing, stats->missing - self->counted.missing);
    metric_add(self->refused,
               stats->refused + stats->malformed - self->counted.refused - self->counted.malformed);
    metric_set(self->waiting, row_loader_waiting(&self->log.predictions));
    metric_set(self->connected, pq_link_connected(pq_store_link(self->store)));
    self->counted = *stats;
    self->counted_loaded = loaded;
}

int connector_store_do_work(struct connector_store *self, int64_t mono_us)
{
    if (self->store == NULL)
        return 0;
    int work = prediction_log_do_work(&self->log, mono_us);
    work += prediction_log_do_work(&self->shadow_log, mono_us);
    connector_store_count(self);
    return work;
}

struct connector_store_status connector_store_status(const struct connector_store *self)
{
    if (self->store == NULL)
        return (struct connector_store_status){0};
    return (struct connector_store_status){
        .wanted = true,
        .connected = pq_link_connected(pq_store_link(self->store)),
        .waiting = row_loader_waiting(&self->log.predictions) +
                   row_loader_waiting(&self->shadow_log.predictions),
        .loaded = self->log.predictions.stats.loaded,
        .refused = self->log.stats.refused + self->log.stats.malformed};
}
