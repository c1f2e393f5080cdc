/* A consumer's entry in the registries that trimming reads (hash `consumers:<stream key>`):
 * the position a restart would begin behind, and the server's time. Written at each change
 * and whenever the connection comes back. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STREAM_REGISTRY_H
#define BTCAST_EDGE_REDIS_REDIS_STREAM_REGISTRY_H

#include "edge/redis/redis_link.h"
#include "edge/redis/redis_stream_id.h"
#include "hot/stream/stream_key.h"

#define REDIS_REGISTRY_NAME_SIZE 64

struct redis_registry {
    struct redis_link *link;
    struct redis_script script;
    char name[REDIS_REGISTRY_NAME_SIZE]; /* empty: registers nowhere */
    char keys[STREAM_COUNT][STREAM_KEY_SIZE];
    /* Committed positions, never what was merely read: that runs ahead of what the consumer
     * has made safe. */
    struct redis_stream_id committed[STREAM_COUNT];
    unsigned known; /* 1 << name: committed is set */
};

void redis_registry_init(struct redis_registry *registry, struct redis_link *link, const char *name,
                         enum stream_key_style style, const char *symbol);
/* Forgets all positions here; what is registered in the server stays until it expires. */
void redis_registry_clear(struct redis_registry *registry);
void redis_registry_set(struct redis_registry *registry, int index, struct redis_stream_id id);
/* Registers all that is known. ERR_CONNECTION: when the connection is back. */
int redis_registry_write(struct redis_registry *registry) MUST_CHECK;

#endif
