/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/view_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VIEW_FILE_PATH_SIZE 512
#define VIEW_FILE_SEQUENCE  8 /* offset in an image (hot/state/rest_view.c) */
/* Copies tried before a reader says that the image is being written. */
#define VIEW_FILE_TRIES 3

struct view_file {
    char path[VIEW_FILE_PATH_SIZE];
    int fd;       /* writer: held for its lock; reader: -1 */
    uint8_t *map; /* NULL: none yet */
    uint64_t sequence;
    dev_t device; /* of what is mapped */
    ino_t inode;
};

void view_file_path(const char *folder, const char *symbol, char *out, size_t size)
{
    snprintf(out, size, "%s/view-%s.bin", folder, symbol);
}

static struct view_file *view_file_new(const char *path)
{
    struct view_file *file = calloc(1, sizeof(*file));
    if (file == NULL || strlen(path) >= sizeof(file->path)) {
        free(file);
        return NULL;
    }
    memcpy(file->path, path, strlen(path));
    file->fd = -1;
    return file;
}

static _Atomic uint64_t *view_file_guard(struct view_file *file)
{
    /* A map is page-aligned, so the place is aligned and atomic for both processes. */
    return (_Atomic uint64_t *)(void *)(file->map + VIEW_FILE_SEQUENCE);
}

static int view_file_map_write(struct view_file *file, struct err *err)
{
    file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return err_set(err, ERR_IO, "cannot open %s: %s", file->path, strerror(errno));
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_REFUSED, "%s is written by another process", file->path);
    /* Allocated, not only sized: a full disk says so here and not as a signal later. */
    int code = posix_fallocate(file->fd, 0, REST_VIEW_SIZE);
    if (code != 0 || ftruncate(file->fd, REST_VIEW_SIZE) != 0)
        return err_set(err, ERR_IO, "cannot size %s: %s", file->path,
                       strerror(code != 0 ? code : errno));
    void *map = mmap(NULL, REST_VIEW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    if (map == MAP_FAILED)
        return err_set(err, ERR_IO, "cannot map %s: %s", file->path, strerror(errno));
    file->map = map;
    return ERR_OK;
}

int view_file_open_write(const char *path, struct view_file **out, struct err *err)
{
    struct view_file *file = view_file_new(path);
    if (file == NULL)
        return err_set(err, ERR_MEMORY, "view file %s: out of memory", path);
    int result = view_file_map_write(file, err);
    if (result != ERR_OK) {
        view_file_close(file);
        return result;
    }
    file->sequence = atomic_load(view_file_guard(file));
    file->sequence += file->sequence % 2; /* a writer that died half-way left it odd */
    *out = file;
    return ERR_OK;
}

void view_file_put(struct view_file *file, const struct rest_view *view)
{
    uint8_t image[REST_VIEW_SIZE];
    _Atomic uint64_t *guard = view_file_guard(file);
    size_t behind = VIEW_FILE_SEQUENCE + sizeof(uint64_t);
    atomic_store_explicit(guard, file->sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    file->sequence += 2;
    rest_view_write(view, file->sequence, image);
    memcpy(file->map, image, VIEW_FILE_SEQUENCE);
    memcpy(file->map + behind, image + behind, REST_VIEW_SIZE - behind);
    atomic_store_explicit(guard, file->sequence, memory_order_release);
}

int view_file_open_read(const char *path, struct view_file **out, struct err *err)
{
    struct view_file *file = view_file_new(path);
    if (file == NULL)
        return err_set(err, ERR_MEMORY, "view file %s: out of memory", path);
    *out = file;
    return ERR_OK;
}

static void view_file_unmap(struct view_file *file)
{
    if (file->map != NULL)
        munmap(file->map, REST_VIEW_SIZE);
    file->map = NULL;
}

/* Maps what lies at the path now; false when nothing usable does. */
static bool view_file_map_read(struct view_file *file)
{
    struct stat status;
    if (stat(file->path, &status) != 0 || status.st_size != REST_VIEW_SIZE) {
        view_file_unmap(file);
        return false;
    }
    if (file->map != NULL && file->device == status.st_dev && file->inode == status.st_ino)
        return true;
    view_file_unmap(file);
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *map = mmap(NULL, REST_VIEW_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return false;
    file->map = map;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return true;
}

int view_file_read(struct view_file *file, struct rest_view *view, struct err *err)
{
    uint8_t image[REST_VIEW_SIZE];
    int result = ERR_EMPTY;
    if (!view_file_map_read(file)) {
        *view = (struct rest_view){.symbol = ""};
        return err_set(err, ERR_EMPTY, "REST view: there is no %s", file->path);
    }
    for (int i = 0; i < VIEW_FILE_TRIES; i++) {
        uint64_t before = atomic_load_explicit(view_file_guard(file), memory_order_acquire);
        memcpy(image, file->map, REST_VIEW_SIZE);
        atomic_thread_fence(memory_order_acquire);
        bool same = atomic_load_explicit(view_file_guard(file), memory_order_relaxed) == before;
        result = rest_view_read(bytes_of(image, sizeof(image)), view, err);
        if (same && result != ERR_AGAIN)
            return result;
    }
    if (result == ERR_OK || result == ERR_SCHEMA)
        return result; /* whole by its checksum, if not the newest */
    *view = (struct rest_view){.symbol = ""};
    return err_set(err, ERR_AGAIN, "REST view: it is being written");
}

void view_file_close(struct view_file *file)
{
    if (file == NULL)
        return;
    view_file_unmap(file);
    if (file->fd >= 0)
        close(file->fd);
    free(file);
}
