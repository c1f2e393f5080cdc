/* Bronze to silver and the store: the rows that come out are the rows of the recording, bit for
 * bit, whatever happens on the way. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <sys/resource.h>

#include "base/log.h"
#include "edge/duckdb/duckdb_session.h"
#include "edge/duckdb/duckdb_training.h"
#include "edge/postgres/pq_training.h"
#include "integration/lake_fixture.h"
#include "integration/pg_fixture.h"
#include "learn/train/row_maker.h"
#include "services/etl/etl_job.h"
#include "services/exchange-sim/sim_capture.h"
#include "services/trainer/train_load.h"

#define SYMBOL   "BTCUSDT"
#define HOURS    0.1
#define KILLS    (getenv("BTCAST_LONG") != NULL ? 100 : 10)
#define START_MS 1767229080000LL /* 2026-01-01 00:58: the hour turns in it */

static struct pg_fixture pg;
static char folder[TEMP_DIR_SIZE], market[TEMP_DIR_SIZE + 32];
static atomic_bool stop;
static struct dataset wanted;

static int start(void **state)
{
    (void)state;
    struct sim_options options = {.symbol = SYMBOL,
                                  .seed = 41,
                                  .price = 60000.0,
                                  .rate = 1.0,
                                  .diff_interval_ms = 20,
                                  .depth20 = true,
                                  .capture_hours = HOURS,
                                  .capture_start_ms = START_MS};
    struct sim_capture_result result;
    uint64_t refused = 0;
    temp_dir_make(folder);
    snprintf(market, sizeof(market), "%s/market.btc", folder);
    snprintf(options.capture_out, sizeof(options.capture_out), "%s", market);
    if (sim_capture_write(&options, &result, NULL) != ERR_OK)
        return -1;
    dataset_init(&wanted);
    if (train_load_captures(market, SYMBOL, &wanted, &refused, NULL) != ERR_OK ||
        wanted.count < 130)
        return -1;
    char lake[TEMP_DIR_SIZE + 8];
    snprintf(lake, sizeof(lake), "%s/lake", folder);
    assert_true(lake_fixture_write(market, SYMBOL, lake, folder, 0, INT64_MAX) > 12);
    pg_fixture_start(&pg);
    pg_fixture_migrate(&pg);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pg_fixture_stop(&pg);
    dataset_free(&wanted);
    temp_dir_remove(folder);
    return 0;
}

/* A lake and a work folder of a test's own. */
struct place {
    char lake[TEMP_DIR_SIZE + 32], work[TEMP_DIR_SIZE + 32];
};

/* whole: with the recording's whole lake in it. */
static struct place place_of(const char *name, bool whole)
{
    struct place place;
    snprintf(place.lake, sizeof(place.lake), "%s/lake-%s", folder, name);
    snprintf(place.work, sizeof(place.work), "%s/work-%s", folder, name);
    if (whole) {
        char command[3 * TEMP_DIR_SIZE];
        snprintf(command, sizeof(command), "cp -r '%s/lake' '%s'", folder, place.lake);
        assert_int_equal(system(command), 0);
    }
    pg_fixture_do(&pg, "TRUNCATE feature_store, slot_mid, market_data_minute, "
                       "data_quality_metrics, served_vector, predictions_log, load_position");
    return place;
}

static struct etl_job *open_job(const struct place *place, const char *database, int64_t settle_us)
{
    struct etl_job *job;
    struct err err = {0};
    struct etl_job_options options = {.symbol = SYMBOL,
                                      .lake = place->lake,
                                      .work = place->work,
                                      .database = database,
                                      .settle_us = settle_us,
                                      .patience_us = settle_us,
                                      .stop = &stop};
    if (etl_job_open(&options, &job, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return job;
}

static void pass(struct etl_job *job)
{
    struct err err = {0};
    if (etl_job_pass(job, &err) != ERR_OK)
        fail_msg("%s", err.text);
}

static void check_dataset(const struct dataset *found)
{
    assert_int_equal(found->count, wanted.count);
    for (size_t i = 0; i < found->count; i++) {
        assert_int_equal(found->slot[i], wanted.slot[i]);
        assert_memory_equal(&found->mid[i], &wanted.mid[i], sizeof(double));
        assert_memory_equal(&found->label_bp[i], &wanted.label_bp[i], sizeof(double));
    }
    assert_int_equal(dataset_hash(found), dataset_hash(&wanted));
}

/* Rows of silver, of the whole time or a range. */
static int load_silver(const struct place *place, int64_t from_us, int64_t to_us,
                       struct dataset *dataset, struct err *err)
{
    struct lake_files_options lake = {.folder = place->lake};
    struct duckdb_training_options options = {.symbol = SYMBOL, .from_us = from_us, .to_us = to_us};
    assert_int_equal(lake_files_open(&lake, &options.lake, err), ERR_OK);
    int result = duckdb_training_load(&options, dataset, err);
    lake_files_close(options.lake);
    return result;
}

static void check_rows(const struct place *place, bool in_store)
{
    struct err err = {0};
    struct dataset silver, store;
    dataset_init(&silver);
    dataset_init(&store);
    if (load_silver(place, 0, 0, &silver, &err) != ERR_OK)
        fail_msg("%s", err.text);
    check_dataset(&silver);
    if (in_store && pq_training_load(&pg.sync, SYMBOL, 0, 0, &store, &err) != ERR_OK)
        fail_msg("%s", err.text);
    if (in_store)
        check_dataset(&store);
    dataset_free(&silver);
    dataset_free(&store);
}

/* --- rows ------------------------------------------------------------------------------- */

static void training_rows_of_store_and_silver_are_those_of_the_recording(void **state)
{
    (void)state;
    struct place place = place_of("whole", true);
    struct etl_job *job = open_job(&place, pg.target, 0);
    pass(job);
    assert_int_equal(etl_job_counters(job)->late, 0);
    assert_int_equal(etl_job_counters(job)->refused, 0);
    check_rows(&place, true);
    etl_job_close(job);
    /* A part of the time, and none of it. */
    struct dataset part;
    struct err err = {0};
    const int64_t from_us = clock_slot_us(wanted.slot[10]), to_us = clock_slot_us(wanted.slot[20]);
    dataset_init(&part);
    assert_int_equal(load_silver(&place, from_us, to_us, &part, &err), ERR_OK);
    assert_int_equal(part.count, 10);
    dataset_free(&part);
    dataset_init(&part);
    assert_int_equal(pq_training_load(&pg.sync, SYMBOL, from_us, to_us, &part, &err), ERR_OK);
    assert_int_equal(part.count, 10);
    assert_int_equal(part.slot[0], wanted.slot[10]);
    assert_int_equal(pq_training_load(&pg.sync, "ETHUSDT", 0, 0, &part, &err), ERR_EMPTY);
    assert_int_equal(pq_training_load(&pg.sync, "x'; DROP", 0, 0, &part, &err), ERR_INVALID);
    dataset_free(&part);
}

/* --- going on --------------------------------------------------------------------------- */

static int count(const char *sql)
{
    return atoi(pg_fixture_ask(&pg, sql));
}

/* Everything that stands in the store, in one line. */
static void sum(char out[512])
{
    snprintf(out, 512, "%s",
             pg_fixture_ask(&pg,
                            "SELECT md5(string_agg(t, ';' ORDER BY t)) || ' ' || count(*) FROM ("
                            "SELECT to_jsonb(f)::text || md5(f.features::text) AS t FROM (SELECT "
                            "slot, price, features, ingest_epoch, seq, as_of_us, target_valid, "
                            "target_price_10s, volume_1s, data_quality_score, "
                            "feature_completeness FROM feature_store) f UNION ALL SELECT "
                            "to_jsonb(m)::text FROM slot_mid m UNION ALL SELECT to_jsonb(b)::text "
                            "FROM (SELECT symbol, open_time, open_price, high_price, low_price, "
                            "close_price, volume, notional, trade_count, buy_volume, "
                            "completeness_score, gap_seconds FROM market_data_minute) b) x"));
}

static void in_pieces_and_with_restarts_it_is_the_same_as_in_one_go(void **state)
{
    (void)state;
    char whole[512], pieces[512];
    struct place one = place_of("one", true);
    struct etl_job *job = open_job(&one, pg.target, 0);
    pass(job);
    const uint64_t whole_records = etl_job_counters(job)->records;
    etl_job_close(job);
    sum(whole);
    struct place many = place_of("many", false);
    const int64_t minute_us = 60 * CLOCK_US_PER_S, begin_us = START_MS * 1000;
    job = NULL;
    for (int i = 0; i < 6; i++) {
        lake_fixture_write(market, SYMBOL, many.lake, folder, begin_us + i * minute_us,
                           i == 5 ? INT64_MAX : begin_us + (i + 1) * minute_us);
        if (job == NULL)
            job = open_job(&many, pg.target, 0);
        pass(job);
        pass(job); /* with nothing new */
        if (i % 2 == 1) {
            etl_job_close(job);
            job = NULL;
        }
    }
    etl_job_close(job);
    sum(pieces);
    assert_string_equal(pieces, whole);
    check_rows(&many, true);
    /* A world that was taken through bytes five times is not made anew. */
    job = open_job(&many, pg.target, 0);
    pass(job);
    assert_int_equal(etl_job_counters(job)->late, 0);
    assert_true(etl_job_counters(job)->records < whole_records / 3);
    etl_job_close(job);
}

static void a_missing_block_is_waited_for_and_one_that_comes_late_is_taken(void **state)
{
    (void)state;
    struct place place = place_of("late", true);
    char victim[TEMP_DIR_SIZE + 256], away[TEMP_DIR_SIZE + 64];
    glob_t found;
    snprintf(victim, sizeof(victim),
             "%s/bronze/sbe/" SYMBOL "/*/*/*/*/trades_20260101_0100_*.parquet", place.lake);
    assert_int_equal(glob(victim, 0, NULL, &found), 0);
    snprintf(victim, sizeof(victim), "%s", found.gl_pathv[0]);
    globfree(&found);
    snprintf(away, sizeof(away), "%s/victim.parquet", folder);
    assert_int_equal(rename(victim, away), 0);
    /* The newest block is two minutes away: it may still come. */
    struct etl_job *job = open_job(&place, pg.target, 600 * CLOCK_US_PER_S);
    pass(job);
    assert_int_equal(etl_job_counters(job)->rows, 0);
    etl_job_close(job);
    /* Not waited for: a hole, and what it does to the rows. */
    job = open_job(&place, pg.target, 0);
    pass(job);
    assert_true(etl_job_counters(job)->holes > 0);
    struct dataset holed;
    struct err err = {0};
    dataset_init(&holed);
    assert_int_equal(pq_training_load(&pg.sync, SYMBOL, 0, 0, &holed, &err), ERR_OK);
    assert_int_not_equal(dataset_hash(&holed), dataset_hash(&wanted));
    dataset_free(&holed);
    assert_true(count("SELECT count(*) FROM market_data_minute WHERE completeness_score < 1 AND "
                      "open_time > 1767229080000") > 0);
    /* There it is. */
    assert_int_equal(rename(away, victim), 0);
    pass(job);
    assert_int_equal(etl_job_counters(job)->late, 1);
    check_rows(&place, true);
    pass(job);
    assert_int_equal(etl_job_counters(job)->late, 1);
    etl_job_close(job);
}

/* --- bars ------------------------------------------------------------------------------- */

/* Volumes by minute of the recording's own trades, as the gap detector has them. */
static int64_t volume_of(int64_t open_ms, int64_t *trades)
{
    struct capture_file *capture;
    struct record record;
    struct bytes symbol;
    int64_t sum_qty = 0;
    *trades = 0;
    assert_int_equal(capture_file_open(market, &capture, NULL), ERR_OK);
    while (capture_file_next(capture, &record) == ERR_OK) {
        struct event event;
        if (record.kind != RECORD_FRAME ||
            sbe_decode_event(record.payload, &event, &symbol, NULL) != SBE_OK ||
            event.kind != EVENT_TRADES || event.trades.transact_us / 60000000 * 60000 != open_ms)
            continue;
        for (uint32_t i = 0; i < event.trades.list.count; i++) {
            sum_qty += trade_at(&event.trades.list, i).qty;
            ++*trades;
        }
    }
    capture_file_close(capture);
    return sum_qty;
}

static void bars_have_every_trade_to_the_last_digit(void **state)
{
    (void)state;
    struct place place = place_of("bars", true);
    struct etl_job *job = open_job(&place, pg.target, 0);
    pass(job);
    etl_job_close(job);
    assert_true(count("SELECT count(*) FROM market_data_minute") >= 6);
    for (int64_t open_ms = START_MS; open_ms < START_MS + 6 * 60000; open_ms += 60000) {
        char sql[512], expected[128];
        int64_t trades, volume = volume_of(open_ms, &trades);
        struct text out = text_begin(expected, sizeof(expected));
        text_add_decimal(&out, volume, -8);
        text_add_format(&out, " %lld", (long long)trades);
        snprintf(sql, sizeof(sql),
                 "SELECT volume || ' ' || trade_count FROM market_data_minute WHERE open_time = "
                 "%lld AND buy_volume + sell_volume = volume AND buy_trade_count + "
                 "sell_trade_count = trade_count AND low_price <= least(open_price, close_price) "
                 "AND high_price >= greatest(open_price, close_price) AND abs(vwap * "
                 "volume::float8 - notional::float8) < 0.01",
                 (long long)open_ms);
        assert_string_equal(pg_fixture_ask(&pg, sql), text_end(&out));
    }
    assert_int_equal(
        count("SELECT count(*) FROM data_quality_metrics WHERE dataset = 'bars_1m' AND "
              "score = 1 AND gap_count = 0"),
        5); /* nobody knows what came before the first trade of the first one */
}

/* --- faults ----------------------------------------------------------------------------- */

static void a_cut_object_is_put_aside_with_its_bytes_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct place place = place_of("cut", true);
    char path[TEMP_DIR_SIZE + 256], aside[TEMP_DIR_SIZE + 256];
    struct stat status;
    glob_t found;
    snprintf(path, sizeof(path), "%s/bronze/sbe/" SYMBOL "/*/*/*/*/trades_20260101_0101_*.parquet",
             place.lake);
    assert_int_equal(glob(path, 0, NULL, &found), 0);
    snprintf(path, sizeof(path), "%s", found.gl_pathv[0]);
    globfree(&found);
    assert_int_equal(stat(path, &status), 0);
    off_t half = status.st_size / 2;
    assert_int_equal(truncate(path, half), 0);
    struct etl_job *job = open_job(&place, pg.target, 0);
    pass(job);
    assert_int_equal(etl_job_counters(job)->quarantined, 1);
    assert_true(etl_job_counters(job)->rows > 170);
    snprintf(aside, sizeof(aside), "%s/quarantine/%s", place.lake, path + strlen(place.lake) + 1);
    assert_int_equal(stat(aside, &status), 0);
    assert_int_equal(status.st_size, half);
    pass(job); /* it is gone: that is no late object */
    assert_int_equal(etl_job_counters(job)->late, 0);
    assert_int_equal(etl_job_counters(job)->quarantined, 1);
    etl_job_close(job);
}

/* A reply of minute 59 + minute, and its object's path. */
static void put_reply(const struct place *place, enum archive_rest type, int minute, int64_t id,
                      const char *body, char path[TEMP_DIR_SIZE + 256])
{
    const int64_t at_us = START_MS * 1000 + minute * 60 * CLOCK_US_PER_S + 5 * CLOCK_US_PER_S;
    struct archive_rest_reply reply = {.type = type,
                                       .symbol = SYMBOL,
                                       .requested_us = at_us - 1000,
                                       .received_us = at_us,
                                       .first_id = id,
                                       .reason = "poll",
                                       .body = bytes_text(body)};
    char key[OBJECT_KEY_SIZE];
    lake_fixture_reply(place->lake, folder, &reply);
    assert_int_equal(bronze_key_of_reply(&reply, key), ERR_OK);
    struct text out = text_begin(path, TEMP_DIR_SIZE + 256);
    text_add_format(&out, "%s/%s", place->lake, key);
    text_end(&out);
    assert_false(out.truncated);
    assert_int_equal(access(path, F_OK), 0);
}

static int64_t integer_of(const char *sql)
{
    struct duckdb_session session = {0};
    struct err err = {0};
    int64_t value = -1;
    assert_int_equal(duckdb_session_open(&session, NULL, 0, &err), ERR_OK);
    if (duckdb_session_integers(&session, sql, &value, 1, &err) != ERR_OK)
        fail_msg("%s", err.text);
    duckdb_session_close(&session);
    return value;
}

#define DEPTH_REPLY(id)                                                                            \
    "{\"lastUpdateId\":" id ",\"bids\":[[\"60000.00\",\"1.5\"]],\"asks\":[[\"60001.00\",\"2.0\"]]" \
                            "}"

static void replies_that_cannot_be_read_are_put_aside_and_the_others_taken(void **state)
{
    (void)state;
    static const char kline[] = "[[1767229140000,\"1\",\"2\",\"1\",\"2\",\"3.00000000\","
                                "1767229199999,\"4\",5,\"1\",\"1\",\"0\"]]";
    struct place place = place_of("rest", true);
    char path[3][TEMP_DIR_SIZE + 256], sql[1024];
    struct stat status;
    put_reply(&place, ARCHIVE_REST_DEPTH, 2, 11, DEPTH_REPLY("11"), path[0]);
    put_reply(&place, ARCHIVE_REST_DEPTH, 3, 12, DEPTH_REPLY("12"), path[1]);
    put_reply(&place, ARCHIVE_REST_KLINES, 3, 1767229140000, kline, path[2]);
    /* Other columns; and a half of one. */
    snprintf(sql, sizeof(sql), "COPY (SELECT 1 AS one) TO '%s'", path[1]);
    struct duckdb_session session = {0};
    assert_int_equal(duckdb_session_open(&session, NULL, 0, NULL), ERR_OK);
    assert_int_equal(duckdb_session_run(&session, sql, NULL), ERR_OK);
    duckdb_session_close(&session);
    assert_int_equal(stat(path[2], &status), 0);
    assert_int_equal(truncate(path[2], status.st_size / 2), 0);
    struct etl_job *job = open_job(&place, "", 0);
    pass(job);
    assert_int_equal(etl_job_counters(job)->silver.quarantined, 2);
    assert_int_equal(etl_job_counters(job)->quarantined, 0);
    etl_job_close(job);
    check_rows(&place, false);
    assert_int_equal(access(path[0], F_OK), 0);
    for (int i = 1; i < 3; i++) {
        char aside[2 * TEMP_DIR_SIZE + 256];
        off_t size = i == 2 ? status.st_size / 2 : 0;
        assert_int_not_equal(access(path[i], F_OK), 0);
        snprintf(aside, sizeof(aside), "%s/quarantine/%s", place.lake,
                 path[i] + strlen(place.lake) + 1);
        struct stat found;
        assert_int_equal(stat(aside, &found), 0);
        assert_true(i == 2 ? found.st_size == size : found.st_size > 0);
    }
    snprintf(sql, sizeof(sql),
             "SELECT sum(last_update_id)::BIGINT FROM '%s/silver/snapshots/" SYMBOL
             "/*/*/*/*.parquet'",
             place.lake);
    assert_int_equal(integer_of(sql), 11);
}

static void killed_at_any_moment_and_with_the_store_away_it_is_the_same(void **state)
{
    (void)state;
    char whole[512], after[512];
    struct place place = place_of("kills", true);
    struct etl_job *job = open_job(&place, pg.target, 0);
    pass(job);
    etl_job_close(job);
    sum(whole);
    place = place_of("killed", true);
    for (int kill_at = 0; kill_at < KILLS; kill_at++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct err err = {0};
            job = open_job(&place, pg.target, 0);
            _exit(etl_job_pass(job, &err) == ERR_OK ? 0 : 1);
        }
        usleep(60000 * (useconds_t)(1 + kill_at * 3 % 10));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        if (kill_at != KILLS / 2)
            continue;
        pg_fixture_end(&pg, SIGKILL); /* and the store dies in between */
        struct err err = {0};
        job = open_job(&place, pg.target, 0);
        assert_int_equal(etl_job_pass(job, &err), ERR_CONNECTION);
        pg_fixture_restart(&pg);
        etl_job_close(job);
    }
    job = open_job(&place, pg.target, 0);
    pass(job);
    etl_job_close(job);
    sum(after);
    assert_string_equal(after, whole);
    check_rows(&place, true);
}

static void a_full_disk_ends_a_pass_and_loses_nothing(void **state)
{
    (void)state;
    struct place place = place_of("full", true);
    struct rlimit before, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct etl_job *job = open_job(&place, "", 0);
    /* At the first text, in the middle of silver, at the place. */
    for (rlim_t size = 2048; size <= 131072; size *= 8) {
        struct err err = {0};
        small = (struct rlimit){.rlim_cur = size, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int result = etl_job_pass(job, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(result == ERR_FULL || result == ERR_IO);
    }
    pass(job);
    etl_job_close(job);
    check_rows(&place, false);
}

static void what_is_kept_is_checked_and_another_one_in_the_folder_is_refused(void **state)
{
    (void)state;
    struct place place = place_of("kept", true);
    char path[TEMP_DIR_SIZE + 64];
    struct etl_job *other;
    struct err err = {0};
    struct etl_job *job = open_job(&place, "", 0);
    pass(job);
    struct etl_job_options options = {
        .symbol = SYMBOL, .lake = place.lake, .work = place.work, .database = "", .stop = &stop};
    assert_int_equal(etl_job_open(&options, &other, &err), ERR_AGAIN);
    etl_job_close(job);
    check_rows(&place, false);
    /* A changed byte: not believed, all is made again. */
    snprintf(path, sizeof(path), "%s/place-" SYMBOL, place.work);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 3000, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, 3000, SEEK_SET), 0);
    fputc(byte ^ 4, file);
    fclose(file);
    job = open_job(&place, "", 0);
    pass(job);
    assert_true(etl_job_counters(job)->rows > 170);
    etl_job_close(job);
    check_rows(&place, false);
    /* Now there is a store, which has none of it. */
    job = open_job(&place, pg.target, 0);
    pass(job);
    etl_job_close(job);
    check_rows(&place, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_rows_of_store_and_silver_are_those_of_the_recording),
        cmocka_unit_test(in_pieces_and_with_restarts_it_is_the_same_as_in_one_go),
        cmocka_unit_test(a_missing_block_is_waited_for_and_one_that_comes_late_is_taken),
        cmocka_unit_test(bars_have_every_trade_to_the_last_digit),
        cmocka_unit_test(a_cut_object_is_put_aside_with_its_bytes_and_the_rest_goes_on),
        cmocka_unit_test(replies_that_cannot_be_read_are_put_aside_and_the_others_taken),
        cmocka_unit_test(killed_at_any_moment_and_with_the_store_away_it_is_the_same),
        cmocka_unit_test(a_full_disk_ends_a_pass_and_loses_nothing),
        cmocka_unit_test(what_is_kept_is_checked_and_another_one_in_the_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, start, end);
}
