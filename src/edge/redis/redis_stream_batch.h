/* A batch of records on its way into the streams, and queues of them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STREAM_BATCH_H
#define BTCAST_EDGE_REDIS_REDIS_STREAM_BATCH_H

#include <stdbool.h>

#include "hot/stream/stream_port.h"

/* One allocation: records, outcomes and the copied data follow the head. */
struct redis_batch {
    struct redis_batch *next;
    int64_t ticket;
    int count;
    size_t size; /* of the data */
    enum stream_outcome *outcome;
    struct stream_record records[];
};

/* ERR_OK and the size of the data, or why these records cannot be a batch (stream_port.h,
 * put). */
int redis_batch_check(const struct stream_record *records, int count, size_t *size) MUST_CHECK;
/* PRE: checked. NULL: out of memory. Freed with free(). */
struct redis_batch *redis_batch_copy(const struct stream_record *records, int count, size_t size);

/* First in, first out; zero-initialise. */
struct redis_batch_queue {
    struct redis_batch *first, *last;
    int count;
};

void redis_batch_add(struct redis_batch_queue *queue, struct redis_batch *batch);
/* NULL when empty. */
struct redis_batch *redis_batch_take(struct redis_batch_queue *queue);
/* Puts all of `from` behind `to`; from is empty then. */
void redis_batch_append(struct redis_batch_queue *to, struct redis_batch_queue *from);
/* Gives every record the same outcome. */
void redis_batch_mark(struct redis_batch_queue *queue, enum stream_outcome outcome);
/* Spreads the put script's letters over the records in order (redis_stream_script.h; a
 * missing letter counts as refused). True if all are in. */
bool redis_batch_spread(struct redis_batch_queue *queue, const char *letters, size_t count);
void redis_batch_drop(struct redis_batch_queue *queue);

#endif
