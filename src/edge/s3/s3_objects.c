/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/s3/s3_objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "edge/s3/s3_call.h"

#define S3_OBJECTS_SAFE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=._-/"

bool s3_objects_is_key(const char *key)
{
    size_t size = strlen(key);
    return size > 0 && size < OBJECT_KEY_SIZE && strspn(key, S3_OBJECTS_SAFE) == size &&
           key[0] != '/' && key[size - 1] != '/' && strstr(key, "//") == NULL &&
           strstr(key, "..") == NULL;
}

static struct s3_call *s3_objects_take(struct s3_objects *objects, enum s3_kind kind, void *context)
{
    for (int i = 0; i < S3_OBJECTS_CALLS_MAX; i++) {
        struct s3_call *call = &objects->calls[i];
        if (call->used)
            continue;
        memset(call, 0, sizeof(*call));
        call->objects = objects;
        call->used = true;
        call->kind = kind;
        call->context = context;
        call->fd = -1;
        return call;
    }
    return NULL;
}

static int s3_objects_check(const char *key, const char *path)
{
    return s3_objects_is_key(key) && strlen(path) < S3_CALL_PATH_SIZE ? ERR_OK : ERR_INVALID;
}

static uint64_t s3_objects_part_bytes(const struct s3_objects *objects, uint64_t size)
{
    uint64_t least = size / S3_CALL_PARTS_MAX + 1;
    return least > objects->options.part_bytes ? least : objects->options.part_bytes;
}

static int s3_objects_open_file(struct s3_objects *objects, struct s3_call *call, const char *path)
{
    struct stat status;
    call->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (call->fd < 0 || fstat(call->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        snprintf(call->text, sizeof(call->text), "%.180s: %.60s", path, strerror(errno));
        return ERR_IO;
    }
    call->size = (uint64_t)status.st_size;
    bool parts = call->size > objects->options.multipart_above;
    if (parts)
        call->etags =
            calloc(call->size / s3_objects_part_bytes(objects, call->size) + 1, S3_CALL_ETAG_SIZE);
    /* The largest objects would need larger parts than all others. */
    if (call->size > S3_OBJECTS_SIZE_MAX || (parts && call->etags == NULL) ||
        (parts && s3_objects_part_bytes(objects, call->size) > objects->options.part_bytes)) {
        snprintf(call->text, sizeof(call->text), "%.180s: too large an object", path);
        return ERR_IO;
    }
    call->step = parts ? S3_STEP_CREATE : S3_STEP_READ;
    return ERR_OK;
}

static int s3_objects_put(void *self, const char *key, const char *path, object_done_fn done,
                          void *context)
{
    if (s3_objects_check(key, path) != ERR_OK)
        return ERR_INVALID;
    struct s3_call *call = s3_objects_take(self, S3_PUT, context);
    if (call == NULL)
        return ERR_AGAIN;
    call->done = done;
    snprintf(call->key, sizeof(call->key), "%s", key);
    snprintf(call->path, sizeof(call->path), "%s", path);
    int result = s3_objects_open_file(self, call, path);
    if (result != ERR_OK)
        s3_call_end(call, result);
    return ERR_OK;
}

static int s3_objects_get(void *self, const char *key, const char *path, object_done_fn done,
                          void *context)
{
    if (s3_objects_check(key, path) != ERR_OK)
        return ERR_INVALID;
    struct s3_call *call = s3_objects_take(self, S3_GET, context);
    if (call == NULL)
        return ERR_AGAIN;
    call->done = done;
    call->step = S3_STEP_PIECE;
    snprintf(call->key, sizeof(call->key), "%s", key);
    snprintf(call->path, sizeof(call->path), "%s", path);
    snprintf(call->partial, sizeof(call->partial), "%s.part", path);
    call->fd = open(call->partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (call->fd < 0) {
        snprintf(call->text, sizeof(call->text), "%.180s.part: %.60s", path, strerror(errno));
        s3_call_end(call, ERR_IO);
    }
    return ERR_OK;
}

static int s3_objects_drop(void *self, const char *key, object_done_fn done, void *context)
{
    if (!s3_objects_is_key(key))
        return ERR_INVALID;
    struct s3_call *call = s3_objects_take(self, S3_DROP, context);
    if (call == NULL)
        return ERR_AGAIN;
    call->done = done;
    call->step = S3_STEP_DROP;
    snprintf(call->key, sizeof(call->key), "%s", key);
    return ERR_OK;
}

static int s3_objects_list(void *self, const char *prefix, const char *after, object_list_fn entry,
                           void *context)
{
    if (strlen(prefix) >= OBJECT_KEY_SIZE || strspn(prefix, S3_OBJECTS_SAFE) != strlen(prefix) ||
        strlen(after) >= OBJECT_KEY_SIZE || strspn(after, S3_OBJECTS_SAFE) != strlen(after))
        return ERR_INVALID;
    struct s3_call *call = s3_objects_take(self, S3_LIST, context);
    if (call == NULL)
        return ERR_AGAIN;
    call->entry = entry;
    call->step = S3_STEP_PAGE;
    snprintf(call->key, sizeof(call->key), "%s", prefix);
    snprintf(call->after, sizeof(call->after), "%s", after);
    return ERR_OK;
}

/* The call's place is free before its owner hears of it, who may call again. */
static void s3_objects_answer(struct s3_call *call)
{
    object_done_fn done = call->done;
    object_list_fn entry = call->entry;
    void *context = call->context;
    int result = call->result;
    char text[sizeof(call->text)];
    memcpy(text, call->text, sizeof(text));
    call->objects->stats.failures += result != ERR_OK && result != ERR_NOT_FOUND;
    s3_call_free(call);
    struct object_reply reply = {.result = result, .text = result == ERR_OK ? "" : text};
    if (entry != NULL)
        entry(context, result, NULL);
    else
        done(context, &reply);
}

static void s3_objects_step(struct s3_call *call)
{
    if (call->kind == S3_PUT)
        s3_put_step(call);
    else if (call->kind == S3_GET)
        s3_get_step(call);
    else
        s3_list_step(call);
}

static int s3_objects_do_work(void *self, int64_t mono_us)
{
    struct s3_objects *objects = self;
    int work = 0;
    objects->now_us = mono_us;
    https_do_work(objects->https, mono_us);
    for (int i = 0; i < S3_OBJECTS_CALLS_MAX; i++) {
        struct s3_call *call = &objects->calls[i];
        if (!call->used || call->in_flight || mono_us < call->retry_us)
            continue;
        work++;
        if (call->step == S3_STEP_DONE)
            s3_objects_answer(call);
        else
            s3_objects_step(call);
    }
    return work;
}

static void s3_objects_defaults(struct s3_objects_options *options)
{
    options->timeout_us = options->timeout_us > 0 ? options->timeout_us : 60 * CLOCK_US_PER_S;
    options->retry_min_us =
        options->retry_min_us > 0 ? options->retry_min_us : 100 * CLOCK_US_PER_MS;
    options->retry_max_us = options->retry_max_us > 0 ? options->retry_max_us : 5 * CLOCK_US_PER_S;
    options->tries = options->tries > 0 ? options->tries : 5;
    options->multipart_above =
        options->multipart_above > 0 ? options->multipart_above : 64ULL << 20;
    options->part_bytes = options->part_bytes > 0 ? options->part_bytes : 16ULL << 20;
    options->get_bytes = options->get_bytes > 0 ? options->get_bytes : 8ULL << 20;
    options->list_page = options->list_page > 0 ? options->list_page : 1000;
}

int s3_objects_open(const struct s3_objects_options *options, struct loop *loop,
                    struct s3_objects **out, struct err *err)
{
    struct s3_objects *objects = calloc(1, sizeof(*objects));
    if (objects == NULL)
        return err_set(err, ERR_MEMORY, "out of memory");
    objects->options = *options;
    objects->target = *options->target;
    objects->options.target = &objects->target;
    objects->budget = S3_CALL_BUDGET_MAX;
    s3_objects_defaults(&objects->options);
    prng_init(&objects->prng, options->seed);
    struct https_options https = {.ca_file = options->ca_file,
                                  .user_agent = "btcast/" BTCAST_VERSION};
    int result = https_open(&https, loop, &objects->https, err);
    if (result != ERR_OK) {
        free(objects);
        return result;
    }
    objects->port = (struct object_port){.self = objects,
                                         .put = s3_objects_put,
                                         .get = s3_objects_get,
                                         .drop = s3_objects_drop,
                                         .list = s3_objects_list,
                                         .do_work = s3_objects_do_work};
    *out = objects;
    return ERR_OK;
}

void s3_objects_close(struct s3_objects *objects)
{
    if (objects == NULL)
        return;
    https_close(objects->https);
    for (int i = 0; i < S3_OBJECTS_CALLS_MAX; i++)
        if (objects->calls[i].used)
            s3_call_free(&objects->calls[i]);
    free(objects);
}

const struct object_port *s3_objects_port(struct s3_objects *objects)
{
    return &objects->port;
}

const struct s3_objects_stats *s3_objects_stats(const struct s3_objects *objects)
{
    return &objects->stats;
}
