/* A real redis-server for tests: its own process in a temporary folder on a unix socket
 * (and on a loopback port on request), stopped with the test, also when the test dies.
 *
 *     static int setup(void **state) { … redis_fixture_start(&fixture, NULL); … }
 *     static int teardown(void **state) { redis_fixture_stop(&fixture); … }
 *
 * BTCAST_TEST_REDIS=sentinel puts a sentinel before it (that never fails over by itself), =cluster
 * makes it a cluster of one node: fixture.target is then reached that way. The suites of the
 * ports run in all three; in a cluster the symbol BTCUSDT in the fixture's own commands is
 * written with its hash tag. To be quick, such a server is kept for the next start of the
 * same kind, emptied.
 *
 * Every call fails the test (CHECK) when it cannot do what it says.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_LIB_REDIS_FIXTURE_H
#define BTCAST_TESTS_LIB_REDIS_FIXTURE_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#include "tests/lib/temp_dir.h"

enum redis_fixture_mode { REDIS_FIXTURE_SINGLE, REDIS_FIXTURE_SENTINEL, REDIS_FIXTURE_CLUSTER };

struct redis_fixture_options {
    bool persistent;           /* append-only file, synced on each write: survives kill -9 */
    bool tcp;                  /* also on 127.0.0.1:port */
    const char *password;      /* requirepass; NULL: none */
    const char *arguments[16]; /* more of redis-server, NULL-terminated: "--maxmemory", "3mb" */
};

struct redis_fixture {
    struct redis_fixture_options options;
    enum redis_fixture_mode mode;
    char folder[TEMP_DIR_SIZE];
    char socket[TEMP_DIR_SIZE + 16];
    char target[128];     /* unix:<socket>, or what the mode says */
    char tcp_target[128]; /* 127.0.0.1:<port> with options.tcp */
    int port;
    int cluster_port;
    pid_t pid;             /* 0: not running */
    pid_t sentinel_pid;    /* 0: none */
    redisContext *context; /* of redis_fixture_command; reconnects by itself */
};

/* How keys have to be written: the value of enum state_key_style and stream_key_style. */
int redis_fixture_key_style(void);
/* A key that holds ":BTCUSDT" as it is written in this mode; into out, returned. */
#define REDIS_FIXTURE_KEY_SIZE 128
const char *redis_fixture_key(const char *key, char out[REDIS_FIXTURE_KEY_SIZE]);
/* Starts and waits until it serves. options may be NULL. */
void redis_fixture_start(struct redis_fixture *fixture,
                         const struct redis_fixture_options *options);
/* Stops, whatever state it is in, and removes the folder. May be called twice. */
void redis_fixture_stop(struct redis_fixture *fixture);
/* SIGKILL; the folder stays, so redis_fixture_restart finds what was persisted. */
void redis_fixture_kill(struct redis_fixture *fixture);
/* Starts again on the same socket and port. */
void redis_fixture_restart(struct redis_fixture *fixture);
/* SIGSTOP and SIGCONT: the server hangs with open connections. pause returns when it
 * really stands still. */
void redis_fixture_pause(struct redis_fixture *fixture);
void redis_fixture_resume(struct redis_fixture *fixture);
/* FLUSHALL. */
void redis_fixture_flush(struct redis_fixture *fixture);
/* One command, printf-like as redisCommand; the reply is to be freed. An error reply comes
 * back as such. Answers within 5 s or fails. */
redisReply *redis_fixture_command(struct redis_fixture *fixture, const char *format, ...);
/* For integer replies. */
long long redis_fixture_integer(struct redis_fixture *fixture, const char *format, ...);

#endif
