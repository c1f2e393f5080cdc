/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_buffer.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define REDIS_BUFFER_START_BYTES 4096u
/* '*' or '$', 20 digits, CR LF; and the CR LF behind an argument. */
#define REDIS_BUFFER_HEAD_BYTES     23u
#define REDIS_BUFFER_ARGUMENT_BYTES (REDIS_BUFFER_HEAD_BYTES + 2u)

void redis_buffer_close(struct redis_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct redis_buffer){0};
}

size_t redis_buffer_waiting(const struct redis_buffer *buffer)
{
    return buffer->size - buffer->at;
}

size_t redis_buffer_command_size(const struct bytes *argv, int argc)
{
    size_t size = REDIS_BUFFER_HEAD_BYTES;
    for (int i = 0; i < argc; i++)
        size += REDIS_BUFFER_ARGUMENT_BYTES + argv[i].size;
    return size;
}

int redis_buffer_reserve(struct redis_buffer *buffer, size_t more)
{
    if (buffer->capacity - buffer->size >= more)
        return ERR_OK;
    size_t waiting = redis_buffer_waiting(buffer);
    if (buffer->at > 0) {
        memmove(buffer->data, buffer->data + buffer->at, waiting);
        buffer->at = 0;
        buffer->size = waiting;
    }
    if (buffer->capacity - buffer->size >= more)
        return ERR_OK;
    size_t capacity = buffer->capacity ? buffer->capacity : REDIS_BUFFER_START_BYTES;
    while (capacity - waiting < more)
        capacity *= 2;
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return ERR_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return ERR_OK;
}

void redis_buffer_add(struct redis_buffer *buffer, const void *data, size_t size)
{
    PRE(buffer->capacity - buffer->size >= size);
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

static void redis_buffer_add_size(struct redis_buffer *buffer, char mark, size_t value)
{
    char text[REDIS_BUFFER_HEAD_BYTES];
    char *at = text + sizeof(text);
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    *--at = mark;
    redis_buffer_add(buffer, at, (size_t)(text + sizeof(text) - at));
}

void redis_buffer_add_head(struct redis_buffer *buffer, int count)
{
    redis_buffer_add_size(buffer, '*', (size_t)count);
}

void redis_buffer_add_argument(struct redis_buffer *buffer, struct bytes argument)
{
    redis_buffer_add_size(buffer, '$', argument.size);
    redis_buffer_add(buffer, argument.data, argument.size);
    redis_buffer_add(buffer, "\r\n", 2);
}

void redis_buffer_consume(struct redis_buffer *buffer, size_t size)
{
    PRE(size <= redis_buffer_waiting(buffer));
    buffer->at += size;
    if (buffer->at == buffer->size)
        redis_buffer_clear(buffer);
}

void redis_buffer_clear(struct redis_buffer *buffer)
{
    buffer->at = buffer->size = 0;
    if (buffer->capacity <= REDIS_BUFFER_KEEP_BYTES)
        return;
    free(buffer->data);
    buffer->data = NULL;
    buffer->capacity = 0;
}
