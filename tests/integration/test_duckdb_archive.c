/* The archive engine: blocks and replies become Parquet in a folder lake, read back by SQL.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "edge/duckdb/duckdb_archive.h"
#include "edge/duckdb/duckdb_session.h"
#include "edge/lake/folder_objects.h"
#include "edge/loop/loop.h"
#include "learn/lake/bronze_key.h"
#include "tests/lib/temp_dir.h"
#include "wire/sbe.h"

#define SYMBOL "BTCUSDT"
#define BEGIN  1763640300000000LL /* 2025-11-20 12:05:00 UTC */
#define HOUR   "bronze/sbe/" SYMBOL "/year=2025/month=11/day=20/hour=12/"

struct fixture {
    char folder[TEMP_DIR_SIZE];
    char lake[TEMP_DIR_SIZE + 8], spool_folder[TEMP_DIR_SIZE + 8], quarantine[TEMP_DIR_SIZE + 16];
    struct folder_objects *objects;
    struct lake_spool *spool;
    struct duckdb_archive *archive;
    struct archive_port port;
    struct duckdb_session session;
};

static int answers, last_result;
static char last_text[512];

static void on_done(void *context, const struct archive_reply *reply)
{
    (void)context;
    answers++;
    last_result = reply->result;
    snprintf(last_text, sizeof(last_text), "%s", reply->text);
}

static void open_archive(struct fixture *f, uint64_t spool_max)
{
    struct err err = {0};
    assert_int_equal(folder_objects_open(f->lake, &f->objects, &err), ERR_OK);
    struct lake_spool_options spool = {.folder = f->spool_folder,
                                       .bytes_max = spool_max,
                                       .objects = folder_objects_port(f->objects)};
    assert_int_equal(lake_spool_open(&spool, &f->spool, &err), ERR_OK);
    struct duckdb_archive_options options = {.quarantine_folder = f->quarantine, .spool = f->spool};
    if (duckdb_archive_open(&options, &f->archive, &err) != ERR_OK)
        fail_msg("%s", err.text);
    f->port = duckdb_archive_port(f->archive);
}

static void close_archive(struct fixture *f)
{
    duckdb_archive_close(f->archive);
    lake_spool_close(f->spool);
    folder_objects_close(f->objects);
}

static int setup(void **state)
{
    static struct fixture f;
    struct err err = {0};
    f = (struct fixture){0};
    temp_dir_make(f.folder);
    snprintf(f.lake, sizeof(f.lake), "%s/lake", f.folder);
    snprintf(f.spool_folder, sizeof(f.spool_folder), "%s/spool", f.folder);
    snprintf(f.quarantine, sizeof(f.quarantine), "%s/quarantine", f.folder);
    open_archive(&f, 0);
    if (duckdb_session_open(&f.session, NULL, 0, &err) != ERR_OK)
        fail_msg("%s", err.text);
    answers = 0;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    duckdb_session_close(&f->session);
    close_archive(f);
    temp_dir_remove(f->folder);
    return 0;
}

static void work_until(struct fixture *f, int wanted)
{
    for (int i = 0; i < 20000 && answers < wanted; i++) {
        f->port.do_work(f->port.self, loop_mono_us());
        usleep(1000);
    }
    assert_int_equal(answers, wanted);
}

/* Until the lake has all. */
static void drain(struct fixture *f)
{
    struct archive_status status;
    for (int i = 0; i < 20000; i++) {
        f->port.do_work(f->port.self, loop_mono_us());
        f->port.status(f->port.self, &status);
        if (status.spool_files == 0)
            return;
        usleep(1000);
    }
    fail_msg("the spool still holds %" PRIu64 " files", status.spool_files);
}

static int64_t integer(struct fixture *f, const char *format, ...)
{
    char sql[2048];
    int64_t value = 0;
    struct err err = {0};
    va_list list;
    va_start(list, format);
    vsnprintf(sql, sizeof(sql), format, list);
    va_end(list);
    if (duckdb_session_integers(&f->session, sql, &value, 1, &err) != ERR_OK)
        fail_msg("%s: %s", sql, err.text);
    return value;
}

static struct record frame(uint64_t seq, const uint8_t *data, size_t size)
{
    assert_true(size > 0);
    return (struct record){.epoch = 7,
                           .seq = seq,
                           .recv_us = BEGIN + (int64_t)seq,
                           .kind = RECORD_FRAME,
                           .payload = bytes_of(data, size)};
}

static struct archive_block put(struct fixture *f, enum archive_kind kind,
                                const struct record *record)
{
    struct archive_block block;
    bronze_key_block(kind, SYMBOL, record, &block);
    assert_int_equal(f->port.append(f->port.self, &block, record), ERR_OK);
    return block;
}

static const struct sbe_scale scale = {-2, -8};

static size_t encode_trades(uint8_t *out, int64_t first_id, uint32_t count)
{
    static struct trade trades[3000];
    for (uint32_t i = 0; i < count; i++)
        trades[i] = (struct trade){.id = first_id + i,
                                   .price = 6183763 + i,
                                   .qty = 378826000 + first_id,
                                   .is_buyer_maker = i % 2 == 1};
    return sbe_encode_trades(out, 1 << 20, SYMBOL, scale, BEGIN - 500, BEGIN - 900, trades, count);
}

static uint8_t buffer[1 << 20];

static void trades_are_one_row_each_and_the_frame_stands_once(void **state)
{
    struct fixture *f = *state;
    struct archive_block block = {0};
    uint32_t crcs = 0;
    /* The last one is larger than a chunk of DuckDB. */
    const uint32_t counts[] = {1, 3, 2, 3000};
    int64_t id = 1000;
    for (uint64_t i = 0; i < 4; i++) {
        size_t size = encode_trades(buffer, id, counts[i]);
        crcs ^= crc32c(0, buffer, size);
        struct record record = frame(10 + i, buffer, size);
        record.flags = i == 1 ? RECORD_SYNTHETIC_FRAME : 0;
        block = put(f, ARCHIVE_TRADES, &record);
        id += counts[i];
    }
    assert_int_equal(f->port.finish(f->port.self, &block, on_done, NULL), ERR_OK);
    work_until(f, 1);
    assert_int_equal(last_result, ERR_OK);
    drain(f);
    char from[256];
    snprintf(from, sizeof(from), "FROM '%s/" HOUR "trades_20251120_1205_7-0.parquet'", f->lake);
    assert_int_equal(integer(f, "SELECT count(*) %s", from), 3006);
    assert_int_equal(integer(f, "SELECT count(frame) %s", from), 4);
    assert_int_equal(
        integer(f, "SELECT max(trade_id) - min(trade_id) + 1 - count(DISTINCT trade_id) %s", from),
        0);
    assert_int_equal(integer(f, "SELECT bit_xor(frame_crc32c) %s", from), crcs);
    assert_int_equal(integer(f, "SELECT price_mantissa %s WHERE trade_id = 1002", from), 6183764);
    assert_int_equal(integer(f, "SELECT quantity_mantissa %s WHERE trade_id = 1002", from),
                     378826000 + 1001);
    assert_int_equal(integer(f,
                             "SELECT count(*) %s WHERE price = price_mantissa / 100.0 AND "
                             "price_exponent = -2 AND quantity_exponent = -8",
                             from),
                     3006);
    assert_int_equal(integer(f, "SELECT count(*) %s WHERE is_buyer_maker", from), 0 + 1 + 1 + 1500);
    assert_int_equal(integer(f, "SELECT count(*) %s WHERE source = 'json' AND seq = 11", from), 3);
    assert_int_equal(integer(f,
                             "SELECT count(*) %s WHERE symbol = '" SYMBOL "' AND epoch = 7 AND "
                             "partition_date = '2025-11-20' AND partition_hour = 12 AND "
                             "ingest_ts = recv_us AND recv_us = %" PRId64 " + seq AND "
                             "event_ts = %" PRId64 " AND transact_ts = %" PRId64,
                             from, BEGIN, BEGIN - 500, BEGIN - 900),
                     3006);
    assert_int_equal(integer(f, "SELECT max(trade_index)::BIGINT %s", from), 2999);
    assert_int_equal(duckdb_archive_counters(f->archive)->rows, 3006);
}

static void depth_holds_diffs_snapshots_ticks_and_what_cannot_be_decoded(void **state)
{
    struct fixture *f = *state;
    struct sbe_level bids[3] = {{6183763, 5}, {6183762, 0}, {6183761, 7}};
    struct sbe_level asks[1] = {{6183764, 9}};
    struct record tick = {.epoch = 7, .seq = 4, .recv_us = BEGIN + 4, .kind = RECORD_TICK};
    uint8_t junk[9] = {1, 2, 3, 4, 5, 6, 7, 8, 0};
    size_t size =
        sbe_encode_diff(buffer, sizeof(buffer), SYMBOL, scale, BEGIN, 101, 104, bids, 3, asks, 1);
    struct record diff = frame(1, buffer, size);
    struct archive_block block = put(f, ARCHIVE_DEPTH, &diff);
    size = sbe_encode_snapshot(buffer, sizeof(buffer), SYMBOL, scale, BEGIN, 104, bids, 1, asks, 1);
    struct record snapshot = frame(2, buffer, size);
    put(f, ARCHIVE_DEPTH, &snapshot);
    struct record broken = frame(3, junk, sizeof(junk));
    put(f, ARCHIVE_DEPTH, &broken);
    put(f, ARCHIVE_DEPTH, &tick);
    assert_int_equal(f->port.finish(f->port.self, &block, on_done, NULL), ERR_OK);
    work_until(f, 1);
    drain(f);
    char from[256];
    snprintf(from, sizeof(from), "FROM '%s/" HOUR "depth_20251120_1205_7-0.parquet'", f->lake);
    assert_int_equal(integer(f, "SELECT count(*) %s", from), 4);
    assert_int_equal(
        integer(f, "SELECT first_update_id * 1000 + final_update_id %s WHERE type = 'diff'", from),
        101104);
    assert_int_equal(integer(f,
                             "SELECT list_sum(list_transform(bids, lambda b: b.price_mantissa + "
                             "b.quantity_mantissa))::BIGINT %s WHERE type = 'diff'",
                             from),
                     3 * 6183762 + 12);
    assert_int_equal(integer(f,
                             "SELECT count(*) %s WHERE asks[1].price = 61837.64 AND "
                             "asks[1].quantity = 9e-8",
                             from),
                     2);
    assert_int_equal(integer(f,
                             "SELECT final_update_id %s WHERE type = 'snapshot' AND "
                             "len(bids) = 1 AND first_update_id IS NULL",
                             from),
                     104);
    assert_int_equal(integer(f,
                             "SELECT count(*) %s WHERE type = 'tick' AND frame IS NULL AND "
                             "bids IS NULL AND event_ts IS NULL AND record_kind = 2",
                             from),
                     1);
    assert_int_equal(integer(f,
                             "SELECT octet_length(frame) %s WHERE type IS NULL AND seq = 3 AND "
                             "record_kind = 1",
                             from),
                     9);
    assert_int_equal(duckdb_archive_counters(f->archive)->undecoded, 1);
}

static void quotes_and_controls_have_their_own_objects(void **state)
{
    struct fixture *f = *state;
    static const char anchor[] =
        "{\"symbol\":\"BTCUSDT\",\"cause\":\"it's lost\",\"depth\":{\"lastUpdateId\":77}}";
    uint8_t hole[16];
    bytes_store_u64(hole, 8);
    bytes_store_u64(hole + 8, 99);
    size_t size = sbe_encode_quote(buffer, sizeof(buffer), SYMBOL, scale, BEGIN, 55,
                                   (struct sbe_level){100, 1}, (struct sbe_level){101, 2});
    struct record record = frame(1, buffer, size);
    struct archive_block quotes = put(f, ARCHIVE_BBA, &record);
    record = frame(1, (const uint8_t *)anchor, sizeof(anchor) - 1);
    record.kind = RECORD_ANCHOR;
    struct archive_block controls = put(f, ARCHIVE_CONTROL, &record);
    record = frame(1, (const uint8_t *)"{\"broken", 8);
    record.kind = RECORD_ANCHOR;
    put(f, ARCHIVE_CONTROL, &record);
    record = frame(1, hole, sizeof(hole));
    record.kind = RECORD_HOLE;
    put(f, ARCHIVE_CONTROL, &record);
    assert_int_equal(f->port.finish(f->port.self, &quotes, on_done, NULL), ERR_OK);
    assert_int_equal(f->port.finish(f->port.self, &controls, on_done, NULL), ERR_OK);
    work_until(f, 2);
    assert_int_equal(last_result, ERR_OK);
    drain(f);
    char from[256];
    snprintf(from, sizeof(from), "FROM '%s/" HOUR "bba_20251120_1205_7-0.parquet'", f->lake);
    assert_int_equal(integer(f,
                             "SELECT count(*) %s WHERE bid_price = 1.0 AND ask_price = 1.01 AND "
                             "bid_quantity_mantissa = 1 AND ask_quantity = 2e-8 AND "
                             "book_update_id = 55",
                             from),
                     1);
    snprintf(from, sizeof(from), "FROM '%s/" HOUR "control_20251120_1205_7-0.parquet'", f->lake);
    assert_int_equal(integer(f, "SELECT last_update_id %s WHERE cause = 'it''s lost'", from), 77);
    assert_int_equal(integer(f, "SELECT count(*) %s WHERE type = 'anchor'", from), 2);
    assert_int_equal(integer(f, "SELECT next_epoch * 100 + next_seq %s WHERE type = 'hole'", from),
                     899);
}

static int put_reply(struct fixture *f, enum archive_rest type, int64_t first_id, const char *body)
{
    struct archive_rest_reply reply = {.type = type,
                                       .symbol = SYMBOL,
                                       .requested_us = BEGIN,
                                       .received_us = BEGIN + 43000,
                                       .first_id = first_id,
                                       .reason = "gap's backfill",
                                       .body = bytes_text(body)};
    return f->port.rest(f->port.self, &reply, on_done, NULL);
}

static void replies_become_rows_with_the_body_once(void **state)
{
    struct fixture *f = *state;
    char from[300];
    assert_int_equal(
        put_reply(f, ARCHIVE_REST_DEPTH, 9,
                  "{\"lastUpdateId\":9,\"bids\":[[\"1.50\",\"2.0\"],[\"1.4\",\"3\"]],\"asks\":[]}"),
        ERR_OK);
    assert_int_equal(
        put_reply(f, ARCHIVE_REST_AGG_TRADES, 26129,
                  "[{\"a\":26129,\"p\":\"0.01633102\",\"q\":\"4.70443515\",\"f\":27781,\"l\":27782,"
                  "\"T\":1498793709153,\"m\":true,\"M\":true},"
                  "{\"a\":26130,\"p\":\"0.02\",\"q\":\"1\",\"f\":27783,\"l\":27783,"
                  "\"T\":1498793709154,\"m\":false,\"M\":true}]"),
        ERR_OK);
    assert_int_equal(
        put_reply(f, ARCHIVE_REST_KLINES, 1499040000000,
                  "[[1499040000000,\"0.0163479\",\"0.8\",\"0.015758\",\"0.015771\","
                  "\"148976.11427815\",1499040059999,\"2434.19055334\",308,\"1756.87402397\","
                  "\"28.46694368\",\"0\"]]"),
        ERR_OK);
    assert_int_equal(
        put_reply(
            f, ARCHIVE_REST_TRADES, 28457,
            "[{\"id\":28457,\"price\":\"4.00000100\",\"qty\":\"12.00000000\",\"quoteQty\":"
            "\"48.000012\",\"time\":1499865549590,\"isBuyerMaker\":true,\"isBestMatch\":true}]"),
        ERR_OK);
    work_until(f, 4);
    if (last_result != ERR_OK)
        fail_msg("%s", last_text);
    drain(f);
    const char *at = "/bronze/rest/" SYMBOL "/";
    const char *day = "/year=2025/month=11/day=20/";
    snprintf(from, sizeof(from), "FROM '%s%sdepth%sdepth_20251120_1205_9.parquet'", f->lake, at,
             day);
    assert_int_equal(integer(f,
                             "SELECT last_update_id %s WHERE bids[1].price = 1.5 AND "
                             "bids[2].quantity = 3 AND len(asks) = 0 AND api_latency_ms = 43 AND "
                             "reason = 'gap''s backfill' AND collection_ts = %" PRId64,
                             from, BEGIN + 43000),
                     9);
    snprintf(from, sizeof(from), "FROM '%s%saggTrades%saggTrades_20251120_1205_26129.parquet'",
             f->lake, at, day);
    assert_int_equal(integer(f, "SELECT count(*) * 10 + count(body) %s", from), 21);
    assert_int_equal(integer(f,
                             "SELECT price_mantissa %s WHERE agg_trade_id = 26129 AND "
                             "first_trade_id = 27781 AND last_trade_id = 27782 AND is_buyer_maker "
                             "AND quantity = 4.70443515 AND timestamp = 1498793709153",
                             from),
                     1633102);
    snprintf(from, sizeof(from), "FROM '%s%sklines%sklines_20251120_1205_1499040000000.parquet'",
             f->lake, at, day);
    assert_int_equal(integer(f,
                             "SELECT volume_mantissa %s WHERE trade_count = 308 AND "
                             "close_time = 1499040059999 AND quote_volume = 2434.19055334 AND "
                             "taker_buy_quote_volume = 28.46694368",
                             from),
                     14897611427815);
    snprintf(from, sizeof(from),
             "FROM '%s%shistoricalTrades%shistoricalTrades_20251120_1205_28457.parquet'", f->lake,
             at, day);
    assert_int_equal(integer(f,
                             "SELECT trade_id %s WHERE price_mantissa = 400000100 AND "
                             "octet_length(body) > 100",
                             from),
                     28457);
    assert_int_equal(duckdb_archive_counters(f->archive)->replies, 4);
}

static void a_reply_that_is_none_is_quarantined_with_its_bytes(void **state)
{
    struct fixture *f = *state;
    const char *const bodies[] = {"<html>502</html>", "{\"code\":-1121,\"msg\":\"no\"}", "",
                                  "[{\"a\":1}]"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            put_reply(f, i < 2 ? ARCHIVE_REST_DEPTH : ARCHIVE_REST_AGG_TRADES, i, bodies[i]),
            ERR_OK);
        work_until(f, i + 1);
        assert_int_equal(last_result, ERR_MALFORMED);
    }
    assert_int_equal(duckdb_archive_counters(f->archive)->quarantined, 4);
    assert_int_equal(integer(f, "SELECT count(*) FROM read_text('%s/*')", f->quarantine), 4);
    assert_int_equal(integer(f,
                             "SELECT count(*) FROM read_text('%s/*') WHERE content = "
                             "'<html>502</html>'",
                             f->quarantine),
                     1);
    assert_int_equal(lake_spool_files(f->spool), 0);
    assert_int_equal(put_reply(f, ARCHIVE_REST_DEPTH, -1, "{}"), ERR_INVALID);
}

static struct archive_block put_some(struct fixture *f, uint64_t from, int count)
{
    struct archive_block block = {0};
    for (int i = 0; i < count; i++) {
        size_t size = encode_trades(buffer, 5000 + i * 2, 2);
        struct record record = frame(from + (uint64_t)i, buffer, size);
        block = put(f, ARCHIVE_TRADES, &record);
    }
    return block;
}

static void a_block_written_again_replaces_its_object(void **state)
{
    struct fixture *f = *state;
    for (int round = 1; round <= 2; round++) {
        struct archive_block block = put_some(f, 1, 10 * round);
        assert_int_equal(f->port.finish(f->port.self, &block, on_done, NULL), ERR_OK);
        work_until(f, round);
    }
    drain(f);
    assert_int_equal(integer(f, "SELECT count(*) FROM '%s/" HOUR "*.parquet'", f->lake), 40);
}

static void with_the_lake_away_files_wait_in_the_spool_over_a_restart(void **state)
{
    struct fixture *f = *state;
    struct archive_status status;
    /* A file stands where the lake's folder belongs. */
    FILE *file = fopen(f->lake, "w");
    assert_non_null(file);
    fclose(file);
    for (int i = 0; i < 3; i++) {
        struct archive_block block = put_some(f, 1 + (uint64_t)i * ARCHIVE_BLOCK_SEQS, 5);
        assert_int_equal(f->port.finish(f->port.self, &block, on_done, NULL), ERR_OK);
        work_until(f, i + 1);
        assert_int_equal(last_result, ERR_OK);
    }
    for (int i = 0; i < 5; i++)
        f->port.do_work(f->port.self, loop_mono_us());
    f->port.status(f->port.self, &status);
    assert_int_equal(status.spool_files, 3);
    assert_true(status.spool_bytes > 0);
    assert_false(status.lake_ready);
    close_archive(f);
    unlink(f->lake);
    /* A beginning that a killed process left is nothing. */
    char begun[256];
    snprintf(begun, sizeof(begun), "%s/.begun-00000000000000ff.parquet", f->spool_folder);
    file = fopen(begun, "w");
    assert_non_null(file);
    fclose(file);
    open_archive(f, 0);
    assert_int_equal(access(begun, F_OK), -1);
    drain(f);
    assert_int_equal(integer(f, "SELECT count(*) FROM '%s/" HOUR "*.parquet'", f->lake), 30);
}

static void a_full_spool_takes_nothing_more_until_the_lake_is_back(void **state)
{
    struct fixture *f = *state;
    close_archive(f);
    FILE *file = fopen(f->lake, "w");
    assert_non_null(file);
    fclose(file);
    open_archive(f, 1000); /* less than one file */
    struct archive_block block = put_some(f, 1, 5);
    assert_int_equal(f->port.finish(f->port.self, &block, on_done, NULL), ERR_OK);
    work_until(f, 1);
    struct record tick = {.epoch = 7, .seq = 9, .recv_us = BEGIN, .kind = RECORD_TICK};
    assert_int_equal(f->port.append(f->port.self, &block, &tick), ERR_AGAIN);
    assert_int_equal(put_reply(f, ARCHIVE_REST_DEPTH, 1, "{}"), ERR_AGAIN);
    unlink(f->lake);
    drain(f);
    assert_int_equal(f->port.append(f->port.self, &block, &tick), ERR_OK);
    f->port.discard(f->port.self, &block);
}

static void a_full_disk_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, small;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = 2000, .rlim_max = before.rlim_max};
    struct archive_block block = put_some(f, 1, 2000);
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(f->port.finish(f->port.self, &block, on_done, NULL), ERR_OK);
    work_until(f, 1);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(last_result, ERR_FULL);
    assert_int_equal(duckdb_archive_counters(f->archive)->full, 1);
    assert_int_equal(lake_spool_files(f->spool), 0);
    assert_int_equal(integer(f, "SELECT count(*) FROM glob('%s/*')", f->spool_folder), 0);
    /* The block is still there, and takes more before it is tried again. */
    put_some(f, 3001, 10);
    assert_int_equal(f->port.finish(f->port.self, &block, on_done, NULL), ERR_OK);
    work_until(f, 2);
    assert_int_equal(last_result, ERR_OK);
    drain(f);
    assert_int_equal(integer(f, "SELECT count(*) FROM '%s/" HOUR "*.parquet'", f->lake), 4020);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(trades_are_one_row_each_and_the_frame_stands_once),
        T(depth_holds_diffs_snapshots_ticks_and_what_cannot_be_decoded),
        T(quotes_and_controls_have_their_own_objects),
        T(replies_become_rows_with_the_body_once),
        T(a_reply_that_is_none_is_quarantined_with_its_bytes),
        T(a_block_written_again_replaces_its_object),
        T(with_the_lake_away_files_wait_in_the_spool_over_a_restart),
        T(a_full_spool_takes_nothing_more_until_the_lake_is_back),
        T(a_full_disk_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
