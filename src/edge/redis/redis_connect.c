/* From a hop to a connection that is greeted: dial, TLS, reader.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/epoll.h>

#include "edge/redis/redis_link_self.h"

/* The reader keeps a buffer of this size between replies instead of allocating anew. */
#define REDIS_CONNECT_READER_KEEP_BYTES ((size_t)1 << 20)

void redis_connect_begin(struct redis_link *link, int64_t mono_us)
{
    struct err err = {0};
    if (!redis_hop_may_dial(link, mono_us))
        return;
    link->started_us = mono_us;
    link->state = REDIS_LINK_DIALING;
    redis_address_text(&link->hop.address, link->where);
    link->dial.address = link->hop.address;
    int result = redis_dial_begin(&link->dial, &err);
    if (result != ERR_OK)
        redis_link_break(link, result, "redis %s", err.text);
    else
        (void)redis_link_watch(link, redis_dial_events(&link->dial));
}

static void redis_connect_greet(struct redis_link *link)
{
    link->reader = redisReaderCreate();
    if (link->reader == NULL) {
        redis_link_break(link, ERR_MEMORY, "redis %s: out of memory", link->where);
        return;
    }
    link->reader->maxbuf = REDIS_CONNECT_READER_KEEP_BYTES;
    link->want_write = false;
    link->state = REDIS_LINK_GREETING;
    link->progress_us = loop_mono_us();
    if (redis_link_watch(link, EPOLLIN) == ERR_OK)
        redis_greet_start(link);
}

/* The next step of the TLS handshake, the first one included. */
void redis_connect_secure(struct redis_link *link)
{
    struct err err = {0};
    uint32_t events = 0;
    link->state = REDIS_LINK_SECURING;
    int result = redis_tls_handshake(link->tls, &events, &err);
    if (result == ERR_AGAIN)
        (void)redis_link_watch(link, events);
    else if (result != ERR_OK)
        redis_link_break(link, result, "redis %s: %s", link->where, err.text);
    else
        redis_connect_greet(link);
}

void redis_connect_step(struct redis_link *link)
{
    struct err err = {0};
    /* The step may close this descriptor and open another under the same number. */
    loop_remove(link->loop, redis_dial_fd(&link->dial));
    int result = redis_dial_step(&link->dial, &err);
    if (result == ERR_AGAIN) {
        (void)redis_link_watch(link, redis_dial_events(&link->dial));
        return;
    }
    if (result == ERR_OK && link->tls_context != NULL)
        result = redis_tls_open(link->tls_context, link->dial.fd, link->hop.address.host,
                                &link->tls, &err);
    if (result != ERR_OK)
        redis_link_break(link, result, "redis %s", err.text);
    else if (link->tls != NULL)
        redis_connect_secure(link);
    else
        redis_connect_greet(link);
}
