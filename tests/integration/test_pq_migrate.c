/* Migrations against a real server. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "integration/pg_fixture.h"

static struct pg_fixture pg;

static int start(void **state)
{
    (void)state;
    pg_fixture_start(&pg);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pg_fixture_stop(&pg);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    pg_fixture_do(&pg, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    return 0;
}

struct seen {
    int files, applied, ran;
};

static void count(void *context, const struct pq_migration *migration)
{
    struct seen *seen = context;
    seen->files++;
    seen->applied += migration->applied;
    seen->ran += migration->duration_us >= 0;
}

static int run(const struct pq_file *files, int file_count, enum pq_migrate_mode mode,
               struct seen *seen, struct err *err)
{
    *seen = (struct seen){0};
    return pq_migrate_run(&pg.sync, files, file_count, mode, count, seen, err);
}

static struct pq_file file(const char *name, const char *sql)
{
    return (struct pq_file){name, (const uint8_t *)sql, (const uint8_t *)sql + strlen(sql)};
}

static void all_migrations_of_this_build_apply_once(void **state)
{
    (void)state;
    struct seen seen;
    struct err err = {0};
    assert_true(pq_file_count >= 4);
    assert_int_equal(run(pq_files, pq_file_count, PQ_MIGRATE_APPLY, &seen, &err), ERR_OK);
    assert_int_equal(seen.ran, pq_file_count);
    assert_int_equal(run(pq_files, pq_file_count, PQ_MIGRATE_APPLY, &seen, &err), ERR_OK);
    assert_int_equal(seen.ran, 0);
    assert_int_equal(seen.applied, pq_file_count);
    assert_int_equal(atoi(pg_fixture_ask(&pg, "SELECT count(*) FROM schema_migration")),
                     pq_file_count);
}

static void a_dry_run_finds_mistakes_and_changes_nothing(void **state)
{
    (void)state;
    struct seen seen;
    struct err err = {0};
    struct pq_file good[] = {file("001_a.sql", "CREATE TABLE a (x int)"),
                             file("002_b.sql", "INSERT INTO a VALUES (1)")};
    struct pq_file bad[] = {good[0], file("002_b.sql", "INSERT INTO nothing VALUES (1)")};
    assert_int_equal(run(good, 2, PQ_MIGRATE_DRY, &seen, &err), ERR_OK);
    assert_int_equal(seen.ran, 2);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT to_regclass('a') IS NULL"), "t");
    assert_int_equal(run(bad, 2, PQ_MIGRATE_DRY, &seen, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "002_b.sql"));
    assert_non_null(strstr(err.text, "nothing"));
    assert_string_equal(pg_fixture_ask(&pg, "SELECT to_regclass('schema_migration') IS NULL"), "t");
    assert_int_equal(run(good, 2, PQ_MIGRATE_STATUS, &seen, &err), ERR_OK);
    assert_int_equal(seen.applied, 0);
}

static void a_file_that_fails_leaves_nothing_and_those_before_it_stay(void **state)
{
    (void)state;
    struct seen seen;
    struct err err = {0};
    struct pq_file bad[] = {file("001_a.sql", "CREATE TABLE a (x int)"),
                            file("002_b.sql", "CREATE TABLE b (x int); SELECT 1 / 0")};
    struct pq_file good[] = {bad[0], file("002_b.sql", "CREATE TABLE b (x int)")};
    assert_int_not_equal(run(bad, 2, PQ_MIGRATE_APPLY, &seen, &err), ERR_OK);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT to_regclass('b') IS NULL"), "t");
    assert_int_equal(run(good, 2, PQ_MIGRATE_APPLY, &seen, &err), ERR_OK);
    assert_int_equal(seen.ran, 1);
}

static void changed_history_is_refused(void **state)
{
    (void)state;
    struct seen seen;
    struct err err = {0};
    struct pq_file before[] = {file("001_a.sql", "CREATE TABLE a (x int)"),
                               file("002_b.sql", "CREATE TABLE b (x int)")};
    struct pq_file after[] = {file("001_a.sql", "CREATE TABLE a (x bigint)"), before[1],
                              file("003_c.sql", "CREATE TABLE c (x int)")};
    assert_int_equal(run(before, 2, PQ_MIGRATE_APPLY, &seen, &err), ERR_OK);
    assert_int_equal(run(after, 3, PQ_MIGRATE_APPLY, &seen, &err), ERR_BAD_STATE);
    assert_non_null(strstr(err.text, "001_a.sql"));
    assert_string_equal(pg_fixture_ask(&pg, "SELECT to_regclass('c') IS NULL"), "t");
    /* A newer database than the build. */
    assert_int_equal(run(before, 1, PQ_MIGRATE_APPLY, &seen, &err), ERR_BAD_STATE);
    assert_non_null(strstr(err.text, "newer"));
    /* One that is applied behind one that is not. */
    pg_fixture_do(&pg, "DELETE FROM schema_migration WHERE version = 1");
    assert_int_equal(run(before, 2, PQ_MIGRATE_STATUS, &seen, &err), ERR_BAD_STATE);
}

static void file_names_must_count(void **state)
{
    (void)state;
    struct seen seen;
    struct err err = {0};
    struct pq_file files[] = {file("001_a.sql", "SELECT 1"), file("003_b.sql", "SELECT 1")};
    assert_int_equal(run(files, 2, PQ_MIGRATE_APPLY, &seen, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "003_b.sql"));
}

static void one_migration_at_a_time(void **state)
{
    (void)state;
    struct seen seen;
    struct err err = {0};
    struct pq_sync other;
    struct pq_file files[] = {file("001_a.sql", "CREATE TABLE a (x int)")};
    assert_int_equal(pq_sync_open(&other, pg.target, &err), ERR_OK);
    assert_int_equal(pq_sync_script(&other, "SELECT pg_advisory_lock(108123956769652)", &err),
                     ERR_OK);
    assert_int_equal(run(files, 1, PQ_MIGRATE_APPLY, &seen, &err), ERR_AGAIN);
    pq_sync_close(&other);
    for (int i = 0; i < 500 && run(files, 1, PQ_MIGRATE_APPLY, &seen, &err) != ERR_OK; i++)
        usleep(10000);
    assert_int_equal(seen.ran, 1);
}

static void a_wrong_address_is_named_without_its_password(void **state)
{
    (void)state;
    struct pq_sync sync;
    struct err err = {0};
    char shown[128];
    assert_int_equal(pq_sync_open(&sync, "postgresql://u:geheim@[::1", &err), ERR_CONFIG);
    assert_null(strstr(err.text, "geheim"));
    assert_int_equal(
        pq_sync_open(&sync, "postgresql://u:geheim@127.0.0.1:1/db?connect_timeout=2", &err),
        ERR_CONNECTION);
    assert_null(strstr(err.text, "geheim"));
    pq_target_show("postgresql://u:geheim@db.example:5433/market", shown, sizeof(shown));
    assert_string_equal(shown, "market at db.example:5433");
    assert_true(pq_target_has_password("postgresql://u:geheim@db.example/market"));
    assert_false(pq_target_has_password(pg.target));
    assert_int_equal(pq_sync_open(&sync, "host=/nowhere user=btcast", &err), ERR_CONNECTION);
}

struct lines {
    int count;
    size_t size;
};

static int take_line(void *context, struct bytes row)
{
    struct lines *lines = context;
    lines->count++;
    lines->size += row.size;
    return lines->count == 1000 ? ERR_FULL : ERR_OK;
}

static void rows_are_copied_out_whole(void **state)
{
    (void)state;
    struct lines lines = {0};
    struct err err = {0};
    assert_int_equal(pq_sync_copy_out(&pg.sync,
                                      "COPY (SELECT n FROM generate_series(100, 199) n) TO STDOUT",
                                      take_line, &lines, &err),
                     ERR_OK);
    assert_int_equal(lines.count, 100);
    assert_int_equal(lines.size, 400);
    /* The reader has had enough: its word counts, and the connection still works. */
    assert_int_equal(pq_sync_copy_out(&pg.sync,
                                      "COPY (SELECT n FROM generate_series(1, 9999) n) TO STDOUT",
                                      take_line, &lines, &err),
                     ERR_FULL);
    assert_int_equal(
        pq_sync_copy_out(&pg.sync,
                         "COPY (SELECT 1 / (5 - n) FROM generate_series(1, 9) n) TO STDOUT",
                         take_line, &lines, &err),
        ERR_MALFORMED);
    assert_int_equal(pq_sync_copy_out(&pg.sync, "SELECT 1", take_line, &lines, &err), ERR_INVALID);
    assert_string_equal(pg_fixture_ask(&pg, "SELECT 7"), "7");
}

static void months_get_their_partitions_once_and_only_sane_ones(void **state)
{
    (void)state;
    struct err err = {0};
    pg_fixture_migrate(&pg);
    assert_string_equal(
        pg_fixture_ask(&pg,
                       "SELECT make_month_partitions('predictions_log', '2025-11-30 23:59:59Z',"
                       " '2026-02-01 00:00:00Z')"),
        "4");
    assert_string_equal(
        pg_fixture_ask(&pg,
                       "SELECT make_month_partitions('predictions_log', '2025-11-30 23:59:59Z',"
                       " '2026-02-01 00:00:00Z')"),
        "0");
    assert_string_equal(pg_fixture_ask(&pg, "SELECT make_month_partitions('feature_store', "
                                            "'2026-01-31 23:59:58Z', '2026-01-31 23:59:58Z')"),
                        "1");
    assert_int_equal(pq_sync_script(&pg.sync,
                                    "SELECT make_month_partitions('feature_store', "
                                    "'2026-01-01', '9026-01-01')",
                                    &err),
                     ERR_MALFORMED);
    assert_string_equal(
        pg_fixture_ask(&pg, "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE "
                            "relispartition AND relkind = 'r'"),
        "feature_store_202601 predictions_log_202511 predictions_log_202512 "
        "predictions_log_202601 predictions_log_202602");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(all_migrations_of_this_build_apply_once, clean),
        cmocka_unit_test_teardown(a_dry_run_finds_mistakes_and_changes_nothing, clean),
        cmocka_unit_test_teardown(a_file_that_fails_leaves_nothing_and_those_before_it_stay, clean),
        cmocka_unit_test_teardown(changed_history_is_refused, clean),
        cmocka_unit_test_teardown(file_names_must_count, clean),
        cmocka_unit_test_teardown(one_migration_at_a_time, clean),
        cmocka_unit_test_teardown(a_wrong_address_is_named_without_its_password, clean),
        cmocka_unit_test_teardown(rows_are_copied_out_whole, clean),
        cmocka_unit_test_teardown(months_get_their_partitions_once_and_only_sane_ones, clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
