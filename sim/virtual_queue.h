/* The event queue of a simulation: a heap by time, and by order of entry at the same time,
 * so that a seed always takes the same course. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_VIRTUAL_QUEUE_H
#define BTCAST_SIM_VIRTUAL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

typedef void (*virtual_fn)(void *context, void *object, uint64_t number);

struct virtual_event {
    int64_t time_us;
    uint64_t order;
    virtual_fn fn;
    void *context, *object;
    uint64_t number;
};

struct virtual_queue {
    struct virtual_event *heap;
    int count, room;
    uint64_t added;
    int64_t now_us;
};

void virtual_queue_close(struct virtual_queue *queue);
/* time_us in the past means now. */
void virtual_queue_add(struct virtual_queue *queue, int64_t time_us, virtual_fn fn, void *context,
                       void *object, uint64_t number);
/* Runs the next event and moves the time to it; false when there is none until until_us. */
bool virtual_queue_step(struct virtual_queue *queue, int64_t until_us);

#endif
