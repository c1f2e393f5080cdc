/* Bronze to silver and the store: the rows that come out are the rows of the recording, bit for
 * bit, whatever happens on the way. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>

#include "base/log.h"
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

static struct place place_of(const char *name)
{
    struct place place;
    snprintf(place.lake, sizeof(place.lake), "%s/lake-%s", folder, name);
    snprintf(place.work, sizeof(place.work), "%s/work-%s", folder, name);
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

static void check_rows(const struct place *place, bool in_store)
{
    struct err err = {0};
    struct dataset silver, store;
    struct duckdb_training_options options = {.folder = place->lake, .symbol = SYMBOL};
    dataset_init(&silver);
    dataset_init(&store);
    if (duckdb_training_load(&options, &silver, &err) != ERR_OK)
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
    struct place place = place_of("whole");
    assert_true(lake_fixture_write(market, SYMBOL, place.lake, folder, 0, INT64_MAX) > 12);
    struct etl_job *job = open_job(&place, pg.target, 0);
    pass(job);
    assert_int_equal(etl_job_counters(job)->late, 0);
    assert_int_equal(etl_job_counters(job)->refused, 0);
    check_rows(&place, true);
    etl_job_close(job);
    /* A part of the time, and none of it. */
    struct dataset part;
    struct err err = {0};
    struct duckdb_training_options some = {.folder = place.lake,
                                           .symbol = SYMBOL,
                                           .from_us = clock_slot_us(wanted.slot[10]),
                                           .to_us = clock_slot_us(wanted.slot[20])};
    dataset_init(&part);
    assert_int_equal(duckdb_training_load(&some, &part, &err), ERR_OK);
    assert_int_equal(part.count, 10);
    dataset_free(&part);
    dataset_init(&part);
    assert_int_equal(pq_training_load(&pg.sync, SYMBOL, some.from_us, some.to_us, &part, &err),
                     ERR_OK);
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
static void sum(char out[128])
{
    snprintf(out, 128, "%s",
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
    char whole[128], pieces[128];
    struct place one = place_of("one");
    lake_fixture_write(market, SYMBOL, one.lake, folder, 0, INT64_MAX);
    struct etl_job *job = open_job(&one, pg.target, 0);
    pass(job);
    const uint64_t whole_records = etl_job_counters(job)->records;
    etl_job_close(job);
    sum(whole);
    struct place many = place_of("many");
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
    struct place place = place_of("late");
    char victim[TEMP_DIR_SIZE + 256], away[TEMP_DIR_SIZE + 64];
    glob_t found;
    lake_fixture_write(market, SYMBOL, place.lake, folder, 0, INT64_MAX);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_rows_of_store_and_silver_are_those_of_the_recording),
        cmocka_unit_test(in_pieces_and_with_restarts_it_is_the_same_as_in_one_go),
        cmocka_unit_test(a_missing_block_is_waited_for_and_one_that_comes_late_is_taken),
    };
    return cmocka_run_group_tests(tests, start, end);
}
