/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/object_contract.h"
#include "tests/lib/temp_dir.h"

/* Patience for anything that has to happen; never the measure of a test. */
#define PATIENCE_US 60000000
#define KEYS_MAX    64

static const struct object_engine *engine;
static const struct object_port *port;
static char folder[TEMP_DIR_SIZE];
static bool in_call; /* an answer must not come from inside a call */

struct answer {
    int count, result;
    char text[256];
};

struct listing {
    int ends, result, count;
    char keys[KEYS_MAX][OBJECT_KEY_SIZE];
    uint64_t sizes[KEYS_MAX];
    int64_t modified_us[KEYS_MAX];
};

static int start(void **state)
{
    (void)state;
    temp_dir_make(folder);
    port = engine->start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    engine->stop();
    temp_dir_remove(folder);
    return 0;
}

static void on_done(void *context, const struct object_reply *reply)
{
    struct answer *answer = context;
    assert_false(in_call);
    if (reply->result != ERR_OK)
        printf("(%s: %s)\n", err_text(reply->result), reply->text);
    answer->count++;
    answer->result = reply->result;
    snprintf(answer->text, sizeof(answer->text), "%s", reply->text);
}

static void on_entry(void *context, int result, const struct object_entry *entry)
{
    struct listing *listing = context;
    assert_false(in_call);
    assert_int_equal(listing->ends, 0);
    if (entry == NULL) {
        listing->ends++;
        listing->result = result;
        return;
    }
    assert_true(listing->count < KEYS_MAX);
    snprintf(listing->keys[listing->count], OBJECT_KEY_SIZE, "%s", entry->key);
    listing->sizes[listing->count] = entry->size;
    listing->modified_us[listing->count++] = entry->modified_us;
}

static void path_of(const char *name, char *out)
{
    snprintf(out, 128, "%s/%s", folder, name);
}

static uint8_t byte_at(size_t i, unsigned seed)
{
    return (uint8_t)((i * 2654435761u + seed * 40503u) >> 11);
}

static void make_file(const char *name, size_t size, unsigned seed)
{
    char path[128];
    path_of(name, path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++)
        fputc(byte_at(i, seed), file);
    assert_int_equal(fclose(file), 0);
}

static void assert_file(const char *name, size_t size, unsigned seed)
{
    char path[128];
    path_of(name, path);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++)
        if (fgetc(file) != byte_at(i, seed))
            fail_msg("%s differs at byte %zu", name, i);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
}

static void wait_for(const int *count)
{
    int64_t end_us = engine->now_us() + PATIENCE_US;
    while (*count == 0 && engine->now_us() < end_us) {
        port->do_work(port->self, engine->now_us());
        engine->wait();
    }
    assert_int_equal(*count, 1);
}

static int put(const char *key, const char *name)
{
    struct answer answer = {0};
    char path[128];
    path_of(name, path);
    in_call = true;
    assert_int_equal(port->put(port->self, key, path, on_done, &answer), ERR_OK);
    in_call = false;
    wait_for(&answer.count);
    return answer.result;
}

static int get(const char *key, const char *name)
{
    struct answer answer = {0};
    char path[128];
    path_of(name, path);
    in_call = true;
    assert_int_equal(port->get(port->self, key, path, on_done, &answer), ERR_OK);
    in_call = false;
    wait_for(&answer.count);
    return answer.result;
}

static int drop(const char *key)
{
    struct answer answer = {0};
    in_call = true;
    assert_int_equal(port->drop(port->self, key, on_done, &answer), ERR_OK);
    in_call = false;
    wait_for(&answer.count);
    return answer.result;
}

static void list(struct listing *listing, const char *prefix, const char *after)
{
    memset(listing, 0, sizeof(*listing));
    in_call = true;
    assert_int_equal(port->list(port->self, prefix, after, on_entry, listing), ERR_OK);
    in_call = false;
    wait_for(&listing->ends);
    assert_int_equal(listing->result, ERR_OK);
}

static void an_object_comes_back_byte_for_byte(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 70000, engine->large};
    for (unsigned i = engine->no_empty_objects; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        make_file("in", sizes[i], i);
        assert_int_equal(put("bronze/sbe/BTCUSDT/year=2026/x_1-2.parquet", "in"), ERR_OK);
        assert_int_equal(get("bronze/sbe/BTCUSDT/year=2026/x_1-2.parquet", "out"), ERR_OK);
        assert_file("out", sizes[i], i);
        assert_file("in", sizes[i], i); /* the caller's file stays */
    }
}

static void a_missing_object_touches_nothing(void **state)
{
    (void)state;
    make_file("out", 10, 7);
    assert_int_equal(get("a/missing", "out"), ERR_NOT_FOUND);
    assert_file("out", 10, 7);
    assert_int_equal(put("a/b", "no-such-file"), ERR_IO);
    assert_int_equal(get("a/b", "out"), ERR_NOT_FOUND);
}

static void dropping_twice_is_fine(void **state)
{
    (void)state;
    make_file("in", 100, 1);
    assert_int_equal(put("a/b", "in"), ERR_OK);
    assert_int_equal(put("a/c", "in"), ERR_OK);
    assert_int_equal(drop("a/b"), ERR_OK);
    assert_int_equal(drop("a/b"), ERR_OK);
    assert_int_equal(get("a/b", "out"), ERR_NOT_FOUND);
    assert_int_equal(get("a/c", "out"), ERR_OK);
}

static void a_listing_is_in_key_order_and_whole(void **state)
{
    (void)state;
    struct listing listing;
    list(&listing, "", "");
    assert_int_equal(listing.count, 0);
    /* '=' and '-' sort around '/': a folder at a time would give another order. */
    const char *keys[] = {"a-b",   "a/b", "a/b/c",   "a/day=1/x", "a/day=10/x", "a/day=2/x",
                          "a=b/c", "b",   "b/0.txt", "c_d",       "Z"};
    int count = (int)(sizeof(keys) / sizeof(keys[0]));
    for (int i = count - 1; i >= 0; i--) {
        /* "a/b" and "a/b/c" cannot both be files in a folder. */
        if (strcmp(keys[i], "a/b") == 0 || strcmp(keys[i], "b") == 0)
            continue;
        make_file("in", (size_t)i + 1, 3);
        assert_int_equal(put(keys[i], "in"), ERR_OK);
    }
    list(&listing, "", "");
    assert_int_equal(listing.count, count - 2);
    for (int i = 1; i < listing.count && !engine->own_order; i++)
        assert_true(strcmp(listing.keys[i - 1], listing.keys[i]) < 0);
    list(&listing, "a/", "");
    assert_int_equal(listing.count, 4);
    assert_string_equal(listing.keys[0], "a/b/c");
    assert_int_equal(listing.sizes[0], 3);
    assert_true(listing.modified_us[0] > 1500000000000000LL);
    list(&listing, "a/day=1", "");
    assert_int_equal(listing.count, 2);
    list(&listing, "a/", "a/day=10/x");
    assert_int_equal(listing.count, 1);
    assert_string_equal(listing.keys[0], "a/day=2/x");
    list(&listing, "nothing/", "");
    assert_int_equal(listing.count, 0);
}

static void many_keys_are_listed_once_each(void **state)
{
    (void)state;
    struct listing listing;
    make_file("in", 5, 1);
    for (int i = 0; i < 25; i++) {
        char key[64];
        snprintf(key, sizeof(key), "p/k%02d", i);
        assert_int_equal(put(key, "in"), ERR_OK);
    }
    list(&listing, "p/", "p/k03");
    assert_int_equal(listing.count, 21);
    assert_string_equal(listing.keys[0], "p/k04");
    assert_string_equal(listing.keys[20], "p/k24");
}

static void what_is_no_key_is_refused(void **state)
{
    (void)state;
    struct answer answer = {0};
    char path[128], large[OBJECT_KEY_SIZE + 10];
    memset(large, 'a', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    const char *keys[] = {"",       "/a",  "a/",    "a//b",     "../a",
                          "a/../b", "a b", "a%2Fb", "\xc3\xa4", large};
    make_file("in", 5, 1);
    path_of("in", path);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_int_equal(port->put(port->self, keys[i], path, on_done, &answer), ERR_INVALID);
        assert_int_equal(port->get(port->self, keys[i], path, on_done, &answer), ERR_INVALID);
        assert_int_equal(port->drop(port->self, keys[i], on_done, &answer), ERR_INVALID);
    }
    for (int i = 0; i < 5; i++)
        port->do_work(port->self, engine->now_us());
    assert_int_equal(answer.count, 0);
}

static void calls_run_side_by_side_up_to_a_limit(void **state)
{
    (void)state;
    struct answer answers[300] = {0};
    int started = 0;
    char path[128];
    make_file("in", 2000, 9);
    path_of("in", path);
    for (; started < 300; started++) {
        char key[32];
        snprintf(key, sizeof(key), "many/%d", started);
        int result = port->put(port->self, key, path, on_done, &answers[started]);
        if (result == ERR_AGAIN)
            break;
        assert_int_equal(result, ERR_OK);
    }
    assert_in_range(started, 2, 299);
    for (int i = 0; i < started; i++) {
        wait_for(&answers[i].count);
        assert_int_equal(answers[i].result, ERR_OK);
    }
    assert_int_equal(get("many/0", "out"), ERR_OK);
    assert_file("out", 2000, 9);
}

static void a_put_replaces_the_whole_object(void **state)
{
    (void)state;
    make_file("in", engine->large, 1);
    assert_int_equal(put("a/b", "in"), ERR_OK);
    make_file("in", 12, 2);
    assert_int_equal(put("a/b", "in"), ERR_OK);
    assert_int_equal(get("a/b", "out"), ERR_OK);
    assert_file("out", 12, 2);
}

int object_contract_run(const struct object_engine *with)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_object_comes_back_byte_for_byte, start, stop),
        cmocka_unit_test_setup_teardown(a_missing_object_touches_nothing, start, stop),
        cmocka_unit_test_setup_teardown(dropping_twice_is_fine, start, stop),
        cmocka_unit_test_setup_teardown(a_listing_is_in_key_order_and_whole, start, stop),
        cmocka_unit_test_setup_teardown(many_keys_are_listed_once_each, start, stop),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(calls_run_side_by_side_up_to_a_limit, start, stop),
        cmocka_unit_test_setup_teardown(a_put_replaces_the_whole_object, start, stop),
    };
    engine = with;
    return cmocka_run_group_tests_name(engine->name, tests, NULL, NULL);
}
