/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/model/model_reply.h"

#include <stdlib.h>

#include "base/check.h"

#define MODEL_REPLY_CHUNK    4096u
#define MODEL_REPLY_POOL_MAX 64

struct model_chunk {
    struct model_chunk *next;
    size_t used, size;
    uint8_t bytes[];
};

struct model_reply {
    redisReply *root;
    struct model_chunk *chunks; /* the first one stays with the pool */
    struct blob **held;
    int held_count, held_room;
    struct model_reply *next;
};

static struct model_reply *model_reply_pool;
static int model_reply_pooled;

static struct model_chunk *model_reply_chunk(size_t size)
{
    struct model_chunk *chunk = malloc(sizeof(*chunk) + size);
    CHECK(chunk != NULL);
    *chunk = (struct model_chunk){.size = size};
    return chunk;
}

struct model_reply *model_reply_new(void)
{
    struct model_reply *reply = model_reply_pool;
    if (reply != NULL) {
        model_reply_pool = reply->next;
        model_reply_pooled--;
        return reply;
    }
    reply = calloc(1, sizeof(*reply));
    CHECK(reply != NULL);
    reply->chunks = model_reply_chunk(MODEL_REPLY_CHUNK);
    return reply;
}

static void model_reply_destroy(struct model_reply *reply)
{
    free(reply->chunks);
    free(reply->held);
    free(reply);
}

void model_reply_free(struct model_reply *reply)
{
    if (reply == NULL)
        return;
    for (int i = 0; i < reply->held_count; i++)
        blob_drop(reply->held[i]);
    reply->held_count = 0;
    while (reply->chunks->next != NULL) {
        struct model_chunk *chunk = reply->chunks;
        reply->chunks = chunk->next;
        free(chunk);
    }
    reply->chunks->used = 0;
    reply->root = NULL;
    if (model_reply_pooled >= MODEL_REPLY_POOL_MAX) {
        model_reply_destroy(reply);
        return;
    }
    reply->next = model_reply_pool;
    model_reply_pool = reply;
    model_reply_pooled++;
}

void model_reply_drain(void)
{
    while (model_reply_pool != NULL) {
        struct model_reply *reply = model_reply_pool;
        model_reply_pool = reply->next;
        model_reply_destroy(reply);
    }
    model_reply_pooled = 0;
}

redisReply *model_reply_root(const struct model_reply *reply)
{
    return reply->root;
}

redisReply *model_reply_set_root(struct model_reply *reply, redisReply *root)
{
    reply->root = root;
    return root;
}

static void *model_reply_take(struct model_reply *reply, size_t size)
{
    size = (size + 15u) & ~(size_t)15u;
    struct model_chunk *chunk = reply->chunks;
    if (chunk->size - chunk->used < size) {
        chunk = model_reply_chunk(size > MODEL_REPLY_CHUNK ? size : MODEL_REPLY_CHUNK);
        chunk->next = reply->chunks;
        reply->chunks = chunk;
    }
    void *at = chunk->bytes + chunk->used;
    chunk->used += size;
    return at;
}

static redisReply *model_reply_part(struct model_reply *reply, int type)
{
    redisReply *part = model_reply_take(reply, sizeof(*part));
    memset(part, 0, sizeof(*part));
    part->type = type;
    return part;
}

redisReply *model_reply_nil(struct model_reply *reply)
{
    return model_reply_part(reply, REDIS_REPLY_NIL);
}

redisReply *model_reply_integer(struct model_reply *reply, long long value)
{
    redisReply *part = model_reply_part(reply, REDIS_REPLY_INTEGER);
    part->integer = value;
    return part;
}

static redisReply *model_reply_text(struct model_reply *reply, int type, struct bytes bytes)
{
    redisReply *part = model_reply_part(reply, type);
    part->str = model_reply_take(reply, bytes.size + 1);
    if (bytes.size > 0)
        memcpy(part->str, bytes.data, bytes.size);
    part->str[bytes.size] = '\0';
    part->len = bytes.size;
    return part;
}

redisReply *model_reply_status(struct model_reply *reply, const char *text)
{
    return model_reply_text(reply, REDIS_REPLY_STATUS, bytes_text(text));
}

redisReply *model_reply_error(struct model_reply *reply, const char *text)
{
    return model_reply_text(reply, REDIS_REPLY_ERROR, bytes_text(text));
}

redisReply *model_reply_string(struct model_reply *reply, struct bytes bytes)
{
    return model_reply_text(reply, REDIS_REPLY_STRING, bytes);
}

redisReply *model_reply_blob(struct model_reply *reply, struct blob *blob)
{
    if (reply->held_count == reply->held_room) {
        reply->held_room = reply->held_room == 0 ? 16 : 2 * reply->held_room;
        reply->held = realloc(reply->held, (size_t)reply->held_room * sizeof(struct blob *));
        CHECK(reply->held != NULL);
    }
    reply->held[reply->held_count++] = blob_hold(blob);
    redisReply *part = model_reply_part(reply, REDIS_REPLY_STRING);
    part->str = (char *)blob->data;
    part->len = blob->size;
    return part;
}

redisReply *model_reply_array(struct model_reply *reply, size_t elements)
{
    redisReply *part = model_reply_part(reply, REDIS_REPLY_ARRAY);
    part->elements = elements;
    part->element = model_reply_take(reply, elements * sizeof(*part->element) + 1);
    memset(part->element, 0, elements * sizeof(*part->element));
    return part;
}
