/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/ingest/publisher.h"

#include <stdlib.h>

#include "base/check.h"
#include "market/record.h"
#include "wire/envelope.h"

/* Room for the largest envelope: a full one, or one record alone. */
#define PUBLISHER_ENVELOPE_MAX (RECORD_PAYLOAD_MAX + 4096u)

/* One batch handed to the producer and not answered yet. */
struct publisher_flight {
    int64_t ticket;
    int count;
    bool spool; /* the spool's first `count` entries */
    uint64_t numbers[PUBLISHER_BATCH_RECORDS];
};

struct publisher {
    struct publisher_options options;
    struct backlog *backlog;
    enum publisher_state state;
    struct publisher_counters counters;
    struct stream_top tops[STREAM_COUNT];
    struct publisher_flight flights[PUBLISHER_FLIGHTS_MAX];
    int flight_count;
    uint64_t cursor;     /* the next ring entry to send */
    uint64_t unacked;    /* ring entries without an acknowledgement */
    bool rewind;         /* something was refused: go back when nothing is in flight */
    bool reconnected;    /* the streams' tops have to be asked again */
    uint64_t spool_gone; /* oldest spool entries dropped while its batch was in flight */
    int64_t retry_at_us, retry_wait_us;
    int64_t asked_at_us, now_us;
    uint64_t epoch, first_epoch; /* first_epoch: as opened, before any move */
    bool sent, acked;
    uint8_t *scratch; /* PUBLISHER_ENVELOPE_MAX, for moving an envelope to another epoch */
};

const char *publisher_state_text(enum publisher_state state)
{
    static const char *const texts[] = {"away", "asking", "streaming", "fenced"};
    return texts[state];
}

int publisher_open(const struct publisher_options *options, struct publisher **out, struct err *err)
{
    struct publisher *publisher = calloc(1, sizeof(*publisher));
    if (publisher == NULL)
        return err_set(err, ERR_MEMORY, "publisher");
    publisher->options = *options;
    publisher->epoch = publisher->first_epoch = options->epoch;
    publisher->scratch = malloc(PUBLISHER_ENVELOPE_MAX);
    int result = publisher->scratch == NULL
                     ? err_set(err, ERR_MEMORY, "publisher")
                     : backlog_open(options->ring_bytes_max, &publisher->backlog, err);
    if (result != ERR_OK) {
        publisher_close(publisher);
        return result;
    }
    *out = publisher;
    return ERR_OK;
}

void publisher_close(struct publisher *publisher)
{
    if (publisher == NULL)
        return;
    backlog_close(publisher->backlog);
    free(publisher->scratch);
    free(publisher);
}

static uint64_t publisher_spool_count(const struct publisher *publisher)
{
    const struct spool_port *spool = publisher->options.spool;
    return spool == NULL ? 0 : spool->count(spool->self);
}

/* The head makes room: an acknowledged one is simply forgotten, another goes to disk. */
static void publisher_evict(struct publisher *publisher)
{
    const struct backlog_entry *head =
        backlog_at(publisher->backlog, backlog_first(publisher->backlog));
    const struct spool_port *spool = publisher->options.spool;
    if (!head->acked && spool == NULL) {
        publisher->counters.entries_dropped++;
    } else if (!head->acked) {
        struct stream_record record = {head->stream, head->epoch, head->last_seq,
                                       bytes_of(head->data, head->size)};
        uint64_t dropped = 0;
        if (spool->append(spool->self, &record, &dropped) == ERR_OK) {
            publisher->counters.spooled++;
        } else {
            publisher->counters.spool_failed++;
            dropped++;
        }
        publisher->counters.entries_dropped += dropped;
        publisher->spool_gone += dropped;
    }
    publisher->unacked -= head->acked ? 0 : 1;
    backlog_drop_head(publisher->backlog);
    if (publisher->cursor < backlog_first(publisher->backlog))
        publisher->cursor = backlog_first(publisher->backlog);
}

void publisher_save(struct publisher *publisher)
{
    while (backlog_first(publisher->backlog) < backlog_end(publisher->backlog))
        publisher_evict(publisher);
}

static bool publisher_has(const struct publisher *publisher, enum stream_name stream,
                          uint64_t epoch, uint64_t last_seq)
{
    const struct stream_top *top = &publisher->tops[stream];
    return record_compare(epoch, last_seq, top->epoch, top->last_seq) <= 0;
}

/* Rewrites an envelope of this process that was stamped before its epoch had to grow. */
static void publisher_move_epoch(struct publisher *publisher, uint8_t *data, size_t size)
{
    struct envelope_reader reader;
    struct envelope_writer writer;
    struct record record;
    CHECK(envelope_open(&reader, bytes_of(data, size), NULL) == ERR_OK);
    envelope_begin(&writer, publisher->scratch, PUBLISHER_ENVELOPE_MAX, reader.symbol,
                   publisher->epoch);
    while (envelope_next(&reader, &record) == ERR_OK) {
        record.epoch = publisher->epoch;
        CHECK(envelope_add(&writer, &record) == ERR_OK);
    }
    struct bytes moved = envelope_finish(&writer);
    CHECK(moved.size == size);
    memcpy(data, moved.data, size);
}

/* True for an entry that this process stamped before the move. */
static bool publisher_is_behind(const struct publisher *publisher, uint64_t epoch)
{
    return epoch >= publisher->first_epoch && epoch < publisher->epoch;
}

void publisher_add(struct publisher *publisher, const struct backlog_entry *entry)
{
    PRE(entry->size <= PUBLISHER_ENVELOPE_MAX);
    struct backlog_entry own = *entry;
    if (publisher_is_behind(publisher, own.epoch)) {
        publisher_move_epoch(publisher, own.data, own.size);
        own.epoch = publisher->epoch;
    }
    while (!backlog_push(publisher->backlog, &own))
        publisher_evict(publisher);
    publisher->unacked++;
}

static void publisher_move_ring(struct publisher *publisher, uint64_t newest)
{
    publisher->epoch = newest + 1;
    publisher->counters.epoch_moves++;
    for (uint64_t n = backlog_first(publisher->backlog); n < backlog_end(publisher->backlog); n++) {
        struct backlog_entry *entry = backlog_at(publisher->backlog, n);
        if (!publisher_is_behind(publisher, entry->epoch))
            continue;
        publisher_move_epoch(publisher, entry->data, entry->size);
        entry->epoch = publisher->epoch;
    }
}

/* Marks what the streams have; the rest is to be sent (again). */
static void publisher_resume(struct publisher *publisher)
{
    publisher->unacked = 0;
    for (uint64_t n = backlog_first(publisher->backlog); n < backlog_end(publisher->backlog); n++) {
        struct backlog_entry *entry = backlog_at(publisher->backlog, n);
        bool there = publisher_has(publisher, entry->stream, entry->epoch, entry->last_seq);
        if (!there && (entry->acked || n < publisher->cursor))
            publisher->counters.resent++;
        entry->acked = there;
        publisher->unacked += there ? 0 : 1;
    }
    publisher->cursor = backlog_first(publisher->backlog);
    publisher->rewind = false;
    publisher->retry_at_us = 0;
    publisher->state = PUBLISHER_STREAMING;
}

static void publisher_on_tops(void *self, int result, const struct stream_top *tops)
{
    struct publisher *publisher = self;
    if (publisher->state != PUBLISHER_ASKING)
        return;
    publisher->state = PUBLISHER_AWAY;
    publisher->retry_at_us = publisher->now_us + PUBLISHER_RETRY_MAX_US;
    if (result != ERR_OK || publisher->reconnected)
        return;
    uint64_t newest = 0;
    for (int i = 0; i < STREAM_COUNT; i++) {
        if (i == STREAM_CONTROL) /* written by the aggregator: its ids are not epochs */
            continue;
        publisher->tops[i] = tops[i];
        newest = tops[i].epoch > newest ? tops[i].epoch : newest;
    }
    const bool ours = newest == publisher->epoch && publisher->sent;
    if (newest > publisher->epoch && publisher->acked) {
        publisher->state = PUBLISHER_FENCED;
        return;
    }
    if (newest >= publisher->epoch && !ours)
        publisher_move_ring(publisher, newest);
    publisher_resume(publisher);
}

void publisher_reconnected(struct publisher *publisher)
{
    publisher->reconnected = true;
}

static void publisher_note(struct publisher *publisher, enum stream_outcome outcome)
{
    switch (outcome) {
    case STREAM_WRITTEN:
        publisher->counters.entries_written++;
        publisher->acked = true;
        publisher->retry_wait_us = 0;
        break;
    case STREAM_DUPLICATE:
        publisher->counters.duplicates++;
        publisher->retry_wait_us = 0;
        break;
    case STREAM_RETRY:
        publisher->counters.retries++;
        publisher->rewind = true;
        break;
    case STREAM_LOST:
        publisher->counters.lost++;
        publisher->rewind = publisher->reconnected = true;
        break;
    case STREAM_FENCED:
        publisher->rewind = publisher->reconnected = true;
        if (publisher->acked)
            publisher->state = PUBLISHER_FENCED;
        break;
    }
}

static bool publisher_there(enum stream_outcome outcome)
{
    return outcome == STREAM_WRITTEN || outcome == STREAM_DUPLICATE;
}

static void publisher_land_ring(struct publisher *publisher, const struct publisher_flight *flight,
                                const enum stream_outcome *outcome)
{
    for (int i = 0; i < flight->count; i++) {
        publisher_note(publisher, outcome[i]);
        if (!publisher_there(outcome[i]) || flight->numbers[i] < backlog_first(publisher->backlog))
            continue;
        struct backlog_entry *entry = backlog_at(publisher->backlog, flight->numbers[i]);
        publisher->unacked -= entry->acked ? 0 : 1;
        entry->acked = true;
        publisher->counters.records_written += entry->records;
        if (publisher->options.on_ack != NULL)
            publisher->options.on_ack(publisher->options.context, entry->since_us);
    }
}

static void publisher_land_spool(struct publisher *publisher, const struct publisher_flight *flight,
                                 const enum stream_outcome *outcome)
{
    const struct spool_port *spool = publisher->options.spool;
    uint64_t done = 0;
    bool run = true;
    for (int i = 0; i < flight->count; i++) {
        publisher_note(publisher, outcome[i]);
        run = run && publisher_there(outcome[i]);
        done += run ? 1 : 0;
    }
    publisher->counters.unspooled += done;
    if (done > publisher->spool_gone)
        spool->remove(spool->self, done - publisher->spool_gone);
}

void publisher_on_put(void *self, uint64_t ticket, const enum stream_outcome *outcome, int count)
{
    struct publisher *publisher = self;
    int at = 0;
    while (at < publisher->flight_count && publisher->flights[at].ticket != (int64_t)ticket)
        at++;
    CHECK(at < publisher->flight_count && publisher->flights[at].count == count);
    const struct publisher_flight *flight = &publisher->flights[at];
    if (flight->spool)
        publisher_land_spool(publisher, flight, outcome);
    else
        publisher_land_ring(publisher, flight, outcome);
    publisher->flight_count--;
    memmove(&publisher->flights[at], &publisher->flights[at + 1],
            (size_t)(publisher->flight_count - at) * sizeof(publisher->flights[0]));
}

/* Hands a batch over; false: the producer cannot take it now. */
static bool publisher_launch(struct publisher *publisher, const struct stream_record *records)
{
    struct publisher_flight *flight = &publisher->flights[publisher->flight_count];
    const struct stream_producer *producer = publisher->options.producer;
    flight->ticket = producer->put(producer->self, records, flight->count);
    if (flight->ticket <= 0)
        return false;
    publisher->flight_count++;
    publisher->sent = true;
    return true;
}

static int publisher_send_spool(struct publisher *publisher)
{
    const struct spool_port *spool = publisher->options.spool;
    struct publisher_flight *flight = &publisher->flights[publisher->flight_count];
    struct stream_record record;
    uint64_t dropped = 0;
    int result;
    while ((result = spool->read(spool->self, &record, &dropped)) == ERR_OK) {
        if (publisher_is_behind(publisher, record.epoch)) {
            /* The port lends this buffer for changing. */
            publisher_move_epoch(publisher, (uint8_t *)(uintptr_t)record.data.data,
                                 record.data.size);
            record.epoch = publisher->epoch;
        }
        if (!publisher_has(publisher, record.stream, record.epoch, record.last_seq))
            break;
        publisher->counters.unspooled++;
        spool->remove(spool->self, 1);
    }
    publisher->counters.entries_dropped += dropped;
    if (result != ERR_OK)
        return 0;
    publisher->spool_gone = 0;
    *flight = (struct publisher_flight){.count = 1, .spool = true};
    return publisher_launch(publisher, &record) ? 1 : 0;
}

/* One batch from the cursor on; returns its entries, 0: nothing to send or no room. */
static int publisher_send_ring(struct publisher *publisher)
{
    struct stream_record records[PUBLISHER_BATCH_RECORDS];
    struct publisher_flight *flight = &publisher->flights[publisher->flight_count];
    const uint64_t end = backlog_end(publisher->backlog);
    uint64_t next = publisher->cursor;
    size_t bytes = 0;
    flight->count = 0;
    flight->spool = false;
    for (; next < end && flight->count < PUBLISHER_BATCH_RECORDS; next++) {
        const struct backlog_entry *entry = backlog_at(publisher->backlog, next);
        if (entry->acked)
            continue;
        bytes += entry->size;
        if (bytes > STREAM_BATCH_BYTES_MAX && flight->count > 0)
            break;
        records[flight->count] = (struct stream_record){
            entry->stream, entry->epoch, entry->last_seq, bytes_of(entry->data, entry->size)};
        flight->numbers[flight->count++] = next;
    }
    const int count = flight->count;
    if (count > 0 && !publisher_launch(publisher, records))
        return 0;
    publisher->cursor = next;
    return count;
}

static void publisher_go_back(struct publisher *publisher, int64_t mono_us)
{
    publisher->rewind = false;
    publisher->cursor = backlog_first(publisher->backlog);
    publisher->retry_wait_us *= 2;
    if (publisher->retry_wait_us < PUBLISHER_RETRY_MIN_US)
        publisher->retry_wait_us = PUBLISHER_RETRY_MIN_US;
    if (publisher->retry_wait_us > PUBLISHER_RETRY_MAX_US)
        publisher->retry_wait_us = PUBLISHER_RETRY_MAX_US;
    publisher->retry_at_us = mono_us + publisher->retry_wait_us;
}

static int publisher_pump(struct publisher *publisher, int64_t mono_us)
{
    int sent = 0;
    if (publisher->rewind) {
        if (publisher->flight_count > 0)
            return 0;
        publisher_go_back(publisher, mono_us);
    }
    if (mono_us < publisher->retry_at_us)
        return 0;
    if (publisher_spool_count(publisher) > 0) {
        if (publisher->flight_count == 0)
            sent = publisher_send_spool(publisher);
        if (sent > 0 || publisher_spool_count(publisher) > 0)
            return sent;
    }
    while (publisher->flight_count < PUBLISHER_FLIGHTS_MAX && !publisher->rewind) {
        int count = publisher_send_ring(publisher);
        if (count == 0)
            break;
        sent += count;
    }
    return sent;
}

static void publisher_ask(struct publisher *publisher, int64_t mono_us)
{
    const struct stream_producer *producer = publisher->options.producer;
    if (publisher->flight_count > 0 || mono_us < publisher->retry_at_us)
        return;
    publisher->reconnected = false;
    publisher->asked_at_us = mono_us;
    publisher->state = PUBLISHER_ASKING;
    publisher->counters.tops_asked++;
    if (producer->tops(producer->self, publisher_on_tops, publisher) == ERR_OK)
        return;
    publisher->state = PUBLISHER_AWAY;
    publisher->retry_at_us = mono_us + PUBLISHER_RETRY_MAX_US;
}

int publisher_do_work(struct publisher *publisher, int64_t mono_us)
{
    const struct stream_producer *producer = publisher->options.producer;
    publisher->now_us = mono_us;
    if (publisher->state == PUBLISHER_FENCED)
        return 0;
    if (!producer->ready(producer->self))
        publisher->reconnected = true;
    if (publisher->reconnected && publisher->state == PUBLISHER_STREAMING)
        publisher->state = PUBLISHER_AWAY;
    if (publisher->state == PUBLISHER_ASKING &&
        mono_us - publisher->asked_at_us > PUBLISHER_TOPS_TIMEOUT_US)
        publisher->state = PUBLISHER_AWAY;
    if (publisher->state == PUBLISHER_AWAY && producer->ready(producer->self))
        publisher_ask(publisher, mono_us);
    return publisher->state == PUBLISHER_STREAMING ? publisher_pump(publisher, mono_us) : 0;
}

bool publisher_idle(const struct publisher *publisher)
{
    return publisher->state == PUBLISHER_STREAMING && !publisher->rewind &&
           publisher->flight_count < PUBLISHER_FLIGHTS_MAX &&
           publisher->cursor == backlog_end(publisher->backlog) &&
           publisher_spool_count(publisher) == 0;
}

bool publisher_wants_retry(const struct publisher *publisher)
{
    return publisher->state == PUBLISHER_STREAMING && publisher->flight_count == 0 &&
           !publisher_idle(publisher);
}

uint64_t publisher_epoch(const struct publisher *publisher)
{
    return publisher->epoch;
}

enum publisher_state publisher_state(const struct publisher *publisher)
{
    return publisher->state;
}

uint64_t publisher_pending(const struct publisher *publisher)
{
    return publisher_spool_count(publisher) + publisher->unacked;
}

size_t publisher_ring_bytes(const struct publisher *publisher)
{
    return backlog_bytes(publisher->backlog);
}

const struct publisher_counters *publisher_counters(const struct publisher *publisher)
{
    return &publisher->counters;
}
