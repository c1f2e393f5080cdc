/* A private PostgreSQL for a test, in a temporary folder, without durability.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_INTEGRATION_PG_FIXTURE_H
#define BTCAST_TESTS_INTEGRATION_PG_FIXTURE_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/loop/loop.h"
#include "edge/postgres/pq_files.h"
#include "edge/postgres/pq_migrate.h"
#include "edge/postgres/pq_server.h"
#include "edge/postgres/pq_sync.h"
#include "edge/postgres/pq_target.h"
#include "tests/lib/temp_dir.h"

#define PG_FIXTURE_PATIENCE_US (60 * CLOCK_US_PER_S)

struct pg_fixture {
    char folder[TEMP_DIR_SIZE], server[TEMP_DIR_SIZE + 8], bin[PQ_SERVER_PATH_SIZE];
    char target[PQ_TARGET_SIZE];
    pid_t pid;
    struct pq_sync sync;
};

static void pg_fixture_fork(struct pg_fixture *fixture)
{
    struct err err = {0};
    fixture->pid = fork();
    assert_true(fixture->pid >= 0);
    if (fixture->pid > 0)
        return;
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    struct pq_server_options options = {
        .folder = fixture->server, .bin = fixture->bin, .memory_mb = 16};
    _exit(pq_server_become(&options, &err) == ERR_OK ? 0 : 1);
}

/* A server whose postmaster was killed does not start before its last process is gone. */
static void pg_fixture_restart(struct pg_fixture *fixture)
{
    struct err err = {0};
    int64_t end_us = loop_mono_us() + PG_FIXTURE_PATIENCE_US;
    pg_fixture_fork(fixture);
    while (pq_sync_open(&fixture->sync, fixture->target, &err) != ERR_OK) {
        if (loop_mono_us() > end_us)
            fail_msg("PostgreSQL does not answer: %s", err.text);
        if (waitpid(fixture->pid, NULL, WNOHANG) == fixture->pid)
            pg_fixture_fork(fixture);
        usleep(10000);
    }
}

static void pg_fixture_start(struct pg_fixture *fixture)
{
    struct err err = {0};
    memset(fixture, 0, sizeof(*fixture));
    temp_dir_make(fixture->folder);
    assert_int_equal(chmod(fixture->folder, 0711), 0);
    snprintf(fixture->server, sizeof(fixture->server), "%s/pg", fixture->folder);
    pq_target_private(fixture->server, fixture->target);
    if (pq_server_find(NULL, fixture->bin, &err) != ERR_OK ||
        pq_server_prepare(fixture->server, fixture->bin, &err) != ERR_OK)
        fail_msg("%s", err.text);
    pg_fixture_restart(fixture);
}

/* SIGKILL or SIGINT of the postmaster. */
static void pg_fixture_end(struct pg_fixture *fixture, int number)
{
    pq_sync_close(&fixture->sync);
    assert_int_equal(kill(fixture->pid, number), 0);
    assert_int_equal(waitpid(fixture->pid, NULL, 0), fixture->pid);
    fixture->pid = 0;
}

static void pg_fixture_stop(struct pg_fixture *fixture)
{
    if (fixture->pid > 0)
        pg_fixture_end(fixture, SIGINT);
    temp_dir_remove(fixture->folder);
}

static void pg_fixture_do(struct pg_fixture *fixture, const char *sql)
{
    struct err err = {0};
    if (pq_sync_script(&fixture->sync, sql, &err) != ERR_OK)
        fail_msg("%s: %.200s", err.text, sql);
}

/* The first value of a query as text; in a buffer that the next call uses again. */
static inline const char *pg_fixture_ask(struct pg_fixture *fixture, const char *sql)
{
    static char out[512];
    struct err err = {0};
    struct pq_rows rows;
    if (pq_sync_run(&fixture->sync, sql, NULL, 0, &rows, &err) != ERR_OK)
        fail_msg("%s: %.200s", err.text, sql);
    assert_true(rows.count > 0);
    snprintf(out, sizeof(out), "%s", pq_rows_text(&rows, 0, 0));
    pq_rows_free(&rows);
    return out;
}

static inline void pg_fixture_ignore(void *context, const struct pq_migration *migration)
{
    (void)context;
    (void)migration;
}

static inline void pg_fixture_migrate(struct pg_fixture *fixture)
{
    struct err err = {0};
    if (pq_migrate_run(&fixture->sync, pq_files, pq_file_count, PQ_MIGRATE_APPLY, pg_fixture_ignore,
                       NULL, &err) != ERR_OK)
        fail_msg("%s", err.text);
}

#endif
