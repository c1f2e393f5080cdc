/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_stream_await.h"

#include <stdio.h>
#include <string.h>

#include "edge/redis/redis_stream_script.h"

#define REDIS_AWAIT_NAME_SAFE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

static void redis_await_state(void *context, bool connected)
{
    struct redis_await *await = context;
    struct bytes keys[STREAM_COUNT];
    for (int i = 0; i < STREAM_COUNT; i++)
        keys[i] = bytes_text(await->keys[i]);
    for (int i = 0; i < await->count && connected; i++) {
        struct bytes name = bytes_text(await->names[i]);
        /* Lost again: the next connect enters them. */
        (void)!redis_link_eval(await->link, &await->script, keys, STREAM_COUNT, &name, 1, NULL,
                               NULL);
    }
}

static int redis_await_parse(struct redis_await *await, const char *readers, struct err *err)
{
    for (const char *at = readers; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (await->count == REDIS_AWAIT_READERS_MAX)
            return err_set(err, ERR_CONFIG, "more than %d readers in \"%.60s\"",
                           REDIS_AWAIT_READERS_MAX, readers);
        if (size == 0 || size >= REDIS_REGISTRY_NAME_SIZE ||
            strspn(at, REDIS_AWAIT_NAME_SAFE) != size)
            return err_set(err, ERR_CONFIG, "\"%.60s\": no names parted by commas", readers);
        snprintf(await->names[await->count++], REDIS_REGISTRY_NAME_SIZE, "%.*s", (int)size, at);
        at += size;
        if (*at == ',' && *++at == '\0')
            return err_set(err, ERR_CONFIG, "\"%.60s\": no names parted by commas", readers);
    }
    return ERR_OK;
}

int redis_await_init(struct redis_await *await, struct redis_link *link, const char *readers,
                     enum stream_key_style style, const char *symbol, struct err *err)
{
    *await = (struct redis_await){.link = link};
    await->script = (struct redis_script){.name = "await", .source = redis_stream_script_await};
    for (int i = 0; i < STREAM_COUNT; i++)
        stream_key_consumers((enum stream_name)i, style, symbol, await->keys[i]);
    int result = redis_await_parse(await, readers, err);
    if (result == ERR_OK && await->count > 0)
        redis_link_on_state(link, redis_await_state, await);
    return result;
}
