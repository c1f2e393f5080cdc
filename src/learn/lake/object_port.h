/* The object port: the lake as named objects, whole or not there. Engines: a folder
 * (edge/lake/folder_objects) and S3; tests/lib/object_contract runs on each. Keys are the
 * paths of CONTRACTS.md section 4: relative, '/' between parts, [A-Za-z0-9=._-] in them.
 * Asynchronous: `done` is called exactly once, from do_work, never from inside the call.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_LAKE_OBJECT_PORT_H
#define BTCAST_LEARN_LAKE_OBJECT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define OBJECT_KEY_SIZE 512

/* result: ERR_OK; ERR_NOT_FOUND; ERR_CONNECTION or ERR_TIMEOUT (the lake is away: try
 * again); ERR_FULL (no space); ERR_IO. text is borrowed for the call. */
struct object_reply {
    int result;
    const char *text;
};
typedef void (*object_done_fn)(void *context, const struct object_reply *reply);

struct object_entry {
    const char *key;
    uint64_t size;
    int64_t modified_us;
};
/* Once for each entry in key order, then once with entry NULL and the result. */
typedef void (*object_list_fn)(void *context, int result, const struct object_entry *entry);

/* Every call returns ERR_OK when started; ERR_AGAIN when too many are under way;
 * ERR_INVALID for a key that is none. Then done is not called. Arguments are copied. */
struct object_port {
    void *self;
    /* The file at path (which stays the caller's) becomes the object: durable and whole
     * before done says ERR_OK, and a reader never sees a part of it. An object of that key
     * is replaced. */
    int (*put)(void *self, const char *key, const char *path, object_done_fn done, void *context);
    /* The object becomes the file at path, whole or not at all. */
    int (*get)(void *self, const char *key, const char *path, object_done_fn done, void *context);
    /* ERR_OK also when there was none. */
    int (*drop)(void *self, const char *key, object_done_fn done, void *context);
    /* Keys that begin with prefix, from the one after `after` on ("": from the first). */
    int (*list)(void *self, const char *prefix, const char *after, object_list_fn entry,
                void *context);
    int (*do_work)(void *self, int64_t mono_us);
};

#endif
