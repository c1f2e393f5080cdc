/* A real redis-server for tests: its own process in a temporary folder on a unix socket
 * (and on a loopback port on request), stopped with the test, also when the test dies.
 *
 *     static int setup(void **state) { … redis_fixture_start(&fixture, NULL); … }
 *     static int teardown(void **state) { redis_fixture_stop(&fixture); … }
 *
 * Every call fails the test (CHECK) when it cannot do what it says.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_LIB_REDIS_FIXTURE_H
#define BTCAST_TESTS_LIB_REDIS_FIXTURE_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#include "tests/lib/temp_dir.h"

struct redis_fixture_options {
    bool persistent;          /* append-only file, synced on each write: survives kill -9 */
    bool tcp;                 /* also on 127.0.0.1:port */
    const char *password;     /* requirepass; NULL: none */
    const char *arguments[8]; /* more of redis-server, NULL-terminated: "--maxmemory", "3mb" */
};

struct redis_fixture {
    struct redis_fixture_options options;
    char folder[TEMP_DIR_SIZE];
    char socket[TEMP_DIR_SIZE + 16];
    char target[128];     /* unix:<socket> */
    char tcp_target[128]; /* 127.0.0.1:<port> with options.tcp */
    int port;
    pid_t pid;             /* 0: not running */
    redisContext *context; /* of redis_fixture_command; reconnects by itself */
};

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
