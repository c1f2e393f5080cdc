/* The producing end of the Redis stream engine.
 *
 * At most one script is on the wire; batches that arrive meanwhile wait and leave together
 * in the next one. So a refusal in the middle of a stream can never be overtaken by a later
 * record of it, without any guard in the server, and load makes the writes larger instead
 * of more (docs/streams.md). SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "edge/redis/redis_stream.h"
#include "edge/redis/redis_stream_await.h"
#include "edge/redis/redis_stream_batch.h"
#include "edge/redis/redis_stream_id.h"
#include "edge/redis/redis_stream_script.h"

#define REDIS_PRODUCER_IN_FLIGHT_BYTES_MAX   ((size_t)32 << 20)
#define REDIS_PRODUCER_IN_FLIGHT_BATCHES_MAX 1024
#define REDIS_PRODUCER_LENGTH_MAX            200000
#define REDIS_PRODUCER_CONSUMER_EXPIRY_S     600
#define REDIS_PRODUCER_TRIM_INTERVAL_US      1000000
/* Consumers register once a second; a connection may have to come back first. */
#define REDIS_PRODUCER_TRIM_SETTLE_MS 10000
#define REDIS_PRODUCER_OUTCOMES       (STREAM_LOST + 1)
/* Of the script, per record: number of the key, id, envelope. */
#define REDIS_PRODUCER_ARGS 3

struct redis_producer {
    struct redis_producer_options options;
    struct redis_link *link;
    struct redis_trim trim;
    struct redis_await await;
    struct redis_script put, tops;
    char keys[STREAM_COUNT][STREAM_KEY_SIZE];
    struct redis_batch_queue wire, waiting; /* sent and not answered; not sent */
    size_t in_flight_bytes;
    int64_t last_ticket;
    int64_t pause_until_us;
    int depth; /* > 0: inside done */

    stream_top_fn tops_done; /* NULL: nobody asks */
    void *tops_context;

    struct redis_producer_stats stats;
    struct metric *outcomes[REDIS_PRODUCER_OUTCOMES];
    struct log_limit log_refused;
    /* Arguments of the script being sent. */
    char numbers[STREAM_COUNT][12];
    char ids[STREAM_BATCH_RECORDS_MAX][REDIS_STREAM_ID_SIZE];
    struct bytes args[STREAM_BATCH_RECORDS_MAX * REDIS_PRODUCER_ARGS];
};

static void redis_producer_register(struct redis_producer *producer, struct metrics *metrics)
{
    static const char *const labels[REDIS_PRODUCER_OUTCOMES] = {
        [STREAM_WRITTEN] = "outcome=\"written\"", [STREAM_DUPLICATE] = "outcome=\"duplicate\"",
        [STREAM_RETRY] = "outcome=\"retry\"",     [STREAM_FENCED] = "outcome=\"fenced\"",
        [STREAM_LOST] = "outcome=\"lost\"",
    };
    for (int i = 0; i < REDIS_PRODUCER_OUTCOMES; i++)
        producer->outcomes[i] = metrics_counter(metrics, "stream_put_records_total", labels[i],
                                                "Records offered to the stream, by outcome.");
}

static void redis_producer_defaults(struct redis_producer_options *options)
{
    if (options->in_flight_bytes_max == 0)
        options->in_flight_bytes_max = REDIS_PRODUCER_IN_FLIGHT_BYTES_MAX;
    if (options->in_flight_batches_max <= 0)
        options->in_flight_batches_max = REDIS_PRODUCER_IN_FLIGHT_BATCHES_MAX;
    if (options->length_max <= 0)
        options->length_max = REDIS_PRODUCER_LENGTH_MAX;
    if (options->consumer_expiry_s <= 0)
        options->consumer_expiry_s = REDIS_PRODUCER_CONSUMER_EXPIRY_S;
    if (options->trim_settle_ms <= 0)
        options->trim_settle_ms = REDIS_PRODUCER_TRIM_SETTLE_MS;
    if (options->trim_interval_us <= 0)
        options->trim_interval_us = REDIS_PRODUCER_TRIM_INTERVAL_US;
}

static void redis_producer_init(struct redis_producer *producer)
{
    const struct redis_producer_options *options = &producer->options;
    for (int i = 0; i < STREAM_COUNT; i++) {
        stream_key((enum stream_name)i, options->style, options->symbol, producer->keys[i]);
        snprintf(producer->numbers[i], sizeof(producer->numbers[i]), "%d", i + 1);
    }
    producer->put = (struct redis_script){.name = "put", .source = redis_stream_script_put};
    producer->tops = (struct redis_script){.name = "tops", .source = redis_stream_script_tops};
    producer->log_refused = LOG_LIMIT_DEFAULT;
    struct redis_trim_options trim = {.symbol = options->symbol,
                                      .style = options->style,
                                      .length_max = options->length_max,
                                      .consumer_expiry_s = options->consumer_expiry_s,
                                      .interval_us = options->trim_interval_us,
                                      .settle_ms = options->trim_settle_ms,
                                      .checkpoint = options->trim_checkpoint,
                                      .metrics = options->metrics};
    redis_link_bind(producer->link, producer->keys[0]);
    redis_trim_init(&producer->trim, &trim, producer->link);
    if (options->metrics != NULL)
        redis_producer_register(producer, options->metrics);
}

int redis_producer_open(const struct redis_producer_options *options, struct loop *loop,
                        struct redis_producer **out, struct err *err)
{
    PRE(options->done != NULL);
    struct redis_producer *producer = calloc(1, sizeof(*producer));
    if (producer == NULL)
        return err_set(err, ERR_MEMORY, "stream producer: out of memory");
    producer->options = *options;
    redis_producer_defaults(&producer->options);
    int result = redis_link_open(&options->link, loop, &producer->link, err);
    if (result != ERR_OK) {
        free(producer);
        return result;
    }
    redis_producer_init(producer);
    result = redis_await_init(&producer->await, producer->link,
                              options->readers != NULL ? options->readers : "", options->style,
                              options->symbol, err);
    if (result != ERR_OK) {
        redis_producer_close(producer);
        return result;
    }
    *out = producer;
    return ERR_OK;
}

void redis_producer_close(struct redis_producer *producer)
{
    if (producer == NULL)
        return;
    PRE(producer->depth == 0);
    redis_link_close(producer->link);
    redis_batch_drop(&producer->wire);
    redis_batch_drop(&producer->waiting);
    free(producer);
}

static bool redis_producer_ready(void *self)
{
    struct redis_producer *producer = self;
    return redis_link_connected(producer->link) && loop_mono_us() >= producer->pause_until_us;
}

static void redis_producer_count(struct redis_producer *producer, const struct redis_batch *batch)
{
    uint64_t counts[REDIS_PRODUCER_OUTCOMES] = {0};
    for (int i = 0; i < batch->count; i++)
        counts[batch->outcome[i]]++;
    producer->stats.written += counts[STREAM_WRITTEN];
    producer->stats.duplicate += counts[STREAM_DUPLICATE];
    producer->stats.retry += counts[STREAM_RETRY];
    producer->stats.fenced += counts[STREAM_FENCED];
    producer->stats.lost += counts[STREAM_LOST];
    for (int i = 0; i < REDIS_PRODUCER_OUTCOMES; i++)
        if (producer->outcomes[i] != NULL && counts[i] > 0)
            metric_add(producer->outcomes[i], counts[i]);
}

/* Hands the batches back in order. The queue is the caller's own, so that what `done` puts
 * goes behind. */
static void redis_producer_complete(struct redis_producer *producer,
                                    struct redis_batch_queue *queue)
{
    producer->depth++;
    for (struct redis_batch *batch; (batch = redis_batch_take(queue)) != NULL;) {
        producer->in_flight_bytes -= batch->size;
        redis_producer_count(producer, batch);
        producer->options.done(producer->options.context, (uint64_t)batch->ticket, batch->outcome,
                               batch->count);
        free(batch);
    }
    producer->depth--;
}

/* Nothing was heard of what is on the wire, and what waits comes behind it. */
static void redis_producer_lose(struct redis_producer *producer)
{
    struct redis_batch_queue lost = {0};
    redis_batch_append(&lost, &producer->wire);
    redis_batch_append(&lost, &producer->waiting);
    redis_batch_mark(&lost, STREAM_LOST);
    redis_producer_complete(producer, &lost);
}

static void redis_producer_refused(struct redis_producer *producer, const char *reason)
{
    int64_t now_us = loop_mono_us();
    uint64_t skipped = 0;
    producer->pause_until_us = now_us + REDIS_PRODUCER_PAUSE_US;
    if (log_limit_pass(&producer->log_refused, now_us, &skipped))
        log_warn("stream_put_refused", "symbol=%s reason=\"%s\" skipped=%llu",
                 producer->options.symbol, reason, (unsigned long long)skipped);
}

static void redis_producer_send(struct redis_producer *producer);

static void redis_producer_answer(void *context, int result, const redisReply *reply)
{
    struct redis_producer *producer = context;
    if (result != ERR_OK) {
        redis_producer_lose(producer);
        return;
    }
    bool judged = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                  reply->element[0]->str != NULL && reply->element[1]->str != NULL;
    struct redis_batch_queue answered = {0}, behind = {0};
    redis_batch_append(&answered, &producer->wire);
    if (!redis_batch_spread(&answered, judged ? reply->element[0]->str : "",
                            judged ? reply->element[0]->len : 0)) {
        /* What waits comes behind a record that is not in: the caller begins there again. */
        redis_batch_append(&behind, &producer->waiting);
        redis_batch_mark(&behind, STREAM_RETRY);
    }
    const char *reason = judged ? reply->element[1]->str : reply->str;
    if (judged && strncmp(reason, "READONLY", 8) == 0)
        redis_link_distrust(producer->link, reason);
    if (reason == NULL || reason[0] != '\0')
        redis_producer_refused(producer, reason != NULL ? reason : "unexpected reply");
    /* The server works on what waited while the caller thinks about what is done. */
    redis_producer_send(producer);
    redis_producer_complete(producer, &answered);
    redis_producer_complete(producer, &behind);
    redis_producer_send(producer);
}

static int redis_producer_fill(struct redis_producer *producer, const struct redis_batch *batch,
                               int index)
{
    for (int i = 0; i < batch->count; i++, index++) {
        const struct stream_record *record = &batch->records[i];
        struct redis_stream_id id = {record->epoch, record->last_seq};
        struct bytes *args = &producer->args[(size_t)index * REDIS_PRODUCER_ARGS];
        args[0] = bytes_text(producer->numbers[record->stream]);
        args[1] = record->stream == STREAM_CONTROL
                      ? BYTES_LITERAL("*")
                      : bytes_text(redis_stream_id_text(id, producer->ids[index]));
        args[2] = record->data;
        producer->trim.mask |= 1u << record->stream;
    }
    return index;
}

/* Moves whole batches up to the batch limits from waiting to wire; returns the records. */
static int redis_producer_load(struct redis_producer *producer)
{
    int count = 0;
    size_t size = 0;
    for (struct redis_batch *batch; (batch = producer->waiting.first) != NULL;) {
        if (count > 0 && (count + batch->count > STREAM_BATCH_RECORDS_MAX ||
                          size + batch->size > STREAM_BATCH_BYTES_MAX))
            break;
        redis_batch_add(&producer->wire, redis_batch_take(&producer->waiting));
        count = redis_producer_fill(producer, batch, count);
        size += batch->size;
    }
    return count;
}

/* Starts the next script if none is on the wire. When the link does not take it, all waits
 * for do_work. */
static void redis_producer_send(struct redis_producer *producer)
{
    if (producer->wire.first != NULL || producer->waiting.first == NULL)
        return;
    int count = redis_producer_load(producer);
    struct bytes keys[STREAM_COUNT];
    for (int i = 0; i < STREAM_COUNT; i++)
        keys[i] = bytes_text(producer->keys[i]);
    int result = redis_link_eval(producer->link, &producer->put, keys, STREAM_COUNT, producer->args,
                                 count * REDIS_PRODUCER_ARGS, redis_producer_answer, producer);
    if (result != ERR_OK) {
        redis_batch_append(&producer->wire, &producer->waiting);
        redis_batch_append(&producer->waiting, &producer->wire);
        return;
    }
    producer->stats.scripts++;
    redis_link_flush(producer->link);
}

static int64_t redis_producer_put(void *self, const struct stream_record *records, int count)
{
    struct redis_producer *producer = self;
    size_t size;
    int result = redis_batch_check(records, count, &size);
    if (result != ERR_OK)
        return result;
    const struct redis_producer_options *options = &producer->options;
    bool full = producer->wire.count + producer->waiting.count >= options->in_flight_batches_max ||
                (producer->in_flight_bytes > 0 &&
                 producer->in_flight_bytes + size > options->in_flight_bytes_max);
    struct redis_batch *batch = NULL;
    if (!full && redis_producer_ready(producer))
        batch = redis_batch_copy(records, count, size);
    if (batch == NULL) {
        producer->stats.refused++;
        return ERR_AGAIN;
    }
    batch->ticket = ++producer->last_ticket;
    producer->in_flight_bytes += size;
    redis_batch_add(&producer->waiting, batch);
    /* Inside `done` the batches that are being answered come first. */
    if (producer->depth == 0)
        redis_producer_send(producer);
    return batch->ticket;
}

static void redis_producer_tops_answer(void *context, int result, const redisReply *reply)
{
    struct redis_producer *producer = context;
    struct stream_top tops[STREAM_COUNT] = {0};
    bool complete =
        result == ERR_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == STREAM_CONTROL;
    if (result == ERR_OK && !complete)
        result = ERR_REFUSED;
    for (size_t i = 0; complete && i < STREAM_CONTROL; i++) {
        const redisReply *text = reply->element[i];
        struct redis_stream_id id;
        if (text->str == NULL || redis_stream_id_parse(text->str, text->len, &id) != ERR_OK)
            result = ERR_MALFORMED;
        else
            tops[i] = (struct stream_top){id.epoch, id.seq};
    }
    stream_top_fn done = producer->tops_done;
    producer->tops_done = NULL;
    done(producer->tops_context, result, tops);
}

static int redis_producer_tops(void *self, stream_top_fn done, void *context)
{
    struct redis_producer *producer = self;
    PRE(done != NULL);
    if (producer->tops_done != NULL)
        return ERR_AGAIN;
    struct bytes keys[STREAM_CONTROL];
    for (int i = 0; i < STREAM_CONTROL; i++)
        keys[i] = bytes_text(producer->keys[i]);
    int result = redis_link_eval(producer->link, &producer->tops, keys, STREAM_CONTROL, NULL, 0,
                                 redis_producer_tops_answer, producer);
    if (result != ERR_OK)
        return result;
    producer->tops_done = done;
    producer->tops_context = context;
    redis_link_flush(producer->link);
    return ERR_OK;
}

static int redis_producer_do_work(void *self, int64_t mono_us)
{
    struct redis_producer *producer = self;
    if (producer->wire.first == NULL && producer->waiting.first != NULL) {
        if (redis_link_connected(producer->link))
            redis_producer_send(producer);
        else
            redis_producer_lose(producer);
    }
    redis_trim_do_work(&producer->trim, mono_us);
    return redis_link_do_work(producer->link, mono_us);
}

struct stream_producer redis_producer_port(struct redis_producer *producer)
{
    return (struct stream_producer){
        .self = producer,
        .put = redis_producer_put,
        .tops = redis_producer_tops,
        .ready = redis_producer_ready,
        .do_work = redis_producer_do_work,
    };
}

const struct redis_producer_stats *redis_producer_stats(struct redis_producer *producer)
{
    producer->stats.trim = producer->trim.stats;
    return &producer->stats;
}

struct redis_link *redis_producer_link(struct redis_producer *producer)
{
    return producer->link;
}
