/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_gap_feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

static bool redis_gap_feed_ready(void *self)
{
    return redis_link_connected(((const struct redis_gap_feed *)self)->link);
}

/* "ms-seq" */
static bool redis_gap_feed_place(const redisReply *id, struct gap_feed_place *place)
{
    char *end;
    if (id->type != REDIS_REPLY_STRING)
        return false;
    place->ms = strtoll(id->str, &end, 10);
    if (end == id->str || *end != '-')
        return false;
    const char *seq = end + 1;
    place->seq = strtoll(seq, &end, 10);
    return end != seq && *end == '\0' && place->ms >= 0 && place->seq >= 0;
}

static bool redis_gap_feed_event(const struct redis_gap_feed *feed, const redisReply *fields,
                                 struct gap_event *event)
{
    struct gap_event_reader reader;
    if (fields->type != REDIS_REPLY_ARRAY || fields->elements % 2 != 0)
        return false;
    gap_event_begin(&reader, feed->symbol);
    for (size_t i = 0; i < fields->elements; i += 2) {
        const redisReply *name = fields->element[i], *value = fields->element[i + 1];
        if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
            return false;
        gap_event_field(&reader, bytes_of(name->str, name->len), bytes_of(value->str, value->len));
    }
    *event = reader.event;
    return gap_event_finish(&reader);
}

/* The entries of an XRANGE; false when it is none. */
static bool redis_gap_feed_take(struct redis_gap_feed *feed, const redisReply *reply, int *count)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements > GAP_FEED_ENTRIES_MAX)
        return false;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *entry = reply->element[i];
        struct gap_feed_entry *out = &feed->entries[i];
        if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
            !redis_gap_feed_place(entry->element[0], &out->place))
            return false;
        out->is_event = redis_gap_feed_event(feed, entry->element[1], &out->event);
    }
    *count = (int)reply->elements;
    return true;
}

static void redis_gap_feed_on_reply(void *context, int result, const redisReply *reply)
{
    struct redis_gap_feed *feed = context;
    gap_feed_fn done = feed->done;
    int count = 0;
    feed->done = NULL;
    if (result == ERR_OK && (reply == NULL || !redis_gap_feed_take(feed, reply, &count)))
        result = ERR_IO;
    done(feed->context, result, feed->entries, result == ERR_OK ? count : 0);
}

static int redis_gap_feed_read(void *self, struct gap_feed_place after, gap_feed_fn done,
                               void *context)
{
    struct redis_gap_feed *feed = self;
    char from[64], most[16];
    if (feed->done != NULL)
        return ERR_AGAIN;
    snprintf(from, sizeof(from), "(%lld-%lld", (long long)after.ms, (long long)after.seq);
    snprintf(most, sizeof(most), "%d", GAP_FEED_ENTRIES_MAX);
    struct bytes argv[] = {BYTES_LITERAL("XRANGE"), bytes_text(feed->key),  bytes_text(from),
                           BYTES_LITERAL("+"),      BYTES_LITERAL("COUNT"), bytes_text(most)};
    feed->context = context;
    int result = redis_link_send(feed->link, argv, 6, redis_gap_feed_on_reply, feed);
    feed->done = result == ERR_OK ? done : NULL;
    return result;
}

static int redis_gap_feed_do_work(void *self, int64_t mono_us)
{
    (void)self;
    (void)mono_us; /* the link is run by its owner */
    return 0;
}

struct gap_feed_port redis_gap_feed_open(struct redis_gap_feed *feed, struct redis_link *link,
                                         enum state_key_style style, const char *symbol)
{
    *feed = (struct redis_gap_feed){.link = link};
    state_key(STATE_GAP_EVENTS, style, symbol, feed->key);
    snprintf(feed->symbol, sizeof(feed->symbol), "%s", symbol);
    return (struct gap_feed_port){.self = feed,
                                  .ready = redis_gap_feed_ready,
                                  .read = redis_gap_feed_read,
                                  .do_work = redis_gap_feed_do_work};
}
