/* Calls of a port under way on a link: a fixed number of slots, each free again before its caller
 * hears of the end. Private to the ports of edge/redis. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_CALLS_H
#define BTCAST_EDGE_REDIS_REDIS_CALLS_H

#include "edge/redis/redis_link.h"
#include "hot/state/state_image.h"

/* A caller's function; whoever handles the reply knows its type and casts it back. */
typedef void (*redis_calls_fn)(void);

struct redis_call {
    struct redis_calls *calls;
    redis_calls_fn done;
    void *context;
    int op; /* the port's own */
    int64_t sent_ns;
    struct redis_call *next; /* free list */
};

struct redis_calls {
    struct redis_link *link;
    void *port;
    struct redis_call *free;
};

/* All slots free. link, port and slots are borrowed. */
void redis_calls_open(struct redis_calls *calls, struct redis_link *link, void *port,
                      struct redis_call *slots, int count);
/* Starts a script or a plain command and flushes the link. `call` says whose it is (done, context,
 * op); `reply` gets a slot for redis_calls_end. ERR_AGAIN with all slots taken, ERR_CONNECTION. */
int redis_calls_eval(struct redis_calls *calls, struct redis_script *script,
                     const struct bytes *keys, int key_count, const struct bytes *args,
                     int arg_count, redis_reply_fn reply, struct redis_call call) MUST_CHECK;
int redis_calls_send(struct redis_calls *calls, const struct bytes *argv, int argc,
                     redis_reply_fn reply, struct redis_call call) MUST_CHECK;
/* First thing of a reply's handler: its slot is free, the call is returned. */
struct redis_call redis_calls_end(void *slot);

/* A decimal argument in the caller's buffer. */
struct redis_calls_number {
    char text[24];
};
struct bytes redis_calls_u64(struct redis_calls_number *number, uint64_t value);

/* XADD key MAXLEN ~ limit * pairs… into argv (6 + 2 * count); returns how many. */
int redis_calls_xadd(struct bytes *argv, struct bytes key, struct bytes limit,
                     const struct state_pair *pairs, int count);
/* Fields and values behind argc words of argv; returns how many words there are then. */
int redis_calls_pairs(struct bytes *argv, int argc, const struct state_pair *pairs, int count);

#endif
