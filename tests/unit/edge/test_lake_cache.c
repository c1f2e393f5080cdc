/* The folder of copies: what is held stays, the rest goes in the order of its use.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edge/lake/lake_cache.h"
#include "tests/lib/temp_dir.h"

static char folder[TEMP_DIR_SIZE];
static struct lake_cache cache;

static int setup(void **state)
{
    (void)state;
    char path[TEMP_DIR_SIZE + 16];
    struct err err = {0};
    temp_dir_make(folder);
    snprintf(path, sizeof(path), "%s/old/file", folder);
    assert_int_equal(lake_file_make_folders(path, true, &err), ERR_OK);
    assert_int_equal(lake_file_write(path, BYTES_LITERAL("of another run"), &err), ERR_OK);
    assert_int_equal(lake_cache_open(&cache, folder, 100, &err), ERR_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lake_cache_close(&cache);
    temp_dir_remove(folder);
    return 0;
}

/* A file of so many bytes comes, and is held once. */
static void come(const char *key, uint64_t size)
{
    static const uint8_t zeros[100];
    char path[LAKE_FILE_PATH_SIZE];
    struct err err = {0};
    assert_int_equal(lake_cache_room(&cache, size, &err), ERR_OK);
    assert_int_equal(lake_cache_path(&cache, key, path, &err), ERR_OK);
    assert_int_equal(lake_file_make_folders(path, true, &err), ERR_OK);
    assert_int_equal(lake_file_write(path, bytes_of(zeros, size), &err), ERR_OK);
    assert_int_equal(lake_cache_add(&cache, key, size, 7, &err), ERR_OK);
}

static void release(const char *key)
{
    lake_cache_find(&cache, key)->held--;
}

static bool is_there(const char *key)
{
    char path[LAKE_FILE_PATH_SIZE];
    assert_int_equal(lake_cache_path(&cache, key, path, NULL), ERR_OK);
    const bool there = access(path, F_OK) == 0;
    assert_int_equal(there, lake_cache_find(&cache, key) != NULL);
    return there;
}

static void what_was_not_used_for_longest_goes_first(void **state)
{
    (void)state;
    come("b/1", 40);
    come("a/2", 30);
    come("c/3", 30);
    release("b/1");
    release("a/2");
    release("c/3");
    lake_cache_hold(&cache, lake_cache_find(&cache, "b/1"));
    release("b/1"); /* used once more */
    come("d/4", 50);
    assert_false(is_there("a/2"));
    assert_false(is_there("c/3"));
    assert_true(is_there("b/1"));
    assert_true(is_there("d/4"));
    assert_int_equal(cache.evicted, 2);
    assert_int_equal(cache.bytes, 90);
}

static void what_is_held_stays_and_is_named_when_there_is_no_room(void **state)
{
    (void)state;
    struct err err = {0};
    come("held", 60);
    come("free", 40);
    release("free");
    come("new", 40);
    assert_true(is_there("held"));
    assert_false(is_there("free"));
    assert_int_equal(lake_cache_room(&cache, 1, &err), ERR_FULL);
    assert_non_null(strstr(err.text, folder));
    assert_int_equal(lake_cache_room(&cache, 101, &err), ERR_FULL);
    release("held");
    assert_int_equal(lake_cache_room(&cache, 60, &err), ERR_OK);
    assert_false(is_there("held"));
    assert_true(is_there("new"));
}

static void copies_are_found_by_key_whatever_came_first(void **state)
{
    (void)state;
    static const char *const keys[] = {"m", "a", "z", "b", "y", "mm", "l"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        come(keys[i], i + 1);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_int_equal(lake_cache_find(&cache, keys[i])->size, i + 1);
    assert_null(lake_cache_find(&cache, "c"));
    lake_cache_drop(&cache, lake_cache_find(&cache, "m"));
    assert_false(is_there("m"));
    assert_int_equal(lake_cache_find(&cache, "mm")->size, 6);
    assert_int_equal(cache.count, 6);
    assert_int_equal(cache.bytes, 27);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_not_used_for_longest_goes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_held_stays_and_is_named_when_there_is_no_room,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(copies_are_found_by_key_whatever_came_first, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
