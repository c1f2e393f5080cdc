/* The shared silence (recover/rest_port.h) as one Redis key: `rest:blocked` holds the wall
 * ms until which nobody behind this address asks the exchange; it only grows and goes away
 * by itself. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_SILENCE_H
#define BTCAST_EDGE_REDIS_REDIS_SILENCE_H

#include "edge/redis/redis_link.h"
#include "recover/rest_port.h"

#define REDIS_SILENCE_KEY     "rest:blocked"
#define REDIS_SILENCE_LOOK_US 500000

/* A cluster has no place for a key of all symbols on a link that is bound to one of them:
 * with a tag (the symbol; key style hashtag) the key is `rest:blocked:{tag}`, and processes
 * of several symbols keep their silence apart. */
#define REDIS_SILENCE_TAG_SIZE 24

/* link is borrowed and run by its owner; close the link first. Zero-initialise the rest. */
struct redis_silence {
    struct redis_link *link;
    char tag[REDIS_SILENCE_TAG_SIZE]; /* set with link; empty: none */
    int64_t until_us;
    int64_t said_us, sent_us; /* wanted to be known, 0: nothing; and on its way */
    int64_t look_us;          /* monotonic */
    bool looking, saying;
    struct redis_script script;
};

struct rest_silence_port redis_silence_port(struct redis_silence *silence);

#endif
