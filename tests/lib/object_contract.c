/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/object_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/temp_dir.h"

#define WAITS_MAX  20000
#define LISTED_MAX 64
#define BIG_SIZE   ((size_t)3 << 20)
#define ALL_CALLS  200

static const struct object_engine *engine;
static struct object_port port;
static char folder[TEMP_DIR_SIZE];
static int answered, last_result;
static bool inside_call;

static struct {
    char key[OBJECT_KEY_SIZE];
    uint64_t size;
    int64_t modified_us;
} listed[LISTED_MAX];
static int listed_count, list_ended, list_result;

static void on_done(void *context, const struct object_reply *reply)
{
    (void)context;
    assert_false(inside_call);
    answered++;
    last_result = reply->result;
    assert_non_null(reply->text);
}

static void on_entry(void *context, int result, const struct object_entry *entry)
{
    (void)context;
    assert_false(inside_call);
    if (entry == NULL) {
        list_ended++;
        list_result = result;
        return;
    }
    assert_true(listed_count < LISTED_MAX);
    snprintf(listed[listed_count].key, OBJECT_KEY_SIZE, "%s", entry->key);
    listed[listed_count].size = entry->size;
    listed[listed_count++].modified_us = entry->modified_us;
}

static const char *local(const char *name)
{
    static char path[4][TEMP_DIR_SIZE + 64];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

static void write_file(const char *path, char fill, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++)
        fputc(fill + (char)(i % 7), file);
    assert_int_equal(fclose(file), 0);
}

/* True if the file is what write_file made of these. */
static bool holds(const char *path, char fill, size_t size)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    bool same = true;
    for (size_t i = 0; i < size && same; i++)
        same = fgetc(file) == fill + (char)(i % 7);
    same = same && fgetc(file) == EOF;
    fclose(file);
    return same;
}

static void work_until(const int *counter, int wanted)
{
    for (int i = 0; i < WAITS_MAX && *counter < wanted; i++) {
        port.do_work(port.self, engine->now_us());
        engine->wait();
    }
    assert_int_equal(*counter, wanted);
}

/* Starts a call (again while there are too many), and its result when it is answered. */
#define CALL(expression)                                                                           \
    do {                                                                                           \
        int started;                                                                               \
        const int before = answered;                                                               \
        while (inside_call = true, started = (expression), inside_call = false,                    \
               started == ERR_AGAIN)                                                               \
            port.do_work(port.self, engine->now_us());                                             \
        assert_int_equal(started, ERR_OK);                                                         \
        work_until(&answered, before + 1);                                                         \
    } while (0)

static int put(const char *key, const char *path)
{
    CALL(port.put(port.self, key, path, on_done, NULL));
    return last_result;
}

static int get(const char *key, const char *path)
{
    CALL(port.get(port.self, key, path, on_done, NULL));
    return last_result;
}

static int drop(const char *key)
{
    CALL(port.drop(port.self, key, on_done, NULL));
    return last_result;
}

static int list(const char *prefix, const char *after)
{
    const int before = list_ended;
    listed_count = 0;
    inside_call = true;
    assert_int_equal(port.list(port.self, prefix, after, on_entry, NULL), ERR_OK);
    inside_call = false;
    work_until(&list_ended, before + 1);
    return list_result;
}

static int setup(void **state)
{
    (void)state;
    temp_dir_make(folder);
    engine->start();
    port = engine->open();
    answered = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    engine->close();
    engine->stop();
    temp_dir_remove(folder);
    return 0;
}

static void an_object_comes_back_as_it_was_put(void **state)
{
    (void)state;
    write_file(local("in"), 'a', BIG_SIZE);
    assert_int_equal(put("a/b=1/c.parquet", local("in")), ERR_OK);
    assert_true(holds(local("in"), 'a', BIG_SIZE)); /* it stays the caller's */
    assert_int_equal(unlink(local("in")), 0);
    assert_int_equal(get("a/b=1/c.parquet", local("out")), ERR_OK);
    assert_true(holds(local("out"), 'a', BIG_SIZE));
    if (engine->no_empty_objects)
        return;
    write_file(local("empty"), 'a', 0);
    assert_int_equal(put("empty", local("empty")), ERR_OK);
    assert_int_equal(get("empty", local("out")), ERR_OK); /* replaces the file */
    assert_true(holds(local("out"), 'a', 0));
}

static void a_second_put_replaces_the_object(void **state)
{
    (void)state;
    write_file(local("one"), 'a', 1000);
    write_file(local("two"), 'p', 10);
    assert_int_equal(put("k", local("one")), ERR_OK);
    assert_int_equal(put("k", local("two")), ERR_OK);
    assert_int_equal(put("k", local("two")), ERR_OK); /* the very same file again */
    assert_int_equal(get("k", local("out")), ERR_OK);
    assert_true(holds(local("out"), 'p', 10));
    assert_int_equal(list("", ""), ERR_OK);
    assert_int_equal(listed_count, 1);
    assert_int_equal(listed[0].size, 10);
    assert_true(listed[0].modified_us > 1600000000000000);
}

static void what_is_not_there_is_said_to_be_not_there(void **state)
{
    (void)state;
    write_file(local("in"), 'a', 10);
    assert_int_equal(put("there", local("in")), ERR_OK);
    assert_int_equal(get("nowhere/at/all", local("out")), ERR_NOT_FOUND);
    assert_int_equal(access(local("out"), F_OK), -1);
    assert_int_equal(drop("nowhere"), ERR_OK);
    assert_int_equal(drop("there"), ERR_OK);
    assert_int_equal(get("there", local("out")), ERR_NOT_FOUND);
    assert_int_not_equal(put("k", local("no-such-file")), ERR_OK);
    assert_int_equal(list("k", ""), ERR_OK);
    assert_int_equal(listed_count, 0);
}

static void keys_are_listed_in_order_by_prefix_and_from_a_key_on(void **state)
{
    (void)state;
    /* '-' and '.' sort before '/', letters behind it. */
    static const char *const keys[] = {"a-b/1", "a.x",  "a/b/1", "a/b/2", "a/c",
                                       "a=1/x", "ab/1", "b/2",   "b/3"};
    const int count = (int)(sizeof(keys) / sizeof(keys[0]));
    write_file(local("in"), 'a', 5);
    for (int i = count - 1; i >= 0; i--)
        assert_int_equal(put(keys[i], local("in")), ERR_OK);
    assert_int_equal(list("", ""), ERR_OK);
    assert_int_equal(listed_count, count);
    for (int i = 0; i < count && !engine->own_order; i++)
        assert_string_equal(listed[i].key, keys[i]);
    assert_int_equal(list("a/b", ""), ERR_OK);
    assert_int_equal(listed_count, 2);
    assert_int_equal(list("a/", "a/b/1"), ERR_OK);
    assert_int_equal(listed_count, 2);
    assert_string_equal(listed[0].key, "a/b/2");
    assert_string_equal(listed[1].key, "a/c");
    assert_int_equal(list("a", "a/c"), ERR_OK);
    assert_int_equal(listed_count, 2);
    assert_int_equal(list("zzz", ""), ERR_OK);
    assert_int_equal(listed_count, 0);
}

static void a_key_that_is_none_is_refused_at_once(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "/a", "a/", "a//b", "../a", "a/../../b", "a b", "ä"};
    write_file(local("in"), 'a', 5);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(port.put(port.self, wrong[i], local("in"), on_done, NULL), ERR_INVALID);
        assert_int_equal(port.get(port.self, wrong[i], local("out"), on_done, NULL), ERR_INVALID);
        assert_int_equal(port.drop(port.self, wrong[i], on_done, NULL), ERR_INVALID);
    }
    port.do_work(port.self, engine->now_us());
    assert_int_equal(answered, 0);
}

static void too_many_calls_are_told_so_and_the_accepted_ones_are_answered(void **state)
{
    (void)state;
    int accepted = 0;
    char key[32];
    write_file(local("in"), 'a', 5);
    for (int i = 0; i < ALL_CALLS; i++) {
        snprintf(key, sizeof(key), "k/%d", i);
        int result = port.put(port.self, key, local("in"), on_done, NULL);
        if (result != ERR_OK) {
            assert_int_equal(result, ERR_AGAIN);
            break;
        }
        accepted++;
    }
    assert_true(accepted > 0 && accepted < ALL_CALLS);
    work_until(&answered, accepted);
    assert_int_equal(last_result, ERR_OK);
    for (int i = 0; i < 20; i++)
        port.do_work(port.self, engine->now_us());
    assert_int_equal(answered, accepted);
}

static void with_the_lake_away_calls_fail_and_work_again_when_it_is_back(void **state)
{
    (void)state;
    write_file(local("in"), 'a', 100);
    assert_int_equal(put("a/1", local("in")), ERR_OK);
    engine->take_away();
    assert_int_not_equal(put("a/2", local("in")), ERR_OK);
    assert_int_not_equal(get("a/1", local("out")), ERR_OK);
    assert_int_not_equal(list("a/", ""), ERR_OK);
    assert_int_equal(access(local("out"), F_OK), -1);
    engine->bring_back();
    assert_int_equal(put("a/2", local("in")), ERR_OK);
    assert_int_equal(list("a/", ""), ERR_OK);
    assert_int_equal(listed_count, 2);
}

static void objects_outlive_the_engine(void **state)
{
    (void)state;
    write_file(local("in"), 'a', 100);
    assert_int_equal(put("a/1", local("in")), ERR_OK);
    engine->close();
    port = engine->open();
    assert_int_equal(get("a/1", local("out")), ERR_OK);
    assert_true(holds(local("out"), 'a', 100));
}

int object_contract_run(const struct object_engine *under_test)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(an_object_comes_back_as_it_was_put),
        T(a_second_put_replaces_the_object),
        T(what_is_not_there_is_said_to_be_not_there),
        T(keys_are_listed_in_order_by_prefix_and_from_a_key_on),
        T(a_key_that_is_none_is_refused_at_once),
        T(too_many_calls_are_told_so_and_the_accepted_ones_are_answered),
        T(with_the_lake_away_calls_fail_and_work_again_when_it_is_back),
        T(objects_outlive_the_engine),
    };
    engine = under_test;
    return cmocka_run_group_tests_name(under_test->name, tests, NULL, NULL);
}
