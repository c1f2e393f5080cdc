/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/virtual_queue.h"

#include <stdlib.h>

#include "base/check.h"

static bool virtual_queue_before(const struct virtual_event *a, const struct virtual_event *b)
{
    return a->time_us != b->time_us ? a->time_us < b->time_us : a->order < b->order;
}

void virtual_queue_close(struct virtual_queue *queue)
{
    free(queue->heap);
    *queue = (struct virtual_queue){0};
}

void virtual_queue_add(struct virtual_queue *queue, int64_t time_us, virtual_fn fn, void *context,
                       void *object, uint64_t number)
{
    if (queue->count == queue->room) {
        queue->room = queue->room == 0 ? 256 : 2 * queue->room;
        queue->heap = realloc(queue->heap, (size_t)queue->room * sizeof(*queue->heap));
        CHECK(queue->heap != NULL);
    }
    if (time_us < queue->now_us)
        time_us = queue->now_us;
    struct virtual_event event = {time_us, queue->added++, fn, context, object, number};
    int at = queue->count++;
    while (at > 0 && virtual_queue_before(&event, &queue->heap[(at - 1) / 2])) {
        queue->heap[at] = queue->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->heap[at] = event;
}

static void virtual_queue_pop(struct virtual_queue *queue)
{
    struct virtual_event last = queue->heap[--queue->count];
    int at = 0;
    for (;;) {
        int child = 2 * at + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count &&
            virtual_queue_before(&queue->heap[child + 1], &queue->heap[child]))
            child++;
        if (!virtual_queue_before(&queue->heap[child], &last))
            break;
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    queue->heap[at] = last;
}

bool virtual_queue_step(struct virtual_queue *queue, int64_t until_us)
{
    if (queue->count == 0 || queue->heap[0].time_us > until_us)
        return false;
    struct virtual_event event = queue->heap[0];
    virtual_queue_pop(queue);
    queue->now_us = event.time_us;
    event.fn(event.context, event.object, event.number);
    return true;
}
