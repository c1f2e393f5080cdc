/* Rows of a training out of the SQL store: bit for bit what was stored, and nothing else.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "integration/pg_fixture.h"
#include "services/trainer/train_source.h"

#define SLOT 890000000LL /* 2026-05-29 */

static struct pg_fixture pg;

static int start(void **state)
{
    (void)state;
    pg_fixture_start(&pg);
    pg_fixture_migrate(&pg);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pg_fixture_stop(&pg);
    return 0;
}

static void add_row(int64_t slot, const char *schema, const char *label, const char *valid)
{
    char sql[1200];
    snprintf(sql, sizeof(sql),
             "INSERT INTO feature_schema (schema_hash, version, names) VALUES ('%s', 1, '{}') ON "
             "CONFLICT DO NOTHING; SELECT make_month_partitions('feature_store', "
             "to_timestamp(%lld * 2), to_timestamp(%lld * 2)); "
             "INSERT INTO feature_store (\"timestamp\", symbol, slot, price, target_return_10s, "
             "target_valid, data_quality_score, feature_completeness, schema_hash, features, "
             "ingest_epoch, seq, as_of_us) VALUES (to_timestamp(%lld * 2), 'BTCUSDT', %lld, "
             "61000.125, %s, %s, 1, 1, '%s', array_fill((0.1 + 1e-7)::real, ARRAY[%d]), 1, 1, 0)",
             schema, (long long)slot, (long long)slot, (long long)slot, (long long)slot, label,
             valid, schema, FEATURE_COUNT);
    pg_fixture_do(&pg, sql);
}

static void only_rows_that_are_whole_and_ours_are_taken(void **state)
{
    (void)state;
    char ours[24];
    struct dataset dataset;
    struct err err = {0};
    uint64_t refused = 0;
    snprintf(ours, sizeof(ours), "%016llx", (unsigned long long)feature_schema_hash());
    add_row(SLOT - 1, ours, "0.0001", "true"); /* before the range */
    add_row(SLOT, ours, "0.000123456789012345", "true");
    add_row(SLOT + 1, ours, "0.0001", "false");              /* a gap lies between */
    add_row(SLOT + 2, "00000000000000ff", "0.0001", "true"); /* another schema */
    add_row(SLOT + 3, ours, "0.9", "true");                  /* absurd */
    add_row(SLOT + 4, ours, "-0.0002", "true");
    add_row(SLOT + 5, ours, "0.0001", "true"); /* at the end, which is excluded */
    dataset_init(&dataset);
    if (train_source_store(pg.target, "BTCUSDT", SLOT * 2000000, (SLOT + 5) * 2000000, &dataset,
                           &refused, &err) != ERR_OK)
        fail_msg("%s", err.text);
    assert_int_equal(dataset.count, 2);
    assert_int_equal(refused, 1);
    assert_int_equal(dataset.slot[0], SLOT);
    assert_int_equal(dataset.slot[1], SLOT + 4);
    assert_true(dataset.label_bp[0] == 0.000123456789012345 * 1e4);
    assert_true(dataset.mid[1] == 61000.125);
    const float expected = (float)(0.1 + 1e-7);
    for (int i = 0; i < FEATURE_COUNT; i++)
        assert_memory_equal(&dataset.values[i], &expected, sizeof(expected));
    dataset_free(&dataset);
}

static void times_are_utc_and_what_is_none_is_named(void **state)
{
    (void)state;
    struct err err = {0};
    int64_t us = 0;
    setenv("TZ", "America/New_York", 1);
    assert_int_equal(train_source_time("--from", "2026-05-29T12:30", &us, &err), ERR_OK);
    assert_int_equal(us, 1780057800LL * 1000000);
    assert_int_equal(train_source_time("--from", "2026-05-29T12:30:00Z", &us, &err), ERR_OK);
    assert_int_equal(us, 1780057800LL * 1000000);
    assert_int_equal(train_source_time("--from", "1780057800", &us, &err), ERR_OK);
    assert_int_equal(us, 1780057800LL * 1000000);
    assert_int_equal(train_source_time("--from", "2026-05-29", &us, &err), ERR_OK);
    assert_int_equal(us % (86400LL * 1000000), 0);
    assert_int_equal(train_source_time("--from", "yesterday", &us, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "--from"));
    assert_int_equal(train_source_time("--to", "2026-05-29T12:30x", &us, &err), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_rows_that_are_whole_and_ours_are_taken),
        cmocka_unit_test(times_are_utc_and_what_is_none_is_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
