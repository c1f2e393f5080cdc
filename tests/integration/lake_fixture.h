/* A capture as a bronze lake: its records in blocks, as the archive writes them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_INTEGRATION_LAKE_FIXTURE_H
#define BTCAST_TESTS_INTEGRATION_LAKE_FIXTURE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edge/duckdb/duckdb_archive.h"
#include "edge/file/capture_file.h"
#include "edge/lake/folder_objects.h"
#include "edge/loop/loop.h"
#include "learn/lake/bronze_key.h"
#include "tests/lib/temp_dir.h"
#include "wire/sbe.h"

struct lake_fixture {
    struct folder_objects *objects;
    struct lake_spool *spool;
    struct duckdb_archive *archive;
    struct archive_port port;
    struct archive_block block[ARCHIVE_KINDS];
    bool open[ARCHIVE_KINDS];
    int asked, done;
};

static void lake_fixture_on_done(void *context, const struct archive_reply *reply)
{
    assert_int_equal(reply->result, ERR_OK);
    ((struct lake_fixture *)context)->done++;
}

static void lake_fixture_turn(struct lake_fixture *fixture)
{
    fixture->port.do_work(fixture->port.self, loop_mono_us());
    usleep(200);
}

static void lake_fixture_finish(struct lake_fixture *fixture, int kind)
{
    int result;
    if (!fixture->open[kind])
        return;
    while ((result = fixture->port.finish(fixture->port.self, &fixture->block[kind],
                                          lake_fixture_on_done, fixture)) == ERR_AGAIN)
        lake_fixture_turn(fixture);
    assert_int_equal(result, ERR_OK);
    fixture->asked++;
    fixture->open[kind] = false;
}

static enum archive_kind lake_fixture_kind(const struct record *record)
{
    struct event event;
    struct bytes symbol;
    if (record_is_control(record))
        return ARCHIVE_CONTROL;
    if (record->kind == RECORD_TICK ||
        sbe_decode_event(record->payload, &event, &symbol, NULL) != SBE_OK)
        return ARCHIVE_DEPTH;
    return event.kind == EVENT_TRADES  ? ARCHIVE_TRADES
           : event.kind == EVENT_QUOTE ? ARCHIVE_BBA
                                       : ARCHIVE_DEPTH;
}

static void lake_fixture_append(struct lake_fixture *fixture, const char *symbol,
                                const struct record *record)
{
    struct archive_block block;
    int result;
    enum archive_kind kind = lake_fixture_kind(record);
    bronze_key_block(kind, symbol, record, &block);
    if (!fixture->open[kind] || !bronze_key_block_equal(&block, &fixture->block[kind])) {
        lake_fixture_finish(fixture, (int)kind);
        fixture->block[kind] = block;
        fixture->open[kind] = true;
    }
    while ((result = fixture->port.append(fixture->port.self, &block, record)) == ERR_AGAIN)
        lake_fixture_turn(fixture);
    assert_int_equal(result, ERR_OK);
}

static void lake_fixture_open(struct lake_fixture *fixture, const char *lake, const char *folder)
{
    struct err err = {0};
    char spool[TEMP_DIR_SIZE + 32], aside[TEMP_DIR_SIZE + 32];
    *fixture = (struct lake_fixture){0};
    snprintf(spool, sizeof(spool), "%s/lake-spool", folder);
    snprintf(aside, sizeof(aside), "%s/lake-aside", folder);
    assert_int_equal(folder_objects_open(lake, &fixture->objects, &err), ERR_OK);
    struct lake_spool_options options = {.folder = spool,
                                         .objects = folder_objects_port(fixture->objects)};
    assert_int_equal(lake_spool_open(&options, &fixture->spool, &err), ERR_OK);
    struct duckdb_archive_options engine = {.quarantine_folder = aside, .spool = fixture->spool};
    if (duckdb_archive_open(&engine, &fixture->archive, &err) != ERR_OK)
        fail_msg("%s", err.text);
    fixture->port = duckdb_archive_port(fixture->archive);
}

/* Everything that was asked for is in the lake. */
static void lake_fixture_close(struct lake_fixture *fixture)
{
    struct archive_status status = {0};
    for (int i = 0; i < 100000 && (fixture->done < fixture->asked || status.spool_files > 0); i++) {
        lake_fixture_turn(fixture);
        fixture->port.status(fixture->port.self, &status);
    }
    assert_int_equal(fixture->done, fixture->asked);
    assert_int_equal(status.spool_files, 0);
    duckdb_archive_close(fixture->archive);
    lake_spool_close(fixture->spool);
    folder_objects_close(fixture->objects);
}

/* Objects of the records with from_us <= recv_us < to_us. folder: for the spool. */
static inline int lake_fixture_write(const char *capture, const char *symbol, const char *lake,
                                     const char *folder, int64_t from_us, int64_t to_us)
{
    struct lake_fixture fixture;
    struct capture_file *file;
    struct record record;
    struct err err = {0};
    lake_fixture_open(&fixture, lake, folder);
    assert_int_equal(capture_file_open(capture, &file, &err), ERR_OK);
    while (capture_file_next(file, &record) == ERR_OK)
        if (record.recv_us >= from_us && record.recv_us < to_us && record.kind != RECORD_SLOT)
            lake_fixture_append(&fixture, symbol, &record);
    capture_file_close(file);
    for (int kind = 0; kind < ARCHIVE_KINDS; kind++)
        lake_fixture_finish(&fixture, kind);
    lake_fixture_close(&fixture);
    return fixture.asked;
}

/* The object of a REST reply. */
static inline void lake_fixture_reply(const char *lake, const char *folder,
                                      const struct archive_rest_reply *reply)
{
    struct lake_fixture fixture;
    lake_fixture_open(&fixture, lake, folder);
    assert_int_equal(fixture.port.rest(fixture.port.self, reply, lake_fixture_on_done, &fixture),
                     ERR_OK);
    fixture.asked++;
    lake_fixture_close(&fixture);
}

#endif
