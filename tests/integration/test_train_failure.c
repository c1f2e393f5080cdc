/* A training that fails leaves its row in a real PostgreSQL: what was wanted, and why it is not.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "integration/pg_fixture.h"
#include "services/cli/commands.h"
#include "services/trainer/train_load.h"

static struct pg_fixture pg;

static int start(void **state)
{
    (void)state;
    pg_fixture_start(&pg);
    pg_fixture_migrate(&pg);
    setenv(PQ_TARGET_ENV, pg.target, 1);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pg_fixture_stop(&pg);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    pg_fixture_do(&pg, "TRUNCATE ml_experiments CASCADE");
    return 0;
}

static int train(const char *const *words, int count)
{
    char text[16][160], *argv[16] = {text[0]};
    assert_in_range(count, 1, 13);
    snprintf(text[0], sizeof(text[0]), "train");
    for (int i = 0; i < count; i++) {
        snprintf(text[i + 1], sizeof(text[0]), "%s", words[i]);
        argv[i + 1] = text[i + 1];
    }
    return command_train.run(count + 1, argv);
}

static const char last_run[] =
    "SELECT concat_ws(' ', count(*) OVER (), experiment_name, status, seed, "
    "cardinality(feature_set), extract(epoch FROM training_start)::bigint, "
    "extract(epoch FROM training_end)::bigint, finished_at IS NOT NULL) FROM ml_experiments ORDER "
    "BY experiment_id DESC LIMIT 1";

static void a_store_without_rows_is_a_failed_run_recorded_once(void **state)
{
    (void)state;
    char out[TEMP_DIR_SIZE + 16], expected[80];
    snprintf(out, sizeof(out), "%s/out", pg.folder);
    const char *const words[] = {"--from", "2026-05-29", "--to",   "2026-05-30", "--out",
                                 out,      "--register", "--seed", "5",          "--quiet"};
    snprintf(expected, sizeof(expected), "1 recorded failed 5 %d 1780012800 1780099200 t",
             FEATURE_COUNT);
    for (int i = 0; i < 3; i++) { /* as the trainer tries */
        assert_int_equal(train(words, 10), 1);
        assert_string_equal(pg_fixture_ask(&pg, last_run), expected);
    }
    assert_string_equal(pg_fixture_ask(&pg, "SELECT reason FROM ml_experiments"),
                        "no row to learn from");
}

static void rows_that_are_too_few_are_named_with_their_range(void **state)
{
    (void)state;
    char out[TEMP_DIR_SIZE + 16], rows[TEMP_DIR_SIZE + 16], expected[80];
    struct dataset dataset;
    const float values[FEATURE_COUNT] = {0};
    snprintf(out, sizeof(out), "%s/out", pg.folder);
    snprintf(rows, sizeof(rows), "%s/rows", pg.folder);
    dataset_init(&dataset);
    for (int i = 0; i < 3; i++)
        assert_int_equal(dataset_add_labelled(&dataset, 890000000 + i, values, 60000, 1, NULL),
                         ERR_OK);
    assert_int_equal(train_save_rows(rows, &dataset, NULL), ERR_OK);
    dataset_free(&dataset);
    const char *const words[] = {"--rows", rows, "--out", out, "--register", "--quiet"};
    assert_int_equal(train(words, 6), 1);
    snprintf(expected, sizeof(expected), "1 recorded failed 1 %d 1780000000 1780000006 t",
             FEATURE_COUNT);
    assert_string_equal(pg_fixture_ask(&pg, last_run), expected);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT reason LIKE '%too few%' FROM ml_experiments "
                                            "ORDER BY experiment_id DESC LIMIT 1"),
                        "t");
}

static void a_source_that_is_not_there_fails_without_a_range(void **state)
{
    (void)state;
    char out[TEMP_DIR_SIZE + 16];
    snprintf(out, sizeof(out), "%s/out", pg.folder);
    const char *const words[] = {"--rows",     "/nowhere/rows", "--out", out,
                                 "--register", "--version",     "mine",  "--quiet"};
    assert_int_equal(train(words, 8), 1);
    assert_string_equal(
        pg_fixture_ask(&pg, "SELECT concat_ws(' ', status, model_version, training_start IS NULL, "
                            "training_end IS NULL, reason LIKE '%/nowhere/rows%') FROM "
                            "ml_experiments ORDER BY experiment_id DESC LIMIT 1"),
        "failed mine t t t");
    /* What nobody wanted in the registry is not recorded. */
    const char *const alone[] = {"--rows", "/nowhere/rows", "--out", out, "--quiet"};
    assert_int_equal(train(alone, 5), 1);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT count(*) FROM ml_experiments"), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_store_without_rows_is_a_failed_run_recorded_once, begin),
        cmocka_unit_test_setup(rows_that_are_too_few_are_named_with_their_range, begin),
        cmocka_unit_test_setup(a_source_that_is_not_there_fails_without_a_range, begin),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
