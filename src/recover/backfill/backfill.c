/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/backfill/backfill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "recover/anchor/anchor_judge.h"
#include "recover/backfill/backfill_self.h"

#define BACKFILL_FIELDS        12
#define BACKFILL_SAVE_RETRY_US CLOCK_US_PER_S

static void backfill_fields(struct backfill *backfill, struct progress_field *fields)
{
    const struct progress_field all[BACKFILL_FIELDS] = {
        {"place_ms", &backfill->place.ms},
        {"place_seq", &backfill->place.seq},
        {"next_id", &backfill->next_id},
        {"page_first", &backfill->page_first},
        {"page_last", &backfill->page_last},
        {"page_count", &backfill->page_count},
        {"page_type", &backfill->page_type},
        {"page_requested_us", &backfill->page_requested_us},
        {"page_received_us", &backfill->page_received_us},
        {"last_kind", &backfill->last.kind},
        {"last_epoch", &backfill->last.epoch},
        {"last_seq", &backfill->last.seq},
    };
    memcpy(fields, all, sizeof(all));
}

bool backfill_save(struct backfill *backfill)
{
    struct progress_field fields[BACKFILL_FIELDS];
    struct err err = {0};
    if (backfill->now.mono_us < backfill->save_us)
        return false;
    backfill_fields(backfill, fields);
    if (progress_save(&backfill->options.progress, fields, BACKFILL_FIELDS, &err) == ERR_OK)
        return true;
    metric_add(backfill->save_errors, 1);
    backfill->save_us = backfill->now.mono_us + BACKFILL_SAVE_RETRY_US;
    log_warn("progress_not_saved", "agent=backfill symbol=%s reason=\"%s\"",
             backfill->options.symbol, err.text);
    return false;
}

void backfill_lose(struct backfill *backfill, int64_t first, int64_t last)
{
    if (last < first)
        return;
    uint64_t count = (uint64_t)(last - first + 1);
    backfill->gone += count;
    backfill->status.lost += count;
    metric_add(backfill->lost_total, count);
    log_warn("trades_lost", "symbol=%s first=%lld last=%lld", backfill->options.symbol,
             (long long)first, (long long)last);
}

/* --- the queue ---------------------------------------------------------------------------- */

static void backfill_on_read(void *context, int result, const struct gap_feed_entry *entries,
                             int count)
{
    struct backfill *backfill = context;
    backfill->reading = false;
    backfill->queue_next = backfill->queue_count = 0;
    if (result != ERR_OK)
        return;
    memcpy(backfill->queue, entries, (size_t)count * sizeof(entries[0]));
    backfill->queue_count = count;
}

static void backfill_read(struct backfill *backfill)
{
    const struct gap_feed_port *feed = &backfill->options.feed;
    if (backfill->reading || backfill->now.mono_us < backfill->look_us || !feed->ready(feed->self))
        return;
    backfill->look_us = backfill->now.mono_us + BACKFILL_LOOK_US;
    backfill->reading =
        feed->read(feed->self, backfill->place, backfill_on_read, backfill) == ERR_OK;
}

static bool backfill_identity_is(const struct backfill_identity *identity,
                                 const struct gap_event *event)
{
    return identity->kind == event->kind && identity->epoch == (int64_t)event->epoch &&
           identity->seq == (int64_t)event->seq;
}

static bool backfill_was_seen(const struct backfill *backfill, const struct gap_event *event)
{
    unsigned count =
        backfill->seen_count < BACKFILL_SEEN_MAX ? backfill->seen_count : BACKFILL_SEEN_MAX;
    for (unsigned i = 0; i < count; i++)
        if (backfill_identity_is(&backfill->seen[i], event))
            return true;
    return backfill_identity_is(&backfill->last, event);
}

static bool backfill_lost_trades(const struct gap_event *event)
{
    return event->kind == GAP_TRADE_HOLE || event->kind == GAP_TRADES_ABSENT;
}

static bool backfill_is_loss(const struct backfill *backfill, const struct gap_feed_entry *entry)
{
    const struct gap_event *event = &entry->event;
    if (!entry->is_event) {
        metric_add(backfill->malformed, 1);
        return false;
    }
    if (event->kind != GAP_LOSS && event->kind != GAP_RECORD_HOLE && !backfill_lost_trades(event))
        return false;
    if (backfill_lost_trades(event) &&
        (event->first_trade_id < 0 || event->last_trade_id < event->first_trade_id)) {
        metric_add(backfill->malformed, 1);
        return false;
    }
    return !backfill_was_seen(backfill, event);
}

static void backfill_begin(struct backfill *backfill, const struct gap_event *event)
{
    bool has_trades = backfill_lost_trades(event);
    backfill->event = *event;
    backfill->fetched = backfill->gone = 0;
    backfill->search_id = 0;
    backfill->back_us = BACKFILL_BACK_US;
    snprintf(backfill->reason, sizeof(backfill->reason), "%s at %llu-%llu", event->cause,
             (unsigned long long)event->epoch, (unsigned long long)event->seq);
    bool inside = backfill->resumes && has_trades && backfill->next_id > event->first_trade_id &&
                  backfill->next_id <= event->last_trade_id + 1;
    bool noted = backfill->resumes && has_trades && backfill->next_id == event->first_trade_id;
    if (!inside && !noted)
        backfill->page_count = 0; /* of another hole */
    if (!inside)
        backfill->next_id = has_trades ? event->first_trade_id : 0;
    backfill->resumes = false;
    backfill->repeats = false;
    if (has_trades)
        backfill_trades_begin(backfill);
    else
        backfill_depth_begin(backfill);
}

/* Entries that lost nothing are passed over; the place moves with them. */
static void backfill_next(struct backfill *backfill)
{
    while (backfill->queue_next < backfill->queue_count) {
        const struct gap_feed_entry *entry = &backfill->queue[backfill->queue_next];
        if (backfill_is_loss(backfill, entry)) {
            backfill_begin(backfill, &entry->event);
            return;
        }
        backfill->place = entry->place;
        backfill->queue_next++;
    }
    backfill_read(backfill);
}

/* --- the snapshot -------------------------------------------------------------------------- */

void backfill_depth_begin(struct backfill *backfill)
{
    if (backfill->snapshot_us > backfill->event.recv_us) {
        backfill->step = BACKFILL_SAVING; /* a snapshot behind this loss is there */
        return;
    }
    rest_errand_start(&backfill->depth, &(struct rest_query){.endpoint = REST_ENDPOINT_DEPTH,
                                                             .limit = BACKFILL_DEPTH_LIMIT,
                                                             .from_id = -1,
                                                             .start_us = -1,
                                                             .end_us = -1});
    backfill->step = BACKFILL_SNAPPING;
}

static void backfill_depth_take(struct backfill *backfill)
{
    struct err err = {0};
    int64_t id;
    if (anchor_judge_depth(rest_errand_body(&backfill->depth), &id, &err) != ERR_OK) {
        metric_add(backfill->malformed, 1);
        rest_errand_retry(&backfill->depth, err.text);
        return;
    }
    rest_shelf_put(&backfill->shelf,
                   &(struct archive_rest_reply){.type = ARCHIVE_REST_DEPTH,
                                                .symbol = backfill->options.symbol,
                                                .requested_us = backfill->depth.requested_us,
                                                .received_us = backfill->depth.received_us,
                                                .first_id = id,
                                                .reason = backfill->reason,
                                                .body = rest_errand_body(&backfill->depth)});
    backfill->step = BACKFILL_SHELVING;
}

static void backfill_depth_do_work(struct backfill *backfill)
{
    if (backfill->step == BACKFILL_SNAPPING) {
        enum rest_errand_state state = rest_errand_do_work(&backfill->depth);
        if (state == REST_ERRAND_DONE)
            backfill_depth_take(backfill);
        else if (state == REST_ERRAND_REFUSED)
            backfill->step = BACKFILL_SAVING;
    }
    if (backfill->step != BACKFILL_SHELVING)
        return;
    enum rest_shelf_state state = rest_shelf_do_work(&backfill->shelf, backfill->now.mono_us);
    if (state != REST_SHELF_STORED && state != REST_SHELF_QUARANTINED)
        return;
    backfill->snapshot_us = backfill->depth.requested_us;
    backfill->status.snapshots++;
    metric_add(backfill->snapshots, 1);
    rest_errand_drop(&backfill->depth);
    backfill->step = BACKFILL_SAVING;
}

/* --- the end of one ------------------------------------------------------------------------ */

static void backfill_done(struct backfill *backfill)
{
    const struct gap_event *event = &backfill->event;
    backfill->status.done++;
    backfill->status.trades += backfill->fetched;
    metric_add(backfill->done, 1);
    metric_add(backfill->trades_total, backfill->fetched);
    log_info(
        "backfilled",
        "symbol=%s cause=\"%s\" epoch=%llu seq=%llu first=%lld last=%lld trades=%llu lost=%llu",
        backfill->options.symbol, event->cause, (unsigned long long)event->epoch,
        (unsigned long long)event->seq, (long long)event->first_trade_id,
        (long long)event->last_trade_id, (unsigned long long)backfill->fetched,
        (unsigned long long)backfill->gone);
    backfill->step = BACKFILL_IDLE;
}

/* Several saves may be needed: what is saved says the same each time. */
static void backfill_finish(struct backfill *backfill)
{
    const struct gap_feed_entry *entry = &backfill->queue[backfill->queue_next];
    backfill->place = entry->place;
    backfill->next_id = 0;
    backfill->page_count = 0;
    backfill->last = (struct backfill_identity){.kind = backfill->event.kind,
                                                .epoch = (int64_t)backfill->event.epoch,
                                                .seq = (int64_t)backfill->event.seq};
    if (!backfill_save(backfill))
        return;
    backfill->seen[backfill->seen_count++ % BACKFILL_SEEN_MAX] = backfill->last;
    backfill->queue_next++;
    backfill_done(backfill);
}

int backfill_do_work(struct backfill *backfill, struct clock_now now)
{
    uint64_t done = backfill->status.done;
    backfill->now = now;
    backfill->options.feed.do_work(backfill->options.feed.self, now.mono_us);
    if (backfill->step == BACKFILL_IDLE && !backfill->reading)
        backfill_next(backfill);
    backfill_trades_do_work(backfill);
    backfill_depth_do_work(backfill);
    if (backfill->step == BACKFILL_SAVING)
        backfill_finish(backfill);
    metric_set(backfill->waiting, backfill->queue_count - backfill->queue_next);
    return (int)(backfill->status.done - done);
}

/* --- opening ------------------------------------------------------------------------------- */

static void backfill_measure(struct backfill *backfill)
{
    struct metrics *metrics = backfill->options.metrics;
    backfill->done = metrics_counter(metrics, "ingestor_backfill_gaps_total", NULL,
                                     "Losses whose backfill is complete.");
    backfill->trades_total = metrics_counter(metrics, "ingestor_backfill_trades_total", NULL,
                                             "Lost trades that were fetched by id.");
    backfill->lost_total = metrics_counter(metrics, "ingestor_backfill_trades_lost_total", NULL,
                                           "Lost trades that the exchange no longer has.");
    backfill->snapshots = metrics_counter(metrics, "ingestor_backfill_snapshots_total", NULL,
                                          "Depth snapshots archived for a loss.");
    backfill->malformed = metrics_counter(metrics, "ingestor_backfill_malformed_total", NULL,
                                          "Gap events and replies that could not be read.");
    backfill->waiting =
        metrics_gauge(metrics, "ingestor_backfill_waiting", NULL, "Gap events read and not done.");
    backfill->save_errors = metrics_counter(metrics, "ingestor_backfill_progress_errors_total",
                                            NULL, "Times that the progress was not saved or read.");
}

static void backfill_load(struct backfill *backfill)
{
    struct progress_field fields[BACKFILL_FIELDS];
    struct err err = {0};
    backfill_fields(backfill, fields);
    int result = progress_load(&backfill->options.progress, fields, BACKFILL_FIELDS, &err);
    backfill->resumes = result == ERR_OK && backfill->next_id > 0;
    if (result == ERR_OK || result == ERR_NOT_FOUND)
        return;
    metric_add(backfill->save_errors, 1);
    log_warn("progress_not_read", "agent=backfill symbol=%s reason=\"%s\"",
             backfill->options.symbol, err.text);
}

int backfill_open(const struct backfill_options *options, struct backfill **out, struct err *err)
{
    struct backfill *backfill = calloc(1, sizeof(*backfill));
    if (backfill == NULL)
        return err_set(err, ERR_MEMORY, "backfill of %s: out of memory", options->symbol);
    backfill->options = *options;
    backfill->shelf.archive = options->archive;
    int result = rest_errand_open(&backfill->trades, options->desk, WEIGHT_BACKFILL, err);
    if (result == ERR_OK)
        result = rest_errand_open(&backfill->depth, options->desk, WEIGHT_BACKFILL, err);
    if (result != ERR_OK) {
        backfill_close(backfill);
        return result;
    }
    backfill_measure(backfill);
    backfill_load(backfill);
    *out = backfill;
    return ERR_OK;
}

void backfill_close(struct backfill *backfill)
{
    rest_errand_close(&backfill->trades);
    rest_errand_close(&backfill->depth);
    free(backfill);
}

void backfill_status(const struct backfill *backfill, struct backfill_status *status)
{
    *status = backfill->status;
    status->busy = backfill->step != BACKFILL_IDLE;
    status->waiting = backfill->queue_count - backfill->queue_next;
    status->uses_aggregates = backfill->uses_aggregates;
}
