/* A stream engine and a spool in memory, with the failures a real one has, for the tests
 * of publisher and ingest. Keeps the port's contract: ids ascend in each partition, a
 * refused record takes the later ones of its partition with it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_HOT_INGEST_MODEL_STREAM_H
#define BTCAST_TESTS_HOT_INGEST_MODEL_STREAM_H

#include <stdlib.h>

#include "base/check.h"
#include "base/prng.h"
#include "hot/ingest/spool_port.h"
#include "wire/envelope.h"

#define MODEL_ENTRIES_MAX 20000
#define MODEL_FLIGHTS_MAX 32

struct model_entry {
    uint64_t epoch, last_seq;
    uint8_t *data;
    size_t size;
};

struct model_batch {
    uint64_t ticket;
    int count;
    enum stream_outcome outcome[STREAM_BATCH_RECORDS_MAX];
};

struct model_stream {
    struct stream_producer port;
    stream_put_fn done;
    void *context;
    bool up;
    int retry_in_100; /* chance that a record is refused */
    int flights_max;
    struct model_entry *log[STREAM_COUNT];
    int count[STREAM_COUNT];
    struct model_batch flights[MODEL_FLIGHTS_MAX];
    int flight_count;
    uint64_t next_ticket;
    stream_top_fn tops_done;
    void *tops_context;
    struct prng prng;
    uint64_t puts, tops_asked;
};

static inline void model_top(const struct model_stream *model, int stream, struct stream_top *top)
{
    *top = (struct stream_top){0, 0};
    if (model->count[stream] > 0) {
        const struct model_entry *last = &model->log[stream][model->count[stream] - 1];
        *top = (struct stream_top){last->epoch, last->last_seq};
    }
}

static inline enum stream_outcome model_write(struct model_stream *model,
                                              const struct stream_record *record)
{
    struct stream_top top;
    model_top(model, (int)record->stream, &top);
    if (record_compare(record->epoch, record->last_seq, top.epoch, top.last_seq) <= 0)
        return top.epoch > record->epoch ? STREAM_FENCED : STREAM_DUPLICATE;
    CHECK(model->count[record->stream] < MODEL_ENTRIES_MAX);
    struct model_entry *entry = &model->log[record->stream][model->count[record->stream]++];
    *entry = (struct model_entry){record->epoch, record->last_seq, malloc(record->data.size),
                                  record->data.size};
    memcpy(entry->data, record->data.data, record->data.size);
    return STREAM_WRITTEN;
}

static inline int64_t model_put(void *self, const struct stream_record *records, int count)
{
    struct model_stream *model = self;
    bool refused[STREAM_COUNT] = {false};
    if (!model->up || model->flight_count >= model->flights_max)
        return ERR_AGAIN;
    CHECK(count > 0 && count <= STREAM_BATCH_RECORDS_MAX);
    /* A partition with a refusal still unanswered refuses what comes behind it. */
    struct model_batch *batch = &model->flights[model->flight_count++];
    batch->ticket = ++model->next_ticket;
    batch->count = count;
    for (int f = 0; f + 1 < model->flight_count; f++)
        for (int i = 0; i < model->flights[f].count; i++)
            if (model->flights[f].outcome[i] == STREAM_RETRY)
                memset(refused, true, sizeof(refused));
    for (int i = 0; i < count; i++) {
        enum stream_name stream = records[i].stream;
        if (prng_below(&model->prng, 100) < (uint64_t)model->retry_in_100)
            refused[stream] = true;
        batch->outcome[i] = refused[stream] ? STREAM_RETRY : model_write(model, &records[i]);
    }
    model->puts++;
    return (int64_t)batch->ticket;
}

static inline int model_tops(void *self, stream_top_fn done, void *context)
{
    struct model_stream *model = self;
    if (!model->up)
        return ERR_CONNECTION;
    model->tops_done = done;
    model->tops_context = context;
    model->tops_asked++;
    return ERR_OK;
}

static inline bool model_ready(void *self)
{
    return ((struct model_stream *)self)->up;
}

/* Answers what is owed. */
static inline int model_do_work(void *self, int64_t mono_us)
{
    struct model_stream *model = self;
    (void)mono_us;
    while (model->up && model->flight_count > 0) {
        struct model_batch batch = model->flights[0];
        model->flight_count--;
        memmove(&model->flights[0], &model->flights[1],
                (size_t)model->flight_count * sizeof(model->flights[0]));
        model->done(model->context, batch.ticket, batch.outcome, batch.count);
    }
    if (model->up && model->tops_done != NULL) {
        struct stream_top tops[STREAM_COUNT];
        for (int i = 0; i < STREAM_COUNT; i++)
            model_top(model, i, &tops[i]);
        stream_top_fn done = model->tops_done;
        model->tops_done = NULL;
        done(model->tops_context, ERR_OK, tops);
    }
    return 0;
}

/* The connection breaks: answers owed are lost, though what was applied stays. */
static inline void model_down(struct model_stream *model)
{
    model->up = false;
    while (model->flight_count > 0) {
        struct model_batch batch = model->flights[--model->flight_count];
        for (int i = 0; i < batch.count; i++)
            batch.outcome[i] = STREAM_LOST;
        model->done(model->context, batch.ticket, batch.outcome, batch.count);
    }
    if (model->tops_done != NULL) {
        stream_top_fn done = model->tops_done;
        model->tops_done = NULL;
        done(model->tops_context, ERR_CONNECTION, NULL);
    }
}

/* A failover that lost the last writes. */
static inline void model_forget(struct model_stream *model, int entries)
{
    for (int s = 0; s < STREAM_COUNT; s++)
        for (int i = 0; i < entries && model->count[s] > 0; i++)
            free(model->log[s][--model->count[s]].data);
}

static inline void model_open(struct model_stream *model, uint64_t seed)
{
    *model = (struct model_stream){.flights_max = MODEL_FLIGHTS_MAX};
    model->port =
        (struct stream_producer){model, model_put, model_tops, model_ready, model_do_work};
    for (int i = 0; i < STREAM_COUNT; i++)
        model->log[i] = calloc(MODEL_ENTRIES_MAX, sizeof(struct model_entry));
    prng_init(&model->prng, seed);
}

static inline void model_close(struct model_stream *model)
{
    model_forget(model, MODEL_ENTRIES_MAX);
    for (int i = 0; i < STREAM_COUNT; i++)
        free(model->log[i]);
}

#define MODEL_SPOOL_MAX 20000
struct model_spool {
    struct spool_port port;
    struct model_entry entries[MODEL_SPOOL_MAX];
    enum stream_name streams[MODEL_SPOOL_MAX];
    uint64_t first, end;
    uint64_t limit;
    bool broken;
};

static inline void model_spool_remove(void *self, uint64_t count)
{
    struct model_spool *spool = self;
    for (; count > 0; count--) {
        CHECK(spool->first < spool->end);
        free(spool->entries[spool->first++].data);
    }
}

static inline int model_spool_append(void *self, const struct stream_record *record,
                                     uint64_t *dropped)
{
    struct model_spool *spool = self;
    if (spool->broken)
        return ERR_IO;
    if (spool->end - spool->first == spool->limit) {
        model_spool_remove(spool, 1);
        (*dropped)++;
    }
    CHECK(spool->end < MODEL_SPOOL_MAX);
    spool->streams[spool->end] = record->stream;
    spool->entries[spool->end] = (struct model_entry){record->epoch, record->last_seq,
                                                      malloc(record->data.size), record->data.size};
    memcpy(spool->entries[spool->end++].data, record->data.data, record->data.size);
    return ERR_OK;
}

static inline int model_spool_read(void *self, struct stream_record *record, uint64_t *dropped)
{
    struct model_spool *spool = self;
    (void)dropped;
    if (spool->first == spool->end)
        return ERR_EMPTY;
    const struct model_entry *entry = &spool->entries[spool->first];
    *record = (struct stream_record){spool->streams[spool->first], entry->epoch, entry->last_seq,
                                     bytes_of(entry->data, entry->size)};
    return ERR_OK;
}

static inline uint64_t model_spool_count(const void *self)
{
    const struct model_spool *spool = self;
    return spool->end - spool->first;
}

static inline void model_spool_open(struct model_spool *spool, uint64_t limit)
{
    spool->port = (struct spool_port){spool, model_spool_append, model_spool_read,
                                      model_spool_remove, model_spool_count};
    spool->limit = limit;
}

static inline void model_spool_close(struct model_spool *spool)
{
    model_spool_remove(spool, spool->end - spool->first);
}

#endif
