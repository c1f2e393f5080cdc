/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_owed.h"

#include <stdlib.h>

#include "base/check.h"

/* A power of two: places are found by a mask. */
#define REDIS_OWED_START 64

void redis_owed_close(struct redis_owed *owed)
{
    free(owed->replies);
    *owed = (struct redis_owed){0};
}

int redis_owed_reserve(struct redis_owed *owed)
{
    if (owed->count < owed->capacity)
        return ERR_OK;
    int capacity = owed->capacity ? owed->capacity * 2 : REDIS_OWED_START;
    struct redis_owed_reply *replies = calloc((size_t)capacity, sizeof(*replies));
    if (replies == NULL)
        return ERR_MEMORY;
    for (int i = 0; i < owed->count; i++)
        replies[i] = owed->replies[(owed->head + i) & (owed->capacity - 1)];
    free(owed->replies);
    owed->replies = replies;
    owed->capacity = capacity;
    owed->head = 0;
    return ERR_OK;
}

void redis_owed_push(struct redis_owed *owed, const struct redis_owed_reply *reply)
{
    PRE(owed->count < owed->capacity);
    owed->replies[(owed->head + owed->count++) & (owed->capacity - 1)] = *reply;
}

const struct redis_owed_reply *redis_owed_first(const struct redis_owed *owed)
{
    PRE(owed->count > 0);
    return &owed->replies[owed->head];
}

struct redis_owed_reply redis_owed_pop(struct redis_owed *owed)
{
    struct redis_owed_reply reply = *redis_owed_first(owed);
    owed->head = (owed->head + 1) & (owed->capacity - 1);
    owed->count--;
    return reply;
}
