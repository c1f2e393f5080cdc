/* One supervised process: start, output, exit, restart with backoff, stop.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_UP_CHILD_H
#define BTCAST_SERVICES_CLI_UP_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/prng.h"
#include "edge/loop/loop.h"
#include "services/cli/up_log.h"

#define UP_CHILD_WORDS_MAX 48
#define UP_CHILD_TEXT_SIZE 4096
/* A process that ran this long starts with a clean record. */
#define UP_CHILD_STEADY_US        (2 * CLOCK_US_PER_S)
#define UP_CHILD_BACKOFF_FIRST_US (100 * CLOCK_US_PER_MS)

struct up_child {
    char name[32];
    int port; /* 0: none */
    char *argv[UP_CHILD_WORDS_MAX];
    int argc;
    char text[UP_CHILD_TEXT_SIZE]; /* the words of argv */
    size_t text_size;
    bool words_full;
    int stop_signal; /* 0: SIGTERM */
    bool ends;       /* exit status 0 is the end of its work, not a failure */
    bool reports;    /* a tool: what it prints is for who called it */

    struct loop *loop;
    struct up_log log;
    pid_t pid; /* 0: not running */
    int pipe_fd;
    bool done; /* ended as it should: no restart */
    int64_t started_us, restart_us;
    int failures;      /* in a row */
    uint64_t restarts; /* over all */
    bool terminated, killed;
    int64_t kill_us;
};

void up_child_init(struct up_child *child, const char *name, int port);
/* One more word of the command line. */
void up_child_add(struct up_child *child, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ERR_IO when there is no process or pipe to be had. A program that cannot be started shows
 * as exit status 127. */
int up_child_start(struct up_child *child, int64_t mono_us, struct err *err) MUST_CHECK;

/* What waitpid said about it. Plans the restart: at once after the first failure, then full
 * jitter up to backoff_max_us. Returns the exit status, 128 + signal for a killed one. */
int up_child_ended(struct up_child *child, int wait_status, int64_t mono_us, int64_t backoff_max_us,
                   struct prng *prng);
/* True when it is to be started now. */
bool up_child_due(const struct up_child *child, int64_t mono_us);

/* SIGTERM, and SIGKILL when timeout_us have passed. True once it is gone. */
bool up_child_stop(struct up_child *child, int64_t mono_us, int64_t timeout_us);
void up_child_kill(struct up_child *child);
void up_child_close(struct up_child *child);

#endif
