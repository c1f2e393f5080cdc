/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lake/folder_objects.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/lake/lake_file.h"
#include "learn/lake/bronze_key.h"

#define FOLDER_OBJECTS_ROOT_SIZE 400

enum folder_call_kind { FOLDER_PUT, FOLDER_GET, FOLDER_DROP, FOLDER_LIST };

struct folder_call {
    enum folder_call_kind kind;
    char key[OBJECT_KEY_SIZE]; /* of a list: the prefix */
    char path[LAKE_FILE_PATH_SIZE];
    char after[OBJECT_KEY_SIZE];
    object_done_fn done;
    object_list_fn entry;
    void *context;
};

struct folder_objects {
    char root[FOLDER_OBJECTS_ROOT_SIZE];
    struct folder_call calls[FOLDER_OBJECTS_CALLS_MAX]; /* a ring */
    int first, count;
    uint64_t begun;
    char swept[LAKE_FILE_PATH_SIZE]; /* the folder that was swept last */
};

/* --- the calls -------------------------------------------------------------------------- */

static bool folder_objects_path(const struct folder_objects *objects, const char *key, char *out)
{
    return snprintf(out, LAKE_FILE_PATH_SIZE, "%s/%s", objects->root, key) < LAKE_FILE_PATH_SIZE;
}

/* In the object's own folder: a rename does not cross file systems. */
static bool folder_objects_begun(struct folder_objects *objects, const char *path, char *out)
{
    const char *slash = strrchr(path, '/');
    return snprintf(out, LAKE_FILE_PATH_SIZE, "%.*s/" FOLDER_OBJECTS_BEGUN "%d-%llu",
                    (int)(slash - path), path, (int)getpid(),
                    (unsigned long long)objects->begun++) < LAKE_FILE_PATH_SIZE;
}

/* The name of a beginning whose process is gone. One of another machine may look so while it lives:
 * its put then fails and is put again. */
static bool folder_objects_is_left(const char *name)
{
    char *end;
    if (strncmp(name, FOLDER_OBJECTS_BEGUN, sizeof(FOLDER_OBJECTS_BEGUN) - 1) != 0)
        return false;
    long pid = strtol(name + sizeof(FOLDER_OBJECTS_BEGUN) - 1, &end, 10);
    return *end == '-' && pid > 0 && pid <= INT_MAX && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* What a killed put left in the folder of `path`: it is put again, into the same folder. Once when
 * the puts come to that folder, so that no walk through a whole lake is needed. */
static void folder_objects_sweep(struct folder_objects *objects, const char *path)
{
    const int size = (int)(strrchr(path, '/') - path);
    if (strncmp(objects->swept, path, (size_t)size) == 0 && objects->swept[size] == '\0')
        return;
    snprintf(objects->swept, sizeof(objects->swept), "%.*s", size, path);
    DIR *folder = opendir(objects->swept);
    if (folder == NULL)
        return; /* the put will say why */
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (folder_objects_is_left(entry->d_name))
            unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
}

static int folder_objects_put(struct folder_objects *objects, const struct folder_call *call,
                              struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE], begun[LAKE_FILE_PATH_SIZE];
    if (!folder_objects_path(objects, call->key, path) ||
        !folder_objects_begun(objects, path, begun))
        return err_set(err, ERR_INVALID, "%s: the path is too long", call->key);
    int result = lake_file_make_folders(path, true, err);
    if (result != ERR_OK)
        return result;
    folder_objects_sweep(objects, path);
    unlink(begun); /* of a process of this number that was killed */
    if (link(call->path, begun) == 0)
        result = lake_file_sync(begun, err);
    else
        result = lake_file_copy(call->path, begun, err);
    if (result == ERR_OK)
        result = lake_file_rename(begun, path, err);
    /* Of two names of one file a rename does nothing and says it did: the object is there. */
    unlink(begun);
    return result;
}

static int folder_objects_get(struct folder_objects *objects, const struct folder_call *call,
                              struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE], begun[LAKE_FILE_PATH_SIZE];
    if (!folder_objects_path(objects, call->key, path) ||
        snprintf(begun, sizeof(begun), "%s.begun", call->path) >= (int)sizeof(begun))
        return err_set(err, ERR_INVALID, "%s: the path is too long", call->key);
    int result = lake_file_copy(path, begun, err);
    return result == ERR_OK ? lake_file_rename(begun, call->path, err) : result;
}

static int folder_objects_drop(const struct folder_objects *objects, const struct folder_call *call,
                               struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE];
    if (!folder_objects_path(objects, call->key, path))
        return err_set(err, ERR_INVALID, "%s: the path is too long", call->key);
    if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
        return ERR_OK;
    return err_set(err, lake_file_code(errno), "cannot remove %s: %s", path, strerror(errno));
}

/* --- list ------------------------------------------------------------------------------- */

/* Two names as parts of keys: a folder sorts as with its '/' behind it, so that the walk
 * through the tree meets the keys in their order. */
struct folder_name {
    char text[256];
    bool folder;
};

static int folder_objects_compare(const void *a, const void *b)
{
    const struct folder_name *left = a, *right = b;
    const char *x = left->text, *y = right->text;
    while (*x != '\0' && *x == *y) {
        x++;
        y++;
    }
    const int p = *x != '\0' ? *x : left->folder ? '/' : 0;
    const int q = *y != '\0' ? *y : right->folder ? '/' : 0;
    return p - q;
}

static bool folder_objects_is_folder(const char *path, const struct dirent *entry)
{
    char full[LAKE_FILE_PATH_SIZE];
    struct stat status;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return snprintf(full, sizeof(full), "%s/%s", path, entry->d_name) < (int)sizeof(full) &&
           stat(full, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Names in a folder, sorted; -1 with errno. */
static ssize_t folder_objects_names(const char *path, struct folder_name **names)
{
    size_t count = 0, capacity = 0;
    *names = NULL;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return -1;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue; /* ".", "..", beginnings */
        if (count == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            struct folder_name *grown = realloc(*names, capacity * sizeof(**names));
            if (grown == NULL) {
                closedir(folder);
                free(*names);
                errno = ENOMEM;
                return -1;
            }
            *names = grown;
        }
        struct folder_name *name = &(*names)[count++];
        snprintf(name->text, sizeof(name->text), "%s", entry->d_name);
        name->folder = folder_objects_is_folder(path, entry);
    }
    closedir(folder);
    if (count > 0)
        qsort(*names, count, sizeof(**names), folder_objects_compare);
    return (ssize_t)count;
}

static void folder_objects_entry(const struct folder_call *call, const char *path, const char *key)
{
    struct stat status;
    if (strncmp(key, call->key, strlen(call->key)) != 0 || strcmp(key, call->after) <= 0 ||
        stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    struct object_entry entry = {.key = key,
                                 .size = (uint64_t)status.st_size,
                                 .modified_us = (int64_t)status.st_mtim.tv_sec * 1000000 +
                                                status.st_mtim.tv_nsec / 1000};
    call->entry(call->context, ERR_OK, &entry);
}

/* True if keys below folder may begin with the call's prefix and come after its `after`. */
static bool folder_objects_may_hold(const struct folder_call *call, const char *folder)
{
    const size_t a = strlen(folder), b = strlen(call->key);
    return strncmp(folder, call->key, a < b ? a : b) == 0 && strncmp(folder, call->after, a) >= 0;
}

/* key: of the folder with its '/', "" at the root; depth is bounded by the keys' length. */
static int folder_objects_walk(const struct folder_objects *objects, const struct folder_call *call,
                               const char *key, struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE], below[OBJECT_KEY_SIZE];
    struct folder_name *names;
    if (!folder_objects_path(objects, key, path))
        return ERR_OK;
    ssize_t count = folder_objects_names(path, &names);
    if (count < 0) {
        /* No such folder is an empty one, unless it is the lake itself. */
        if (errno == ENOENT && key[0] != '\0')
            return ERR_OK;
        return err_set(err, errno == ENOENT ? ERR_CONNECTION : ERR_IO, "cannot read %s: %s", path,
                       strerror(errno));
    }
    int result = ERR_OK;
    for (ssize_t i = 0; i < count && result == ERR_OK; i++) {
        if (snprintf(below, sizeof(below), "%s%s%s", key, names[i].text,
                     names[i].folder ? "/" : "") >= (int)sizeof(below) ||
            !folder_objects_path(objects, below, path))
            continue; /* no key of ours is so long */
        if (!names[i].folder)
            folder_objects_entry(call, path, below);
        else if (folder_objects_may_hold(call, below))
            result = folder_objects_walk(objects, call, below, err);
    }
    free(names);
    return result;
}

/* --- the port --------------------------------------------------------------------------- */

static struct folder_call *folder_objects_next(struct folder_objects *objects)
{
    if (objects->count == FOLDER_OBJECTS_CALLS_MAX)
        return NULL;
    struct folder_call *call =
        &objects->calls[(objects->first + objects->count) % FOLDER_OBJECTS_CALLS_MAX];
    *call = (struct folder_call){0};
    return call;
}

static int folder_objects_start(struct folder_objects *objects, enum folder_call_kind kind,
                                const char *key, const char *path, object_done_fn done,
                                void *context)
{
    struct folder_call *call = folder_objects_next(objects);
    if (!bronze_key_valid(key) || strlen(path) >= sizeof(call->path))
        return ERR_INVALID;
    if (call == NULL)
        return ERR_AGAIN;
    call->kind = kind;
    call->done = done;
    call->context = context;
    snprintf(call->key, sizeof(call->key), "%s", key);
    snprintf(call->path, sizeof(call->path), "%s", path);
    objects->count++;
    return ERR_OK;
}

static int folder_objects_start_put(void *self, const char *key, const char *path,
                                    object_done_fn done, void *context)
{
    return folder_objects_start(self, FOLDER_PUT, key, path, done, context);
}

static int folder_objects_start_get(void *self, const char *key, const char *path,
                                    object_done_fn done, void *context)
{
    return folder_objects_start(self, FOLDER_GET, key, path, done, context);
}

static int folder_objects_start_drop(void *self, const char *key, object_done_fn done,
                                     void *context)
{
    return folder_objects_start(self, FOLDER_DROP, key, "", done, context);
}

static int folder_objects_start_list(void *self, const char *prefix, const char *after,
                                     object_list_fn entry, void *context)
{
    struct folder_objects *objects = self;
    struct folder_call *call = folder_objects_next(objects);
    if (strlen(prefix) >= OBJECT_KEY_SIZE || strlen(after) >= OBJECT_KEY_SIZE ||
        strstr(prefix, "..") != NULL || prefix[0] == '/')
        return ERR_INVALID;
    if (call == NULL)
        return ERR_AGAIN;
    call->kind = FOLDER_LIST;
    call->entry = entry;
    call->context = context;
    snprintf(call->key, sizeof(call->key), "%s", prefix);
    snprintf(call->after, sizeof(call->after), "%s", after);
    objects->count++;
    return ERR_OK;
}

static void folder_objects_run(struct folder_objects *objects, const struct folder_call *call)
{
    struct err err = {0};
    int result = ERR_OK;
    switch (call->kind) {
    case FOLDER_PUT:
        result = folder_objects_put(objects, call, &err);
        break;
    case FOLDER_GET:
        result = folder_objects_get(objects, call, &err);
        break;
    case FOLDER_DROP:
        result = folder_objects_drop(objects, call, &err);
        break;
    case FOLDER_LIST:
        call->entry(call->context, folder_objects_walk(objects, call, "", &err), NULL);
        return;
    }
    struct object_reply reply = {.result = result, .text = err.text};
    call->done(call->context, &reply);
}

static int folder_objects_do_work(void *self, int64_t mono_us)
{
    struct folder_objects *objects = self;
    (void)mono_us;
    if (objects->count == 0)
        return 0;
    const struct folder_call call = objects->calls[objects->first];
    objects->first = (objects->first + 1) % FOLDER_OBJECTS_CALLS_MAX;
    objects->count--;
    folder_objects_run(objects, &call);
    return 1;
}

int folder_objects_open(const char *folder, struct folder_objects **out, struct err *err)
{
    struct folder_objects *objects = calloc(1, sizeof(*objects));
    if (objects == NULL)
        return err_set(err, ERR_MEMORY, "lake folder");
    int size = snprintf(objects->root, sizeof(objects->root), "%s", folder);
    if (size <= 0 || size >= (int)sizeof(objects->root)) {
        free(objects);
        return err_set(err, ERR_CONFIG, "\"%.80s\" is no usable folder for the lake", folder);
    }
    *out = objects;
    return ERR_OK;
}

void folder_objects_close(struct folder_objects *objects)
{
    free(objects);
}

struct object_port folder_objects_port(struct folder_objects *objects)
{
    return (struct object_port){
        .self = objects,
        .put = folder_objects_start_put,
        .get = folder_objects_start_get,
        .drop = folder_objects_start_drop,
        .list = folder_objects_start_list,
        .do_work = folder_objects_do_work,
    };
}
