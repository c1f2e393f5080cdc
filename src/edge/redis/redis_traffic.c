/* Bytes in and out of a connected link: what waits is written, what comes is taken apart into
 * replies and handed to those who are owed them. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "edge/redis/redis_link_self.h"

/* Socket reads per event, so that a firehose does not starve the loop's others. */
#define REDIS_TRAFFIC_READS_MAX 16

/* Writes as much as the socket takes; asks for EPOLLOUT if something is left. */
void redis_traffic_write(struct redis_link *link)
{
    if (link->state < REDIS_LINK_GREETING)
        return;
    while (link->broken == ERR_OK && redis_buffer_waiting(&link->out) > 0) {
        ssize_t size = send(link->dial.fd, link->out.data + link->out.at,
                            redis_buffer_waiting(&link->out), MSG_NOSIGNAL);
        if (size >= 0)
            redis_buffer_consume(&link->out, (size_t)size);
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            redis_link_break(link, ERR_CONNECTION, "redis %s: write: %s", link->options.target,
                             strerror(errno));
    }
    bool want_write = redis_buffer_waiting(&link->out) > 0;
    if (link->broken != ERR_OK || want_write == link->want_write)
        return;
    link->want_write = want_write;
    (void)redis_link_watch(link, EPOLLIN | (want_write ? (uint32_t)EPOLLOUT : 0u));
}

static void redis_traffic_answer(struct redis_link *link, const redisReply *reply)
{
    if (link->owed.count == 0) {
        redis_link_break(link, ERR_MALFORMED, "redis %s: a reply nobody asked for",
                         link->options.target);
        return;
    }
    struct redis_owed_reply owed = redis_owed_pop(&link->owed);
    bool repeats = owed.eval != NULL && redis_eval_repeats(link, &owed, reply);
    redis_eval_settle(link);
    if (repeats)
        return;
    redis_eval_free(owed.eval);
    link->stats.replies++;
    link->handled++;
    if (owed.fn != NULL)
        owed.fn(owed.context, ERR_OK, reply);
}

static void redis_traffic_parse(struct redis_link *link, size_t size)
{
    if (redisReaderFeed(link->reader, (const char *)link->input, size) != REDIS_OK) {
        redis_link_break(link, ERR_MEMORY, "redis %s: %s", link->options.target,
                         link->reader->errstr);
        return;
    }
    while (link->broken == ERR_OK) {
        void *reply = NULL;
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            redis_link_break(link, ERR_MALFORMED, "redis %s: %s", link->options.target,
                             link->reader->errstr);
            return;
        }
        if (reply == NULL)
            return;
        redis_traffic_answer(link, reply);
        freeReplyObject(reply);
    }
}

void redis_traffic_read(struct redis_link *link)
{
    for (int i = 0; i < REDIS_TRAFFIC_READS_MAX && link->broken == ERR_OK; i++) {
        ssize_t size = recv(link->dial.fd, link->input, sizeof(link->input), 0);
        if (size > 0) {
            link->progress_us = loop_mono_us();
            redis_traffic_parse(link, (size_t)size);
        } else if (size == 0) {
            redis_link_break(link, ERR_CONNECTION, "redis %s: closed by the server",
                             link->options.target);
        } else if (errno != EINTR) {
            if (errno != EAGAIN)
                redis_link_break(link, ERR_CONNECTION, "redis %s: read: %s", link->options.target,
                                 strerror(errno));
            return;
        }
        if (size > 0 && (size_t)size < sizeof(link->input))
            return;
    }
}
