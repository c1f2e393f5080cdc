/* Loads into a real PostgreSQL: nothing lost, nothing doubled, whatever ends in between.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/log.h"
#include "edge/postgres/pq_store.h"
#include "integration/pg_fixture.h"
#include "learn/store/feature_rows.h"
#include "learn/store/prediction_log.h"
#include "learn/store/row_loader.h"

#define SLOT 890000000LL /* 2026-05-29 */

static struct pg_fixture pg;
static struct loop *loop;
static struct pq_store *store;

static void open_store(const char *target)
{
    struct err err = {0};
    struct pq_link_options options = {
        .target = target, .backoff_min_us = 1000, .backoff_max_us = 20000, .seed = 7};
    assert_int_equal(pq_store_open(&options, loop, &store, &err), ERR_OK);
}

static int start(void **state)
{
    (void)state;
    struct err err = {0};
    pg_fixture_start(&pg);
    pg_fixture_migrate(&pg);
    assert_int_equal(loop_open(&loop, &err), ERR_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    loop_close(loop);
    pg_fixture_stop(&pg);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    pg_fixture_do(&pg, "TRUNCATE feature_store, served_vector, predictions_log, slot_mid, "
                       "load_position");
    open_store(pg.target);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pq_store_close(store);
    return 0;
}

static void turn(void)
{
    loop_run_once(loop, 2000);
}

/* Features. */

static struct feature_vector vector_of(int64_t slot)
{
    struct feature_vector vector = {.schema = feature_schema_hash(),
                                    .epoch = 18446744073709551615ULL,
                                    .seq = (uint64_t)slot,
                                    .as_of_us = clock_slot_us(slot) - 5000,
                                    .mid2 = 13691234567 + slot % 100,
                                    .price_exponent = -5,
                                    .valid = true,
                                    .book_live = true};
    for (int i = 0; i < FEATURE_COUNT; i++)
        vector.values[i] = (float)((slot * 31 + i * 7) % 1000) / 777.7f - 0.6f;
    return vector;
}

static struct feature_row row_of(const struct feature_vector *vector, int64_t slot)
{
    return (struct feature_row){.symbol = "BTCUSDT",
                                .slot = slot,
                                .vector = vector,
                                .volume_1s = 123456,
                                .volume_5s = -1,
                                .volume_exponent = -5,
                                .quality = 0.99,
                                .completeness = 1};
}

static void load_features(struct row_loader *loader)
{
    for (int i = 0; i < 30000 && row_loader_waiting(loader) > 0; i++) {
        pq_link_do_work(pq_store_link(store), loop_mono_us());
        row_loader_do_work(loader, loop_mono_us());
        turn();
    }
    assert_int_equal(row_loader_waiting(loader), 0);
}

static void add_feature(struct row_loader *loader, const struct feature_row *row)
{
    char buffer[FEATURE_ROWS_ROW_MAX];
    struct text out = text_begin(buffer, sizeof(buffer));
    struct err err = {0};
    assert_int_equal(feature_rows_add(row, &out, &err), ERR_OK);
    assert_int_equal(row_loader_add(loader, bytes_of(buffer, out.size), row->slot, loop_mono_us()),
                     ERR_OK);
}

static int refused_rows;
static char refused_why[256];

static void on_refused(void *context, struct bytes row, const char *why)
{
    (void)context;
    (void)row;
    refused_rows++;
    snprintf(refused_why, sizeof(refused_why), "%s", why);
}

static void open_loader(struct row_loader *loader, const struct store_load *load)
{
    struct err err = {0};
    struct row_loader_options options = {.port = pq_store_port(store),
                                         .load = load,
                                         .loader = "test",
                                         .batch_rows = 64,
                                         .linger_us = 1000,
                                         .retry_min_us = 1000,
                                         .retry_max_us = 20000,
                                         .refused = on_refused,
                                         .seed = 3};
    refused_rows = 0;
    assert_int_equal(row_loader_open(loader, &options, &err), ERR_OK);
}

static void features_come_back_bit_for_bit(void **state)
{
    (void)state;
    struct feature_rows_sql sql;
    struct row_loader loader;
    feature_rows_load(&sql);
    open_loader(&loader, &sql.load);
    for (int64_t slot = SLOT; slot < SLOT + 100; slot++) {
        struct feature_vector vector = vector_of(slot);
        struct feature_row row = row_of(&vector, slot);
        add_feature(&loader, &row);
    }
    load_features(&loader);
    assert_int_equal(loader.stats.changed, 100);
    struct pq_rows rows;
    struct err err = {0};
    assert_int_equal(pq_sync_run(&pg.sync,
                                 "SELECT slot, price, features, ingest_epoch, seq, as_of_us, "
                                 "volume_1s, volume_5s, schema_hash, target_valid, return_1s FROM "
                                 "feature_store ORDER BY timestamp",
                                 NULL, 0, &rows, &err),
                     ERR_OK);
    assert_int_equal(rows.count, 100);
    for (int i = 0; i < rows.count; i++) {
        struct feature_vector vector = vector_of(SLOT + i);
        const char *at = pq_rows_text(&rows, i, 2) + 1;
        for (int f = 0; f < FEATURE_COUNT; f++) {
            char *next;
            float value = strtof(at, &next);
            assert_memory_equal(&value, &vector.values[f], sizeof(value));
            at = next + 1;
        }
        assert_string_equal(pq_rows_text(&rows, i, 3), "18446744073709551615");
        assert_int_equal(pq_rows_i64(&rows, i, 5), vector.as_of_us);
        assert_true(pq_rows_f64(&rows, i, 10) == (double)vector.values[FEATURE_RET_1S_BP] / 1e4);
    }
    assert_string_equal(pq_rows_text(&rows, 0, 1), "68456.17283500");
    assert_string_equal(pq_rows_text(&rows, 0, 6), "1.23456000");
    assert_true(pq_rows_is_null(&rows, 0, 7) && pq_rows_is_null(&rows, 0, 9));
    pq_rows_free(&rows);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT array_length(names, 1) || names[1] FROM "
                                            "feature_schema"),
                        "32microprice_dev_bp");
    assert_string_equal(
        pg_fixture_ask(&pg, "SELECT position FROM load_position WHERE loader = 'test'"),
        "890000099");
    row_loader_close(&loader);
}

static void loading_twice_changes_nothing_and_labels_are_kept(void **state)
{
    (void)state;
    struct feature_rows_sql sql;
    struct row_loader loader;
    feature_rows_load(&sql);
    open_loader(&loader, &sql.load);
    struct feature_vector vector = vector_of(SLOT);
    struct feature_row known = row_of(&vector, SLOT), unknown = known, lost = known;
    known.label = FEATURE_LABEL_VALID;
    known.target_mid2 = vector.mid2 + 1;
    known.target_exponent = -5;
    lost.label = FEATURE_LABEL_INVALID;
    for (int i = 0; i < 3; i++)
        add_feature(&loader, &unknown);
    load_features(&loader);
    assert_int_equal(loader.stats.changed, 1);
    add_feature(&loader, &known);
    load_features(&loader);
    assert_int_equal(loader.stats.changed, 2);
    add_feature(&loader, &unknown);
    add_feature(&loader, &known);
    load_features(&loader);
    add_feature(&loader, &unknown);
    load_features(&loader);
    assert_int_equal(loader.stats.changed, 2);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT target_price_10s FROM ml_training_data"),
                        "68456.17284000");
    double label =
        strtod(pg_fixture_ask(&pg, "SELECT target_return_10s FROM ml_training_data"), NULL);
    assert_true(fabs(label - 1.0 / (double)vector.mid2) < 1e-18);
    /* Half-open: the row at the end is not in it. */
    assert_string_equal(pg_fixture_ask(&pg, "SELECT count(*) FROM ml_training_rows('BTCUSDT', "
                                            "to_timestamp(1780000000), to_timestamp(1780000002))"),
                        "1");
    assert_string_equal(pg_fixture_ask(&pg, "SELECT count(*) FROM ml_training_rows('BTCUSDT', "
                                            "to_timestamp(1779999998), to_timestamp(1780000000))"),
                        "0");
    add_feature(&loader, &lost);
    load_features(&loader);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT count(*) FROM ml_training_data"), "0");
    row_loader_close(&loader);
}

static void what_was_served_is_compared_bit_for_bit(void **state)
{
    (void)state;
    struct feature_rows_sql sql, served_sql;
    struct row_loader loader, served;
    feature_rows_load(&sql);
    feature_rows_served_load(&served_sql);
    open_loader(&loader, &sql.load);
    open_loader(&served, &served_sql.load);
    for (int64_t slot = SLOT; slot < SLOT + 10; slot++) {
        struct feature_vector vector = vector_of(slot);
        struct feature_row row = row_of(&vector, slot);
        add_feature(&loader, &row);
        uint32_t bits;
        memcpy(&bits, &vector.values[9], sizeof(bits));
        bits += slot == SLOT + 4; /* the last bit of one number */
        memcpy(&vector.values[9], &bits, sizeof(bits));
        char buffer[FEATURE_ROWS_ROW_MAX];
        struct text out = text_begin(buffer, sizeof(buffer));
        assert_int_equal(feature_rows_add_served(&row, &out, NULL), ERR_OK);
        assert_int_equal(row_loader_add(&served, bytes_of(buffer, out.size), slot, 0), ERR_OK);
    }
    load_features(&loader);
    load_features(&served);
    assert_int_equal(served.stats.changed, 10);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT string_agg(slot::text, ' ') FROM feature_skew"),
                        "890000004");
    row_loader_close(&loader);
    row_loader_close(&served);
}

static void one_bad_row_does_not_keep_the_others_out(void **state)
{
    (void)state;
    struct feature_rows_sql sql;
    struct row_loader loader;
    feature_rows_load(&sql);
    open_loader(&loader, &sql.load);
    for (int64_t slot = SLOT; slot < SLOT + 64; slot++) {
        struct feature_vector vector = vector_of(slot);
        struct feature_row row = row_of(&vector, slot);
        row.quality = slot == SLOT + 21 || slot == SLOT + 40 ? 7 : 1;
        add_feature(&loader, &row);
    }
    load_features(&loader);
    assert_int_equal(loader.stats.loaded, 62);
    assert_int_equal(loader.stats.refused, 2);
    assert_int_equal(refused_rows, 2);
    assert_non_null(strstr(refused_why, "data_quality_score"));
    assert_string_equal(pg_fixture_ask(&pg, "SELECT count(*) FROM feature_store"), "62");
    row_loader_close(&loader);
}

/* Predictions: a source that stands in for the stream, with a record for each slot. */

struct tape {
    struct prediction_source source;
    int64_t first, last, mid_last; /* slots that are there */
    int64_t bad_slot, invalid_mid;
    struct {
        bool used;
        int64_t after;
        int limit;
        prediction_entry_fn entry;
        prediction_done_fn done;
        void *context;
    } entries;
    struct {
        bool used;
        prediction_mids_fn mids;
        prediction_done_fn done;
        void *context;
    } mids;
};

static int tape_entries(void *self, int64_t after, int limit, prediction_entry_fn entry,
                        prediction_done_fn done, void *context)
{
    struct tape *tape = self;
    tape->entries.used = true;
    tape->entries.after = after;
    tape->entries.limit = limit;
    tape->entries.entry = entry;
    tape->entries.done = done;
    tape->entries.context = context;
    return ERR_OK;
}

static int tape_mids(void *self, prediction_mids_fn mids, prediction_done_fn done, void *context)
{
    struct tape *tape = self;
    tape->mids.used = true;
    tape->mids.mids = mids;
    tape->mids.done = done;
    tape->mids.context = context;
    return ERR_OK;
}

static void tape_entry(const struct tape *tape, int64_t slot)
{
    char number[24], price[32];
    snprintf(number, sizeof(number), "%lld", (long long)slot);
    snprintf(price, sizeof(price), "%lld.25", (long long)(60000 + slot % 10));
    const struct {
        const char *name, *value;
    } fields[] = {{"symbol", "BTCUSDT"},
                  {"timestamp", "0"},
                  {"current_price", slot == tape->bad_slot ? "many" : price},
                  {"predicted_price_10s", "60010.125"},
                  {"confidence", "0.61"},
                  {"model_version", "m\t1\\"},
                  {"features_age_ms", "5"},
                  {"source", "redis"},
                  {"latency_us", "412"},
                  {"slot", number},
                  {"ingest_epoch", "3"},
                  {"seq", "77"},
                  {"mode", "live"},
                  {"reason", ""},
                  {"return_bp", "1.5"}};
    struct prediction_pair pairs[16];
    int count = (int)(sizeof(fields) / sizeof(fields[0]));
    for (int i = 0; i < count; i++)
        pairs[i] =
            (struct prediction_pair){bytes_text(fields[i].name), bytes_text(fields[i].value)};
    tape->entries.entry(tape->entries.context, slot, pairs, count);
}

static int tape_do_work(void *self, int64_t mono_us)
{
    (void)mono_us;
    struct tape *tape = self;
    if (tape->entries.used) {
        int given = 0;
        tape->entries.used = false;
        for (int64_t slot = tape->first; slot <= tape->last && given < tape->entries.limit; slot++)
            if (slot > tape->entries.after) {
                tape_entry(tape, slot);
                given++;
            }
        tape->entries.done(tape->entries.context, ERR_OK, 0);
    }
    if (tape->mids.used) {
        char text[1024];
        struct text out = text_begin(text, sizeof(text));
        tape->mids.used = false;
        text_add(&out, "nonsense 1:2 ");
        for (int64_t slot = tape->mid_last; slot > tape->mid_last - 16; slot--)
            text_add_format(&out, "%lld:%lld.5:%d ", (long long)slot,
                            (long long)(60000 + slot % 10), slot != tape->invalid_mid);
        tape->mids.mids(tape->mids.context, bytes_of(text, out.size));
        tape->mids.done(tape->mids.context, ERR_OK, 0);
    }
    return 0;
}

static void tape_make(struct tape *tape)
{
    *tape = (struct tape){
        .source = {.entries = tape_entries, .mids = tape_mids, .do_work = tape_do_work},
        .first = SLOT,
        .last = SLOT + 11,
        .mid_last = SLOT + 11};
    tape->source.self = tape;
}

static void open_log(struct prediction_log *log, struct tape *tape)
{
    struct err err = {0};
    struct prediction_log_options options = {.symbol = "BTCUSDT",
                                             .store = pq_store_port(store),
                                             .source = &tape->source,
                                             .poll_us = 2000,
                                             .retry_min_us = 1000,
                                             .retry_max_us = 20000,
                                             .seed = 5};
    assert_int_equal(prediction_log_open(log, &options, &err), ERR_OK);
}

static bool in_flight(const struct row_loader *loader)
{
    return loader->in_flight > 0 && !loader->answered;
}

/* No transaction of the log is open then: a question of this thread cannot wait for it. */
static void settle(const struct prediction_log *log)
{
    for (int i = 0; i < 5000 && (in_flight(&log->predictions) || in_flight(&log->mids)); i++) {
        pq_link_do_work(pq_store_link(store), loop_mono_us());
        turn();
    }
}

#define FOLLOW_US_MAX INT64_C(60000000)

static void follow_until(struct prediction_log *log, const char *sql, const char *wanted)
{
    const int64_t end_us = loop_mono_us() + FOLLOW_US_MAX;
    for (int i = 0; loop_mono_us() < end_us; i++) {
        prediction_log_do_work(log, loop_mono_us());
        turn();
        if (i % 10 == 0)
            settle(log);
        if (i % 10 == 0 && strcmp(pg_fixture_ask(&pg, sql), wanted) == 0)
            return;
    }
    fail_msg("%s: %s, never %s; %llu read, %llu missing, %llu refused, phase %d, waiting %d", sql,
             pg_fixture_ask(&pg, sql), wanted, (unsigned long long)log->stats.read,
             (unsigned long long)log->stats.missing, (unsigned long long)log->stats.refused,
             (int)log->phase, row_loader_waiting(&log->predictions));
}

static void predictions_are_logged_once_with_their_outcomes(void **state)
{
    (void)state;
    struct prediction_log log;
    struct tape tape;
    tape_make(&tape);
    tape.bad_slot = SLOT + 2;
    tape.invalid_mid = SLOT + 8;
    open_log(&log, &tape);
    follow_until(&log, "SELECT count(*) FROM predictions_log", "11");
    follow_until(&log, "SELECT count(*) FROM predictions_log WHERE outcome_valid IS NOT NULL", "6");
    assert_int_equal(log.stats.malformed % 2, 1); /* the bad slot, and two parts in each read */
    assert_string_equal(
        pg_fixture_ask(&pg, "SELECT string_agg(slot || ':' || outcome_valid, ' ' ORDER BY slot) "
                            "FROM predictions_log WHERE outcome_valid IS NOT NULL"),
        "890000000:true 890000001:true 890000003:false 890000004:true 890000005:true "
        "890000006:true");
    /* 60000.25 at the slot, 60005.5 ten seconds later; predicted +1.5 bp. */
    double came = strtod(pg_fixture_ask(&pg, "SELECT actual_return FROM predictions_log WHERE slot "
                                             "= 890000000"),
                         NULL);
    assert_true(fabs(came - log1p(5.25 / 60000.25)) < 1e-15);
    assert_string_equal(
        pg_fixture_ask(&pg,
                       "SELECT concat_ws(' ', role, model_version, prediction_ts, target_ts, "
                       "current_price::float8, return_predicted, inference_latency_ms, "
                       "directional_correct, mode) FROM predictions_log WHERE slot = 890000000"),
        "live m\t1\\ 1780000000000 1780000010000 60000.25 0.00015 0.412 t live");
    /* From 60009.25 down to 60001.5 in ten seconds: the predicted rise was wrong. */
    tape.mid_last = tape.last = SLOT + 20;
    follow_until(&log, "SELECT directional_correct FROM predictions_log WHERE slot = 890000006",
                 "f");
    follow_until(&log, "SELECT count(*) FROM predictions_log", "20");
    assert_string_equal(
        pg_fixture_ask(&pg, "SELECT count(*) FROM predictions_log WHERE abs(prediction_error) <> "
                            "absolute_error OR abs(squared_error - absolute_error ^ 2) > 1e-20"),
        "0");
    prediction_log_close(&log);
}

static void a_published_record_is_never_replaced(void **state)
{
    (void)state;
    struct err err = {0};
    struct row_loader loader;
    struct prediction_pair pairs[] = {
        {BYTES_LITERAL("symbol"), BYTES_LITERAL("BTCUSDT")},
        {BYTES_LITERAL("slot"), BYTES_LITERAL("890000000")},
        {BYTES_LITERAL("model_version"), BYTES_LITERAL("first")},
    };
    open_loader(&loader, &prediction_rows_load);
    for (int i = 0; i < 3; i++) {
        char buffer[PREDICTION_ROWS_ROW_MAX];
        struct text out = text_begin(buffer, sizeof(buffer));
        if (i > 0)
            pairs[2].value = BYTES_LITERAL("second");
        assert_int_equal(
            prediction_rows_add("BTCUSDT", i == 2 ? "shadow" : "live", SLOT, pairs, 3, &out, &err),
            ERR_OK);
        assert_int_equal(row_loader_add(&loader, bytes_of(buffer, out.size), SLOT, 0), ERR_OK);
        load_features(&loader);
    }
    assert_string_equal(
        pg_fixture_ask(&pg, "SELECT string_agg(role || ' ' || model_version, ', ' ORDER BY role) "
                            "FROM predictions_log"),
        "live first, shadow second");
    row_loader_close(&loader);
}

static void nothing_is_lost_or_doubled_when_either_side_is_killed(void **state)
{
    (void)state;
    struct prediction_log log;
    struct tape tape;
    tape_make(&tape);
    tape.last = SLOT + 2999;
    tape.mid_last = SLOT;
    for (int round = 0; round < 8; round++) {
        open_log(&log, &tape);
        for (int i = 0; i < 8 + round * 5; i++) {
            prediction_log_do_work(&log, loop_mono_us());
            turn();
        }
        if (round % 2 == 1) {
            pg_fixture_end(&pg, SIGKILL);
            for (int i = 0; i < 20; i++) {
                prediction_log_do_work(&log, loop_mono_us());
                turn();
            }
            pg_fixture_restart(&pg);
            follow_until(&log, "SELECT (count(*) > 0)::text FROM predictions_log", "true");
        }
        /* The loader is gone without a word, and comes back. */
        pq_store_close(store);
        prediction_log_close(&log);
        open_store(pg.target);
    }
    open_log(&log, &tape);
    follow_until(&log, "SELECT count(*) FROM predictions_log", "3000");
    assert_int_equal(log.stats.missing, 0);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT count(DISTINCT slot) FROM predictions_log"),
                        "3000");
    pq_store_close(store);
    prediction_log_close(&log);
    open_store(pg.target);
}

static void a_store_without_tables_is_waited_for(void **state)
{
    (void)state;
    struct prediction_log log;
    struct tape tape;
    tape_make(&tape);
    pg_fixture_do(&pg, "ALTER TABLE predictions_log RENAME TO elsewhere");
    open_log(&log, &tape);
    for (int i = 0; i < 5000 && log.predictions.stats.retries == 0; i++) {
        prediction_log_do_work(&log, loop_mono_us());
        turn();
    }
    settle(&log);
    assert_true(log.predictions.stats.retries > 0);
    assert_int_equal(log.stats.refused, 0);
    assert_non_null(strstr(row_loader_trouble(&log.predictions), "predictions_log"));
    pg_fixture_do(&pg, "ALTER TABLE elsewhere RENAME TO predictions_log");
    follow_until(&log, "SELECT count(*) FROM predictions_log", "12");
    pq_store_close(store);
    prediction_log_close(&log);
    open_store(pg.target);
}

static void on_text(void *context, const struct store_reply *reply)
{
    *(int *)context = reply->result;
}

static void a_server_that_is_away_is_said_at_once(void **state)
{
    (void)state;
    int result = 1;
    pq_store_close(store);
    open_store("host=/nowhere user=btcast");
    const struct store_port *port = pq_store_port(store);
    for (int i = 0; i < 20; i++) {
        port->do_work(port->self, loop_mono_us());
        turn();
        assert_int_equal(port->position(port->self, "x", on_text, &result), ERR_CONNECTION);
    }
    assert_int_equal(result, 1);
    assert_true(pq_link_stats(pq_store_link(store))->failures > 1);
    assert_non_null(strstr(pq_link_error(pq_store_link(store)), "/nowhere"));
}

static void on_link_reply(void *context, const struct pq_link_reply *reply)
{
    *(int *)context = reply->result;
}

static void a_statement_that_never_ends_is_given_up(void **state)
{
    (void)state;
    struct err err = {0};
    struct pq_link *link;
    int result = 1;
    struct pq_link_options options = {.target = pg.target, .job_timeout_us = 50000, .seed = 1};
    assert_int_equal(pq_link_open(&options, loop, &link, &err), ERR_OK);
    while (!pq_link_connected(link)) {
        pq_link_do_work(link, loop_mono_us());
        turn();
    }
    struct pq_step step = {.sql = "SELECT pg_sleep(600)"};
    assert_int_equal(pq_link_run(link, &step, 1, 0, on_link_reply, &result), ERR_OK);
    for (int i = 0; i < 5000 && pq_link_stats(link)->losses == 0; i++) {
        pq_link_do_work(link, loop_mono_us());
        turn();
    }
    pq_link_do_work(link, loop_mono_us());
    assert_int_equal(pq_link_stats(link)->losses, 1);
    assert_int_equal(result, ERR_TIMEOUT);
    pq_link_close(link);
}

int main(void)
{
    log_init("test", getenv("BTCAST_TEST_LOG") ? LOG_DEBUG : LOG_ERROR, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(features_come_back_bit_for_bit, begin, end),
        cmocka_unit_test_setup_teardown(loading_twice_changes_nothing_and_labels_are_kept, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_was_served_is_compared_bit_for_bit, begin, end),
        cmocka_unit_test_setup_teardown(one_bad_row_does_not_keep_the_others_out, begin, end),
        cmocka_unit_test_setup_teardown(predictions_are_logged_once_with_their_outcomes, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_published_record_is_never_replaced, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_lost_or_doubled_when_either_side_is_killed,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_store_without_tables_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(a_server_that_is_away_is_said_at_once, begin, end),
        cmocka_unit_test_setup_teardown(a_statement_that_never_ends_is_given_up, begin, end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
