/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/store/prediction_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREDICTION_LOG_READ_MAX  256
#define PREDICTION_LOG_BATCH     1024
#define PREDICTION_LOG_LINGER_US (200 * CLOCK_US_PER_MS)

static bool prediction_log_is_shadow(const struct prediction_log *log)
{
    return log->options.role != NULL && strcmp(log->options.role, "shadow") == 0;
}

static void prediction_log_warn(struct prediction_log *log, const char *event, const char *why)
{
    uint64_t skipped;
    if (log_limit_pass(&log->limit, log->now_us, &skipped))
        log_warn(event, "symbol=%s reason=\"%s\" skipped=%llu", log->options.symbol, why,
                 (unsigned long long)skipped);
}

static void prediction_log_on_refused(void *context, struct bytes row, const char *why)
{
    (void)row;
    struct prediction_log *log = context;
    log->stats.refused++;
    prediction_log_warn(log, "row_refused", why);
}

int prediction_log_open(struct prediction_log *log, const struct prediction_log_options *options,
                        struct err *err)
{
    memset(log, 0, sizeof(*log));
    log->options = *options;
    log->limit = LOG_LIMIT_DEFAULT;
    struct row_loader_options rows = {.port = options->store,
                                      .load = &prediction_rows_load,
                                      .batch_rows = PREDICTION_LOG_BATCH,
                                      .linger_us = PREDICTION_LOG_LINGER_US,
                                      .retry_min_us = options->retry_min_us,
                                      .retry_max_us = options->retry_max_us,
                                      .refused = prediction_log_on_refused,
                                      .context = log,
                                      .seed = options->seed};
    snprintf(rows.loader, sizeof(rows.loader), "%s:%s",
             prediction_log_is_shadow(log) ? "shadow" : "predictions", options->symbol);
    int result = row_loader_open(&log->predictions, &rows, err);
    if (result != ERR_OK)
        return result;
    rows.load = &prediction_rows_mid_load;
    rows.loader[0] = '\0'; /* mids are few and come again: no position */
    rows.seed++;
    result = row_loader_open(&log->mids, &rows, err);
    if (result != ERR_OK)
        row_loader_close(&log->predictions);
    return result;
}

void prediction_log_close(struct prediction_log *log)
{
    row_loader_close(&log->predictions);
    row_loader_close(&log->mids);
}

static void prediction_log_on_position(void *context, const struct store_reply *reply)
{
    struct prediction_log *log = context;
    char *end = NULL;
    if (reply->result != ERR_OK) {
        prediction_log_warn(log, "store_position_unknown", reply->text);
        log->phase = PREDICTION_LOG_ASK;
        return;
    }
    errno = 0;
    long long slot = strtoll(reply->text, &end, 10);
    log->slot = errno == 0 && *end == '\0' && slot > 0 ? slot : 0;
    log->phase = PREDICTION_LOG_FOLLOW;
}

static void prediction_log_ask(struct prediction_log *log)
{
    const struct store_port *store = log->options.store;
    if (log->now_us < log->ask_us)
        return;
    log->ask_us = log->now_us + log->options.poll_us;
    log->phase = PREDICTION_LOG_WAIT;
    if (store->position(store->self, log->predictions.options.loader, prediction_log_on_position,
                        log) != ERR_OK)
        log->phase = PREDICTION_LOG_ASK;
}

static void prediction_log_on_entry(void *context, int64_t slot,
                                    const struct prediction_pair *pairs, int count)
{
    struct prediction_log *log = context;
    char buffer[PREDICTION_ROWS_ROW_MAX];
    struct text out = text_begin(buffer, sizeof(buffer));
    struct err err = {0};
    log->read_count++;
    if (slot <= log->slot) {
        log->stats.malformed++;
        return;
    }
    const char *role = prediction_log_is_shadow(log) ? "shadow" : "live";
    int result = prediction_rows_add(log->options.symbol, role, slot, pairs, count, &out, &err);
    /* Room was asked for before the read. */
    if (result == ERR_OK)
        result = row_loader_add(&log->predictions, bytes_of(buffer, out.size), slot, log->now_us);
    if (result == ERR_AGAIN)
        return;                                          /* read again from here */
    if (log->slot > 0 && !prediction_log_is_shadow(log)) /* a shadow comes and goes */
        log->stats.missing += (uint64_t)(slot - log->slot - 1);
    log->slot = slot;
    if (result == ERR_OK) {
        log->stats.read++;
        return;
    }
    log->stats.malformed++;
    prediction_log_warn(log, "prediction_malformed", err.text);
}

static void prediction_log_on_read(void *context, int result, uint64_t malformed)
{
    struct prediction_log *log = context;
    log->reading = false;
    log->stats.malformed += malformed;
    /* A reader that is behind does not wait for the next poll. */
    if (result == ERR_OK && log->read_count >= log->read_limit)
        log->read_us = 0;
}

static void prediction_log_read(struct prediction_log *log)
{
    const struct prediction_source *source = log->options.source;
    int room = row_loader_room(&log->predictions);
    int limit = room < PREDICTION_LOG_READ_MAX ? room : PREDICTION_LOG_READ_MAX;
    if (log->reading || limit <= 0 || log->now_us < log->read_us)
        return;
    log->read_us = log->now_us + log->options.poll_us;
    log->read_limit = limit;
    log->read_count = 0;
    log->reading = source->entries(source->self, log->slot, limit, prediction_log_on_entry,
                                   prediction_log_on_read, log) == ERR_OK;
}

/* Newest first in the text, so what is new is found before what is known. Invalid ones are
 * handed over once as well: they decide an outcome too. */
static void prediction_log_on_mids(void *context, struct bytes text)
{
    struct prediction_log *log = context;
    struct prediction_mid mid;
    int64_t newest = log->mid_slot;
    while (prediction_rows_next_mid(&text, &mid, &log->stats.malformed)) {
        char buffer[256];
        struct text out = text_begin(buffer, sizeof(buffer));
        if (mid.slot <= log->mid_slot ||
            prediction_rows_add_mid(log->options.symbol, &mid, &out, NULL) != ERR_OK)
            continue;
        if (row_loader_add(&log->mids, bytes_of(buffer, out.size), mid.slot, log->now_us) != ERR_OK)
            return; /* all of them again the next time */
        log->stats.mids++;
        newest = mid.slot > newest ? mid.slot : newest;
    }
    log->mid_slot = newest;
}

static void prediction_log_on_mids_read(void *context, int result, uint64_t malformed)
{
    (void)result;
    struct prediction_log *log = context;
    log->reading_mids = false;
    log->stats.malformed += malformed;
}

static void prediction_log_read_mids(struct prediction_log *log)
{
    const struct prediction_source *source = log->options.source;
    if (log->reading_mids || log->now_us < log->mids_us || prediction_log_is_shadow(log))
        return;
    log->mids_us = log->now_us + log->options.poll_us;
    log->reading_mids = source->mids(source->self, prediction_log_on_mids,
                                     prediction_log_on_mids_read, log) == ERR_OK;
}

int prediction_log_do_work(struct prediction_log *log, int64_t mono_us)
{
    log->now_us = mono_us;
    int work = log->options.store->do_work(log->options.store->self, mono_us);
    work += log->options.source->do_work(log->options.source->self, mono_us);
    if (log->phase == PREDICTION_LOG_ASK)
        prediction_log_ask(log);
    if (log->phase != PREDICTION_LOG_FOLLOW)
        return work;
    prediction_log_read(log);
    prediction_log_read_mids(log);
    work += row_loader_do_work(&log->predictions, mono_us);
    return work + row_loader_do_work(&log->mids, mono_us);
}
