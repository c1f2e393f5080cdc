/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/lake/archiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "learn/lake/archive_controls.h"
#include "learn/lake/archive_lane.h"
#include "wire/envelope.h"

#define ARCHIVER_LANES 3 /* the data streams; STREAM_CONTROL has its own way */
#define ARCHIVER_MASK  ((1u << STREAM_COUNT) - 1)
/* What is followed while there is no room: a consumer always follows something. */
#define ARCHIVER_PAUSED_MASK (1u << STREAM_CONTROL)

struct archiver {
    struct archiver_options options;
    char symbol[RECORD_SYMBOL_SIZE];
    struct archive_lane lanes[ARCHIVER_LANES]; /* by enum stream_name */
    struct archive_controls controls;
    struct archive_tally tally;
    struct archiver_status status;
    struct clock_now now;
    bool flushing;
    bool holding; /* held is read from the journal and not taken */
    enum archive_kind held_kind;
    struct record held;
    int64_t resume_us, commit_us;
    struct log_limit log_malformed, log_pause, log_save;
    struct metric *metric_duplicates, *metric_malformed, *metric_holes, *metric_missing,
        *metric_pauses, *metric_lag, *metric_open, *metric_controls;
    uint64_t holes_told, missing_told;
};

_Static_assert(STREAM_TRADE == 0 && STREAM_DEPTH == 1 && STREAM_BEST_BID_ASK == 2 &&
                   STREAM_CONTROL == 3,
               "lanes stand at their streams' numbers");

static void archiver_metrics(struct archiver *archiver)
{
    struct metrics *metrics = archiver->options.metrics;
    if (metrics == NULL)
        return;
    archiver->metric_duplicates = metrics_counter(metrics, "data_connector_duplicates_total", NULL,
                                                  "Records that came again and were skipped.");
    archiver->metric_malformed = metrics_counter(metrics, "data_connector_malformed_total", NULL,
                                                 "Stream entries that could not be read.");
    archiver->metric_holes = metrics_counter(metrics, "data_connector_holes_total", NULL,
                                             "Holes in the order of the streams.");
    archiver->metric_missing = metrics_counter(metrics, "data_connector_records_missing_total",
                                               NULL, "Records in those holes.");
    archiver->metric_pauses = metrics_counter(metrics, "data_connector_pauses_total", NULL,
                                              "Times that reading stopped for want of room.");
    archiver->metric_controls =
        metrics_counter(metrics, "data_connector_controls_total", NULL, "Control records taken.");
    archiver->metric_lag = metrics_gauge(metrics, "data_connector_lag_seconds", NULL,
                                         "Age of the newest record that was archived.");
    archiver->metric_open = metrics_gauge(metrics, "data_connector_open_blocks", NULL,
                                          "Blocks that are not durable yet.");
}

static void archiver_count(struct metric *metric, uint64_t amount)
{
    if (metric != NULL && amount > 0)
        metric_add(metric, amount);
}

/* --- the place -------------------------------------------------------------------------- */

static void archiver_place(const struct archiver *archiver, struct archive_place *place)
{
    *place = (struct archive_place){0};
    for (int i = 0; i < ARCHIVER_LANES; i++) {
        place->durable[i].epoch = archiver->lanes[i].durable_epoch;
        place->durable[i].seq = archiver->lanes[i].durable_seq;
        place->position[i] = *archive_lane_position(&archiver->lanes[i]);
    }
    place->position[STREAM_CONTROL] = *archive_controls_position(&archiver->controls);
}

static void archiver_load(struct archiver *archiver)
{
    uint8_t text[ARCHIVE_PLACE_SIZE];
    size_t size = 0;
    struct archive_place place;
    struct archive_place_port *port = &archiver->options.place;
    int result = port->load(port->self, text, sizeof(text), &size);
    if (result == ERR_OK)
        result = archive_place_read(bytes_of(text, size), &place);
    if (result != ERR_OK) {
        if (result != ERR_NOT_FOUND)
            log_warn("archive_place_refused", "symbol=%s reason=\"%s\" begin=oldest",
                     archiver->symbol, err_text(result));
        return;
    }
    uint64_t epoch = 0, seq = 0;
    for (int i = 0; i < ARCHIVER_LANES; i++) {
        struct archive_lane *lane = &archiver->lanes[i];
        lane->taken_epoch = lane->durable_epoch = place.durable[i].epoch;
        lane->taken_seq = lane->durable_seq = place.durable[i].seq;
        lane->at = place.position[i];
        if (record_compare(lane->taken_epoch, lane->taken_seq, epoch, seq) > 0) {
            epoch = lane->taken_epoch;
            seq = lane->taken_seq;
        }
    }
    archiver->controls.at = place.position[STREAM_CONTROL];
    archive_tally_begin(&archiver->tally, epoch, seq);
}

/* Saved before it is committed: what a restart needs is never trimmed. */
static void archiver_commit(struct archiver *archiver)
{
    struct archive_place place;
    char buffer[ARCHIVE_PLACE_SIZE];
    bool moved = archiver->controls.moved;
    uint64_t skipped = 0;
    archiver_place(archiver, &place);
    for (int i = 0; i < ARCHIVER_LANES; i++)
        moved = moved || archiver->lanes[i].moved;
    if (moved) {
        struct text text = text_begin(buffer, sizeof(buffer));
        archive_place_write(&place, &text);
        struct archive_place_port *port = &archiver->options.place;
        if (port->save(port->self, bytes_of(buffer, text.size)) != ERR_OK) {
            archiver->status.saves_failed++;
            if (log_limit_pass(&archiver->log_save, archiver->now.mono_us, &skipped))
                log_error("archive_place_not_saved", "symbol=%s", archiver->symbol);
            return;
        }
        archiver->controls.moved = false;
        for (int i = 0; i < ARCHIVER_LANES; i++)
            archiver->lanes[i].moved = false;
    }
    const struct archive_journal_port *journal = &archiver->options.journal;
    for (int i = 0; i < ARCHIVER_LANES && journal->settle != NULL && !archiver->status.recovering;
         i++)
        journal->settle(journal->self, archiver->lanes[i].kind, place.durable[i].epoch,
                        place.durable[i].seq);
    if (!archiver->status.following)
        return; /* nothing has been read that a commit could speak of */
    struct stream_consumer *consumer = &archiver->options.consumer;
    /* A commit that fails is made good by the next one. */
    (void)!consumer->commit(consumer->self, place.position);
}

/* --- reading ---------------------------------------------------------------------------- */

static int archiver_follow(struct archiver *archiver, unsigned mask)
{
    struct stream_position from[STREAM_COUNT];
    for (int i = 0; i < ARCHIVER_LANES; i++)
        from[i] = archiver->lanes[i].at;
    from[STREAM_CONTROL] = archiver->controls.at;
    struct stream_consumer *consumer = &archiver->options.consumer;
    return consumer->follow(consumer->self, mask, from);
}

static void archiver_pause(struct archiver *archiver)
{
    uint64_t skipped = 0;
    archiver->status.paused = true;
    archiver->status.pauses++;
    archiver_count(archiver->metric_pauses, 1);
    archiver->resume_us = archiver->now.mono_us + ARCHIVER_PAUSE_US;
    (void)!archiver_follow(archiver, ARCHIVER_PAUSED_MASK);
    if (log_limit_pass(&archiver->log_pause, archiver->now.mono_us, &skipped))
        log_warn("archive_paused", "symbol=%s reason=\"no room in spool or memory\" skipped=%llu",
                 archiver->symbol, (unsigned long long)skipped);
}

static void archiver_note(struct archiver *archiver, const struct record *record)
{
    struct archiver_status *status = &archiver->status;
    status->records++;
    archive_tally_take(&archiver->tally, record->epoch, record->seq, record->recv_us);
    if (record_compare(record->epoch, record->seq, status->epoch, status->seq) > 0) {
        status->epoch = record->epoch;
        status->seq = record->seq;
        status->newest_us = record->recv_us;
    }
}

/* ERR_AGAIN: no room; what was taken of the entry is known for a duplicate next time. */
static int archiver_take(struct archiver *archiver, enum stream_name stream,
                         const struct record *record)
{
    if (record_is_control(record) != (stream == STREAM_CONTROL))
        return ERR_MALFORMED;
    int result;
    if (stream == STREAM_CONTROL) {
        result = archive_controls_take(&archiver->controls, archiver->symbol, record);
        archiver_count(archiver->metric_controls, result == ERR_OK);
    } else {
        result = archive_lane_take(&archiver->lanes[stream], archiver->symbol, record);
        if (result == ERR_OK)
            archiver_note(archiver, record);
    }
    if (result == ERR_DUPLICATE) {
        archiver->status.duplicates++;
        archiver_count(archiver->metric_duplicates, 1);
    }
    return result;
}

static void archiver_malformed(struct archiver *archiver, enum stream_name stream,
                               const char *reason)
{
    uint64_t skipped = 0;
    archiver->status.malformed++;
    archiver_count(archiver->metric_malformed, 1);
    if (log_limit_pass(&archiver->log_malformed, archiver->now.mono_us, &skipped))
        log_warn("envelope_refused", "stream=%s skipped=%llu reason=\"%s\"",
                 stream_name_text(stream), (unsigned long long)skipped, reason);
}

/* False: there was no room for all of it. */
static bool archiver_envelope(struct archiver *archiver, enum stream_name stream, struct bytes data)
{
    struct envelope_reader reader;
    struct record record;
    struct err err = {0};
    if (envelope_open(&reader, data, &err) != ERR_OK) {
        archiver_malformed(archiver, stream, err.text);
        return true;
    }
    if (strcmp(reader.symbol, archiver->symbol) != 0) {
        archiver_malformed(archiver, stream, "another symbol");
        return true;
    }
    while (envelope_next(&reader, &record) == ERR_OK) {
        int result = archiver_take(archiver, stream, &record);
        if (result == ERR_AGAIN)
            return false;
        if (result == ERR_MALFORMED)
            archiver_malformed(archiver, stream, "a record of another stream's kind");
    }
    return true;
}

void archiver_on_record(void *context, const struct stream_record *record, const char *position)
{
    struct archiver *archiver = context;
    if (archiver->flushing || (archiver->status.paused && record->stream != STREAM_CONTROL))
        return;
    if (!archiver_envelope(archiver, record->stream, record->data)) {
        archiver_pause(archiver);
        return;
    }
    struct stream_position *at = record->stream == STREAM_CONTROL
                                     ? &archiver->controls.at
                                     : &archiver->lanes[record->stream].at;
    snprintf(at->text, sizeof(at->text), "%s", position);
}

/* --- the journal ------------------------------------------------------------------------ */

static int archiver_recover_one(struct archiver *archiver, enum archive_kind kind,
                                const struct record *record)
{
    if (kind == ARCHIVE_CONTROL)
        return archive_controls_take(&archiver->controls, archiver->symbol, record);
    for (int i = 0; i < ARCHIVER_LANES; i++) {
        struct archive_lane *lane = &archiver->lanes[i];
        if (lane->kind != kind)
            continue;
        lane->kept_epoch = record->epoch;
        lane->kept_seq = record->seq;
        int result = archive_lane_take(lane, archiver->symbol, record);
        if (result == ERR_OK)
            archiver_note(archiver, record);
        return result;
    }
    return ERR_MALFORMED;
}

/* What an earlier process had of open blocks; the streams are read behind it. Without room the
 * record at hand waits for the next turn. */
static int archiver_recover(struct archiver *archiver)
{
    struct archive_journal_port *journal = &archiver->options.journal;
    for (int done = 0; done < ARCHIVER_RECOVER_MAX; done++) {
        if (!archiver->holding &&
            journal->next(journal->self, &archiver->held_kind, &archiver->held) != ERR_OK) {
            archiver->status.recovering = archiver->controls.recovering = false;
            if (archiver->status.recovered > 0)
                log_info("journal_recovered", "symbol=%s records=%llu", archiver->symbol,
                         (unsigned long long)archiver->status.recovered);
            return done;
        }
        int result = archiver_recover_one(archiver, archiver->held_kind, &archiver->held);
        archiver->holding = result == ERR_AGAIN;
        if (archiver->holding)
            return done;
        archiver->status.recovered += result == ERR_OK;
    }
    return ARCHIVER_RECOVER_MAX;
}

/* --- work ------------------------------------------------------------------------------- */

static void archiver_tell(struct archiver *archiver)
{
    const struct archive_tally *tally = &archiver->tally;
    if (tally->holes != archiver->holes_told) {
        const uint64_t missing = tally->lost - archiver->missing_told;
        log_warn("records_missing", "symbol=%s epoch=%llu near_seq=%llu records=%llu",
                 archiver->symbol, (unsigned long long)tally->epoch, (unsigned long long)tally->top,
                 (unsigned long long)missing);
        archiver_count(archiver->metric_holes, tally->holes - archiver->holes_told);
        archiver_count(archiver->metric_missing, missing);
        archiver->holes_told = tally->holes;
        archiver->missing_told = tally->lost;
    }
    struct archiver_status *status = &archiver->status;
    status->open_blocks = 0;
    for (int i = 0; i < ARCHIVER_LANES; i++)
        status->open_blocks += archiver->lanes[i].count;
    if (archiver->metric_lag == NULL)
        return;
    metric_set(archiver->metric_open, status->open_blocks);
    if (status->newest_us > 0)
        metric_set(archiver->metric_lag, (double)(archiver->now.wall_us - status->newest_us) / 1e6);
}

static void archiver_resume(struct archiver *archiver)
{
    struct archive_status archive;
    archiver->options.archive.status(archiver->options.archive.self, &archive);
    archiver->resume_us = archiver->now.mono_us + ARCHIVER_PAUSE_US;
    if (archive.no_room)
        return;
    archiver->status.paused = false;
    if (archiver_follow(archiver, ARCHIVER_MASK) != ERR_OK)
        archiver->status.paused = true;
}

/* Reads the journal first, then the streams; what came is in the journal before anything else
 * is done with it. */
static int archiver_read(struct archiver *archiver)
{
    struct stream_consumer *consumer = &archiver->options.consumer;
    struct archive_journal_port *journal = &archiver->options.journal;
    int done = 0;
    if (archiver->status.recovering)
        done += archiver_recover(archiver);
    if (!archiver->status.recovering && !archiver->status.following)
        archiver->status.following = archiver_follow(archiver, ARCHIVER_MASK) == ERR_OK;
    if (archiver->status.paused && archiver->now.mono_us >= archiver->resume_us)
        archiver_resume(archiver);
    done += consumer->do_work(consumer->self, archiver->now.mono_us);
    if (journal->flush != NULL)
        (void)!journal->flush(journal->self); /* counts its failures and tries again */
    archiver->status.caught_up = archiver->status.following && !archiver->status.paused &&
                                 consumer->ready(consumer->self) &&
                                 consumer->drained(consumer->self);
    return done;
}

int archiver_do_work(struct archiver *archiver, struct clock_now now)
{
    archiver->now = now;
    int done = archiver_read(archiver);
    const bool drained = archiver->status.caught_up;
    archive_tally_look(&archiver->tally, drained, now.mono_us);
    for (int i = 0; i < ARCHIVER_LANES; i++)
        done += archive_lane_do_work(&archiver->lanes[i], &archiver->tally, drained, now.mono_us);
    /* Behind in reading, the data may be minutes ahead of the controls: a block written and
     * forgotten then would be written again with what comes late alone. */
    done += archive_controls_do_work(&archiver->controls, drained ? archiver->status.newest_us : 0,
                                     now.mono_us);
    if (now.mono_us >= archiver->commit_us) {
        archiver->commit_us = now.mono_us + ARCHIVER_COMMIT_US;
        archiver_commit(archiver);
        archiver_tell(archiver);
    }
    return done;
}

void archiver_catch_up(struct archiver *archiver)
{
    archiver->status.caught_up = false;
    if (archiver->status.following && !archiver->status.paused)
        archiver->status.following = archiver_follow(archiver, ARCHIVER_MASK) == ERR_OK;
}

bool archiver_flush(struct archiver *archiver, struct clock_now now)
{
    archiver->now = now;
    archiver->flushing = true;
    if (archiver->status.recovering)
        return true; /* half of the journal would make poorer objects: it waits for the next start
                      */
    bool durable = archive_controls_flush(&archiver->controls, now.mono_us);
    for (int i = 0; i < ARCHIVER_LANES; i++)
        durable = archive_lane_flush(&archiver->lanes[i], now.mono_us) && durable;
    archiver_commit(archiver);
    return durable;
}

void archiver_status(const struct archiver *archiver, struct archiver_status *status)
{
    *status = archiver->status;
    status->holes = archiver->tally.holes;
    status->records_missing = archiver->tally.lost;
    status->controls = archiver->controls.taken;
    status->controls_dropped = archiver->controls.dropped;
}

int archiver_open(const struct archiver_options *options, struct archiver **out, struct err *err)
{
    static const enum archive_kind kinds[ARCHIVER_LANES] = {
        [STREAM_TRADE] = ARCHIVE_TRADES,
        [STREAM_DEPTH] = ARCHIVE_DEPTH,
        [STREAM_BEST_BID_ASK] = ARCHIVE_BBA,
    };
    struct archiver *archiver = calloc(1, sizeof(*archiver));
    if (archiver == NULL)
        return err_set(err, ERR_MEMORY, "archiver");
    archiver->options = *options;
    snprintf(archiver->symbol, sizeof(archiver->symbol), "%s", options->symbol);
    for (int i = 0; i < ARCHIVER_LANES; i++)
        archive_lane_init(&archiver->lanes[i], kinds[i], (enum stream_name)i,
                          &archiver->options.archive, &archiver->options.journal);
    archive_controls_init(&archiver->controls, &archiver->options.archive,
                          &archiver->options.journal);
    archiver->status.recovering = archiver->controls.recovering = options->journal.next != NULL;
    archive_tally_begin(&archiver->tally, 0, 0);
    archiver->log_malformed = archiver->log_pause = archiver->log_save = LOG_LIMIT_DEFAULT;
    archiver_metrics(archiver);
    archiver_load(archiver);
    *out = archiver;
    return ERR_OK;
}

void archiver_close(struct archiver *archiver)
{
    if (archiver == NULL)
        return;
    archive_controls_close(&archiver->controls);
    free(archiver);
}
