/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_stream_batch.h"

#include <stdlib.h>
#include <string.h>

int redis_batch_check(const struct stream_record *records, int count, size_t *size)
{
    if (count <= 0)
        return ERR_INVALID;
    if (count > STREAM_BATCH_RECORDS_MAX)
        return ERR_FULL;
    *size = 0;
    for (int i = 0; i < count; i++) {
        if (records[i].stream >= STREAM_COUNT ||
            (records[i].stream != STREAM_CONTROL && records[i].epoch == 0))
            return ERR_INVALID;
        if (records[i].data.size > STREAM_BATCH_BYTES_MAX - *size)
            return ERR_FULL;
        *size += records[i].data.size;
    }
    return ERR_OK;
}

struct redis_batch *redis_batch_copy(const struct stream_record *records, int count, size_t size)
{
    size_t records_size = (size_t)count * sizeof(*records);
    size_t outcome_size = (size_t)count * sizeof(enum stream_outcome);
    struct redis_batch *batch = malloc(sizeof(*batch) + records_size + outcome_size + size);
    if (batch == NULL)
        return NULL;
    *batch = (struct redis_batch){.count = count, .size = size};
    batch->outcome = (enum stream_outcome *)(void *)(batch->records + count);
    uint8_t *at = (uint8_t *)(batch->outcome + count);
    memcpy(batch->records, records, records_size);
    for (int i = 0; i < count; i++) {
        if (records[i].data.size > 0)
            memcpy(at, records[i].data.data, records[i].data.size);
        batch->records[i].data.data = at;
        at += records[i].data.size;
    }
    return batch;
}

void redis_batch_add(struct redis_batch_queue *queue, struct redis_batch *batch)
{
    batch->next = NULL;
    if (queue->last != NULL)
        queue->last->next = batch;
    else
        queue->first = batch;
    queue->last = batch;
    queue->count++;
}

struct redis_batch *redis_batch_take(struct redis_batch_queue *queue)
{
    struct redis_batch *batch = queue->first;
    if (batch == NULL)
        return NULL;
    queue->first = batch->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->count--;
    return batch;
}

void redis_batch_append(struct redis_batch_queue *to, struct redis_batch_queue *from)
{
    for (struct redis_batch *batch; (batch = redis_batch_take(from)) != NULL;)
        redis_batch_add(to, batch);
}

void redis_batch_mark(struct redis_batch_queue *queue, enum stream_outcome outcome)
{
    for (struct redis_batch *batch = queue->first; batch != NULL; batch = batch->next)
        for (int i = 0; i < batch->count; i++)
            batch->outcome[i] = outcome;
}

static enum stream_outcome redis_batch_outcome(char letter)
{
    switch (letter) {
    case 'W':
        return STREAM_WRITTEN;
    case 'D':
        return STREAM_DUPLICATE;
    case 'F':
        return STREAM_FENCED;
    default:
        return STREAM_RETRY;
    }
}

bool redis_batch_spread(struct redis_batch_queue *queue, const char *letters, size_t count)
{
    bool all = true;
    size_t at = 0;
    for (struct redis_batch *batch = queue->first; batch != NULL; batch = batch->next)
        for (int i = 0; i < batch->count; i++, at++) {
            batch->outcome[i] = redis_batch_outcome(at < count ? letters[at] : 'R');
            all = all &&
                  (batch->outcome[i] == STREAM_WRITTEN || batch->outcome[i] == STREAM_DUPLICATE);
        }
    return all;
}

void redis_batch_drop(struct redis_batch_queue *queue)
{
    for (struct redis_batch *batch; (batch = redis_batch_take(queue)) != NULL;)
        free(batch);
}
