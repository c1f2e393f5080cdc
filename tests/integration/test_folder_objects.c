/* The folder engine of the lake under the contract of the object port, and what only a folder
 * can show. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/lake/folder_objects.h"
#include "edge/lake/lake_spool.h"
#include "edge/loop/loop.h"
#include "tests/lib/object_contract.h"
#include "tests/lib/temp_dir.h"

static char folder[TEMP_DIR_SIZE];
static char lake[TEMP_DIR_SIZE + 16], away[TEMP_DIR_SIZE + 16];
static struct folder_objects *objects;

static void engine_start(void)
{
    temp_dir_make(folder);
    snprintf(lake, sizeof(lake), "%s/lake", folder);
    snprintf(away, sizeof(away), "%s/away", folder);
    assert_int_equal(mkdir(lake, 0700), 0);
}

static void engine_stop(void)
{
    temp_dir_remove(folder);
}

static struct object_port engine_open(void)
{
    struct err err = {0};
    if (folder_objects_open(lake, &objects, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return folder_objects_port(objects);
}

static void engine_close(void)
{
    folder_objects_close(objects);
}

static void engine_wait(void)
{
}

/* Nothing can be made below a file. */
static void engine_take_away(void)
{
    assert_int_equal(rename(lake, away), 0);
    FILE *file = fopen(lake, "w");
    assert_non_null(file);
    fclose(file);
}

static void engine_bring_back(void)
{
    assert_int_equal(unlink(lake), 0);
    assert_int_equal(rename(away, lake), 0);
}

static int result_of_put;

__attribute__((format(printf, 1, 2))) static const char *path_of(const char *format, ...)
{
    static char path[LAKE_FILE_PATH_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    return path;
}

static void touch(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("whole", file);
    fclose(file);
}

static void on_put(void *context, const struct object_reply *reply)
{
    (void)context;
    result_of_put = reply->result;
}

static void put_object(const struct object_port *port, const char *key)
{
    char path[TEMP_DIR_SIZE + 64];
    touch(path_of("%s/in", folder));
    snprintf(path, sizeof(path), "%s/in", folder);
    result_of_put = 1;
    assert_int_equal(port->put(port->self, key, path, on_put, NULL), ERR_OK);
    port->do_work(port->self, 0);
    assert_int_equal(result_of_put, ERR_OK);
    unlink(path);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* The number of a process that is gone. */
static int gone(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return (int)pid;
}

static void a_put_removes_what_a_killed_one_left_in_its_folder(void **state)
{
    (void)state;
    char path[LAKE_FILE_PATH_SIZE];
    const int dead = gone();
    engine_start();
    struct object_port port = engine_open();
    put_object(&port, "a/k");
    put_object(&port, "b/k");
    touch(path_of("%s/a/.begun-%d-0", lake, dead));
    touch(path_of("%s/a/.begun-%d-1", lake, dead));
    touch(path_of("%s/a/.begun-1-0", lake));      /* process 1 lives */
    touch(path_of("%s/a/.begun-%d", lake, dead)); /* no name of ours */
    touch(path_of("%s/a/%d-0", lake, dead));
    touch(path_of("%s/b/.begun-%d-0", lake, dead));
    put_object(&port, "a/l");
    assert_true(is_there(path_of("%s/a/.begun-1-0", lake)) &&
                is_there(path_of("%s/a/.begun-%d", lake, dead)));
    assert_true(is_there(path_of("%s/a/%d-0", lake, dead)) &&
                is_there(path_of("%s/b/.begun-%d-0", lake, dead)));
    assert_true(is_there(path_of("%s/a/k", lake)) && is_there(path_of("%s/a/l", lake)));
    snprintf(path, sizeof(path), "ls -A %s/a | wc -l | grep -qx 5", lake);
    assert_int_equal(system(path), 0);
    engine_close();
    engine_stop();
}

static void a_beginning_that_was_left_is_never_an_object(void **state)
{
    (void)state;
    char path[TEMP_DIR_SIZE + 64];
    engine_start();
    struct object_port port = engine_open();
    snprintf(path, sizeof(path), "%s/a", lake);
    assert_int_equal(mkdir(path, 0700), 0);
    touch(path_of("%s/a/.begun-1-0", lake)); /* process 1 lives */
    put_object(&port, "a/k");
    /* What is put leaves no beginning of its own behind. */
    snprintf(path, sizeof(path), "ls -A %s/a | wc -l | grep -qx 2", lake);
    assert_int_equal(system(path), 0);
    engine_close();
    engine_stop();
}

static void the_spool_takes_its_files_up_again_in_order_and_leaves_foreign_ones_alone(void **state)
{
    (void)state;
    char begun[LAKE_FILE_PATH_SIZE], path[LAKE_FILE_PATH_SIZE], foreign[TEMP_DIR_SIZE + 64];
    struct lake_spool *spool;
    struct err err = {0};
    engine_start();
    struct lake_spool_options options = {.folder = folder, .objects = engine_open()};
    assert_int_equal(lake_spool_open(&options, &spool, &err), ERR_OK);
    snprintf(foreign, sizeof(foreign), "%s/notes.txt", folder);
    FILE *file = fopen(foreign, "w");
    assert_non_null(file);
    fclose(file);
    /* The same key twice: the later one has to win. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lake_spool_paths(spool, "x/y.parquet", begun, path, &err), ERR_OK);
        file = fopen(begun, "w");
        assert_non_null(file);
        fprintf(file, "version %d", i);
        fclose(file);
        assert_int_equal(lake_file_rename(begun, path, &err), ERR_OK);
    }
    assert_int_equal(lake_spool_paths(spool, "no key", begun, path, &err), ERR_INVALID);
    assert_int_equal(lake_spool_add(spool, foreign, &err), ERR_INVALID);
    lake_spool_close(spool);
    assert_int_equal(lake_spool_open(&options, &spool, &err), ERR_OK);
    assert_int_equal(lake_spool_files(spool), 2);
    assert_int_equal(lake_spool_bytes(spool), 18);
    for (int i = 0; i < 10; i++)
        lake_spool_do_work(spool, i);
    assert_int_equal(lake_spool_files(spool), 0);
    assert_int_equal(lake_spool_bytes(spool), 0);
    snprintf(path, sizeof(path), "grep -qx 'version 1' %s/x/y.parquet && test -e %s", lake,
             foreign);
    assert_int_equal(system(path), 0);
    lake_spool_close(spool);
    engine_close();
    engine_stop();
}

int main(void)
{
    const struct object_engine engine = {
        .name = "folder",
        .start = engine_start,
        .stop = engine_stop,
        .open = engine_open,
        .close = engine_close,
        .now_us = loop_mono_us,
        .wait = engine_wait,
        .take_away = engine_take_away,
        .bring_back = engine_bring_back,
    };
    const struct CMUnitTest own[] = {
        cmocka_unit_test(a_beginning_that_was_left_is_never_an_object),
        cmocka_unit_test(a_put_removes_what_a_killed_one_left_in_its_folder),
        cmocka_unit_test(the_spool_takes_its_files_up_again_in_order_and_leaves_foreign_ones_alone),
    };
    const int failed = object_contract_run(&engine);
    return failed + cmocka_run_group_tests(own, NULL, NULL);
}
