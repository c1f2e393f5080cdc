/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/progress_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int progress_file_load(void *self, char *out, size_t capacity, size_t *size)
{
    const struct progress_file *file = self;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    *size = 0;
    ssize_t got = 1;
    while (*size < capacity && (got = read(fd, out + *size, capacity - *size)) > 0)
        *size += (size_t)got;
    close(fd);
    return got < 0 ? ERR_IO : got > 0 ? ERR_FULL : ERR_OK;
}

static bool progress_file_write(const char *path, struct bytes text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = write(fd, text.data, text.size) == (ssize_t)text.size && fsync(fd) == 0;
    return close(fd) == 0 && good;
}

/* The name itself has to survive as well. */
static bool progress_file_sync_folder(const char *path)
{
    char folder[sizeof(((struct progress_file *)0)->path)];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        snprintf(folder, sizeof(folder), ".");
    else
        slash[slash == folder] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = fsync(fd) == 0;
    close(fd);
    return good;
}

static int progress_file_save(void *self, struct bytes text)
{
    const struct progress_file *file = self;
    char next[sizeof(file->path) + 8];
    snprintf(next, sizeof(next), "%s.next", file->path);
    if (!progress_file_write(next, text) || rename(next, file->path) != 0) {
        unlink(next);
        return ERR_IO;
    }
    return progress_file_sync_folder(file->path) ? ERR_OK : ERR_IO;
}

struct progress_port progress_file_port(struct progress_file *file)
{
    return (struct progress_port){
        .self = file, .load = progress_file_load, .save = progress_file_save};
}
