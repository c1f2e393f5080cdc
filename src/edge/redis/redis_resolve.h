/* A host name looked up beside the loop: getaddrinfo may block for seconds, so it runs on
 * a thread of its own and says by an eventfd that it is done.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_RESOLVE_H
#define BTCAST_EDGE_REDIS_REDIS_RESOLVE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"
#include "edge/redis/redis_dial.h"

struct redis_resolved {
    struct sockaddr_storage address[REDIS_DIAL_ADDRESSES_MAX];
    socklen_t size[REDIS_DIAL_ADDRESSES_MAX];
    int count;
};

struct redis_resolve;

/* Looks up without asking anyone: true if host is a number. */
bool redis_resolve_numeric(const struct redis_address *address, struct redis_resolved *out);
int redis_resolve_start(const struct redis_address *address, struct redis_resolve **resolve,
                        struct err *err) MUST_CHECK;
/* Readable when done. */
int redis_resolve_fd(const struct redis_resolve *resolve);
/* ERR_AGAIN: not done; ERR_CONNECTION: the name has no address (text in err). */
int redis_resolve_take(struct redis_resolve *resolve, struct redis_resolved *out,
                       struct err *err) MUST_CHECK;
/* Also while the look-up still runs: its thread then frees what it holds. */
void redis_resolve_close(struct redis_resolve *resolve);

#endif
