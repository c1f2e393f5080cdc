/* Readers that have not registered yet, for whom the streams are kept all the same: who begins to
 * write enters them at the very beginning, unless they are there. A reader that starts later than
 * the others finds the first record; one that never comes holds trimming back as long as one that
 * fell silent. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STREAM_AWAIT_H
#define BTCAST_EDGE_REDIS_REDIS_STREAM_AWAIT_H

#include "edge/redis/redis_stream_registry.h"

#define REDIS_AWAIT_READERS_MAX 4

struct redis_await {
    struct redis_link *link;
    struct redis_script script;
    int count;
    char names[REDIS_AWAIT_READERS_MAX][REDIS_REGISTRY_NAME_SIZE];
    char keys[STREAM_COUNT][STREAM_KEY_SIZE];
};

/* readers: names parted by commas, "": nobody. They are entered whenever the connection comes.
 * ERR_CONFIG: a name that is none, or more than REDIS_AWAIT_READERS_MAX. */
int redis_await_init(struct redis_await *await, struct redis_link *link, const char *readers,
                     enum stream_key_style style, const char *symbol, struct err *err) MUST_CHECK;

#endif
