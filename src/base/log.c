/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_SIZE 2048

static const char *log_service = "btcast";
static enum log_level log_minimum = LOG_INFO;
static int64_t (*log_wall_us)(void);
static bool log_colour;

static const char *const log_level_name[] = {"debug", "info", "warn", "error"};
static const char *const log_level_colour[] = {"\033[2m", "", "\033[33m", "\033[31m"};

void log_init(const char *service, enum log_level minimum, int64_t (*wall_us)(void))
{
    log_service = service;
    log_minimum = minimum;
    log_wall_us = wall_us;
    log_colour = isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL;
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (int i = 0; i <= LOG_ERROR; i++) {
        if (strcmp(name, log_level_name[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* "ts=2026-11-20T10:00:00.123456Z " or nothing. */
static size_t log_stamp(char *buffer, size_t size)
{
    if (log_wall_us == NULL)
        return 0;
    int64_t now_us = log_wall_us();
    time_t seconds = (time_t)(now_us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char date[32];
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    return (size_t)snprintf(buffer, size, "ts=%s.%06dZ ", date, (int)(now_us % 1000000));
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    if (level < log_minimum)
        return;
    char line[LOG_LINE_SIZE];
    size_t room = sizeof(line) - 8; /* colour reset and newline */
    size_t size = 0;
    if (log_colour)
        size = (size_t)snprintf(line, room, "%s", log_level_colour[level]);
    size += log_stamp(line + size, room - size);
    size += (size_t)snprintf(line + size, room - size, "level=%s service=%s event=%s ",
                             log_level_name[level], log_service, event);
    va_list args;
    va_start(args, format);
    int added = vsnprintf(line + size, room - size, format, args);
    va_end(args);
    if (added > 0)
        size += (size_t)added < room - size ? (size_t)added : room - size - 1;
    if (log_colour) {
        memcpy(line + size, "\033[0m", 4);
        size += 4;
    }
    line[size++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written; /* a log that cannot be written has nowhere to say so */
}

bool log_limit_pass(struct log_limit *limit, int64_t now_us, uint64_t *skipped)
{
    if (now_us < limit->next_us) {
        limit->skipped++;
        return false;
    }
    limit->next_us = now_us + limit->interval_us;
    *skipped = limit->skipped;
    limit->skipped = 0;
    return true;
}
