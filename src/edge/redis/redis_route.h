/* Which server a link tries next. Pure: it remembers what it was told and never asks.
 *
 * A *round* goes once through everybody who may help: for one server that server; for
 * Sentinel first a sentinel, then the primary it names, then the replicas (one of them may
 * have been promoted already: it takes writes up to a second before the sentinels say so);
 * for a cluster the node named last, then the nodes heard of, then those of the target.
 * Nobody is tried twice in a round, so redirects cannot chase each other; between rounds
 * the link waits. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_ROUTE_H
#define BTCAST_EDGE_REDIS_REDIS_ROUTE_H

#include "edge/redis/redis_target.h"

/* Servers (replicas, nodes) and sentinels that were heard of; more are not kept. */
#define REDIS_ROUTE_KNOWN_MAX 16

enum redis_hop_kind { REDIS_HOP_SERVER, REDIS_HOP_SENTINEL };

struct redis_hop {
    enum redis_hop_kind kind;
    struct redis_address address;
};

struct redis_route_list {
    struct redis_address address[REDIS_ROUTE_KNOWN_MAX];
    bool tried[REDIS_ROUTE_KNOWN_MAX]; /* in this round */
    int count;
};

struct redis_route {
    struct redis_target target;
    struct redis_route_list servers, sentinels;
    struct redis_address named; /* by a sentinel, MOVED, or the last one that worked */
    bool has_named, named_tried;
    bool told;     /* named was told by somebody who knows: goes before any sentinel */
    bool answered; /* a sentinel has answered in this round */
};

void redis_route_init(struct redis_route *route, const struct redis_target *target);
/* Begins a round; the last one's tries are forgotten. */
void redis_route_begin(struct redis_route *route);
/* The next to try; false when the round is over. */
bool redis_route_next(struct redis_route *route, struct redis_hop *hop);
/* The sentinel asked last has answered: no other is asked in this round. */
void redis_route_answered(struct redis_route *route);
/* This server is it, says a sentinel's answer, a redirect or an announcement (told: not to
 * be checked with a sentinel first). It is tried next, unless it was in this round. */
void redis_route_name(struct redis_route *route, const struct redis_address *address, bool told);
/* The named server proved wrong (a replica, another slot's owner). */
void redis_route_forget(struct redis_route *route);
/* Heard of a server or a sentinel: a candidate of this and later rounds. */
void redis_route_learn(struct redis_route *route, enum redis_hop_kind kind,
                       const struct redis_address *address);

bool redis_address_equal(const struct redis_address *a, const struct redis_address *b);
/* "unix:/path", "host:port", "[ipv6]:port" into text; returns text. */
#define REDIS_ADDRESS_TEXT_SIZE (REDIS_DIAL_HOST_SIZE + 16)
const char *redis_address_text(const struct redis_address *address,
                               char text[REDIS_ADDRESS_TEXT_SIZE]);
/* A host and a port as servers tell them; false when they cannot be an address. */
bool redis_address_make(struct redis_address *address, const char *host, size_t host_size,
                        const char *port, size_t port_size);

#endif
