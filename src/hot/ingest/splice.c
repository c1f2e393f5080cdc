/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/ingest/splice.h"

#include <stdlib.h>

#include "base/check.h"
#include "market/record.h"

/* Old frames in a row before a restart of the exchange is believed. */
#define SPLICE_REBASE_FRAMES 16
/* The trades group's u32 count lies right before its first entry (BINANCE.md section 5). */
#define SPLICE_TRADES_COUNT_BACK 4

struct splice_held {
    int64_t first_id, last_id;
    int64_t due_us;
    size_t offset, size;
    uint8_t flags;
};

struct splice_channel {
    int64_t last_id;                     /* the last that went on */
    int64_t source_last[SPLICE_SOURCES]; /* the highest each connection delivered */
    int64_t stale_since_us;
    uint32_t stale_frames;
    struct splice_counters counters;
    struct splice_held held[SPLICE_HELD_MAX]; /* ascending by first_id */
    int held_count;
    size_t bytes_used;
    uint8_t *bytes; /* SPLICE_HELD_BYTES; NULL for streams that never wait */
};

struct splice {
    splice_emit_fn emit;
    void *context;
    bool live[SPLICE_SOURCES];
    struct splice_channel channels[SPLICE_STREAMS];
    uint8_t *buffers; /* the one block that these and the scratch lie in */
    uint8_t *scratch; /* RECORD_PAYLOAD_MAX, for cut frames */
};

/* The ids a frame spans, and the frame itself. */
struct splice_item {
    enum splice_stream stream;
    int64_t first_id, last_id;
    const struct sbe_frame *frame;
    struct bytes payload;
    uint8_t flags;
};

enum splice_judgement { SPLICE_PASS, SPLICE_STALE, SPLICE_HOLE };

int splice_open(splice_emit_fn emit, void *context, struct splice **out, struct err *err)
{
    const size_t buffers = 2 * SPLICE_HELD_BYTES + RECORD_PAYLOAD_MAX;
    struct splice *splice = calloc(1, sizeof(*splice));
    uint8_t *at = malloc(buffers);
    if (splice == NULL || at == NULL) {
        free(splice);
        free(at);
        return err_set(err, ERR_MEMORY, "splice: %zu bytes", sizeof(*splice) + buffers);
    }
    splice->emit = emit;
    splice->context = context;
    splice->buffers = at;
    splice->scratch = at + 2 * SPLICE_HELD_BYTES;
    splice->channels[SPLICE_TRADES].bytes = at;
    splice->channels[SPLICE_DIFFS].bytes = at + SPLICE_HELD_BYTES;
    for (int i = 0; i < SPLICE_STREAMS; i++) {
        splice->channels[i].last_id = INT64_MIN;
        for (int s = 0; s < SPLICE_SOURCES; s++)
            splice->channels[i].source_last[s] = INT64_MIN;
    }
    *out = splice;
    return ERR_OK;
}

void splice_close(struct splice *splice)
{
    if (splice == NULL)
        return;
    free(splice->buffers);
    free(splice);
}

const struct splice_counters *splice_counters(const struct splice *splice,
                                              enum splice_stream stream)
{
    return &splice->channels[stream].counters;
}

int64_t splice_last_id(const struct splice *splice, enum splice_stream stream)
{
    return splice->channels[stream].last_id;
}

static enum splice_judgement splice_judge(const struct splice_channel *channel, int64_t first_id,
                                          int64_t last_id)
{
    if (channel->last_id == INT64_MIN)
        return SPLICE_PASS;
    if (last_id <= channel->last_id)
        return SPLICE_STALE;
    /* A quote and a snapshot are states of their own: nothing can be missing before them. */
    if (channel->bytes == NULL)
        return SPLICE_PASS;
    return first_id - 1 <= channel->last_id ? SPLICE_PASS : SPLICE_HOLE;
}

/* The frame with only the trades above last_id, in the scratch buffer. */
static struct bytes splice_cut(struct splice *splice, const struct splice_item *item,
                               int64_t last_id)
{
    const struct trade_view *list = &item->frame->event.trades.list;
    const size_t head = (size_t)(list->at - item->payload.data);
    uint8_t *out = splice->scratch;
    memcpy(out, item->payload.data, head);
    size_t size = head;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const uint8_t *entry = list->at + (size_t)i * list->stride;
        if (bytes_load_i64(entry) <= last_id)
            continue;
        memcpy(out + size, entry, list->stride);
        size += list->stride;
        kept++;
    }
    bytes_store_u32(out + head - SPLICE_TRADES_COUNT_BACK, kept);
    const size_t tail = head + (size_t)list->count * list->stride;
    memcpy(out + size, item->payload.data + tail, item->payload.size - tail);
    return bytes_of(out, size + item->payload.size - tail);
}

static void splice_pass(struct splice *splice, const struct splice_item *item)
{
    struct splice_channel *channel = &splice->channels[item->stream];
    struct bytes payload = item->payload;
    if (item->stream == SPLICE_TRADES && item->first_id <= channel->last_id) {
        payload = splice_cut(splice, item, channel->last_id);
        channel->counters.cut++;
    }
    channel->last_id = item->last_id;
    channel->stale_frames = 0;
    channel->counters.emitted++;
    splice->emit(splice->context, item->stream, payload, item->flags);
}

static void splice_pass_hole(struct splice *splice, const struct splice_item *item)
{
    struct splice_channel *channel = &splice->channels[item->stream];
    channel->counters.holes++;
    channel->counters.missing_ids += (uint64_t)(item->first_id - channel->last_id - 1);
    splice_pass(splice, item);
}

/* Takes the first held frame off the queue and lets it go on, or drops it when others
 * have covered it meanwhile. */
static void splice_release_head(struct splice *splice, enum splice_stream stream)
{
    struct splice_channel *channel = &splice->channels[stream];
    const struct splice_held held = channel->held[0];
    channel->held_count--;
    memmove(channel->held, channel->held + 1,
            (size_t)channel->held_count * sizeof(channel->held[0]));
    struct sbe_frame frame;
    struct splice_item item = {.stream = stream,
                               .first_id = held.first_id,
                               .last_id = held.last_id,
                               .frame = &frame,
                               .payload = bytes_of(channel->bytes + held.offset, held.size),
                               .flags = held.flags};
    switch (splice_judge(channel, held.first_id, held.last_id)) {
    case SPLICE_STALE:
        channel->counters.duplicates++;
        break;
    case SPLICE_HOLE:
        splice_pass_hole(splice, &item);
        break;
    case SPLICE_PASS:
        if (stream == SPLICE_TRADES)
            CHECK(sbe_decode(item.payload, &frame, NULL) == SBE_OK);
        channel->counters.filled++;
        splice_pass(splice, &item);
        break;
    }
    if (channel->held_count == 0)
        channel->bytes_used = 0;
}

/* True if no live connection can still bring what is missing before first_id. */
static bool splice_nobody_fills(const struct splice *splice, const struct splice_channel *channel,
                                int64_t first_id)
{
    for (int s = 0; s < SPLICE_SOURCES; s++)
        if (splice->live[s] && channel->source_last[s] < first_id)
            return false;
    return true;
}

static void splice_drain(struct splice *splice, enum splice_stream stream)
{
    struct splice_channel *channel = &splice->channels[stream];
    while (channel->held_count > 0) {
        const struct splice_held *head = &channel->held[0];
        if (splice_judge(channel, head->first_id, head->last_id) == SPLICE_HOLE &&
            !splice_nobody_fills(splice, channel, head->first_id))
            return;
        splice_release_head(splice, stream);
    }
}

/* Keeps a copy in id order. False: no room. */
static bool splice_hold(struct splice *splice, const struct splice_item *item, int64_t due_us)
{
    struct splice_channel *channel = &splice->channels[item->stream];
    if (channel->held_count == SPLICE_HELD_MAX ||
        item->payload.size > SPLICE_HELD_BYTES - channel->bytes_used)
        return false;
    int at = channel->held_count;
    while (at > 0 && channel->held[at - 1].first_id > item->first_id)
        at--;
    if (at > 0 && channel->held[at - 1].last_id >= item->last_id) {
        channel->counters.duplicates++;
        return true;
    }
    memmove(channel->held + at + 1, channel->held + at,
            (size_t)(channel->held_count - at) * sizeof(channel->held[0]));
    memcpy(channel->bytes + channel->bytes_used, item->payload.data, item->payload.size);
    channel->held[at] = (struct splice_held){item->first_id,      item->last_id,      due_us,
                                             channel->bytes_used, item->payload.size, item->flags};
    channel->bytes_used += item->payload.size;
    channel->held_count++;
    channel->counters.held++;
    return true;
}

static void splice_stale(struct splice *splice, const struct splice_item *item, int64_t mono_us)
{
    struct splice_channel *channel = &splice->channels[item->stream];
    if (channel->stale_frames++ == 0)
        channel->stale_since_us = mono_us;
    if (channel->stale_frames < SPLICE_REBASE_FRAMES ||
        mono_us - channel->stale_since_us < SPLICE_REBASE_US) {
        channel->counters.duplicates++;
        return;
    }
    channel->counters.rebases++;
    channel->last_id = INT64_MIN;
    for (int s = 0; s < SPLICE_SOURCES; s++)
        channel->source_last[s] = INT64_MIN;
    splice_pass(splice, item);
}

static void splice_hole(struct splice *splice, const struct splice_item *item, int64_t mono_us)
{
    struct splice_channel *channel = &splice->channels[item->stream];
    if (channel->held_count == 0 && splice_nobody_fills(splice, channel, item->first_id)) {
        splice_pass_hole(splice, item);
        return;
    }
    if (splice_hold(splice, item, mono_us + SPLICE_HOLD_US))
        return;
    channel->counters.held_full++;
    while (channel->held_count > 0)
        splice_release_head(splice, item->stream);
    switch (splice_judge(channel, item->first_id, item->last_id)) {
    case SPLICE_STALE:
        channel->counters.duplicates++;
        break;
    case SPLICE_HOLE:
        splice_pass_hole(splice, item);
        break;
    case SPLICE_PASS:
        splice_pass(splice, item);
        break;
    }
}

/* Which stream a frame belongs to, and its ids. False: a frame without any (no trades). */
static bool splice_identify(const struct sbe_frame *frame, struct splice_item *item)
{
    const struct event *event = &frame->event;
    switch (event->kind) {
    case EVENT_TRADES:
        item->stream = SPLICE_TRADES;
        item->first_id = INT64_MAX;
        item->last_id = INT64_MIN;
        for (uint32_t i = 0; i < event->trades.list.count; i++) {
            int64_t id = trade_at(&event->trades.list, i).id;
            item->first_id = id < item->first_id ? id : item->first_id;
            item->last_id = id > item->last_id ? id : item->last_id;
        }
        return event->trades.list.count > 0;
    case EVENT_QUOTE:
        item->stream = SPLICE_QUOTES;
        item->first_id = item->last_id = event->quote.book_id;
        return true;
    case EVENT_SNAPSHOT:
        item->stream = SPLICE_SNAPSHOTS;
        item->first_id = item->last_id = event->snapshot.book_id;
        return true;
    case EVENT_DIFF:
        item->stream = SPLICE_DIFFS;
        item->first_id = event->diff.first_id;
        item->last_id = event->diff.last_id;
        return true;
    default:
        return false;
    }
}

void splice_push(struct splice *splice, int source, const struct sbe_frame *frame,
                 struct bytes payload, uint8_t flags, int64_t mono_us)
{
    PRE(source >= 0 && source < SPLICE_SOURCES);
    PRE(payload.size <= RECORD_PAYLOAD_MAX);
    struct splice_item item = {.frame = frame, .payload = payload, .flags = flags};
    if (!splice_identify(frame, &item))
        return;
    struct splice_channel *channel = &splice->channels[item.stream];
    if (item.last_id > channel->source_last[source])
        channel->source_last[source] = item.last_id;
    switch (splice_judge(channel, item.first_id, item.last_id)) {
    case SPLICE_STALE:
        splice_stale(splice, &item, mono_us);
        break;
    case SPLICE_HOLE:
        splice_hole(splice, &item, mono_us);
        break;
    case SPLICE_PASS:
        splice_pass(splice, &item);
        break;
    }
    if (channel->held_count > 0)
        splice_drain(splice, item.stream);
}

void splice_source(struct splice *splice, int source, bool live)
{
    PRE(source >= 0 && source < SPLICE_SOURCES);
    splice->live[source] = live;
    for (int i = 0; i < SPLICE_STREAMS; i++) {
        splice->channels[i].source_last[source] = INT64_MIN;
        splice_drain(splice, (enum splice_stream)i);
    }
}

static int64_t splice_due_us(const struct splice_channel *channel)
{
    int64_t due_us = INT64_MAX;
    for (int i = 0; i < channel->held_count; i++)
        due_us = channel->held[i].due_us < due_us ? channel->held[i].due_us : due_us;
    return due_us;
}

int64_t splice_expire(struct splice *splice, int64_t mono_us)
{
    int64_t next_us = INT64_MAX;
    for (int i = 0; i < SPLICE_STREAMS; i++) {
        struct splice_channel *channel = &splice->channels[i];
        while (splice_due_us(channel) <= mono_us) {
            splice_release_head(splice, (enum splice_stream)i);
            splice_drain(splice, (enum splice_stream)i);
        }
        int64_t due_us = splice_due_us(channel);
        next_us = due_us < next_us ? due_us : next_us;
    }
    return next_us;
}
