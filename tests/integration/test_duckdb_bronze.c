/* Bronze read back: order, range, damage, trade ids. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edge/duckdb/duckdb_archive.h"
#include "edge/duckdb/duckdb_bronze.h"
#include "edge/duckdb/duckdb_trades.h"
#include "edge/duckdb/duckdb_session.h"
#include "edge/lake/folder_objects.h"
#include "edge/loop/loop.h"
#include "learn/lake/bronze_key.h"
#include "tests/lib/temp_dir.h"
#include "wire/sbe.h"

#define SYMBOL "BTCUSDT"
#define BEGIN  1763640300000000LL /* 2025-11-20 12:05:00 UTC */
#define HOUR   "bronze/sbe/" SYMBOL "/year=2025/month=11/day=20/hour=12/"

static char folder[TEMP_DIR_SIZE], lake[TEMP_DIR_SIZE + 8], spool_folder[TEMP_DIR_SIZE + 8];
static struct folder_objects *objects;
static struct lake_files *files;
static struct lake_spool *spool;
static struct duckdb_archive *archive;
static struct archive_port port;
static uint8_t buffer[1 << 16];

static int setup(void **state)
{
    (void)state;
    struct err err = {0};
    temp_dir_make(folder);
    snprintf(lake, sizeof(lake), "%s/lake", folder);
    snprintf(spool_folder, sizeof(spool_folder), "%s/spool", folder);
    assert_int_equal(folder_objects_open(lake, &objects, &err), ERR_OK);
    struct lake_spool_options options = {.folder = spool_folder,
                                         .objects = folder_objects_port(objects)};
    assert_int_equal(lake_spool_open(&options, &spool, &err), ERR_OK);
    struct duckdb_archive_options archive_options = {.spool = spool};
    if (duckdb_archive_open(&archive_options, &archive, &err) != ERR_OK)
        fail_msg("%s", err.text);
    port = duckdb_archive_port(archive);
    struct lake_files_options read = {.folder = lake};
    assert_int_equal(lake_files_open(&read, &files, &err), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lake_files_close(files);
    duckdb_archive_close(archive);
    lake_spool_close(spool);
    folder_objects_close(objects);
    temp_dir_remove(folder);
    return 0;
}

/* --- writing ---------------------------------------------------------------------------- */

static struct archive_block open_blocks[64];
static int open_count;

static void append(enum archive_kind kind, const struct record *record)
{
    struct archive_block block;
    bronze_key_block(kind, SYMBOL, record, &block);
    assert_int_equal(port.append(port.self, &block, record), ERR_OK);
    for (int i = 0; i < open_count; i++)
        if (bronze_key_block_equal(&open_blocks[i], &block))
            return;
    open_blocks[open_count++] = block;
}

static void on_done(void *context, const struct archive_reply *reply)
{
    (void)context;
    if (reply->result != ERR_OK)
        fail_msg("%s", reply->text);
}

static void write_lake(void)
{
    for (int i = 0; i < open_count; i++)
        assert_int_equal(port.finish(port.self, &open_blocks[i], on_done, NULL), ERR_OK);
    open_count = 0;
    for (int i = 0; i < 20000; i++) {
        port.do_work(port.self, loop_mono_us());
        if (duckdb_archive_pending(archive) == 0 && lake_spool_files(spool) == 0)
            return;
        usleep(1000);
    }
    fail_msg("the lake does not get its objects");
}

static const struct sbe_scale scale = {-2, -8};

/* Record seq of an epoch, a second each: the kind goes around. */
static enum archive_kind make(uint64_t epoch, uint64_t seq, struct record *record)
{
    const struct sbe_level level = {100 + (int64_t)seq, 5};
    const struct trade trades[2] = {{.id = 1000 + 2 * (int64_t)seq, .price = 100, .qty = 7},
                                    {.id = 1001 + 2 * (int64_t)seq, .price = 101, .qty = 8}};
    *record = (struct record){.epoch = epoch,
                              .seq = seq,
                              .recv_us =
                                  BEGIN + (int64_t)(epoch - 1) * 600000000 + (int64_t)seq * 1000000,
                              .kind = RECORD_FRAME,
                              .flags = (uint8_t)(seq % 4)};
    size_t size = 0;
    switch (seq % 4) {
    case 0:
        record->kind = RECORD_TICK;
        return ARCHIVE_DEPTH;
    case 1:
        size = sbe_encode_trades(buffer, sizeof(buffer), SYMBOL, scale, BEGIN, BEGIN, trades, 2);
        break;
    case 2:
        size = sbe_encode_quote(buffer, sizeof(buffer), SYMBOL, scale, BEGIN, (int64_t)seq, level,
                                level);
        break;
    default:
        size = sbe_encode_diff(buffer, sizeof(buffer), SYMBOL, scale, BEGIN, (int64_t)seq,
                               (int64_t)seq, &level, 1, &level, 1);
    }
    record->payload = bytes_of(buffer, size);
    return seq % 4 == 1 ? ARCHIVE_TRADES : seq % 4 == 2 ? ARCHIVE_BBA : ARCHIVE_DEPTH;
}

static void append_range(uint64_t epoch, uint64_t from, uint64_t to)
{
    struct record record;
    for (uint64_t seq = from; seq <= to; seq++) {
        enum archive_kind kind = make(epoch, seq, &record);
        append(kind, &record);
    }
}

static void append_control(uint64_t epoch, uint64_t seq, enum record_kind kind, const char *text)
{
    struct record record;
    (void)make(epoch, seq, &record);
    record.kind = (uint8_t)kind;
    record.payload = bytes_text(text);
    append(ARCHIVE_CONTROL, &record);
}

/* --- reading ---------------------------------------------------------------------------- */

static struct duckdb_bronze *open_bronze(int64_t from_us, int64_t to_us)
{
    struct duckdb_bronze *bronze = NULL;
    struct err err = {0};
    struct duckdb_bronze_options options = {
        .lake = files, .symbol = SYMBOL, .from_us = from_us, .to_us = to_us};
    if (duckdb_bronze_open(&options, &bronze, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return bronze;
}

/* The next record is this one, to the last byte. */
static void expect(struct duckdb_bronze *bronze, uint64_t epoch, uint64_t seq)
{
    struct record found, wanted;
    struct err err = {0};
    assert_int_equal(duckdb_bronze_next(bronze, &found, &err), ERR_OK);
    (void)make(epoch, seq, &wanted);
    assert_int_equal(found.epoch, epoch);
    assert_int_equal(found.seq, seq);
    assert_int_equal(found.kind, wanted.kind);
    assert_int_equal(found.flags, wanted.flags);
    assert_int_equal(found.recv_us, wanted.recv_us);
    assert_int_equal(found.payload.size, wanted.payload.size);
    if (wanted.payload.size > 0)
        assert_memory_equal(found.payload.data, wanted.payload.data, wanted.payload.size);
}

/* The first record behind the controls. */
static void expect_first(struct duckdb_bronze *bronze, uint64_t epoch, uint64_t seq)
{
    struct record found = {.kind = RECORD_HOLE};
    while (record_is_control(&found))
        assert_int_equal(duckdb_bronze_next(bronze, &found, NULL), ERR_OK);
    assert_int_equal(found.epoch, epoch);
    assert_int_equal(found.seq, seq);
}

static void expect_control(struct duckdb_bronze *bronze, enum record_kind kind, const char *text)
{
    struct record found;
    assert_int_equal(duckdb_bronze_next(bronze, &found, NULL), ERR_OK);
    assert_int_equal(found.kind, kind);
    assert_int_equal(found.payload.size, strlen(text));
    assert_memory_equal(found.payload.data, text, strlen(text));
}

static void expect_end(struct duckdb_bronze *bronze)
{
    struct record found;
    assert_int_equal(duckdb_bronze_next(bronze, &found, NULL), ERR_EMPTY);
    assert_int_equal(duckdb_bronze_next(bronze, &found, NULL), ERR_EMPTY);
}

static void sql(const char *format, ...)
{
    char text[2048];
    struct duckdb_session session;
    struct err err = {0};
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    assert_int_equal(duckdb_session_open(&session, NULL, 0, &err), ERR_OK);
    if (duckdb_session_run(&session, text, &err) != ERR_OK)
        fail_msg("%s", err.text);
    duckdb_session_close(&session);
}

/* --- tests ------------------------------------------------------------------------------ */

static void records_come_in_the_order_of_the_world_with_controls_in_their_places(void **state)
{
    (void)state;
    /* 150 s are three minutes and so three objects a kind, then another epoch. */
    append_range(1, 1, 150);
    append_range(2, 1, 20);
    append_control(1, 70, RECORD_HOLE, "sixteen bytes...");
    append_control(1, 10, RECORD_ANCHOR, "{\"first\":1}");
    append_control(1, 10, RECORD_ANCHOR, "{\"second\":1}");
    append_control(2, 20, RECORD_ANCHOR, "{\"last\":1}");
    write_lake();
    struct duckdb_bronze *bronze = open_bronze(0, 0);
    for (uint64_t seq = 1; seq <= 150; seq++) {
        expect(bronze, 1, seq);
        if (seq == 10) {
            expect_control(bronze, RECORD_ANCHOR, "{\"first\":1}");
            expect_control(bronze, RECORD_ANCHOR, "{\"second\":1}");
        }
        if (seq == 70)
            expect_control(bronze, RECORD_HOLE, "sixteen bytes...");
    }
    for (uint64_t seq = 1; seq <= 20; seq++)
        expect(bronze, 2, seq);
    expect_control(bronze, RECORD_ANCHOR, "{\"last\":1}");
    expect_end(bronze);
    assert_int_equal(duckdb_bronze_counters(bronze)->records, 170);
    assert_int_equal(duckdb_bronze_counters(bronze)->controls, 4);
    duckdb_bronze_close(bronze);
}

static void a_range_of_time_is_read_alone(void **state)
{
    (void)state;
    append_range(1, 1, 150);
    write_lake();
    struct duckdb_bronze *bronze = open_bronze(BEGIN + 50000000, BEGIN + 70000000);
    for (uint64_t seq = 50; seq < 70; seq++)
        expect(bronze, 1, seq);
    expect_end(bronze);
    assert_true(duckdb_bronze_counters(bronze)->files <= 6);
    duckdb_bronze_close(bronze);
}

static void blocks_behind_the_place_are_not_opened(void **state)
{
    (void)state;
    struct err err = {0};
    struct duckdb_bronze *bronze = NULL;
    const uint64_t edge = ARCHIVE_BLOCK_SEQS;
    append_range(1, edge - 20, edge + 19);
    append_range(2, 1, 8);
    append_control(1, edge - 10, RECORD_HOLE, "sixteen bytes...");
    write_lake();
    /* The last of the first block is behind the place, the one before it is not. */
    for (uint64_t after = edge - 2; after < edge; after++) {
        struct duckdb_bronze_options options = {
            .lake = files, .symbol = SYMBOL, .after_epoch = 1, .after_seq = after};
        if (duckdb_bronze_open(&options, &bronze, &err) != ERR_OK)
            fail_msg("%s", err.text);
        const bool whole = after == edge - 2;
        expect_first(bronze, 1, whole ? edge - 20 : edge);
        duckdb_bronze_close(bronze);
    }
    struct duckdb_bronze_options options = {
        .lake = files, .symbol = SYMBOL, .after_epoch = 1, .after_seq = 2 * edge};
    assert_int_equal(duckdb_bronze_open(&options, &bronze, &err), ERR_OK);
    expect_control(bronze, RECORD_HOLE, "sixteen bytes...");
    for (uint64_t seq = 1; seq <= 8; seq++)
        expect(bronze, 2, seq);
    expect_end(bronze);
    assert_int_equal(duckdb_bronze_counters(bronze)->files, 4);
    duckdb_bronze_close(bronze);
}

static void a_record_in_two_objects_is_given_once(void **state)
{
    (void)state;
    append_range(1, 1, 40);
    write_lake();
    sql("COPY (FROM '%s/" HOUR "bba_20251120_1205_1-0.parquet') TO "
        "'%s/" HOUR "bba_20251120_1206_1-0.parquet'",
        lake, lake);
    struct duckdb_bronze *bronze = open_bronze(0, 0);
    for (uint64_t seq = 1; seq <= 40; seq++)
        expect(bronze, 1, seq);
    expect_end(bronze);
    assert_int_equal(duckdb_bronze_counters(bronze)->duplicates, 10);
    duckdb_bronze_close(bronze);
}

static void a_frame_that_is_not_what_was_written_is_left_out_and_counted(void **state)
{
    (void)state;
    append_range(1, 1, 40);
    write_lake();
    const char *name = HOUR "bba_20251120_1205_1-0.parquet";
    sql("COPY (SELECT * REPLACE (CASE WHEN seq = 6 THEN frame || 'x'::BLOB ELSE frame END AS "
        "frame) FROM '%s/%s') TO '%s/copy' (FORMAT parquet); COPY (FROM read_parquet('%s/copy')) "
        "TO '%s/%s' "
        "(FORMAT parquet)",
        lake, name, folder, folder, lake, name);
    struct duckdb_bronze *bronze = open_bronze(0, 0);
    for (uint64_t seq = 1; seq <= 40; seq++)
        if (seq != 6)
            expect(bronze, 1, seq);
    expect_end(bronze);
    assert_int_equal(duckdb_bronze_counters(bronze)->corrupt, 1);
    assert_int_equal(duckdb_bronze_counters(bronze)->quarantined, 0);
    duckdb_bronze_close(bronze);
}

static void what_is_no_object_is_put_aside_and_the_rest_is_read(void **state)
{
    (void)state;
    char path[512];
    append_range(1, 1, 150);
    write_lake();
    /* Cut in the middle; emptied; of other columns; and a foreign file, which is left alone. */
    snprintf(path, sizeof(path), "%s/" HOUR "bba_20251120_1205_1-0.parquet", lake);
    assert_int_equal(truncate(path, 700), 0);
    snprintf(path, sizeof(path), "%s/" HOUR "bba_20251120_1206_1-0.parquet", lake);
    assert_int_equal(truncate(path, 0), 0);
    sql("COPY (SELECT 1 AS one) TO '%s/" HOUR "bba_20251120_1207_1-0.parquet'", lake);
    sql("COPY (SELECT 1 AS one) TO '%s/" HOUR "notes.parquet'", lake);
    struct duckdb_bronze *bronze = open_bronze(0, 0);
    for (uint64_t seq = 1; seq <= 150; seq++)
        if (seq % 4 != 2)
            expect(bronze, 1, seq);
    expect_end(bronze);
    assert_int_equal(duckdb_bronze_counters(bronze)->quarantined, 3);
    duckdb_bronze_close(bronze);
    for (int minute = 1205; minute <= 1207; minute++) {
        snprintf(path, sizeof(path), "%s/quarantine/" HOUR "bba_20251120_%d_1-0.parquet", lake,
                 minute);
        assert_int_equal(access(path, F_OK), 0);
    }
    snprintf(path, sizeof(path), "%s/" HOUR "notes.parquet", lake);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_lake_without_the_symbol_is_said_to_be_empty(void **state)
{
    (void)state;
    struct duckdb_bronze *bronze;
    struct err err = {0};
    struct duckdb_bronze_options options = {.lake = files, .symbol = SYMBOL};
    assert_int_equal(duckdb_bronze_open(&options, &bronze, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, SYMBOL));
}

static void a_backfill_closes_the_hole_in_the_trade_ids(void **state)
{
    (void)state;
    struct duckdb_trades trades;
    struct record record;
    assert_int_equal(duckdb_trades_count(files, SYMBOL, NULL, &trades, NULL), ERR_OK);
    assert_int_equal(trades.streamed, 0);
    /* seq 1, 5, 9, 13 carry trades 1002, 1003; 1010, 1011; 1018, 1019; 1026, 1027. */
    for (uint64_t seq = 1; seq <= 13; seq += 4) {
        enum archive_kind kind = make(1, seq, &record);
        append(kind, &record);
    }
    write_lake();
    assert_int_equal(duckdb_trades_count(files, SYMBOL, NULL, &trades, NULL), ERR_OK);
    assert_int_equal(trades.first_id, 1002);
    assert_int_equal(trades.last_id, 1027);
    assert_int_equal(trades.streamed, 8);
    assert_int_equal(trades.backfilled, 0);
    assert_int_equal(trades.missing, 18);
    char body[8192] = "[";
    for (int id = 1000; id <= 1018; id++)
        snprintf(body + strlen(body), sizeof(body) - strlen(body),
                 "%s{\"id\":%d,\"price\":\"1.0\",\"qty\":\"2.0\",\"quoteQty\":\"2.0\",\"time\":1,"
                 "\"isBuyerMaker\":true,\"isBestMatch\":true}",
                 id == 1000 ? "" : ",", id);
    strcat(body, "]");
    struct archive_rest_reply reply = {.type = ARCHIVE_REST_TRADES,
                                       .symbol = SYMBOL,
                                       .received_us = BEGIN,
                                       .requested_us = BEGIN,
                                       .first_id = 1000,
                                       .reason = "trade hole",
                                       .body = bytes_text(body)};
    assert_int_equal(port.rest(port.self, &reply, on_done, NULL), ERR_OK);
    write_lake();
    assert_int_equal(duckdb_trades_count(files, SYMBOL, NULL, &trades, NULL), ERR_OK);
    assert_int_equal(trades.first_id, 1002);
    assert_int_equal(trades.streamed, 8);
    assert_int_equal(trades.backfilled, 12);
    assert_int_equal(trades.missing, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(records_come_in_the_order_of_the_world_with_controls_in_their_places),
        T(a_range_of_time_is_read_alone),
        T(blocks_behind_the_place_are_not_opened),
        T(a_record_in_two_objects_is_given_once),
        T(a_frame_that_is_not_what_was_written_is_left_out_and_counted),
        T(what_is_no_object_is_put_aside_and_the_rest_is_read),
        T(a_lake_without_the_symbol_is_said_to_be_empty),
        T(a_backfill_closes_the_hole_in_the_trade_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
