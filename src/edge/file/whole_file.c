/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int whole_file_fail(const char *path, const char *what, struct err *err)
{
    int code = errno;
    return err_set(err, code == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s: %s", path, what,
                   strerror(code));
}

/* Room for all of it, or one byte more than bytes_max: that tells what is too large. */
static size_t whole_file_capacity(int fd, size_t bytes_max)
{
    struct stat about;
    bool known = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size >= 0;
    if (!known || (size_t)about.st_size >= bytes_max)
        return bytes_max + 1;
    return (size_t)about.st_size + 1;
}

int whole_file_read(const char *path, size_t bytes_max, uint8_t **data, size_t *size,
                    struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return whole_file_fail(path, "open", err);
    size_t capacity = whole_file_capacity(fd, bytes_max);
    uint8_t *out = malloc(capacity);
    ssize_t got = out == NULL ? 0 : 1;
    *size = 0;
    while (got > 0 && *size < capacity && (got = read(fd, out + *size, capacity - *size)) > 0)
        *size += (size_t)got;
    int result = ERR_OK;
    if (out == NULL)
        result = err_set(err, ERR_MEMORY, "%s: %zu bytes", path, capacity);
    else if (got < 0)
        result = whole_file_fail(path, "read", err);
    else if (*size == capacity)
        result = err_set(err, ERR_FULL, "%s: larger than %zu bytes", path, capacity - 1);
    close(fd);
    if (result != ERR_OK)
        free(out);
    else
        *data = out;
    return result;
}

static bool whole_file_write(int fd, struct bytes data)
{
    for (size_t done = 0; done < data.size;) {
        ssize_t wrote = write(fd, data.data + done, data.size - done);
        if (wrote < 0)
            return false;
        done += (size_t)wrote;
    }
    return fsync(fd) == 0;
}

/* The name has to survive as well. */
static bool whole_file_sync_folder(const char *path)
{
    char folder[WHOLE_FILE_PATH_SIZE];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        snprintf(folder, sizeof(folder), ".");
    else
        slash[slash == folder] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

int whole_file_replace(const char *path, struct bytes data, struct err *err)
{
    char next[WHOLE_FILE_PATH_SIZE];
    int length = snprintf(next, sizeof(next), "%s.next", path);
    if (length < 0 || (size_t)length >= sizeof(next))
        return err_set(err, ERR_INVALID, "%s: the name is too long", path);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return whole_file_fail(next, "open", err);
    bool good = whole_file_write(fd, data);
    int result = good ? ERR_OK : whole_file_fail(next, "write", err);
    if (close(fd) != 0 && result == ERR_OK)
        result = whole_file_fail(next, "close", err);
    if (result == ERR_OK && rename(next, path) != 0)
        result = whole_file_fail(path, "rename", err);
    if (result != ERR_OK)
        unlink(next);
    else if (!whole_file_sync_folder(path))
        result = whole_file_fail(path, "sync of its folder", err);
    return result;
}
