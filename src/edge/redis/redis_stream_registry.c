/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_stream_registry.h"

#include <stdio.h>

#include "edge/redis/redis_stream_script.h"

static void redis_registry_state(void *context, bool connected)
{
    if (connected)
        (void)!redis_registry_write(context); /* lost again: the next connect writes */
}

void redis_registry_init(struct redis_registry *registry, struct redis_link *link, const char *name,
                         enum stream_key_style style, const char *symbol)
{
    *registry = (struct redis_registry){.link = link};
    registry->script =
        (struct redis_script){.name = "commit", .source = redis_stream_script_commit};
    snprintf(registry->name, sizeof(registry->name), "%s", name);
    for (int i = 0; i < STREAM_COUNT; i++)
        stream_key_consumers((enum stream_name)i, style, symbol, registry->keys[i]);
    redis_link_on_state(link, redis_registry_state, registry);
}

void redis_registry_clear(struct redis_registry *registry)
{
    registry->known = 0;
}

void redis_registry_set(struct redis_registry *registry, int index, struct redis_stream_id id)
{
    registry->committed[index] = id;
    registry->known |= 1u << index;
}

int redis_registry_write(struct redis_registry *registry)
{
    struct bytes keys[STREAM_COUNT], args[1 + STREAM_COUNT];
    char ids[STREAM_COUNT][REDIS_STREAM_ID_SIZE];
    int count = 0;
    args[0] = bytes_text(registry->name);
    for (int i = 0; i < STREAM_COUNT; i++) {
        if ((registry->known & 1u << i) == 0)
            continue;
        keys[count] = bytes_text(registry->keys[i]);
        args[1 + count++] = bytes_text(redis_stream_id_text(registry->committed[i], ids[i]));
    }
    if (count == 0 || registry->name[0] == '\0')
        return ERR_OK;
    int result = redis_link_eval(registry->link, &registry->script, keys, count, args, 1 + count,
                                 NULL, NULL);
    redis_link_flush(registry->link);
    return result;
}
