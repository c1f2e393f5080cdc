/* The ETL and training on a lake that is S3: what comes out is what a folder lake gives, bit for
 * bit, with a cache that is smaller than the lake, with faults, and on somebody else's server.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>

#include "base/log.h"
#include "edge/file/whole_file.h"
#include "integration/lake_fixture.h"
#include "integration/s3_fixture.h"
#include "services/etl/etl_job.h"
#include "services/etl/etl_lake.h"
#include "services/exchange-sim/sim_capture.h"
#include "services/trainer/train_load.h"
#include "services/trainer/train_source.h"

#define SYMBOL    "BTCUSDT"
#define START_MS  1767229080000LL /* 2026-01-01 00:58: the hour turns in it */
#define BRONZE    "bronze/sbe/" SYMBOL "/year=2026/month=01/day=01/hour=01/"
#define CACHE_MB  2 /* the lake has more */
#define PATH_SIZE (TEMP_DIR_SIZE + 600)

static char folder[TEMP_DIR_SIZE], plain[TEMP_DIR_SIZE + 8];
static struct s3_fixture s3;
static atomic_bool stop;
static struct dataset wanted;
static uint64_t wanted_rows; /* of the ETL */
static int lakes;
static char where[64], work[TEMP_DIR_SIZE + 32]; /* of the test */

/* A folder lake of six minutes, and what the ETL makes of it. */
static void make_plain(void)
{
    struct sim_options options = {.symbol = SYMBOL,
                                  .seed = 41,
                                  .price = 60000.0,
                                  .rate = 1.0,
                                  .diff_interval_ms = 20,
                                  .depth20 = true,
                                  .capture_hours = 0.1,
                                  .capture_start_ms = START_MS};
    struct sim_capture_result result;
    struct err err = {0};
    uint64_t refused = 0;
    snprintf(options.capture_out, sizeof(options.capture_out), "%s/market.btc", folder);
    assert_int_equal(sim_capture_write(&options, &result, NULL), ERR_OK);
    dataset_init(&wanted);
    assert_int_equal(train_load_captures(options.capture_out, SYMBOL, &wanted, &refused, &err),
                     ERR_OK);
    assert_true(wanted.count > 130);
    snprintf(plain, sizeof(plain), "%s/lake", folder);
    assert_true(lake_fixture_write(options.capture_out, SYMBOL, plain, folder, 0, INT64_MAX) > 12);
}

static struct etl_job *open_job(const char *lake, const char *at, int64_t cache_mb)
{
    struct etl_job *job;
    struct err err = {0};
    struct etl_job_options options = {.symbol = SYMBOL,
                                      .lake = lake,
                                      .work = at,
                                      .database = "",
                                      .cache_mb = cache_mb,
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

static void open_lake(const char *lake, struct etl_lake *out)
{
    char cache[PATH_SIZE];
    struct err err = {0};
    snprintf(cache, sizeof(cache), "%s/look", folder);
    struct etl_lake_options options = {.where = lake, .cache = cache};
    if (etl_lake_open(out, &options, &err) != ERR_OK)
        fail_msg("%s", err.text);
}

static void list(struct etl_lake *lake, const char *prefix, struct lake_list *out)
{
    struct err err = {0};
    if (lake_files_list(lake->files, prefix, "", out, &err) != ERR_OK)
        fail_msg("%s", err.text);
}

static void upload(struct etl_lake *to, const char *key, const char *path)
{
    char begun[LAKE_FILE_PATH_SIZE];
    struct err err = {0};
    assert_int_equal(lake_files_begin(to->files, key, begun, &err), ERR_OK);
    assert_int_equal(lake_file_copy(path, begun, &err), ERR_OK);
    if (lake_files_commit(to->files, key, begun, &err) != ERR_OK)
        fail_msg("%s", err.text);
    assert_int_equal(access(begun, F_OK), -1);
}

/* A lake of the test's own with the folder's bronze in it, but for the keys that hold `without`. */
static void fill(const char *without)
{
    struct etl_lake from, to;
    struct lake_list objects = {0};
    open_lake(plain, &from);
    open_lake(where, &to);
    list(&from, "bronze/", &objects);
    for (size_t i = 0; i < objects.count; i++) {
        char path[PATH_SIZE];
        snprintf(path, sizeof(path), "%s/%s", plain, objects.entries[i].key);
        if (without == NULL || strstr(objects.entries[i].key, without) == NULL)
            upload(&to, objects.entries[i].key, path);
    }
    lake_list_free(&objects);
    etl_lake_close(&from);
    etl_lake_close(&to);
}

static int begin(void **state)
{
    (void)state;
    char url[64];
    lakes++;
    snprintf(where, sizeof(where), "s3://" S3_FIXTURE_BUCKET "/team=%d", lakes);
    snprintf(work, sizeof(work), "%s/work-%d", folder, lakes);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", s3.port);
    setenv("AWS_ENDPOINT_URL", url, 1);
    return 0;
}

/* The bytes of an object of the lake; the caller's to free. */
static uint8_t *bytes_of_object(struct etl_lake *lake, const struct lake_entry *entry, size_t *size)
{
    char path[PATH_SIZE];
    uint8_t *data = NULL;
    struct err err = {0};
    if (lake_files_hold(lake->files, entry, 1, &err) != ERR_OK)
        fail_msg("%s", err.text);
    snprintf(path, sizeof(path), "%s/%s", lake_files_root(lake->files), entry->key);
    assert_int_equal(whole_file_read(path, 1u << 28, &data, size, &err), ERR_OK);
    lake_files_release(lake->files, entry, 1);
    return data;
}

/* Silver of both lakes: the same keys with the same bytes. */
static void check_same_silver(void)
{
    struct etl_lake ours, theirs;
    struct lake_list found = {0}, expected = {0};
    open_lake(where, &ours);
    open_lake(plain, &theirs);
    list(&ours, "silver/", &found);
    list(&theirs, "silver/", &expected);
    assert_true(expected.count >= 4);
    assert_int_equal(found.count, expected.count);
    for (size_t i = 0; i < found.count; i++) {
        size_t sizes[2];
        uint8_t *a = bytes_of_object(&ours, &found.entries[i], &sizes[0]);
        uint8_t *b = bytes_of_object(&theirs, &expected.entries[i], &sizes[1]);
        assert_string_equal(found.entries[i].key, expected.entries[i].key);
        assert_int_equal(sizes[0], sizes[1]);
        assert_memory_equal(a, b, sizes[0]);
        free(a);
        free(b);
    }
    lake_list_free(&found);
    lake_list_free(&expected);
    etl_lake_close(&ours);
    etl_lake_close(&theirs);
}

static int files_below(const char *path)
{
    char command[PATH_SIZE], line[32] = "";
    snprintf(command, sizeof(command), "find '%s' -type f | wc -l", path);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    assert_non_null(fgets(line, sizeof(line), out));
    pclose(out);
    return atoi(line);
}

/* --- what comes out ----------------------------------------------------------------------- */

static void silver_is_the_folders_with_a_cache_smaller_than_the_lake(void **state)
{
    (void)state;
    char cache[PATH_SIZE];
    fill(NULL);
    struct etl_job *job = open_job(where, work, CACHE_MB);
    pass(job);
    assert_int_equal(etl_job_counters(job)->holes, 0);
    assert_int_equal(etl_job_counters(job)->quarantined, 0);
    assert_int_equal(etl_job_counters(job)->rows, wanted_rows);
    assert_true(etl_job_counters(job)->lake.evicted > 0);
    pass(job); /* nothing is late, and nothing is taken twice */
    assert_int_equal(etl_job_counters(job)->late, 0);
    assert_int_equal(etl_job_counters(job)->rows, wanted_rows);
    snprintf(cache, sizeof(cache), "%s/cache-" SYMBOL, work);
    assert_true(files_below(cache) > 0);
    etl_job_close(job);
    assert_int_equal(files_below(cache), 0);
    check_same_silver();
}

static void check_dataset(const struct dataset *found)
{
    assert_int_equal(found->count, wanted.count);
    assert_int_equal(dataset_hash(found), dataset_hash(&wanted));
}

static void training_takes_bronze_and_silver_from_there(void **state)
{
    (void)state;
    struct dataset bronze, silver;
    struct err err = {0};
    uint64_t refused = 0;
    fill(NULL);
    struct etl_job *job = open_job(where, work, 0);
    pass(job);
    etl_job_close(job);
    setenv("TMPDIR", folder, 1);
    dataset_init(&bronze);
    dataset_init(&silver);
    if (train_source_lake(where, SYMBOL, 0, 0, &bronze, &refused, &err) != ERR_OK ||
        train_source_silver(where, SYMBOL, 0, 0, &silver, &err) != ERR_OK)
        fail_msg("%s", err.text);
    check_dataset(&bronze);
    check_dataset(&silver);
    dataset_free(&silver);
    dataset_init(&silver);
    assert_int_equal(train_source_silver(where, SYMBOL, clock_slot_us(wanted.slot[10]),
                                         clock_slot_us(wanted.slot[20]), &silver, &err),
                     ERR_OK);
    assert_int_equal(silver.count, 10);
    assert_int_equal(train_source_silver(where, "ETHUSDT", 0, 0, &silver, &err), ERR_EMPTY);
    dataset_free(&bronze);
    dataset_free(&silver);
    char left[PATH_SIZE];
    snprintf(left, sizeof(left), "%s/btcast-lake-*", folder);
    glob_t found;
    assert_int_equal(glob(left, 0, NULL, &found), GLOB_NOMATCH);
    globfree(&found);
}

/* --- what goes wrong ---------------------------------------------------------------------- */

static void faults(const char *json)
{
    char request[1024], reply[512];
    snprintf(
        request, sizeof(request),
        "POST /_faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(json), json);
    assert_int_equal(http_fixture_ask(s3.port, request, reply, sizeof(reply)), 200);
}

static void requests_that_fail_now_and_then_change_nothing(void **state)
{
    (void)state;
    fill(NULL);
    struct etl_job *job = open_job(where, work, CACHE_MB);
    faults("[\"pass\",503,\"pass\",\"short\",\"close\",\"pass\",\"lost\",500,\"pass\",\"pass\","
           "\"short\"]");
    pass(job);
    assert_int_equal(etl_job_counters(job)->quarantined, 0);
    etl_job_close(job);
    check_same_silver();
}

static void a_cut_object_is_put_aside_with_its_bytes_and_the_rest_goes_on(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct etl_lake lake;
    struct lake_list cut = {0}, aside = {0};
    fill(NULL);
    open_lake(where, &lake);
    list(&lake, BRONZE "trades_20260101_0101_", &cut);
    assert_int_equal(cut.count, 1);
    snprintf(path, sizeof(path), "%s/%s", plain, cut.entries[0].key);
    char half[PATH_SIZE];
    snprintf(half, sizeof(half), "%s/half", folder);
    assert_int_equal(lake_file_copy(path, half, NULL), ERR_OK);
    assert_int_equal(truncate(half, (off_t)cut.entries[0].size / 2), 0);
    upload(&lake, cut.entries[0].key, half);
    struct etl_job *job = open_job(where, work, 0);
    pass(job);
    assert_int_equal(etl_job_counters(job)->quarantined, 1);
    assert_true(etl_job_counters(job)->rows > 170);
    pass(job); /* it has gone: that is no late object */
    assert_int_equal(etl_job_counters(job)->late, 0);
    assert_int_equal(etl_job_counters(job)->quarantined, 1);
    list(&lake, "quarantine/" BRONZE, &aside);
    assert_int_equal(aside.count, 1);
    assert_string_equal(aside.entries[0].key + strlen("quarantine/"), cut.entries[0].key);
    assert_int_equal(aside.entries[0].size, cut.entries[0].size / 2);
    lake_list_free(&aside);
    list(&lake, cut.entries[0].key, &aside);
    assert_int_equal(aside.count, 0);
    /* The whole one comes again: now it is late. */
    upload(&lake, cut.entries[0].key, path);
    pass(job);
    assert_int_equal(etl_job_counters(job)->late, 1);
    etl_job_close(job);
    lake_list_free(&cut);
    etl_lake_close(&lake);
    check_same_silver();
}

static void an_object_that_comes_late_is_taken(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct etl_lake lake, from;
    struct lake_list late = {0};
    fill("trades_20260101_0100_");
    struct etl_job *job = open_job(where, work, 0);
    pass(job);
    assert_true(etl_job_counters(job)->holes > 0);
    open_lake(plain, &from);
    list(&from, BRONZE "trades_20260101_0100_", &late);
    assert_int_equal(late.count, 1);
    open_lake(where, &lake);
    snprintf(path, sizeof(path), "%s/%s", plain, late.entries[0].key);
    upload(&lake, late.entries[0].key, path);
    pass(job);
    assert_int_equal(etl_job_counters(job)->late, 1);
    etl_job_close(job);
    lake_list_free(&late);
    etl_lake_close(&lake);
    etl_lake_close(&from);
    check_same_silver();
}

static void more_than_the_cache_can_hold_at_once_is_said_and_loses_nothing(void **state)
{
    (void)state;
    char big[PATH_SIZE];
    struct etl_lake lake;
    struct err err = {0};
    fill(NULL);
    snprintf(big, sizeof(big), "%s/big", folder);
    FILE *file = fopen(big, "wb");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), 3 << 20), 0);
    fclose(file);
    open_lake(where, &lake);
    upload(&lake, BRONZE "depth_20260101_0159_1-9.parquet", big);
    struct etl_job *job = open_job(where, work, 2);
    assert_int_equal(etl_job_pass(job, &err), ERR_FULL);
    assert_non_null(strstr(err.text, "2 MB"));
    assert_int_equal(lake_files_drop(lake.files, BRONZE "depth_20260101_0159_1-9.parquet", &err),
                     ERR_OK);
    pass(job);
    etl_job_close(job);
    etl_lake_close(&lake);
    check_same_silver();
}

static void with_the_store_gone_a_pass_ends_and_the_next_one_goes_on(void **state)
{
    (void)state;
    struct err err = {0};
    fill(NULL);
    struct etl_job *job = open_job(where, work, 0);
    s3_fixture_stop(&s3);
    int result = etl_job_pass(job, &err);
    assert_true(result == ERR_CONNECTION || result == ERR_TIMEOUT);
    assert_true(err.text[0] != '\0');
    s3_fixture_start_s3rver(&s3);
    pass(job);
    assert_int_equal(etl_job_counters(job)->rows, wanted_rows);
    etl_job_close(job);
    check_same_silver();
}

/* Told to stop it stops, whatever is under way. */
static void a_stop_ends_the_wait_for_the_lake(void **state)
{
    (void)state;
    struct err err = {0};
    fill(NULL);
    struct etl_job *job = open_job(where, work, 0);
    atomic_store(&stop, true);
    assert_int_equal(etl_job_pass(job, &err), ERR_AGAIN);
    atomic_store(&stop, false);
    etl_job_close(job);
}

int main(void)
{
    const struct CMUnitTest both[] = {
        cmocka_unit_test_setup(silver_is_the_folders_with_a_cache_smaller_than_the_lake, begin),
        cmocka_unit_test_setup(training_takes_bronze_and_silver_from_there, begin),
        cmocka_unit_test_setup(a_cut_object_is_put_aside_with_its_bytes_and_the_rest_goes_on,
                               begin),
    };
    const struct CMUnitTest strict[] = {
        cmocka_unit_test_setup(requests_that_fail_now_and_then_change_nothing, begin),
        cmocka_unit_test_setup(an_object_that_comes_late_is_taken, begin),
        cmocka_unit_test_setup(more_than_the_cache_can_hold_at_once_is_said_and_loses_nothing,
                               begin),
        cmocka_unit_test_setup(a_stop_ends_the_wait_for_the_lake, begin),
    };
    const struct CMUnitTest foreign[] = {
        cmocka_unit_test_setup(with_the_store_gone_a_pass_ends_and_the_next_one_goes_on, begin),
    };
    char at[TEMP_DIR_SIZE + 32];
    log_init("test", LOG_ERROR, NULL);
    temp_dir_make(folder);
    make_plain();
    snprintf(at, sizeof(at), "%s/work-plain", folder);
    struct etl_job *job = open_job(plain, at, 0);
    pass(job);
    wanted_rows = etl_job_counters(job)->rows;
    etl_job_close(job);
    setenv("AWS_ACCESS_KEY_ID", S3_FIXTURE_KEY, 1);
    setenv("AWS_SECRET_ACCESS_KEY", S3_FIXTURE_SECRET, 1);
    setenv("AWS_REGION", "eu-central-1", 1);
    s3_fixture_start_strict(&s3);
    int failed = cmocka_run_group_tests(both, NULL, NULL);
    failed += cmocka_run_group_tests(strict, NULL, NULL);
    s3_fixture_stop(&s3);
    if (s3_fixture_find_s3rver(&s3)) {
        temp_dir_make(s3.folder);
        s3.port = 0;
        setenv("AWS_ACCESS_KEY_ID", "S3RVER", 1);
        setenv("AWS_SECRET_ACCESS_KEY", "S3RVER", 1);
        s3_fixture_start_s3rver(&s3);
        failed += cmocka_run_group_tests(both, NULL, NULL);
        failed += cmocka_run_group_tests(foreign, NULL, NULL);
        s3_fixture_stop(&s3);
        temp_dir_remove(s3.folder);
    } else
        printf("SKIPPED: the ETL on s3rver (npm cannot fetch it)\n");
    dataset_free(&wanted);
    temp_dir_remove(folder);
    return failed;
}
