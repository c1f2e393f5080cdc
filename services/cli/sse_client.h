/* A client of one event channel on this machine, living in a loop: connects, reads
 * server-sent events, and comes back when the connection is lost; of several ports the one
 * that answers. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_SSE_CLIENT_H
#define BTCAST_SERVICES_CLI_SSE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "edge/loop/loop.h"

#define SSE_CLIENT_LINE_MAX  8192u
#define SSE_CLIENT_PORTS_MAX 4
#define SSE_CLIENT_RETRY_US  (250 * CLOCK_US_PER_MS)

/* One event's data, borrowed for the call. */
typedef void (*sse_event_fn)(void *context, struct bytes data);

struct sse_client {
    struct loop *loop;
    const char *path;
    int ports[SSE_CLIENT_PORTS_MAX];
    int port_count, port_index;
    sse_event_fn fn;
    void *context;
    int fd;
    bool connected; /* the request went out */
    int64_t retry_us;
    char line[SSE_CLIENT_LINE_MAX];
    size_t size;
    bool too_long; /* the line being read is dropped */
};

void sse_client_open(struct sse_client *client, struct loop *loop, const char *path,
                     const int *ports, int port_count, sse_event_fn fn, void *context);
/* Connects when it is time to. Returns microseconds until it wants to be called again, -1:
 * not before something happens. */
int64_t sse_client_do_work(struct sse_client *client, int64_t mono_us);
void sse_client_close(struct sse_client *client);

#endif
