/* SPDX-License-Identifier: Apache-2.0 */
#include "recover/gap/gap_detector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recover/gap/gap_detector_self.h"

/* The place of an entry that cannot be judged has to pass all the same. */
static bool gap_detector_take_id(struct gap_detector *detector, struct bytes id)
{
    if (id.size == 0 || id.size >= sizeof(detector->last_id))
        return false;
    memcpy(detector->last_id, id.data, id.size);
    detector->last_id[id.size] = 0;
    return true;
}

static void gap_detector_entry(struct gap_detector *detector, const struct gap_entry *entry)
{
    struct gap_event_reader reader;
    uint64_t skipped;
    gap_event_begin(&reader, detector->options.symbol);
    for (int i = 0; i < entry->count; i++)
        gap_event_field(&reader, entry->pairs[i].field, entry->pairs[i].value);
    bool is_good = gap_detector_take_id(detector, entry->id) && gap_event_finish(&reader);
    if (is_good) {
        gap_evidence_event(detector, &reader.event, detector->last_id);
        return;
    }
    metric_add(detector->meters.malformed, 1);
    if (log_limit_pass(&detector->warn, detector->now.mono_us, &skipped))
        log_warn("gap_event_malformed", "symbol=%s id=%s skipped=%llu", detector->options.symbol,
                 detector->last_id, (unsigned long long)skipped);
}

/* The first look: where the last life stopped, or where the stream ends. */
static void gap_detector_start(struct gap_detector *detector, const struct gap_look *look)
{
    gap_say_restore(detector, look->memory);
    if (detector->last_id[0] == 0 && !gap_detector_take_id(detector, look->newest))
        snprintf(detector->last_id, sizeof(detector->last_id), "0-0");
    detector->market_us = detector->now.mono_us;
    gap_evidence_shown(detector, look);
    detector->is_started = true;
    detector->has_more = true;
}

static void gap_detector_look_failed(struct gap_detector *detector)
{
    uint64_t skipped;
    metric_add(detector->meters.looks_failed, 1);
    if (log_limit_pass(&detector->warn, detector->now.mono_us, &skipped))
        log_warn("gap_look_failed", "symbol=%s reason=\"%s\" skipped=%llu",
                 detector->options.symbol, err_text(detector->look.result),
                 (unsigned long long)skipped);
}

static void gap_detector_on_look(void *context, const struct gap_look *look)
{
    struct gap_detector *detector = context;
    detector->look.in_flight = false;
    detector->look.answered = true;
    detector->look.result = look->result;
    if (look->result != ERR_OK) {
        gap_detector_look_failed(detector);
        return;
    }
    if (!detector->is_started) {
        gap_detector_start(detector, look);
        return;
    }
    detector->was_anchored = false;
    detector->rest_book = gap_evidence_shows_rest(look);
    for (int i = 0; i < look->count; i++)
        gap_detector_entry(detector, &look->entries[i]);
    detector->has_more = look->count == GAP_ENTRIES_MAX;
    gap_evidence_shown(detector, look);
    gap_evidence_override(detector, look->override);
    detector->has_looked = !detector->has_more;
}

static void gap_detector_look(struct gap_detector *detector)
{
    const struct gap_port *port = &detector->options.port;
    if (detector->look.in_flight || !port->ready(port->self) ||
        (!detector->has_more && detector->now.mono_us < detector->look_us))
        return;
    detector->look_us = detector->now.mono_us + GAP_LOOK_US;
    detector->look.in_flight = port->look(port->self, detector->is_started ? detector->last_id : "",
                                          gap_detector_on_look, detector) == ERR_OK;
}

int gap_detector_do_work(struct gap_detector *detector, struct clock_now now)
{
    const struct gap_port *port = &detector->options.port;
    detector->now = now;
    int work = port->do_work(port->self, now.mono_us);
    work += rest_desk_do_work(detector->options.desk, now);
    gap_detector_look(detector);
    gap_evidence_checks(detector);
    gap_evidence_time(detector);
    if (!detector->has_more) /* what is still to be read may change it */
        work += gap_say_do_work(detector);
    return work;
}

bool gap_detector_is_done(const struct gap_detector *detector)
{
    return detector->has_looked && detector->checks.count == 0 && gap_say_is_done(detector);
}

void gap_detector_status(const struct gap_detector *detector, struct gap_detector_status *status)
{
    const struct gap_port *port = &detector->options.port;
    const struct gap_judge *judge = &detector->judge;
    *status = (struct gap_detector_status){.ready = port->ready(port->self),
                                           .started = detector->is_started,
                                           .state = judge->state,
                                           .since_ms = judge->since_ms,
                                           .cooled_ms = judge->cooled_ms,
                                           .action = (int)detector->verdict.action,
                                           .override_until_ms = detector->override.until_ms,
                                           .book_live = detector->hot.book_live,
                                           .has_book = detector->hot.has_book,
                                           .rest_book = detector->hot.rest_book,
                                           .open_checks = detector->checks.count,
                                           .events = detector->events,
                                           .anchors_wanted = detector->anchors_wanted,
                                           .trade_holes_confirmed = detector->confirmed,
                                           .minutes_equal = detector->minutes_equal,
                                           .minutes_differ = detector->minutes_differ};
    for (int from = 0; from < GAP_STATES; from++)
        for (int to = 0; to < GAP_STATES; to++)
            status->moves += judge->moves[from][to];
    snprintf(status->cause, sizeof(status->cause), "%s", detector->verdict.cause);
    snprintf(status->override_mode, sizeof(status->override_mode), "%s",
             gap_mode_text(detector->override.mode));
    snprintf(status->override_by, sizeof(status->override_by), "%s", detector->override.by);
    snprintf(status->last_id, sizeof(status->last_id), "%s", detector->last_id);
}

int gap_detector_open(const struct gap_detector_options *options, struct gap_detector **out,
                      struct err *err)
{
    struct gap_detector *detector = calloc(1, sizeof(*detector));
    if (detector == NULL)
        return err_set(err, ERR_MEMORY, "gap detector of %s: out of memory", options->symbol);
    detector->options = *options;
    detector->warn = LOG_LIMIT_DEFAULT;
    gap_meters_open(detector);
    gap_judge_init(&detector->judge, &options->judge, 0);
    int result = gap_checks_open(&detector->checks, options->desk, err);
    if (result != ERR_OK)
        free(detector);
    else
        *out = detector;
    return result;
}

void gap_detector_close(struct gap_detector *detector)
{
    gap_checks_close(&detector->checks);
    free(detector);
}
