/* The log of one supervised process: what it writes comes in by a pipe, goes out line by
 * line to the terminal with the process' name in front, and to a file that is rotated.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_UP_LOG_H
#define BTCAST_SERVICES_CLI_UP_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define UP_LOG_LINE_MAX 8192u

enum up_log_show { UP_LOG_ALL, UP_LOG_WARNINGS, UP_LOG_NOTHING };

struct up_log {
    const char *name;
    int colour;            /* 0: none */
    enum up_log_show show; /* on the terminal; the file has all */
    int file_fd;           /* -1: none */
    int64_t file_size, file_max;
    char path[512], old_path[512];
    char line[UP_LOG_LINE_MAX];
    size_t size;
};

/* FOLDER/NAME.log; an earlier one is kept as NAME.log.1. */
int up_log_open(struct up_log *log, const char *name, int colour, const char *folder,
                int64_t file_max, struct err *err) MUST_CHECK;
void up_log_close(struct up_log *log);
/* Bytes as they come; whole lines go out, and parts of lines longer than UP_LOG_LINE_MAX. */
void up_log_take(struct up_log *log, struct bytes data);
/* What has no line end yet. */
void up_log_flush(struct up_log *log);

#endif
