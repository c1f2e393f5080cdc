/* Bytes in and out of a connected link: what waits is written, what comes is taken apart into
 * replies and handed to those who are owed them. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "edge/redis/redis_link_self.h"

/* Socket reads per event, so that a firehose does not starve the loop's others. */
#define REDIS_TRAFFIC_READS_MAX 16

static ssize_t redis_traffic_send(struct redis_link *link, const void *data, size_t size)
{
    return link->tls != NULL ? redis_tls_write(link->tls, data, size)
                             : send(link->dial.fd, data, size, MSG_NOSIGNAL);
}

static ssize_t redis_traffic_receive(struct redis_link *link)
{
    return link->tls != NULL ? redis_tls_read(link->tls, link->input, sizeof(link->input))
                             : recv(link->dial.fd, link->input, sizeof(link->input), 0);
}

/* True when nothing more is to be had now: a short read has emptied a socket; of TLS only its
 * own word counts, since what it keeps raises no event. */
static bool redis_traffic_empty(const struct redis_link *link, size_t size)
{
    return link->tls != NULL ? !redis_tls_pending(link->tls) : size < sizeof(link->input);
}

/* Writes as much as the socket takes; asks for EPOLLOUT if something is left. */
void redis_traffic_write(struct redis_link *link)
{
    if (link->state < REDIS_LINK_GREETING)
        return;
    while (link->broken == ERR_OK && redis_buffer_waiting(&link->out) > 0) {
        ssize_t size = redis_traffic_send(link, link->out.data + link->out.at,
                                          redis_buffer_waiting(&link->out));
        if (size >= 0)
            redis_buffer_consume(&link->out, (size_t)size);
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            redis_link_break(link, ERR_CONNECTION, "redis %s: write: %s", link->where,
                             strerror(errno));
    }
    bool want_write = redis_buffer_waiting(&link->out) > 0;
    if (link->broken != ERR_OK || want_write == link->want_write)
        return;
    link->want_write = want_write;
    (void)redis_link_watch(link, EPOLLIN | (want_write ? (uint32_t)EPOLLOUT : 0u));
}

/* A message of a subscribed channel comes between the replies, owed by no command. */
static bool redis_traffic_is_message(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(reply->element[0]->str, "message") == 0;
}

static void redis_traffic_answer(struct redis_link *link, const redisReply *reply)
{
    if (link->push != NULL && redis_traffic_is_message(reply)) {
        link->push(link->push_context, reply);
        return;
    }
    /* The command that was sent to the wrong place is still owed: lost with the connection. */
    if (reply->type == REDIS_REPLY_ERROR && link->state == REDIS_LINK_UP &&
        redis_hop_redirects(link, reply->str))
        return;
    if (link->owed.count == 0) {
        redis_link_break(link, ERR_MALFORMED, "redis %s: a reply nobody asked for", link->where);
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
        redis_link_break(link, ERR_MEMORY, "redis %s: %s", link->where, link->reader->errstr);
        return;
    }
    while (link->broken == ERR_OK) {
        void *reply = NULL;
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            redis_link_break(link, ERR_MALFORMED, "redis %s: %s", link->where,
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
    for (int i = 0; link->broken == ERR_OK; i++) {
        ssize_t size = redis_traffic_receive(link);
        if (size > 0) {
            link->progress_us = loop_mono_us();
            redis_traffic_parse(link, (size_t)size);
        } else if (size == 0) {
            redis_link_break(link, ERR_CONNECTION, "redis %s: closed by the server", link->where);
        } else if (errno != EINTR) {
            if (errno != EAGAIN)
                redis_link_break(link, ERR_CONNECTION, "redis %s: read: %s", link->where,
                                 strerror(errno));
            return;
        }
        bool enough = link->tls == NULL && i + 1 >= REDIS_TRAFFIC_READS_MAX;
        if (size > 0 && (enough || redis_traffic_empty(link, (size_t)size)))
            return;
    }
}
