/* Where a Redis server is and how to reach it: the target's text, name resolution and a
 * non-blocking connect. The one place that TLS, Sentinel and Cluster have to extend; the
 * link above sees a descriptor only. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_DIAL_H
#define BTCAST_EDGE_REDIS_REDIS_DIAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* A unix socket's path ends at 107 bytes (unix(7)); the same room serves a host name. */
#define REDIS_DIAL_HOST_SIZE     108
#define REDIS_DIAL_ADDRESSES_MAX 4

struct redis_address {
    bool is_unix;
    char host[REDIS_DIAL_HOST_SIZE]; /* path, name, IPv4 or IPv6 without brackets */
    char port[6];
};

/* "unix:/path/redis.sock", "host:port", "[ipv6]:port". ERR_CONFIG with the reason. */
int redis_dial_parse(const char *target, struct redis_address *address, struct err *err) MUST_CHECK;

struct redis_resolve;

struct redis_dial {
    struct redis_address address;
    struct redis_resolve *resolve; /* not NULL: a name is being looked up */
    int fd;                        /* the socket, -1: none */
    unsigned tries;                /* rotates through a name's addresses */
};

void redis_dial_init(struct redis_dial *dial, const struct redis_address *address);
/* Begins a connection: ERR_OK when something is under way; then wait for
 * redis_dial_events on redis_dial_fd and call redis_dial_step. ERR_CONNECTION, ERR_IO. */
int redis_dial_begin(struct redis_dial *dial, struct err *err) MUST_CHECK;
/* ERR_OK: connected, dial->fd is the stream. ERR_AGAIN: still under way, on a descriptor
 * that may be another than before. Anything else: failed, the reason in err. */
int redis_dial_step(struct redis_dial *dial, struct err *err) MUST_CHECK;
int redis_dial_fd(const struct redis_dial *dial);
uint32_t redis_dial_events(const struct redis_dial *dial);
/* Gives up or hangs up; redis_dial_begin may follow. Remove the descriptor from the loop
 * first. */
void redis_dial_close(struct redis_dial *dial);

#endif
