/* The consuming end of the Redis stream engine: one blocking XREAD over all followed
 * streams, the next one sent before the records of the last are handed over, so that the
 * server is never waited for while there is something to do. A blocked XREAD is served for
 * the one stream that became ready (Redis 7.0); the next one brings the others at once.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "edge/redis/redis_stream.h"
#include "edge/redis/redis_stream_id.h"
#include "edge/redis/redis_stream_registry.h"
#include "edge/redis/redis_stream_reply.h"

#define REDIS_CONSUMER_COUNT_MAX       256
#define REDIS_CONSUMER_REPLY_BYTES_MAX ((size_t)8 << 20)
#define REDIS_CONSUMER_BLOCK_US        500000
/* How often it is checked that nothing was trimmed away ahead of us. */
#define REDIS_CONSUMER_CHECK_US 1000000
/* XREAD COUNT n BLOCK ms STREAMS, then keys and ids. */
#define REDIS_CONSUMER_ARGS (6 + 2 * STREAM_COUNT)

struct redis_consumer_stream {
    char key[STREAM_KEY_SIZE];
    struct redis_stream_id at;       /* read up to here */
    bool from_oldest;                /* nothing read yet: whatever is there is the beginning */
    bool from_newest;                /* "$": at is not known before the server was asked */
    struct redis_stream_id reported; /* first entry of the last trimming that was reported */
};

struct redis_consumer {
    struct redis_consumer_options options;
    struct redis_link *reader; /* blocks */
    struct redis_link *link;   /* registration */
    struct redis_registry registry;
    struct redis_consumer_stream streams[STREAM_COUNT];
    unsigned mask;      /* 0: follows nothing yet */
    uint64_t followed;  /* calls of follow: tells replies of an earlier one apart */
    uint64_t asked;     /* the value of followed when the read on the wire was sent */
    bool reading;       /* an XREAD is on the wire */
    int infos;          /* XINFO replies owed */
    unsigned info_mask; /* of these streams: follow may have changed the mask since */
    int info_next;      /* the stream of the next one */
    bool check_due;
    int64_t check_us;
    int count;       /* entries per stream of the next read */
    int asked_count; /* of the one on the wire */
    bool drained;
    unsigned trimmed;
    int delivered; /* since the last do_work */
    int depth;     /* > 0: inside record */
    struct redis_consumer_stats stats;
    struct metric *metric_records, *metric_malformed, *metric_trimmed;
};

static void redis_consumer_read(struct redis_consumer *consumer);

static void redis_consumer_reader_state(void *context, bool connected)
{
    struct redis_consumer *consumer = context;
    consumer->reading = false;
    consumer->infos = 0;
    consumer->check_due = true;
    if (connected)
        redis_consumer_read(consumer);
}

static void redis_consumer_defaults(struct redis_consumer_options *options)
{
    if (options->count_max <= 0)
        options->count_max = REDIS_CONSUMER_COUNT_MAX;
    if (options->reply_bytes_max == 0)
        options->reply_bytes_max = REDIS_CONSUMER_REPLY_BYTES_MAX;
    if (options->block_us < CLOCK_US_PER_MS) /* BLOCK 0 would be for ever */
        options->block_us = REDIS_CONSUMER_BLOCK_US;
}

static void redis_consumer_init(struct redis_consumer *consumer)
{
    const struct redis_consumer_options *options = &consumer->options;
    for (int i = 0; i < STREAM_COUNT; i++) {
        stream_key((enum stream_name)i, options->style, options->symbol, consumer->streams[i].key);
    }
    consumer->count = options->count_max;
    redis_registry_init(&consumer->registry, consumer->link, options->name, options->style,
                        options->symbol);
    redis_link_bind(consumer->reader, consumer->streams[0].key);
    redis_link_bind(consumer->link, consumer->streams[0].key);
    redis_link_on_state(consumer->reader, redis_consumer_reader_state, consumer);
    if (options->metrics == NULL)
        return;
    consumer->metric_records = metrics_counter(options->metrics, "stream_read_records_total", NULL,
                                               "Records read from the streams.");
    consumer->metric_malformed =
        metrics_counter(options->metrics, "stream_read_malformed_total", NULL,
                        "Stream entries that no producer of ours wrote, skipped.");
    consumer->metric_trimmed =
        metrics_counter(options->metrics, "stream_read_trimmed_total", NULL,
                        "Times that entries were trimmed away before they were read.");
}

int redis_consumer_open(const struct redis_consumer_options *options, struct loop *loop,
                        struct redis_consumer **out, struct err *err)
{
    PRE(options->record != NULL);
    struct redis_consumer *consumer = calloc(1, sizeof(*consumer));
    if (consumer == NULL)
        return err_set(err, ERR_MEMORY, "stream consumer: out of memory");
    consumer->options = *options;
    redis_consumer_defaults(&consumer->options);
    struct redis_link_options reader = options->link;
    snprintf(reader.name, sizeof(reader.name), "%.24s%s", options->link.name,
             options->link.name[0] == '\0' ? "" : "-reader");
    int result = redis_link_open(&reader, loop, &consumer->reader, err);
    if (result == ERR_OK)
        result = redis_link_open(&options->link, loop, &consumer->link, err);
    if (result != ERR_OK) {
        redis_link_close(consumer->reader);
        free(consumer);
        return result;
    }
    redis_consumer_init(consumer);
    *out = consumer;
    return ERR_OK;
}

void redis_consumer_close(struct redis_consumer *consumer)
{
    if (consumer == NULL)
        return;
    PRE(consumer->depth == 0);
    redis_link_close(consumer->reader);
    redis_link_close(consumer->link);
    free(consumer);
}

static bool redis_consumer_follows(const struct redis_consumer *consumer, int index)
{
    return (consumer->mask & 1u << index) != 0;
}

/* Entries between our position and the first one that is left were removed unread. After a
 * FLUSHALL or a failover the first one may also be a new beginning: as lost to us. */
static void redis_consumer_check(struct redis_consumer *consumer, int index,
                                 struct redis_stream_id first)
{
    struct redis_consumer_stream *stream = &consumer->streams[index];
    if (stream->from_oldest || redis_stream_id_compare(first, stream->at) <= 0 ||
        redis_stream_id_compare(first, stream->reported) == 0)
        return;
    stream->reported = first;
    consumer->trimmed |= 1u << index;
    consumer->stats.trimmed++;
    if (consumer->metric_trimmed != NULL)
        metric_add(consumer->metric_trimmed, 1);
    char at[REDIS_STREAM_ID_SIZE], oldest[REDIS_STREAM_ID_SIZE];
    log_warn("stream_trimmed_ahead", "stream=%s position=%s oldest=%s", stream->key,
             redis_stream_id_text(stream->at, at), redis_stream_id_text(first, oldest));
}

static void redis_consumer_info(struct redis_consumer *consumer, int index, const redisReply *reply)
{
    struct redis_consumer_stream *stream = &consumer->streams[index];
    struct redis_stream_info info = redis_stream_reply_info(reply);
    if (stream->from_newest) {
        stream->at = info.last;
        redis_registry_set(&consumer->registry, index, info.last);
    } else if (info.has_first) {
        redis_consumer_check(consumer, index, info.first);
    }
    stream->from_newest = false;
}

static void redis_consumer_info_answer(void *context, int result, const redisReply *reply)
{
    struct redis_consumer *consumer = context;
    if (result != ERR_OK)
        return; /* the state handler begins anew */
    while ((consumer->info_mask & 1u << consumer->info_next) == 0)
        consumer->info_next++;
    int index = consumer->info_next++;
    if (consumer->asked == consumer->followed)
        redis_consumer_info(consumer, index, reply);
    if (--consumer->infos == 0 && !consumer->reading) {
        (void)!redis_registry_write(&consumer->registry); /* or when its link is back */
        redis_consumer_read(consumer);
    }
}

static int redis_consumer_send_infos(struct redis_consumer *consumer)
{
    int result = ERR_OK;
    consumer->info_mask = consumer->mask;
    consumer->info_next = 0;
    for (int i = 0; i < STREAM_COUNT && result == ERR_OK; i++) {
        if (!redis_consumer_follows(consumer, i))
            continue;
        struct bytes argv[3] = {BYTES_LITERAL("XINFO"), BYTES_LITERAL("STREAM"),
                                bytes_text(consumer->streams[i].key)};
        result = redis_link_send(consumer->reader, argv, 3, redis_consumer_info_answer, consumer);
        consumer->infos += result == ERR_OK;
    }
    return result;
}

static void redis_consumer_answer(void *context, int result, const redisReply *reply);

static int redis_consumer_send_read(struct redis_consumer *consumer)
{
    char count[12], block[24], ids[STREAM_COUNT][REDIS_STREAM_ID_SIZE];
    struct bytes argv[REDIS_CONSUMER_ARGS] = {BYTES_LITERAL("XREAD"), BYTES_LITERAL("COUNT")};
    snprintf(count, sizeof(count), "%d", consumer->count);
    snprintf(block, sizeof(block), "%lld",
             (long long)(consumer->options.block_us / CLOCK_US_PER_MS));
    int argc = 2;
    argv[argc++] = bytes_text(count);
    argv[argc++] = BYTES_LITERAL("BLOCK");
    argv[argc++] = bytes_text(block);
    argv[argc++] = BYTES_LITERAL("STREAMS");
    for (int i = 0; i < STREAM_COUNT; i++)
        if (redis_consumer_follows(consumer, i))
            argv[argc++] = bytes_text(consumer->streams[i].key);
    for (int i = 0; i < STREAM_COUNT; i++)
        if (redis_consumer_follows(consumer, i))
            argv[argc++] = bytes_text(redis_stream_id_text(consumer->streams[i].at, ids[i]));
    consumer->asked_count = consumer->count;
    return redis_link_send_blocking(consumer->reader, argv, argc, consumer->options.block_us,
                                    redis_consumer_answer, consumer);
}

static bool redis_consumer_asks_newest(const struct redis_consumer *consumer)
{
    for (int i = 0; i < STREAM_COUNT; i++)
        if (redis_consumer_follows(consumer, i) && consumer->streams[i].from_newest)
            return true;
    return false;
}

/* Sends the next read if none is on the wire; before it, when it is time or needed, the
 * question where the streams begin and end. Both in one write: the server runs them without
 * anybody between. */
static void redis_consumer_read(struct redis_consumer *consumer)
{
    if (consumer->mask == 0 || consumer->reading || consumer->infos > 0 ||
        !redis_link_connected(consumer->reader))
        return;
    consumer->asked = consumer->followed;
    int result = ERR_OK;
    bool resolve = redis_consumer_asks_newest(consumer);
    if (resolve || consumer->check_due)
        result = redis_consumer_send_infos(consumer);
    consumer->check_due = false;
    if (result == ERR_OK && !resolve) {
        result = redis_consumer_send_read(consumer);
        consumer->reading = result == ERR_OK;
    }
    redis_link_flush(consumer->reader);
}

/* The stream an array of XREAD belongs to, -1 if none of ours. */
static int redis_consumer_find(const struct redis_consumer *consumer, const redisReply *key)
{
    for (int i = 0; i < STREAM_COUNT; i++)
        if (redis_consumer_follows(consumer, i) && key->str != NULL &&
            strcmp(key->str, consumer->streams[i].key) == 0)
            return i;
    return -1;
}

static void redis_consumer_deliver_entry(struct redis_consumer *consumer, int index,
                                         const redisReply *entry)
{
    struct bytes envelope;
    struct redis_stream_id id;
    if (redis_stream_reply_envelope(entry, &envelope) != ERR_OK ||
        redis_stream_reply_id(entry, &id) != ERR_OK) {
        consumer->stats.malformed++;
        if (consumer->metric_malformed != NULL)
            metric_add(consumer->metric_malformed, 1);
        return;
    }
    bool control = index == STREAM_CONTROL;
    struct stream_record record = {.stream = (enum stream_name)index,
                                   .epoch = control ? 0 : id.epoch,
                                   .last_seq = control ? 0 : id.seq,
                                   .data = envelope};
    char position[STREAM_POSITION_SIZE];
    redis_stream_id_text(id, position);
    consumer->stats.records++;
    consumer->stats.bytes += envelope.size;
    consumer->delivered++;
    if (consumer->metric_records != NULL)
        metric_add(consumer->metric_records, 1);
    consumer->options.record(consumer->options.context, &record, position);
}

/* Hands over all entries; stops when the handler follows something else. */
static void redis_consumer_deliver(struct redis_consumer *consumer, const redisReply *reply)
{
    uint64_t followed = consumer->followed;
    consumer->depth++;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *stream = reply->element[i];
        int index = stream->elements == 2 ? redis_consumer_find(consumer, stream->element[0]) : -1;
        const redisReply *entries = index < 0 ? NULL : stream->element[1];
        for (size_t j = 0; entries != NULL && j < entries->elements; j++)
            if (consumer->followed == followed)
                redis_consumer_deliver_entry(consumer, index, entries->element[j]);
    }
    consumer->depth--;
}

/* Moves the positions behind the reply's entries, and learns from its size. */
static void redis_consumer_advance(struct redis_consumer *consumer, const redisReply *reply)
{
    size_t bytes = 0;
    bool full = false;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *stream = reply->element[i];
        int index = stream->elements == 2 ? redis_consumer_find(consumer, stream->element[0]) : -1;
        if (index < 0)
            continue;
        const redisReply *entries = stream->element[1];
        for (size_t j = 0; j < entries->elements; j++) {
            struct bytes envelope;
            if (redis_stream_reply_envelope(entries->element[j], &envelope) == ERR_OK)
                bytes += envelope.size;
        }
        struct redis_stream_id id;
        if (entries->elements > 0 &&
            redis_stream_reply_id(entries->element[entries->elements - 1], &id) == ERR_OK) {
            consumer->streams[index].at = id;
            consumer->streams[index].from_oldest = false;
        }
        full = full || entries->elements >= (size_t)consumer->asked_count;
    }
    consumer->drained = !full;
    consumer->stats.reads++;
    if (bytes > consumer->options.reply_bytes_max && consumer->count > 1)
        consumer->count /= 2;
    else if (full && consumer->count < consumer->options.count_max)
        consumer->count = consumer->count * 2 < consumer->options.count_max
                              ? consumer->count * 2
                              : consumer->options.count_max;
}

static void redis_consumer_answer(void *context, int result, const redisReply *reply)
{
    struct redis_consumer *consumer = context;
    if (result != ERR_OK)
        return; /* the state handler begins anew */
    consumer->reading = false;
    bool current = consumer->asked == consumer->followed;
    bool entries = current && reply->type == REDIS_REPLY_ARRAY;
    if (reply->type == REDIS_REPLY_ERROR) {
        /* WRONGTYPE, NOPERM…: nothing that asking again at once would heal. do_work asks
         * again with the next check. */
        log_warn("stream_read_refused", "symbol=%s reason=\"%s\"", consumer->options.symbol,
                 reply->str);
        return;
    }
    if (entries)
        redis_consumer_advance(consumer, reply);
    else if (current)
        consumer->drained = true;
    redis_consumer_read(consumer);
    if (entries)
        redis_consumer_deliver(consumer, reply);
}

static int redis_consumer_start(struct redis_consumer_stream *stream,
                                const struct stream_position *from)
{
    struct redis_stream_id at = {0};
    size_t size = strnlen(from->text, sizeof(from->text));
    bool newest = strcmp(from->text, "$") == 0;
    if (size > 0 && !newest && redis_stream_id_parse(from->text, size, &at) != ERR_OK)
        return ERR_INVALID;
    stream->at = stream->reported = at;
    stream->from_oldest = size == 0;
    stream->from_newest = newest;
    return ERR_OK;
}

static int redis_consumer_follow(void *self, unsigned stream_mask,
                                 const struct stream_position *from)
{
    struct redis_consumer *consumer = self;
    if (stream_mask == 0 || stream_mask >= 1u << STREAM_COUNT)
        return ERR_INVALID;
    struct redis_consumer_stream streams[STREAM_COUNT];
    memcpy(streams, consumer->streams, sizeof(streams));
    for (int i = 0; i < STREAM_COUNT; i++)
        if ((stream_mask & 1u << i) != 0 && redis_consumer_start(&streams[i], &from[i]) != ERR_OK)
            return ERR_INVALID;
    memcpy(consumer->streams, streams, sizeof(streams));
    consumer->mask = stream_mask;
    consumer->followed++;
    consumer->check_due = true;
    consumer->drained = false;
    consumer->trimmed = 0;
    redis_registry_clear(&consumer->registry);
    for (int i = 0; i < STREAM_COUNT; i++)
        if (redis_consumer_follows(consumer, i) && !consumer->streams[i].from_newest)
            redis_registry_set(&consumer->registry, i, consumer->streams[i].at);
    (void)!redis_registry_write(&consumer->registry); /* or when its link is back */
    redis_consumer_read(consumer);
    return ERR_OK;
}

static int redis_consumer_commit(void *self, const struct stream_position *positions)
{
    struct redis_consumer *consumer = self;
    for (int i = 0; i < STREAM_COUNT; i++) {
        const char *text = positions[i].text;
        struct redis_stream_id id;
        if (!redis_consumer_follows(consumer, i) || text[0] == '\0' || strcmp(text, "$") == 0)
            continue;
        if (redis_stream_id_parse(text, strnlen(text, sizeof(positions[i].text)), &id) != ERR_OK)
            return ERR_INVALID;
        redis_registry_set(&consumer->registry, i, id);
    }
    return redis_registry_write(&consumer->registry);
}

static int redis_consumer_do_work(void *self, int64_t mono_us)
{
    struct redis_consumer *consumer = self;
    redis_link_do_work(consumer->reader, mono_us);
    redis_link_do_work(consumer->link, mono_us);
    if (mono_us >= consumer->check_us) {
        consumer->check_us = mono_us + REDIS_CONSUMER_CHECK_US;
        consumer->check_due = true;
        redis_consumer_read(consumer);
    }
    int delivered = consumer->delivered;
    consumer->delivered = 0;
    return delivered;
}

static bool redis_consumer_ready(void *self)
{
    const struct redis_consumer *consumer = self;
    return consumer->mask != 0 && redis_link_connected(consumer->reader);
}

static bool redis_consumer_drained(void *self)
{
    const struct redis_consumer *consumer = self;
    return consumer->drained;
}

struct stream_consumer redis_consumer_port(struct redis_consumer *consumer)
{
    return (struct stream_consumer){
        .self = consumer,
        .follow = redis_consumer_follow,
        .commit = redis_consumer_commit,
        .do_work = redis_consumer_do_work,
        .ready = redis_consumer_ready,
        .drained = redis_consumer_drained,
    };
}

const struct redis_consumer_stats *redis_consumer_stats(const struct redis_consumer *consumer)
{
    return &consumer->stats;
}

unsigned redis_consumer_take_trimmed(struct redis_consumer *consumer)
{
    unsigned trimmed = consumer->trimmed;
    consumer->trimmed = 0;
    return trimmed;
}

struct redis_link *redis_consumer_link(struct redis_consumer *consumer)
{
    return consumer->reader;
}
