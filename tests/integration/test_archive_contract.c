/* DuckDB's engine under the contract of the archive port, and the loading of the library.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/duckdb/duckdb_archive.h"
#include "edge/duckdb/duckdb_session.h"
#include "edge/lake/folder_objects.h"
#include "edge/loop/loop.h"
#include "learn/lake/bronze_key.h"
#include "tests/lib/archive_contract.h"
#include "tests/lib/temp_dir.h"

static char folder[TEMP_DIR_SIZE];
static char lake[TEMP_DIR_SIZE + 16], away[TEMP_DIR_SIZE + 16], spool_folder[TEMP_DIR_SIZE + 16];
static struct folder_objects *objects;
static struct lake_spool *spool;
static struct duckdb_archive *archive;
static struct duckdb_session session;

static void engine_start(void)
{
    struct err err = {0};
    temp_dir_make(folder);
    snprintf(lake, sizeof(lake), "%s/lake", folder);
    snprintf(away, sizeof(away), "%s/away", folder);
    snprintf(spool_folder, sizeof(spool_folder), "%s/spool", folder);
    if (duckdb_session_open(&session, NULL, 0, &err) != ERR_OK)
        fail_msg("%s", err.text);
}

static void engine_stop(void)
{
    duckdb_session_close(&session);
    temp_dir_remove(folder);
}

static struct archive_port engine_open(void)
{
    struct err err = {0};
    assert_int_equal(folder_objects_open(lake, &objects, &err), ERR_OK);
    struct lake_spool_options spool_options = {.folder = spool_folder,
                                               .objects = folder_objects_port(objects)};
    assert_int_equal(lake_spool_open(&spool_options, &spool, &err), ERR_OK);
    struct duckdb_archive_options options = {.spool = spool};
    if (duckdb_archive_open(&options, &archive, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return duckdb_archive_port(archive);
}

static void engine_close(void)
{
    duckdb_archive_close(archive);
    lake_spool_close(spool);
    folder_objects_close(objects);
}

static void engine_wait(void)
{
    usleep(500);
}

/* Nothing can be made below a file. */
static void engine_take_away(void)
{
    FILE *file = fopen(lake, "w");
    assert_non_null(file);
    fclose(file);
}

static void engine_bring_back(void)
{
    assert_int_equal(unlink(lake), 0);
}

static int engine_records(const struct archive_block *block, uint64_t seq)
{
    char key[OBJECT_KEY_SIZE], sql[2 * OBJECT_KEY_SIZE];
    int64_t count = 0;
    struct err err = {0};
    assert_int_equal(bronze_key_of_block(block, key), ERR_OK);
    snprintf(sql, sizeof(sql), "%s/%s", lake, key);
    if (access(sql, F_OK) != 0)
        return 0;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM '%s/%s' WHERE seq = %" PRIu64, lake, key, seq);
    if (duckdb_session_integers(&session, sql, &count, 1, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return (int)count;
}

static int engine_replies(enum archive_rest type, int64_t first_id)
{
    char sql[512];
    int64_t count = 0;
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM glob('%s/bronze/rest/%s/%s/*/*/*/*_%" PRId64 ".parquet')", lake,
             ARCHIVE_CONTRACT_SYMBOL, bronze_key_rest_text(type), first_id);
    assert_int_equal(duckdb_session_integers(&session, sql, &count, 1, NULL), ERR_OK);
    return (int)count;
}

/* Before anything has loaded it: the process has one library. */
static void a_library_that_is_none_is_named_and_not_taken(void **state)
{
    (void)state;
    const struct duckdb_api *api = NULL;
    struct err err = {0};
    assert_int_equal(duckdb_api_load("/no/such/libduckdb.so", &api, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/no/such/libduckdb.so"));
    err = (struct err){0};
    assert_int_equal(duckdb_api_load("libm.so.6", &api, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "duckdb_library_version"));
    /* What the environment names is not passed over in silence either. */
    const char *before = getenv(DUCKDB_API_ENV);
    assert_int_equal(setenv(DUCKDB_API_ENV, "/no/such/either.so", 1), 0);
    assert_int_equal(duckdb_api_load("", &api, &err), ERR_NOT_FOUND);
    if (before != NULL)
        setenv(DUCKDB_API_ENV, before, 1);
    else
        unsetenv(DUCKDB_API_ENV);
    assert_null(api);
    assert_int_equal(duckdb_api_load("", &api, &err), ERR_OK);
    assert_int_equal(strncmp(api->library_version(), "v1.", 3), 0);
}

int main(void)
{
    const struct archive_engine engine = {
        .name = "duckdb",
        .start = engine_start,
        .stop = engine_stop,
        .open = engine_open,
        .close = engine_close,
        .now_us = loop_mono_us,
        .wait = engine_wait,
        .take_away = engine_take_away,
        .bring_back = engine_bring_back,
        .records = engine_records,
        .replies = engine_replies,
    };
    const struct CMUnitTest own[] = {
        cmocka_unit_test(a_library_that_is_none_is_named_and_not_taken),
    };
    const int failed = cmocka_run_group_tests(own, NULL, NULL);
    return failed + archive_contract_run(&engine);
}
