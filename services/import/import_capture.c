/* SPDX-License-Identifier: Apache-2.0 */
#include "services/import/import_capture.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "edge/duckdb/duckdb_archive.h"
#include "edge/file/capture_file.h"
#include "learn/lake/archive_controls.h"
#include "learn/lake/archive_lane.h"
#include "services/replay/replay_json.h"
#include "wire/sbe.h"

#define IMPORT_CAPTURE_LANES   3
#define IMPORT_CAPTURE_WAIT_US (60 * CLOCK_US_PER_S)
#define IMPORT_CAPTURE_TURN_US 2000
/* Records between two turns of the engine. */
#define IMPORT_CAPTURE_RECORDS 1024

struct import_capture {
    struct import_desk *desk;
    const char *path;
    struct duckdb_archive *engine;
    struct archive_port archive;
    struct archive_journal_port journal; /* none: the file itself is one */
    struct archive_lane lanes[IMPORT_CAPTURE_LANES];
    struct archive_controls controls;
    struct archive_tally tally; /* never complete: blocks end by the next one */
    uint64_t records;
    int64_t newest_us;
    struct err err; /* set: stop */
};

static void import_capture_turn(struct import_capture *self, int64_t wait_us)
{
    const int64_t now_us = loop_mono_us();
    for (int i = 0; i < IMPORT_CAPTURE_LANES; i++)
        archive_lane_do_work(&self->lanes[i], &self->tally, false, now_us);
    archive_controls_do_work(&self->controls, self->newest_us, now_us);
    const int done = self->archive.do_work(self->archive.self, now_us);
    loop_run_once(self->desk->loop, done > 0 ? 0 : wait_us);
}

/* The stream that the exchange sends it in; -1: no template of ours. */
static int import_capture_kind(const struct record *record)
{
    if (record->kind == RECORD_TICK)
        return ARCHIVE_DEPTH;
    if (record->payload.size < SBE_HEADER_SIZE)
        return -1;
    switch (bytes_load_u16(record->payload.data + 2)) {
    case SBE_TRADES:
        return ARCHIVE_TRADES;
    case SBE_BEST_BID_ASK:
        return ARCHIVE_BBA;
    case SBE_DEPTH_SNAPSHOT:
    case SBE_DEPTH_DIFF:
        return ARCHIVE_DEPTH;
    default:
        return -1;
    }
}

static int import_capture_take(struct import_capture *self, const struct record *record)
{
    if (record_is_control(record))
        return archive_controls_take(&self->controls, self->desk->symbol, record);
    const int kind = import_capture_kind(record);
    for (int i = 0; i < IMPORT_CAPTURE_LANES; i++)
        if ((int)self->lanes[i].kind == kind)
            return archive_lane_take(&self->lanes[i], self->desk->symbol, record);
    self->desk->totals.undecodable++;
    return ERR_OK;
}

static void import_capture_record(void *context, const struct record *record)
{
    struct import_capture *self = context;
    const int64_t begin_us = loop_mono_us();
    if (self->err.code != ERR_OK || record->kind == RECORD_SLOT)
        return;
    self->newest_us = record->recv_us > self->newest_us ? record->recv_us : self->newest_us;
    int result;
    while ((result = import_capture_take(self, record)) == ERR_AGAIN) {
        import_capture_turn(self, IMPORT_CAPTURE_TURN_US);
        if (loop_mono_us() - begin_us > IMPORT_CAPTURE_WAIT_US) {
            (void)!err_set(&self->err, ERR_CONNECTION, "%s: the lake and its spool take nothing",
                           self->path);
            return;
        }
    }
    self->desk->totals.records += result == ERR_OK;
    if (++self->records % IMPORT_CAPTURE_RECORDS == 0) {
        import_capture_turn(self, 0);
        import_desk_show(self->desk, self->path, self->records, 0, 0);
    }
}

static int import_capture_own(struct import_capture *self, struct err *err)
{
    struct capture_file *file = NULL;
    struct record record;
    int result = capture_file_open(self->path, &file, err);
    if (result != ERR_OK)
        return result;
    if (strcmp(capture_file_header(file)->symbol, self->desk->symbol) != 0)
        result = err_set(err, ERR_CONFIG, "%s is a capture of %s, not of %s", self->path,
                         capture_file_header(file)->symbol, self->desk->symbol);
    while (result == ERR_OK && capture_file_next(file, &record) == ERR_OK &&
           self->err.code == ERR_OK)
        import_capture_record(self, &record);
    self->desk->totals.refused += capture_file_counters(file)->corrupt;
    capture_file_close(file);
    return result;
}

static int import_capture_json(struct import_capture *self, struct err *err)
{
    struct replay_json_counters counters;
    int result =
        replay_json(self->path, self->desk->symbol, import_capture_record, self, &counters, err);
    self->desk->totals.refused += counters.malformed + counters.refused;
    self->desk->totals.oversize += counters.oversize;
    return result;
}

/* What is open at the end of the file is whole: there is no more of it. */
static int import_capture_flush(struct import_capture *self, struct err *err)
{
    int64_t now_us = loop_mono_us();
    const int64_t end_us = now_us + IMPORT_CAPTURE_WAIT_US;
    for (bool durable = false; !durable; now_us = loop_mono_us()) {
        durable = archive_controls_flush(&self->controls, now_us);
        for (int i = 0; i < IMPORT_CAPTURE_LANES; i++)
            durable = archive_lane_flush(&self->lanes[i], now_us) && durable;
        if (!durable)
            import_capture_turn(self, IMPORT_CAPTURE_TURN_US);
        if (now_us > end_us)
            return err_set(err, ERR_CONNECTION, "%s: the files could not be made", self->path);
    }
    return ERR_OK;
}

static int import_capture_open(struct import_capture *self, struct err *err)
{
    static const enum archive_kind kinds[IMPORT_CAPTURE_LANES] = {ARCHIVE_TRADES, ARCHIVE_DEPTH,
                                                                  ARCHIVE_BBA};
    struct duckdb_archive_options options = {.spool = self->desk->spool};
    int result = duckdb_archive_open(&options, &self->engine, err);
    if (result != ERR_OK)
        return result;
    self->archive = duckdb_archive_port(self->engine);
    for (int i = 0; i < IMPORT_CAPTURE_LANES; i++)
        archive_lane_init(&self->lanes[i], kinds[i], (enum stream_name)i, &self->archive,
                          &self->journal);
    archive_controls_init(&self->controls, &self->archive, &self->journal);
    return ERR_OK;
}

static int import_capture_run(struct import_capture *self, struct err *err)
{
    int result = capture_file_is(self->path) ? import_capture_own(self, err)
                                             : import_capture_json(self, err);
    if (result == ERR_OK && self->err.code != ERR_OK) {
        *err = self->err;
        result = self->err.code;
    }
    return result == ERR_OK ? import_capture_flush(self, err) : result;
}

int import_capture(struct import_desk *desk, const char *path, struct err *err)
{
    static struct import_capture self; /* large: 192 blocks */
    self = (struct import_capture){.desk = desk, .path = path};
    struct import_note *note = import_desk_note(desk, path, err);
    if (note == NULL)
        return err->code;
    desk->totals.files++;
    if (note->pieces > 0) {
        desk->totals.skipped++;
        return ERR_OK;
    }
    desk->begun_us = loop_mono_us();
    int result = import_capture_open(&self, err);
    if (result == ERR_OK)
        result = import_capture_run(&self, err);
    if (self.engine != NULL) {
        desk->totals.objects += duckdb_archive_counters(self.engine)->blocks;
        duckdb_archive_close(self.engine);
        archive_controls_close(&self.controls);
    }
    if (result != ERR_OK)
        return result;
    note->pieces = 1;
    return import_desk_save(desk, err);
}
