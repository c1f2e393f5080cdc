/* covers: src/hot/ingest/ingest.c src/hot/ingest/splice.c src/hot/ingest/publisher.c */
/* The ingest agent under arbitrary frames from two connections, arbitrary pauses and an
 * unsteady stream. Input: a list of actions, each one byte and its data. Whatever comes in,
 * what goes out is stamped without a gap, in order, and readable.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "hot/ingest/ingest.h"
#include "wire/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);

/* The agent takes about 12 MB in a few blocks for each input: without this the sanitizer
 * spends its time filling and keeping them. */
const char *__asan_default_options(void)
{
    return "max_malloc_fill_size=0:quarantine_size_mb=1";
}

/* A stream that answers when told to and checks what it gets. */
struct sink {
    struct stream_producer port;
    struct publisher *publisher;
    uint64_t tickets, answered;
    int counts[64];
    struct stream_top tops[STREAM_COUNT];
    stream_top_fn tops_done;
    void *tops_context;
    bool up;
};

static void sink_check(const struct stream_record *record)
{
    struct envelope_reader reader;
    struct record inner;
    uint64_t seq = 0;
    CHECK(envelope_open(&reader, record->data, NULL) == ERR_OK);
    while (envelope_next(&reader, &inner) == ERR_OK) {
        CHECK(inner.seq > seq && inner.epoch == record->epoch);
        seq = inner.seq;
    }
    CHECK(seq == record->last_seq);
}

static int64_t sink_put(void *self, const struct stream_record *records, int count)
{
    struct sink *sink = self;
    if (!sink->up || sink->tickets - sink->answered >= 64)
        return ERR_AGAIN;
    for (int i = 0; i < count; i++) {
        sink_check(&records[i]);
        sink->tops[records[i].stream] = (struct stream_top){records[i].epoch, records[i].last_seq};
    }
    sink->counts[sink->tickets % 64] = count;
    return (int64_t)++sink->tickets;
}

static int sink_tops(void *self, stream_top_fn done, void *context)
{
    struct sink *sink = self;
    sink->tops_done = done;
    sink->tops_context = context;
    return ERR_OK;
}

static bool sink_ready(void *self)
{
    return ((struct sink *)self)->up;
}

static int sink_do_work(void *self, int64_t mono_us)
{
    (void)self;
    (void)mono_us;
    return 0;
}

static void sink_answer(struct sink *sink, enum stream_outcome outcome)
{
    enum stream_outcome outcomes[PUBLISHER_BATCH_RECORDS];
    for (int i = 0; i < PUBLISHER_BATCH_RECORDS; i++)
        outcomes[i] = outcome;
    if (sink->tops_done != NULL) {
        stream_top_fn done = sink->tops_done;
        sink->tops_done = NULL;
        done(sink->tops_context, outcome == STREAM_LOST ? ERR_CONNECTION : ERR_OK, sink->tops);
    }
    while (sink->answered < sink->tickets) {
        const uint64_t ticket = ++sink->answered;
        publisher_on_put(sink->publisher, ticket, outcomes, sink->counts[(ticket - 1) % 64]);
    }
}

static void check_tap(void *context, const struct record *record)
{
    uint64_t *last = context;
    CHECK(record->seq == ++*last);
}

/* One action; returns the bytes it used. */
static size_t act(struct ingest *ingest, struct sink *sink, struct clock_now *now,
                  const uint8_t *data, size_t size)
{
    const uint8_t action = data[0];
    const int source = action & 1;
    if ((action & 6) == 0 && size >= 3) {
        size_t length = bytes_load_u16(data + 1) % 1024;
        length = length > size - 3 ? size - 3 : length;
        uint8_t *exact = malloc(length + 1);
        memcpy(exact, data + 3, length);
        ingest_frame(ingest, source, bytes_of(exact, length), action >> 6, *now);
        free(exact);
        return 3 + length;
    }
    if ((action & 6) == 2)
        ingest_source(ingest, source, (action & 8) != 0, *now);
    if ((action & 6) == 4) {
        now->mono_us += (int64_t)(action >> 3) * (action >> 3) * 100;
        now->wall_us += (action & 1) != 0 ? (int64_t)(action >> 3) * 7919 : -5000;
        ingest_do_work(ingest, *now);
    }
    if ((action & 6) == 6) {
        sink->up = (action & 8) != 0;
        sink_answer(sink,
                    sink->up ? (action & 16) != 0 ? STREAM_WRITTEN : STREAM_RETRY : STREAM_LOST);
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sink sink = {.up = true};
    uint64_t tapped = 0;
    struct clock_now now = {.wall_us = 1700000000000000, .mono_us = 1000000};
    struct ingest *ingest = NULL;
    sink.port = (struct stream_producer){&sink, sink_put, sink_tops, sink_ready, sink_do_work};
    struct ingest_options options = {.symbol = "BTCUSDT",
                                     .now = now,
                                     .publisher = {.producer = &sink.port,
                                                   .ring_bytes_max = BACKLOG_BYTES_MIN,
                                                   .epoch = 1700000000000},
                                     .tap = check_tap,
                                     .context = &tapped};
    CHECK(ingest_open(&options, &ingest, NULL) == ERR_OK);
    sink.publisher = ingest_publisher(ingest);
    ingest_source(ingest, 0, true, now);
    for (size_t at = 0; at < size;)
        at += act(ingest, &sink, &now, data + at, size - at);
    CHECK(ingest_seq(ingest) == tapped);
    ingest_close(ingest);
    return 0;
}
