/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/up_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define UP_LOG_PREFIX_SIZE 64

static int up_log_open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

int up_log_open(struct up_log *log, const char *name, int colour, const char *folder,
                int64_t file_max, struct err *err)
{
    memset(log, 0, sizeof(*log));
    log->name = name;
    log->colour = colour;
    log->file_max = file_max;
    int size = snprintf(log->path, sizeof(log->path), "%s/%s.log", folder, name);
    int old = snprintf(log->old_path, sizeof(log->old_path), "%s/%s.log.1", folder, name);
    if (size < 0 || old < 0 || (size_t)old >= sizeof(log->old_path))
        return err_set(err, ERR_INVALID, "the path of %s's log is too long", name);
    log->file_fd = up_log_open_file(log->path);
    struct stat status;
    if (log->file_fd < 0 || fstat(log->file_fd, &status) != 0)
        return err_set(err, ERR_IO, "cannot write %s: %s", log->path, strerror(errno));
    log->file_size = status.st_size;
    return ERR_OK;
}

void up_log_close(struct up_log *log)
{
    up_log_flush(log);
    if (log->file_fd >= 0)
        close(log->file_fd);
    log->file_fd = -1;
}

/* One older file is kept, so a log takes at most twice its limit. */
static void up_log_rotate(struct up_log *log)
{
    close(log->file_fd);
    rename(log->path, log->old_path);
    log->file_fd = up_log_open_file(log->path);
    log->file_size = 0;
}

static void up_log_write_file(struct up_log *log, const char *line, size_t size)
{
    if (log->file_fd >= 0 && log->file_size + (int64_t)size + 1 > log->file_max)
        up_log_rotate(log);
    if (log->file_fd < 0)
        return;
    struct iovec parts[2] = {{(void *)(uintptr_t)line, size}, {(void *)(uintptr_t) "\n", 1}};
    ssize_t written = writev(log->file_fd, parts, 2);
    log->file_size += written > 0 ? written : 0; /* a full disk must not stop the system */
}

/* One write a line, so that lines of several processes never mix. */
static void up_log_write_terminal(const struct up_log *log, const char *line, size_t size)
{
    char prefix[UP_LOG_PREFIX_SIZE];
    int length = log->colour > 0 ? snprintf(prefix, sizeof(prefix), "\033[%dm%-17s\033[0m ",
                                            log->colour, log->name)
                                 : snprintf(prefix, sizeof(prefix), "%-17s ", log->name);
    struct iovec parts[3] = {
        {prefix, (size_t)length}, {(void *)(uintptr_t)line, size}, {(void *)(uintptr_t) "\n", 1}};
    ssize_t written = writev(STDERR_FILENO, parts, 3);
    (void)written; /* nowhere to say so */
}

/* What a service says in passing: our services, PostgreSQL, redis-server, whose lines begin
 * with its process id. What is written otherwise (by a sanitizer, by a loader that misses a
 * library) is no such thing. */
static bool up_log_is_chatter(const char *line, size_t size)
{
    static const char *const marks[] = {" level=info ", " level=debug ", " LOG:  "};
    size_t digits = 0;
    while (digits < size && line[digits] >= '0' && line[digits] <= '9')
        digits++;
    bool chatter = digits > 0 && digits < size && line[digits] == ':';
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]) && !chatter; i++)
        chatter = memmem(line, size, marks[i], strlen(marks[i])) != NULL;
    return chatter;
}

static bool up_log_is_shown(const struct up_log *log)
{
    return log->show == UP_LOG_ALL ||
           (log->show == UP_LOG_WARNINGS && !up_log_is_chatter(log->line, log->size));
}

void up_log_flush(struct up_log *log)
{
    if (log->size == 0)
        return;
    up_log_write_file(log, log->line, log->size);
    if (up_log_is_shown(log))
        up_log_write_terminal(log, log->line, log->size);
    log->size = 0;
}

void up_log_take(struct up_log *log, struct bytes data)
{
    for (size_t i = 0; i < data.size; i++) {
        char c = (char)data.data[i];
        if (c == '\n') {
            up_log_flush(log);
            continue;
        }
        log->line[log->size++] = c;
        if (log->size == UP_LOG_LINE_MAX)
            up_log_flush(log);
    }
}
