/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/ingest/ingest.h"

#include <stdlib.h>

#include "base/check.h"
#include "hot/ingest/tick_schedule.h"
#include "wire/envelope.h"

/* Room for one record of the largest size with the envelope around it. */
#define INGEST_BUFFER_BYTES (RECORD_PAYLOAD_MAX + 4096u)
/* Longest sleep while the publisher waits to try again. */
#define INGEST_RETRY_WAIT_US 1000

/* The envelope of one stream that is being filled. */
struct ingest_lane {
    struct envelope_writer writer;
    int64_t since_us; /* monotonic time of its first record */
    uint8_t *buffer;  /* INGEST_BUFFER_BYTES */
};

struct ingest {
    struct ingest_options options;
    struct splice *splice;
    struct publisher *publisher;
    struct slew slew;
    struct ingest_counters counters;
    struct ingest_lane lanes[INGEST_STREAMS]; /* by enum stream_name */
    struct clock_now now;
    int64_t next_tick_us;
    int64_t recv_us; /* of the last record */
    int64_t hold_due_us;
    uint64_t seq;
    int64_t quarantine_second;
    int quarantine_count;
    bool connected; /* a connection came up since the last tick */
    uint8_t *buffers;
};

_Static_assert(STREAM_TRADE < INGEST_STREAMS && STREAM_DEPTH < INGEST_STREAMS &&
                   STREAM_BEST_BID_ASK < INGEST_STREAMS,
               "lanes are indexed by stream name");

static void ingest_on_splice(void *context, enum splice_stream stream, struct bytes frame,
                             uint8_t flags);

uint64_t ingest_epoch(const struct ingest *ingest)
{
    return ingest->publisher == NULL ? ingest->options.publisher.epoch
                                     : publisher_epoch(ingest->publisher);
}

static void ingest_begin(struct ingest *ingest, struct ingest_lane *lane)
{
    envelope_begin(&lane->writer, lane->buffer, INGEST_BUFFER_BYTES, ingest->options.symbol,
                   ingest_epoch(ingest));
}

static int ingest_open_parts(struct ingest *ingest, struct err *err)
{
    ingest->buffers = malloc((size_t)INGEST_STREAMS * INGEST_BUFFER_BYTES);
    if (ingest->buffers == NULL)
        return err_set(err, ERR_MEMORY, "ingest buffers");
    int result = splice_open(ingest_on_splice, ingest, &ingest->splice, err);
    if (result == ERR_OK && ingest->options.publisher.producer != NULL)
        result = publisher_open(&ingest->options.publisher, &ingest->publisher, err);
    return result;
}

int ingest_open(const struct ingest_options *options, struct ingest **out, struct err *err)
{
    struct ingest *ingest = calloc(1, sizeof(*ingest));
    if (ingest == NULL)
        return err_set(err, ERR_MEMORY, "ingest");
    ingest->options = *options;
    ingest->now = options->now;
    ingest->hold_due_us = INT64_MAX;
    slew_init(&ingest->slew, options->now);
    int result = ingest_open_parts(ingest, err);
    if (result != ERR_OK) {
        ingest_close(ingest);
        return result;
    }
    ingest->next_tick_us = tick_schedule_next_us(options->now.wall_us);
    for (int i = 0; i < INGEST_STREAMS; i++) {
        ingest->lanes[i].buffer = ingest->buffers + (size_t)i * INGEST_BUFFER_BYTES;
        ingest_begin(ingest, &ingest->lanes[i]);
    }
    *out = ingest;
    return ERR_OK;
}

void ingest_close(struct ingest *ingest)
{
    if (ingest == NULL)
        return;
    publisher_close(ingest->publisher);
    splice_close(ingest->splice);
    free(ingest->buffers);
    free(ingest);
}

static void ingest_seal_lane(struct ingest *ingest, enum stream_name stream)
{
    struct ingest_lane *lane = &ingest->lanes[stream];
    const uint32_t count = lane->writer.count;
    if (count == 0)
        return;
    const uint64_t epoch = lane->writer.epoch, last_seq = lane->writer.last_seq;
    struct bytes sealed = envelope_finish(&lane->writer);
    struct backlog_entry entry = {.stream = stream,
                                  .records = count,
                                  .epoch = epoch,
                                  .last_seq = last_seq,
                                  .since_us = lane->since_us,
                                  .data = lane->buffer,
                                  .size = sealed.size};
    CHECK(sealed.data == lane->buffer);
    publisher_add(ingest->publisher, &entry);
    ingest->counters.envelopes++;
    ingest_begin(ingest, lane);
}

void ingest_seal(struct ingest *ingest)
{
    for (int i = 0; i < INGEST_STREAMS; i++)
        ingest_seal_lane(ingest, (enum stream_name)i);
}

static bool ingest_has_open(const struct ingest *ingest)
{
    for (int i = 0; i < INGEST_STREAMS; i++)
        if (ingest->lanes[i].writer.count > 0)
            return true;
    return false;
}

/* Into the envelope of its stream; a full one is sealed first, with the other two. */
static void ingest_batch(struct ingest *ingest, enum stream_name stream, struct record *record)
{
    struct ingest_lane *lane = &ingest->lanes[stream];
    if (lane->writer.count > 0 && lane->writer.size + record->payload.size > INGEST_ENVELOPE_BYTES)
        ingest_seal(ingest);
    if (lane->writer.count == 0 && lane->writer.epoch != record->epoch)
        ingest_begin(ingest, lane);
    /* Moved to the new epoch when it is published (publisher_add). */
    record->epoch = lane->writer.epoch;
    if (envelope_add(&lane->writer, record) != ERR_OK) {
        ingest_seal(ingest);
        record->epoch = lane->writer.epoch;
        CHECK(envelope_add(&lane->writer, record) == ERR_OK);
    }
    if (lane->writer.count == 1)
        lane->since_us = ingest->now.mono_us;
}

/* The next place in the order of the world. */
static void ingest_stamp(struct ingest *ingest, enum stream_name stream, enum record_kind kind,
                         uint8_t flags, struct bytes payload)
{
    const int64_t recv_us = slew_read_us(&ingest->slew, ingest->now);
    if (recv_us < ingest->recv_us)
        ingest->counters.recv_clamped++;
    else
        ingest->recv_us = recv_us;
    struct record record = {.epoch = ingest_epoch(ingest),
                            .seq = ++ingest->seq,
                            .recv_us = ingest->recv_us,
                            .kind = (uint8_t)kind,
                            .flags = flags,
                            .payload = payload};
    ingest->counters.records++;
    if (ingest->options.tap != NULL)
        ingest->options.tap(ingest->options.context, &record);
    if (ingest->publisher != NULL)
        ingest_batch(ingest, stream, &record);
}

static void ingest_on_splice(void *context, enum splice_stream stream, struct bytes frame,
                             uint8_t flags)
{
    static const enum stream_name streams[SPLICE_STREAMS] = {
        [SPLICE_TRADES] = STREAM_TRADE,
        [SPLICE_DIFFS] = STREAM_DEPTH,
        [SPLICE_QUOTES] = STREAM_BEST_BID_ASK,
        [SPLICE_SNAPSHOTS] = STREAM_DEPTH,
    };
    ingest_stamp(context, streams[stream], RECORD_FRAME, flags, frame);
}

/* A tick that is due comes before whatever arrives now. A process that slept over
 * several makes one: time has passed once. */
static void ingest_tick(struct ingest *ingest)
{
    const int64_t wall_us = slew_read_us(&ingest->slew, ingest->now);
    if (wall_us < ingest->next_tick_us)
        return;
    ingest_stamp(ingest, STREAM_DEPTH, RECORD_TICK, ingest->connected ? RECORD_CONNECTED : 0,
                 (struct bytes){0});
    ingest->connected = false;
    ingest->counters.ticks++;
    ingest->next_tick_us = tick_schedule_next_us(wall_us);
}

static void ingest_quarantine(struct ingest *ingest, enum sbe_verdict verdict, size_t offset,
                              struct bytes frame)
{
    const int64_t second = ingest->now.mono_us / CLOCK_US_PER_S;
    if (second != ingest->quarantine_second) {
        ingest->quarantine_second = second;
        ingest->quarantine_count = 0;
    }
    if (ingest->options.quarantine == NULL || ingest->quarantine_count++ >= INGEST_QUARANTINE_PER_S)
        return;
    ingest->options.quarantine(ingest->options.context, verdict, offset, frame);
}

static enum splice_stream ingest_stream(const struct sbe_frame *frame)
{
    switch (frame->template_id) {
    case SBE_TRADES:
        return SPLICE_TRADES;
    case SBE_BEST_BID_ASK:
        return SPLICE_QUOTES;
    case SBE_DEPTH_SNAPSHOT:
        return SPLICE_SNAPSHOTS;
    default:
        return SPLICE_DIFFS;
    }
}

static bool ingest_is_own_symbol(const struct ingest *ingest, struct bytes symbol)
{
    return symbol.size == strlen(ingest->options.symbol) &&
           memcmp(symbol.data, ingest->options.symbol, symbol.size) == 0;
}

enum sbe_verdict ingest_frame(struct ingest *ingest, int source, struct bytes data, uint8_t flags,
                              struct clock_now now)
{
    struct sbe_frame frame;
    size_t offset = 0;
    ingest->now = now;
    ingest_tick(ingest);
    ingest->counters.bytes += data.size;
    enum sbe_verdict verdict = SBE_TRUNCATED;
    if (data.size > RECORD_PAYLOAD_MAX)
        ingest->counters.oversize++;
    else
        verdict = sbe_decode(data, &frame, &offset);
    if (verdict == SBE_OK && !ingest_is_own_symbol(ingest, frame.symbol))
        verdict = SBE_BAD_SYMBOL;
    ingest->counters.verdicts[verdict]++;
    if (verdict != SBE_OK) {
        ingest_quarantine(ingest, verdict, offset, data);
        return verdict;
    }
    ingest->counters.trailing += frame.trailing > 0 ? 1 : 0;
    ingest->counters.longer_block += frame.block_length > sbe_block_length(frame.template_id);
    ingest->counters.newer_version += frame.version > 0 ? 1 : 0;
    ingest->counters.messages[ingest_stream(&frame)]++;
    splice_push(ingest->splice, source, &frame, data, flags, now.mono_us);
    return SBE_OK;
}

void ingest_source(struct ingest *ingest, int source, bool live, struct clock_now now)
{
    ingest->now = now;
    ingest->connected = ingest->connected || live;
    splice_source(ingest->splice, source, live);
}

int ingest_do_work(struct ingest *ingest, struct clock_now now)
{
    ingest->now = now;
    ingest_tick(ingest);
    ingest->hold_due_us = splice_expire(ingest->splice, now.mono_us);
    if (ingest->publisher == NULL)
        return 0;
    int work = publisher_do_work(ingest->publisher, now.mono_us);
    if (!publisher_idle(ingest->publisher) || !ingest_has_open(ingest))
        return work;
    ingest_seal(ingest);
    return work + publisher_do_work(ingest->publisher, now.mono_us);
}

int64_t ingest_wait_us(const struct ingest *ingest, struct clock_now now)
{
    int64_t wait_us = ingest->next_tick_us - (now.mono_us + ingest->slew.offset_us);
    if (ingest->hold_due_us != INT64_MAX && ingest->hold_due_us - now.mono_us < wait_us)
        wait_us = ingest->hold_due_us - now.mono_us;
    /* What the stream did not take is tried again soon. */
    if (ingest->publisher != NULL && publisher_wants_retry(ingest->publisher) &&
        wait_us > INGEST_RETRY_WAIT_US)
        wait_us = INGEST_RETRY_WAIT_US;
    return wait_us > 0 ? wait_us : 0;
}

struct publisher *ingest_publisher(const struct ingest *ingest)
{
    return ingest->publisher;
}

const struct splice *ingest_splice(const struct ingest *ingest)
{
    return ingest->splice;
}

const struct ingest_counters *ingest_counters(const struct ingest *ingest)
{
    return &ingest->counters;
}

uint64_t ingest_seq(const struct ingest *ingest)
{
    return ingest->seq;
}

uint64_t ingest_clock_steps(const struct ingest *ingest)
{
    return ingest->slew.steps;
}

int64_t ingest_now_us(struct ingest *ingest, struct clock_now now)
{
    int64_t recv_us = slew_read_us(&ingest->slew, now);
    return recv_us > ingest->recv_us ? recv_us : ingest->recv_us;
}
