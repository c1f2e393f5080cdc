/* Server-sent events on their way: a ring from the service thread to the HTTP thread, and
 * there a bounded queue of shared events for each client.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_HTTP_SERVER_HTTP_EVENTS_H
#define BTCAST_EDGE_HTTP_SERVER_HTTP_EVENTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "edge/http_server/http_server.h"

#define HTTP_EVENTS_RING 64

/* One writer, one reader; full: the new event is dropped by the writer. */
struct http_ring {
    _Atomic uint64_t head, tail;
    struct {
        int route;
        size_t size;
        uint8_t data[HTTP_EVENT_MAX];
    } slots[HTTP_EVENTS_RING];
};

bool http_ring_put(struct http_ring *ring, int route, struct bytes json);
/* The oldest event, valid until http_ring_pop; false when there is none. */
bool http_ring_peek(struct http_ring *ring, int *route, struct bytes *json);
void http_ring_pop(struct http_ring *ring);

/* "data: …\n\n", shared by the queues that hold it (HTTP thread only). LWS_PRE bytes of
 * room stand before data. */
struct http_event {
    int holders;
    size_t size;
    uint8_t *data;
};

/* Holds 1 for the caller; NULL: out of memory. */
struct http_event *http_event_create(struct bytes json);
void http_event_release(struct http_event *event);

struct http_event_queue {
    struct http_event *list[HTTP_EVENTS_QUEUED_MAX];
    int first, count;
};

/* Takes a hold of its own. True when the oldest had to go to make room. */
bool http_event_queue_put(struct http_event_queue *queue, struct http_event *event);
/* The oldest, whose hold is now the caller's; NULL when empty. */
struct http_event *http_event_queue_take(struct http_event_queue *queue);
void http_event_queue_clear(struct http_event_queue *queue);

#endif
