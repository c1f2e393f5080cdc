/* Structured log lines on stderr: one line each, logfmt
 * (`ts=… level=info service=aggregator event=… key=value …`), coloured only on a
 * terminal. Formatting is for things that happen seldom; in hot loops use a counter
 * and a log_limit. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_LOG_H
#define BTCAST_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Once at start. service is borrowed for the life of the process; wall_us is the
 * clock for time stamps (NULL: lines carry none, as in the simulation). */
void log_init(const char *service, enum log_level minimum, int64_t (*wall_us)(void));
/* "debug", "info", "warn", "error" -> level; false for anything else. */
bool log_level_parse(const char *name, enum log_level *level);

/* event is a short snake_case name; format gives `key=value` pairs; a value that may
 * hold spaces is to be quoted by the caller ("reason=\"%s\""). One write(2) a line. */
void log_line(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

/* At most one line per interval for one cause; the skipped ones are counted.
 * `if (log_limit_pass(&limit, now_us, &skipped)) log_warn(..., "… skipped=%llu")`. */
struct log_limit {
    int64_t interval_us;
    int64_t next_us;
    uint64_t skipped;
};
#define LOG_LIMIT_DEFAULT ((struct log_limit){.interval_us = 1000000})
bool log_limit_pass(struct log_limit *limit, int64_t now_us, uint64_t *skipped);

#endif
