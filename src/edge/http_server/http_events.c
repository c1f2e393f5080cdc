/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/http_server/http_events.h"
#include <libwebsockets.h>

#include <stdlib.h>
#include <string.h>

bool http_ring_put(struct http_ring *ring, int route, struct bytes json)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (tail - head == HTTP_EVENTS_RING || json.size > HTTP_EVENT_MAX)
        return false;
    uint64_t at = tail % HTTP_EVENTS_RING;
    ring->slots[at].route = route;
    ring->slots[at].size = json.size;
    if (json.size > 0)
        memcpy(ring->slots[at].data, json.data, json.size);
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

bool http_ring_peek(struct http_ring *ring, int *route, struct bytes *json)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&ring->tail, memory_order_acquire))
        return false;
    uint64_t at = head % HTTP_EVENTS_RING;
    *route = ring->slots[at].route;
    *json = bytes_of(ring->slots[at].data, ring->slots[at].size);
    return true;
}

void http_ring_pop(struct http_ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

struct http_event *http_event_create(struct bytes json)
{
    static const char before[] = "data: ";
    static const char after[] = "\n\n";
    size_t size = sizeof(before) - 1 + json.size + sizeof(after) - 1;
    struct http_event *event = malloc(sizeof(*event) + LWS_PRE + size);
    if (event == NULL)
        return NULL;
    event->holders = 1;
    event->size = size;
    event->data = (uint8_t *)(event + 1) + LWS_PRE;
    uint8_t *at = event->data;
    memcpy(at, before, sizeof(before) - 1);
    at += sizeof(before) - 1;
    /* A line end would end the event: in JSON it is but white space. */
    for (size_t i = 0; i < json.size; i++)
        *at++ = json.data[i] == '\n' || json.data[i] == '\r' ? ' ' : json.data[i];
    memcpy(at, after, sizeof(after) - 1);
    return event;
}

void http_event_release(struct http_event *event)
{
    if (--event->holders == 0)
        free(event);
}

bool http_event_queue_put(struct http_event_queue *queue, struct http_event *event)
{
    bool full = queue->count == HTTP_EVENTS_QUEUED_MAX;
    if (full)
        http_event_release(http_event_queue_take(queue));
    queue->list[(queue->first + queue->count) % HTTP_EVENTS_QUEUED_MAX] = event;
    queue->count++;
    event->holders++;
    return full;
}

struct http_event *http_event_queue_take(struct http_event_queue *queue)
{
    if (queue->count == 0)
        return NULL;
    struct http_event *event = queue->list[queue->first];
    queue->first = (queue->first + 1) % HTTP_EVENTS_QUEUED_MAX;
    queue->count--;
    return event;
}

void http_event_queue_clear(struct http_event_queue *queue)
{
    struct http_event *event;
    while ((event = http_event_queue_take(queue)) != NULL)
        http_event_release(event);
}
