/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lake/lake_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

int lake_file_code(int code)
{
    switch (code) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_FULL;
    default:
        return ERR_IO;
    }
}

static int lake_file_fail(struct err *err, const char *what, const char *path)
{
    const int code = errno;
    return err_set(err, lake_file_code(code), "cannot %s %s: %s", what, path, strerror(code));
}

int lake_file_make_folders(const char *path, bool of_file, struct err *err)
{
    char part[LAKE_FILE_PATH_SIZE];
    int size = snprintf(part, sizeof(part), "%s", path);
    if (size <= 0 || (size_t)size >= sizeof(part))
        return err_set(err, ERR_INVALID, "\"%.80s\" is no usable path", path);
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        const char end = *at;
        if (end == '\0' && of_file)
            return ERR_OK;
        *at = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return lake_file_fail(err, "make the folder", part);
        if (end == '\0')
            return ERR_OK;
        *at = end;
    }
}

static int lake_file_sync_at(const char *path, int flags, struct err *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return lake_file_fail(err, "open", path);
    int result = fsync(fd) == 0 ? ERR_OK : lake_file_fail(err, "sync", path);
    close(fd);
    return result;
}

int lake_file_sync(const char *path, struct err *err)
{
    return lake_file_sync_at(path, O_RDONLY, err);
}

int lake_file_rename(const char *from, const char *to, struct err *err)
{
    char folder[LAKE_FILE_PATH_SIZE];
    if (rename(from, to) != 0)
        return lake_file_fail(err, "rename to", to);
    const char *slash = strrchr(to, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - to) : 1,
             slash != NULL ? to : ".");
    return lake_file_sync_at(folder[0] != '\0' ? folder : "/", O_RDONLY | O_DIRECTORY, err);
}

static int lake_file_pump(int in, int out, const char *to, struct err *err)
{
    for (;;) {
        ssize_t size = sendfile(out, in, NULL, (size_t)8 << 20);
        if (size < 0)
            return lake_file_fail(err, "write", to);
        if (size == 0)
            return fsync(out) == 0 ? ERR_OK : lake_file_fail(err, "sync", to);
    }
}

int lake_file_copy(const char *from, const char *to, struct err *err)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return lake_file_fail(err, "read", from);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (out < 0) {
        close(in);
        return lake_file_fail(err, "make", to);
    }
    int result = lake_file_pump(in, out, to, err);
    if (close(out) != 0 && result == ERR_OK)
        result = lake_file_fail(err, "close", to);
    close(in);
    if (result != ERR_OK)
        unlink(to);
    return result;
}

static int lake_file_write_all(int fd, struct bytes data, const char *path, struct err *err)
{
    while (data.size > 0) {
        ssize_t size = write(fd, data.data, data.size);
        if (size < 0)
            return lake_file_fail(err, "write", path);
        data = bytes_of(data.data + size, data.size - (size_t)size);
    }
    return fsync(fd) == 0 ? ERR_OK : lake_file_fail(err, "sync", path);
}

int lake_file_write(const char *path, struct bytes data, struct err *err)
{
    char temporary[LAKE_FILE_PATH_SIZE];
    int size = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (size <= 0 || (size_t)size >= sizeof(temporary))
        return err_set(err, ERR_INVALID, "\"%.80s\" is too long a path", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return lake_file_fail(err, "make", temporary);
    int result = lake_file_write_all(fd, data, temporary, err);
    if (close(fd) != 0 && result == ERR_OK)
        result = lake_file_fail(err, "close", temporary);
    if (result == ERR_OK)
        result = lake_file_rename(temporary, path, err);
    if (result != ERR_OK)
        unlink(temporary);
    return result;
}
