/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/state_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "hot/state/state_controls.h"
#include "hot/state/state_placed.h"
#include "wire/decode.h"
#include "wire/envelope.h"

/* An entry delivered whose last record has not passed yet. */
struct state_feed_entry {
    uint64_t epoch, seq;
    char position[STREAM_POSITION_SIZE];
};

/* First in, first out; full: newcomers are not remembered. */
struct state_feed_queue {
    struct state_feed_entry entries[STATE_FEED_PENDING_MAX];
    uint32_t head, tail;
};

struct state_feed {
    struct state_feed_options options;
    struct world *world;
    state_feed_fn fn;
    void *context;
    struct merge *merge;
    struct merge_options merge_options;
    struct decode *decode;
    struct state_controls controls;
    struct state_feed_queue queues[STREAM_COUNT];
    struct stream_position positions[STREAM_COUNT];
    struct state_feed_counters counters;
    uint64_t epoch, seq;                   /* the last record passed */
    uint64_t restored_epoch, restored_seq; /* where it began: controls before are in the world … */
    struct state_placed placed;            /* … and these */
    int64_t recv_us;
    uint64_t skip_epoch, skip_seq; /* records before this one were given up by a placed hole */
    struct merge_clock wait;
    int64_t due_us; /* merge's own answer; -1: nothing waits */
    int64_t tick_ns;
    bool active;
};

static bool state_feed_before(const struct record *record, uint64_t epoch, uint64_t seq)
{
    return record_compare(record->epoch, record->seq, epoch, seq) < 0;
}

/* Positions whose entries have passed whole. */
static void state_feed_settle(struct state_feed *feed)
{
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        struct state_feed_queue *queue = &feed->queues[stream];
        while (queue->head != queue->tail) {
            struct state_feed_entry *entry = &queue->entries[queue->head % STATE_FEED_PENDING_MAX];
            if (record_compare(entry->epoch, entry->seq, feed->epoch, feed->seq) > 0)
                break;
            memcpy(feed->positions[stream].text, entry->position, STREAM_POSITION_SIZE);
            queue->head++;
        }
    }
}

static void state_feed_remember(struct state_feed *feed, enum stream_name stream, uint64_t epoch,
                                uint64_t seq, const char *position)
{
    struct state_feed_queue *queue = &feed->queues[stream];
    if (queue->tail - queue->head == STATE_FEED_PENDING_MAX)
        state_feed_settle(feed);
    if (queue->tail - queue->head == STATE_FEED_PENDING_MAX)
        return;
    struct state_feed_entry *entry = &queue->entries[queue->tail++ % STATE_FEED_PENDING_MAX];
    entry->epoch = epoch;
    entry->seq = seq;
    snprintf(entry->position, sizeof(entry->position), "%s", position);
}

/* Decodes and applies one record where the world stands; true when it was understood. */
static bool state_feed_apply(struct state_feed *feed, const struct record *record,
                             unsigned *effects)
{
    struct event event;
    int64_t start_ns = 0;
    bool timed = record->kind == RECORD_TICK && feed->options.stopwatch_ns != NULL;
    *effects = 0;
    if (decode_record(feed->decode, record, &event, NULL, NULL) != ERR_OK) {
        feed->counters.records_refused++;
        return false;
    }
    if (timed)
        start_ns = feed->options.stopwatch_ns();
    *effects = world_apply(feed->world, &event);
    if (timed)
        feed->tick_ns = feed->options.stopwatch_ns() - start_ns;
    return true;
}

static void state_feed_apply_tell(struct state_feed *feed, const struct record *record, bool own)
{
    unsigned effects;
    if (state_feed_apply(feed, record, &effects))
        feed->fn(feed->context, effects, record, own);
}

bool state_feed_is_anchored(const struct state_feed *feed)
{
    return feed->epoch != 0 &&
           state_placed_has(&feed->placed, RECORD_ANCHOR, feed->epoch, feed->seq);
}

void state_feed_anchor_undone(struct state_feed *feed, const struct record *record)
{
    state_placed_remove(&feed->placed, RECORD_ANCHOR, record->epoch, record->seq);
}

/* A hole that was placed gives up the records up to the one it names, also when they are
 * there: the writer that placed it did not have them, and everybody has to agree. */
static void state_feed_place_control(struct state_feed *feed, const struct record *control)
{
    struct record record = *control;
    record.recv_us = feed->recv_us > control->recv_us ? feed->recv_us : control->recv_us;
    if (control->kind == RECORD_HOLE && control->payload.size == 16) {
        feed->skip_epoch = bytes_load_u64(control->payload.data);
        feed->skip_seq = bytes_load_u64(control->payload.data + 8);
    }
    state_placed_add(&feed->placed, control->kind, control->epoch, control->seq);
    feed->counters.controls_placed++;
    state_feed_apply_tell(feed, &record, false);
}

/* Controls that belong before the record (epoch, seq). */
static void state_feed_place_before(struct state_feed *feed, uint64_t epoch, uint64_t seq)
{
    const struct record *first;
    while ((first = state_controls_first(&feed->controls)) != NULL &&
           state_feed_before(first, epoch, seq)) {
        state_feed_place_control(feed, first);
        state_controls_pop(&feed->controls);
    }
}

/* The same hole was declared by us and placed by another: one is enough. */
static void state_feed_own_hole(struct state_feed *feed, const struct record *record)
{
    const struct record *first = state_controls_first(&feed->controls);
    bool known = first != NULL && first->kind == RECORD_HOLE &&
                 record_compare(first->epoch, first->seq, record->epoch, record->seq) == 0;
    if (known)
        state_controls_pop(&feed->controls);
    state_placed_add(&feed->placed, RECORD_HOLE, record->epoch, record->seq);
    state_feed_apply_tell(feed, record, !known);
}

/* From the merge: the next record of the order, or a hole. */
static void state_feed_emit(void *context, const struct record *record)
{
    struct state_feed *feed = context;
    if (record->kind == RECORD_HOLE) {
        state_feed_own_hole(feed, record);
        return;
    }
    state_feed_place_before(feed, record->epoch, record->seq);
    feed->epoch = record->epoch;
    feed->seq = record->seq;
    if (record->recv_us > feed->recv_us)
        feed->recv_us = record->recv_us;
    if (!state_feed_before(record, feed->skip_epoch, feed->skip_seq))
        state_feed_apply_tell(feed, record, false);
    state_feed_place_before(feed, record->epoch, record->seq + 1);
}

/* Delivered again: the checkpoint's position lies before it while the saved world has it (all
 * before the checkpoint's place, and the anchor at that very place when it says so), or its
 * writer has sent it once more. */
static bool state_feed_is_known(const struct state_feed *feed, const struct record *record)
{
    if (state_feed_before(record, feed->restored_epoch, feed->restored_seq))
        return true;
    return state_placed_has(&feed->placed, record->kind, record->epoch, record->seq);
}

/* A control record from the stream: wait for its place, or see that it is behind. */
static void state_feed_control(struct state_feed *feed, const struct record *record)
{
    if (!record_is_control(record))
        return;
    int order = record_compare(record->epoch, record->seq, feed->epoch, feed->seq);
    if (state_feed_is_known(feed, record)) {
        feed->counters.controls_known++;
        return;
    }
    if (order > 0) {
        state_controls_add(&feed->controls, record);
        feed->counters.controls_dropped = feed->controls.dropped;
        return;
    }
    if (feed->active)
        return;
    if (order < 0)
        feed->counters.controls_late++;
    state_feed_place_control(feed, record);
}

void state_feed_record(void *context, const struct stream_record *entry, const char *position)
{
    struct state_feed *feed = context;
    struct envelope_reader reader;
    struct record record;
    if (envelope_open(&reader, entry->data, NULL) != ERR_OK ||
        strcmp(reader.symbol, feed->options.symbol) != 0) {
        feed->counters.envelopes_bad[entry->stream]++;
        return;
    }
    feed->counters.envelopes[entry->stream]++;
    while (envelope_next(&reader, &record) == ERR_OK) {
        feed->counters.records[entry->stream]++;
        if (entry->stream == STREAM_CONTROL)
            state_feed_control(feed, &record);
        else if (!record_is_control(&record))
            merge_push(feed->merge, (int)entry->stream, &record, feed->wait.now_us);
    }
    state_feed_remember(feed, entry->stream, reader.epoch, reader.last_seq, position);
    state_feed_settle(feed);
}

void state_feed_expire(struct state_feed *feed, int64_t mono_us, bool drained)
{
    merge_clock_pass(&feed->wait, mono_us, drained);
    if (!drained)
        return;
    feed->due_us = merge_expire(feed->merge, feed->wait.now_us);
    state_feed_settle(feed);
}

int64_t state_feed_wait_us(const struct state_feed *feed)
{
    int64_t wait = feed->due_us;
    return wait > MERGE_STEP_US_MAX ? MERGE_STEP_US_MAX : wait;
}

void state_feed_set_active(struct state_feed *feed, bool active)
{
    feed->active = active;
}

unsigned state_feed_anchor(struct state_feed *feed, struct bytes document, struct record *record)
{
    unsigned effects;
    *record = (struct record){.epoch = feed->epoch,
                              .seq = feed->seq,
                              .recv_us = feed->recv_us,
                              .kind = RECORD_ANCHOR,
                              .payload = document};
    if (!state_feed_apply(feed, record, &effects))
        return WORLD_ANCHOR_BAD;
    if (effects & WORLD_ANCHORED)
        state_placed_add(&feed->placed, RECORD_ANCHOR, feed->epoch, feed->seq);
    return effects;
}

int state_feed_restart(struct state_feed *feed, uint64_t epoch, uint64_t seq, bool anchored,
                       const struct stream_position *positions, struct err *err)
{
    /* A merge that has begun cannot wait for its first record again: a new one can. */
    if (feed->merge != NULL && epoch == 0) {
        merge_close(feed->merge);
        feed->merge = NULL;
    }
    if (feed->merge == NULL) {
        int result = merge_open(&feed->merge_options, state_feed_emit, feed, &feed->merge, err);
        if (result != ERR_OK)
            return result;
    }
    if (epoch != 0)
        merge_start_after(feed->merge, epoch, seq);
    feed->epoch = epoch;
    feed->seq = seq;
    feed->restored_epoch = epoch;
    feed->restored_seq = seq;
    state_placed_clear(&feed->placed);
    if (anchored)
        state_placed_add(&feed->placed, RECORD_ANCHOR, epoch, seq);
    feed->skip_epoch = 0;
    feed->skip_seq = 0;
    feed->due_us = -1;
    state_controls_clear(&feed->controls);
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        feed->queues[stream].head = feed->queues[stream].tail = 0;
        feed->positions[stream] = positions[stream];
    }
    return ERR_OK;
}

static int state_feed_open_parts(struct state_feed *feed, struct err *err)
{
    static const struct stream_position oldest[STREAM_COUNT];
    int result = decode_open(feed->options.symbol, &feed->decode, err);
    if (result != ERR_OK)
        return result;
    if (state_controls_open(&feed->controls) != ERR_OK)
        return err_set(err, ERR_MEMORY, "state feed of %s: out of memory", feed->options.symbol);
    return state_feed_restart(feed, 0, 0, false, oldest, err);
}

int state_feed_open(const struct state_feed_options *options, struct world *world, state_feed_fn fn,
                    void *context, struct state_feed **out, struct err *err)
{
    struct state_feed *feed = calloc(1, sizeof(*feed));
    if (feed == NULL)
        return err_set(err, ERR_MEMORY, "state feed of %s: out of memory", options->symbol);
    feed->options = *options;
    feed->world = world;
    feed->fn = fn;
    feed->context = context;
    feed->merge_options = (struct merge_options){.hold_us = options->hold_us,
                                                 .arena_bytes_max = options->arena_bytes_max,
                                                 .records_max = options->records_max,
                                                 .patience_us = MERGE_PATIENCE_US,
                                                 .lanes = STREAM_CONTROL};
    int result = state_feed_open_parts(feed, err);
    if (result != ERR_OK)
        state_feed_close(feed);
    else
        *out = feed;
    return result;
}

void state_feed_close(struct state_feed *feed)
{
    if (feed->merge != NULL)
        merge_close(feed->merge);
    if (feed->decode != NULL)
        decode_close(feed->decode);
    state_controls_close(&feed->controls);
    free(feed);
}

void state_feed_place(const struct state_feed *feed, uint64_t *epoch, uint64_t *seq,
                      int64_t *recv_us)
{
    *epoch = feed->epoch;
    *seq = feed->seq;
    *recv_us = feed->recv_us;
}

void state_feed_positions(const struct state_feed *feed, struct stream_position *positions)
{
    memcpy(positions, feed->positions, sizeof(feed->positions));
}

const struct state_feed_counters *state_feed_counters(const struct state_feed *feed)
{
    return &feed->counters;
}

const struct merge_counters *state_feed_merge_counters(const struct state_feed *feed)
{
    return merge_counters(feed->merge);
}

int64_t state_feed_take_tick_ns(struct state_feed *feed)
{
    int64_t ns = feed->tick_ns;
    feed->tick_ns = 0;
    return ns;
}
