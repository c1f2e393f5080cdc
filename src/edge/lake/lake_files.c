/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lake/lake_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/lake/folder_objects.h"
#include "edge/lake/lake_cache.h"
#include "learn/lake/bronze_key.h"

#define LAKE_FILES_CALLS    4
#define LAKE_FILES_WAIT_US  5000
#define LAKE_FILES_TEXT     256
#define LAKE_FILES_BEGUN    ".begun"
#define LAKE_FILES_AWAY_MAX 100000 /* objects put aside since the last forget */

/* A call of the port under way. */
struct lake_call {
    bool used, done;
    int result;
    char text[LAKE_FILES_TEXT];
    const struct lake_entry *entry; /* of a get */
    struct lake_list *list;         /* of a list */
};

struct lake_files {
    struct lake_files_options options;
    char root[LAKE_FILE_PATH_SIZE / 2];
    struct folder_objects *folder; /* of a folder lake */
    struct object_port objects;
    struct lake_cache cache;
    struct lake_call calls[LAKE_FILES_CALLS];
    char **aside;
    size_t aside_count;
    struct lake_files_counters counters;
};

/* --- calls ------------------------------------------------------------------------------- */

static void lake_files_done(void *context, const struct object_reply *reply)
{
    struct lake_call *call = context;
    call->done = true;
    call->result = reply->result;
    snprintf(call->text, sizeof(call->text), "%s", reply->text);
}

/* One step of what is under way; ERR_AGAIN when told to stop. */
static int lake_files_pump(struct lake_files *files, struct err *err)
{
    if (files->options.stop != NULL && atomic_load(files->options.stop))
        return err_set(err, ERR_AGAIN, "told to stop");
    int work = files->objects.do_work(files->objects.self, loop_mono_us());
    if (files->options.loop != NULL)
        loop_run_once(files->options.loop, work > 0 ? 0 : LAKE_FILES_WAIT_US);
    return ERR_OK;
}

/* A place for a call; there is none after a wait that was broken off. */
static struct lake_call *lake_files_call(struct lake_files *files)
{
    for (int i = 0; i < LAKE_FILES_CALLS; i++)
        if (!files->calls[i].used) {
            files->calls[i] = (struct lake_call){.used = true};
            return &files->calls[i];
        }
    return NULL;
}

static int lake_files_started(struct lake_call *call, int result, const char *key, struct err *err)
{
    if (result == ERR_OK)
        return ERR_OK;
    call->used = false;
    return err_set(err, result, "%s: the lake does not take it", key);
}

/* Waits for one call; its place is free then, unless the wait was broken off. */
static int lake_files_wait(struct lake_files *files, struct lake_call *call, const char *key,
                           struct err *err)
{
    while (!call->done) {
        int result = lake_files_pump(files, err);
        if (result != ERR_OK) {
            call->list = NULL; /* whoever wanted it has gone */
            return result;
        }
    }
    call->used = false;
    return call->result == ERR_OK ? ERR_OK : err_set(err, call->result, "%s: %s", key, call->text);
}

/* --- list -------------------------------------------------------------------------------- */

static int lake_list_add(struct lake_list *list, const struct object_entry *entry)
{
    if ((list->count & (list->count - 1)) == 0) {
        const size_t capacity = list->count == 0 ? 1 : 2 * list->count;
        struct lake_entry *grown = realloc(list->entries, capacity * sizeof(*grown));
        if (grown == NULL)
            return ERR_MEMORY;
        list->entries = grown;
    }
    char *key = strdup(entry->key);
    if (key == NULL)
        return ERR_MEMORY;
    list->entries[list->count++] =
        (struct lake_entry){.key = key, .size = entry->size, .modified_us = entry->modified_us};
    return ERR_OK;
}

static void lake_files_on_entry(void *context, int result, const struct object_entry *entry)
{
    struct lake_call *call = context;
    if (entry != NULL) {
        if (call->list != NULL && call->result == ERR_OK)
            call->result = lake_list_add(call->list, entry);
        return;
    }
    call->done = true;
    call->result = call->result == ERR_OK ? result : call->result;
    snprintf(call->text, sizeof(call->text), "cannot list");
}

int lake_files_list(struct lake_files *files, const char *prefix, const char *after,
                    struct lake_list *list, struct err *err)
{
    if (files->folder != NULL && access(files->root, F_OK) != 0)
        return ERR_OK;
    struct lake_call *call = lake_files_call(files);
    if (call == NULL)
        return err_set(err, ERR_AGAIN, "told to stop");
    call->list = list;
    int result = files->objects.list(files->objects.self, prefix, after, lake_files_on_entry, call);
    result = lake_files_started(call, result, prefix, err);
    return result == ERR_OK ? lake_files_wait(files, call, prefix, err) : result;
}

void lake_list_free(struct lake_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].key);
    free(list->entries);
    *list = (struct lake_list){0};
}

/* --- reading ----------------------------------------------------------------------------- */

static bool lake_files_fresh(const struct lake_copy *copy, const struct lake_entry *entry)
{
    return copy->size == entry->size && copy->modified_us == entry->modified_us;
}

/* Room for it, then the get. */
static int lake_files_fetch(struct lake_files *files, const struct lake_entry *entry,
                            struct lake_call *call, struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE];
    uint64_t under_way = 0;
    for (int i = 0; i < LAKE_FILES_CALLS; i++)
        if (files->calls[i].used && files->calls[i].entry != NULL)
            under_way += files->calls[i].entry->size;
    int result = lake_cache_room(&files->cache, under_way + entry->size, err);
    if (result == ERR_OK)
        result = lake_cache_path(&files->cache, entry->key, path, err);
    if (result == ERR_OK)
        result = lake_file_make_folders(path, true, err);
    if (result == ERR_OK) {
        call->entry = entry;
        result = lake_files_started(
            call, files->objects.get(files->objects.self, entry->key, path, lake_files_done, call),
            entry->key, err);
    } else {
        call->used = false;
    }
    return result;
}

/* The copy as it came: of another size than listed when the object was replaced meanwhile; the next
 * list says so. */
static int lake_files_came(struct lake_files *files, struct lake_call *call, struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE];
    struct stat status;
    const struct lake_entry *entry = call->entry;
    call->used = false;
    if (call->result != ERR_OK)
        return err_set(err, call->result, "%s: %s", entry->key, call->text);
    if (lake_cache_path(&files->cache, entry->key, path, err) != ERR_OK)
        return ERR_INVALID;
    if (stat(path, &status) != 0)
        return err_set(err, lake_file_code(errno), "%s: %s", path, strerror(errno));
    files->counters.fetched++;
    files->counters.bytes_fetched += (uint64_t)status.st_size;
    return lake_cache_add(&files->cache, entry->key, (uint64_t)status.st_size, entry->modified_us,
                          err);
}

/* Takes in what has come, waiting until at most `left` gets are under way. The first error stays
 * and the others are waited for, so that nobody writes into the folder unseen. */
static int lake_files_take(struct lake_files *files, int left, struct err *err)
{
    int result = ERR_OK;
    for (;;) {
        int under_way = 0;
        for (int i = 0; i < LAKE_FILES_CALLS; i++) {
            struct lake_call *call = &files->calls[i];
            if (!call->used || call->entry == NULL)
                continue;
            under_way += !call->done;
            struct err why = {0};
            int came = call->done ? lake_files_came(files, call, &why) : ERR_OK;
            if (came != ERR_OK && result == ERR_OK)
                result = err_set(err, came, "%s", why.text);
        }
        if (under_way == 0 || (result == ERR_OK && under_way <= left))
            return result;
        int pumped = lake_files_pump(files, err);
        if (pumped != ERR_OK) {
            for (int i = 0; i < LAKE_FILES_CALLS; i++)
                files->calls[i].entry = NULL; /* whoever wanted it has gone */
            return pumped;
        }
    }
}

/* Holds the copy that is there, or begins to fetch it. */
static int lake_files_want(struct lake_files *files, const struct lake_entry *entry,
                           struct err *err)
{
    struct lake_copy *copy = lake_cache_find(&files->cache, entry->key);
    if (copy != NULL && (copy->held > 0 || lake_files_fresh(copy, entry))) {
        lake_cache_hold(&files->cache, copy);
        return ERR_OK;
    }
    if (copy != NULL)
        lake_cache_drop(&files->cache, copy);
    int result = lake_files_take(files, LAKE_FILES_CALLS - 1, err);
    if (result != ERR_OK)
        return result;
    struct lake_call *call = lake_files_call(files);
    return call == NULL ? err_set(err, ERR_AGAIN, "told to stop")
                        : lake_files_fetch(files, entry, call, err);
}

int lake_files_hold(struct lake_files *files, const struct lake_entry *entries, size_t count,
                    struct err *err)
{
    size_t wanted = 0;
    int result = ERR_OK;
    if (files->folder != NULL)
        return ERR_OK;
    while (wanted < count && result == ERR_OK)
        result = lake_files_want(files, &entries[wanted++], err);
    struct err why = {0};
    int taken = lake_files_take(files, 0, &why);
    if (taken != ERR_OK && result == ERR_OK)
        result = err_set(err, taken, "%s", why.text);
    if (result != ERR_OK)
        lake_files_release(files, entries, wanted);
    return result;
}

void lake_files_release(struct lake_files *files, const struct lake_entry *entries, size_t count)
{
    for (size_t i = 0; i < count && files->folder == NULL; i++) {
        struct lake_copy *copy = lake_cache_find(&files->cache, entries[i].key);
        if (copy != NULL && copy->held > 0)
            copy->held--;
    }
}

/* --- writing ----------------------------------------------------------------------------- */

static int lake_files_path(const struct lake_files *files, const char *key, const char *end,
                           char *path, struct err *err)
{
    if (!bronze_key_valid(key) || snprintf(path, LAKE_FILE_PATH_SIZE, "%s/%s%s", files->root, key,
                                           end) >= LAKE_FILE_PATH_SIZE)
        return err_set(err, ERR_INVALID, "%s: no key, or the path is too long", key);
    return lake_file_make_folders(path, true, err);
}

int lake_files_begin(struct lake_files *files, const char *key, char *path, struct err *err)
{
    return lake_files_path(files, key, LAKE_FILES_BEGUN, path, err);
}

static int lake_files_put(struct lake_files *files, const char *key, const char *path,
                          struct err *err)
{
    struct lake_call *call = lake_files_call(files);
    if (call == NULL)
        return err_set(err, ERR_AGAIN, "told to stop");
    int result = files->objects.put(files->objects.self, key, path, lake_files_done, call);
    result = lake_files_started(call, result, key, err);
    return result == ERR_OK ? lake_files_wait(files, call, key, err) : result;
}

int lake_files_commit(struct lake_files *files, const char *key, const char *path, struct err *err)
{
    char to[LAKE_FILE_PATH_SIZE];
    int result = lake_files_path(files, key, "", to, err);
    if (result == ERR_OK)
        result = lake_file_sync(path, err);
    if (result == ERR_OK && files->folder != NULL)
        result = lake_file_rename(path, to, err);
    else if (result == ERR_OK)
        result = lake_files_put(files, key, path, err);
    if (result != ERR_OK || files->folder == NULL)
        unlink(path);
    files->counters.put += result == ERR_OK;
    return result;
}

int lake_files_drop(struct lake_files *files, const char *key, struct err *err)
{
    struct lake_call *call = lake_files_call(files);
    if (call == NULL)
        return err_set(err, ERR_AGAIN, "told to stop");
    int result = files->objects.drop(files->objects.self, key, lake_files_done, call);
    result = lake_files_started(call, result, key, err);
    return result == ERR_OK ? lake_files_wait(files, call, key, err) : result;
}

/* --- quarantine -------------------------------------------------------------------------- */

static int lake_files_note_aside(struct lake_files *files, const char *key)
{
    char **grown = realloc(files->aside, (files->aside_count + 1) * sizeof(*grown));
    if (grown == NULL)
        return ERR_MEMORY;
    files->aside = grown;
    files->aside[files->aside_count] = strdup(key);
    files->aside_count += files->aside[files->aside_count] != NULL;
    return ERR_OK;
}

int lake_files_quarantine(struct lake_files *files, const char *key, struct err *err)
{
    char from[LAKE_FILE_PATH_SIZE], to[LAKE_FILE_PATH_SIZE], aside[OBJECT_KEY_SIZE];
    if (snprintf(aside, sizeof(aside), "quarantine/%s", key) >= (int)sizeof(aside))
        return err_set(err, ERR_INVALID, "%s: the path is too long", key);
    if (files->aside_count >= LAKE_FILES_AWAY_MAX || lake_files_note_aside(files, key) != ERR_OK)
        return err_set(err, ERR_FULL, "%s: too many objects cannot be read", key);
    int result = lake_files_path(files, key, "", from, err);
    if (files->folder != NULL) {
        if (result == ERR_OK)
            result = lake_files_path(files, aside, "", to, err);
        return result == ERR_OK ? lake_file_rename(from, to, err) : result;
    }
    /* First there, then no longer here: killed in between it is put aside once more. */
    if (result == ERR_OK)
        result = lake_files_put(files, aside, from, err);
    return result == ERR_OK ? lake_files_drop(files, key, err) : result;
}

bool lake_files_is_aside(const struct lake_files *files, const char *key)
{
    for (size_t i = 0; i < files->aside_count; i++)
        if (strcmp(files->aside[i], key) == 0)
            return true;
    return false;
}

void lake_files_forget_aside(struct lake_files *files)
{
    for (size_t i = 0; i < files->aside_count; i++)
        free(files->aside[i]);
    free(files->aside);
    files->aside = NULL;
    files->aside_count = 0;
}

/* --- open and close ---------------------------------------------------------------------- */

static int lake_files_open_root(struct lake_files *files, struct err *err)
{
    const struct lake_files_options *options = &files->options;
    const char *root = options->folder != NULL ? options->folder : options->cache;
    size_t size = (size_t)snprintf(files->root, sizeof(files->root), "%s", root);
    if (size == 0 || size >= sizeof(files->root))
        return err_set(err, ERR_INVALID, "%.80s: no usable folder", root);
    while (size > 1 && files->root[size - 1] == '/')
        files->root[--size] = '\0';
    if (options->folder == NULL) {
        files->objects = options->objects;
        return lake_cache_open(
            &files->cache, files->root,
            options->cache_bytes_max > 0 ? options->cache_bytes_max : LAKE_FILES_CACHE_BYTES, err);
    }
    int result = folder_objects_open(files->root, &files->folder, err);
    if (result == ERR_OK)
        files->objects = folder_objects_port(files->folder);
    return result;
}

int lake_files_open(const struct lake_files_options *options, struct lake_files **out,
                    struct err *err)
{
    struct lake_files *files = calloc(1, sizeof(*files));
    if (files == NULL)
        return err_set(err, ERR_MEMORY, "files of the lake");
    files->options = *options;
    int result = lake_files_open_root(files, err);
    if (result != ERR_OK) {
        lake_files_close(files);
        return result;
    }
    *out = files;
    return ERR_OK;
}

void lake_files_close(struct lake_files *files)
{
    if (files == NULL)
        return;
    lake_files_forget_aside(files);
    if (files->folder != NULL)
        folder_objects_close(files->folder);
    else
        lake_cache_close(&files->cache);
    free(files);
}

struct lake_files_counters lake_files_counters(const struct lake_files *files)
{
    struct lake_files_counters counters = files->counters;
    counters.evicted = files->cache.evicted;
    return counters;
}

const char *lake_files_root(const struct lake_files *files)
{
    return files->root;
}

bool lake_files_local(const struct lake_files *files)
{
    return files->folder != NULL;
}
