/* SPDX-License-Identifier: Apache-2.0 */
#include "market/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* A record that waits; its payload is a copy in the arena. */
struct merge_waiting {
    struct record record;
    int64_t since_us;
};

/* The newest record of a stream. */
struct merge_lane {
    uint64_t epoch, seq;
};

struct merge {
    struct merge_options options;
    struct merge_lane lanes[MERGE_LANES_MAX];
    merge_emit_fn emit;
    void *context;
    struct merge_counters counters;
    bool has_start;
    uint64_t epoch, seq; /* last record passed on */
    int first, count;    /* waiting[first .. first + count), ascending by (epoch, seq) */
    int64_t since_us;    /* no waiting record came earlier than this */
    size_t arena_used;   /* end of the last copy in the half in use */
    int half;            /* of the arena; the other one takes over when this is used up */
    uint8_t *arena;      /* two halves of arena_bytes_max */
    struct merge_waiting waiting[];
};

int merge_open(const struct merge_options *options, merge_emit_fn emit, void *context,
               struct merge **merge, struct err *err)
{
    if (options->records_max < 1 || options->hold_us < 0)
        return err_set(err, ERR_INVALID,
                       "merge: records_max must be positive, hold_us not negative");
    if (options->lanes < 1 || options->lanes > MERGE_LANES_MAX)
        return err_set(err, ERR_INVALID, "merge: 1 to %d lanes", MERGE_LANES_MAX);
    size_t list = (size_t)options->records_max * sizeof(struct merge_waiting);
    struct merge *self = calloc(1, sizeof(*self) + list);
    uint8_t *arena = calloc(2, options->arena_bytes_max > 0 ? options->arena_bytes_max : 1);
    if (self == NULL || arena == NULL) {
        free(self);
        free(arena);
        return err_set(err, ERR_MEMORY, "merge: %zu bytes", list + 2 * options->arena_bytes_max);
    }
    self->options = *options;
    if (self->options.patience_us < options->hold_us)
        self->options.patience_us = options->hold_us;
    self->emit = emit;
    self->context = context;
    self->arena = arena;
    *merge = self;
    return ERR_OK;
}

void merge_close(struct merge *merge)
{
    if (merge == NULL)
        return;
    free(merge->arena);
    free(merge);
}

void merge_start_after(struct merge *merge, uint64_t epoch, uint64_t seq)
{
    merge->has_start = true;
    merge->epoch = epoch;
    merge->seq = seq;
    merge->first = 0;
    merge->count = 0;
    merge->arena_used = 0;
    memset(merge->lanes, 0, sizeof(merge->lanes));
}

static struct merge_waiting *merge_at(const struct merge *merge, int index)
{
    return (struct merge_waiting *)&merge->waiting[merge->first + index];
}

const struct merge_counters *merge_counters(const struct merge *merge)
{
    return &merge->counters;
}

static bool merge_is_next(const struct merge *merge, const struct record *record)
{
    return merge->has_start && record->epoch == merge->epoch && record->seq == merge->seq + 1;
}

static bool merge_has_passed(const struct merge *merge, const struct record *record)
{
    return merge->has_start &&
           record_compare(record->epoch, record->seq, merge->epoch, merge->seq + 1) < 0;
}

static void merge_pass(struct merge *merge, const struct record *record)
{
    merge->has_start = true;
    merge->epoch = record->epoch;
    merge->seq = record->seq;
    merge->counters.emitted++;
    merge->emit(merge->context, record);
}

/* Takes the first records off the list; the room before it is used up by merge_insert. */
static void merge_drop_first(struct merge *merge, int count)
{
    merge->count -= count;
    merge->first += count;
    if (merge->count > 0)
        return;
    merge->first = 0;
    merge->arena_used = 0;
}

/* Passes on what waited for the record just passed on. */
static void merge_drain(struct merge *merge)
{
    int ready = 0;
    while (ready < merge->count && merge_is_next(merge, &merge_at(merge, ready)->record))
        merge_pass(merge, &merge_at(merge, ready++)->record);
    if (ready > 0)
        merge_drop_first(merge, ready);
}

/* Gives up what lies before `next`: a hole record, and the order goes on there. The
 * first record of a newer epoch leaves no hole: how many the older one had is not known,
 * and its update ids tell whether anything is missing. */
static void merge_declare_hole(struct merge *merge, const struct record *next)
{
    uint64_t before = next->epoch == merge->epoch ? merge->seq : 0;
    if (next->seq == before + 1)
        return;
    uint8_t payload[16];
    bytes_store_u64(payload, next->epoch);
    bytes_store_u64(payload + 8, next->seq);
    struct record hole = {.epoch = merge->epoch,
                          .seq = merge->seq,
                          .recv_us = next->recv_us,
                          .kind = RECORD_HOLE,
                          .payload = bytes_of(payload, sizeof(payload))};
    merge->counters.holes++;
    merge->counters.records_missing += next->seq - before - 1;
    merge->emit(merge->context, &hole);
}

/* Nothing before the record will be waited for any longer. What begins the order leaves
 * no hole: what came before it was never promised. */
static void merge_skip_to(struct merge *merge, const struct record *record)
{
    if (merge->has_start)
        merge_declare_hole(merge, record);
    merge_pass(merge, record);
}

static void merge_give_up_first(struct merge *merge)
{
    merge_skip_to(merge, &merge_at(merge, 0)->record);
    merge_drop_first(merge, 1);
    merge_drain(merge);
}

/* Where the record belongs in the list. */
static int merge_find(const struct merge *merge, const struct record *record)
{
    int low = 0, high = merge->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        const struct record *other = &merge_at(merge, middle)->record;
        if (record_compare(other->epoch, other->seq, record->epoch, record->seq) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Copies what still waits into the other half, without the spaces between. */
static void merge_compact(struct merge *merge)
{
    merge->half = !merge->half;
    merge->arena_used = 0;
    uint8_t *half = merge->arena + (merge->half ? merge->options.arena_bytes_max : 0);
    for (int i = 0; i < merge->count; i++) {
        struct bytes *payload = &merge_at(merge, i)->record.payload;
        if (payload->size > 0)
            memcpy(half + merge->arena_used, payload->data, payload->size);
        payload->data = half + merge->arena_used;
        merge->arena_used += payload->size;
    }
}

static bool merge_has_room(struct merge *merge, size_t size)
{
    if (merge->count == merge->options.records_max || size > merge->options.arena_bytes_max)
        return false;
    if (merge->options.arena_bytes_max - merge->arena_used < size)
        merge_compact(merge);
    return merge->options.arena_bytes_max - merge->arena_used >= size;
}

static void merge_insert(struct merge *merge, int at, const struct record *record, int64_t now_us)
{
    uint8_t *copy =
        merge->arena + (merge->half ? merge->options.arena_bytes_max : 0) + merge->arena_used;
    if (record->payload.size > 0)
        memcpy(copy, record->payload.data, record->payload.size);
    merge->arena_used += record->payload.size;
    if (merge->first + merge->count == merge->options.records_max) {
        memmove(merge->waiting, merge_at(merge, 0),
                (size_t)merge->count * sizeof(merge->waiting[0]));
        merge->first = 0;
    }
    struct merge_waiting *place = merge_at(merge, at);
    memmove(place + 1, place, (size_t)(merge->count - at) * sizeof(*place));
    *place = (struct merge_waiting){.record = *record, .since_us = now_us};
    place->record.payload.data = copy;
    if (merge->count == 0 || now_us < merge->since_us)
        merge->since_us = now_us;
    merge->count++;
    merge->counters.waited++;
}

/* Full: holes are declared at once, from the lowest record on, until there is room.
 * True: the record itself was passed on. */
static bool merge_make_room(struct merge *merge, const struct record *record)
{
    while (!merge_has_room(merge, record->payload.size)) {
        merge->counters.full++;
        if (merge->count == 0 || merge_find(merge, record) == 0) {
            merge_skip_to(merge, record);
            merge_drain(merge);
            return true;
        }
        merge_give_up_first(merge);
        if (merge_is_next(merge, record)) {
            merge_pass(merge, record);
            merge_drain(merge);
            return true;
        }
    }
    return false;
}

static void merge_see(struct merge_lane *lane, const struct record *record)
{
    if (record_compare(record->epoch, record->seq, lane->epoch, lane->seq) <= 0)
        return;
    lane->epoch = record->epoch;
    lane->seq = record->seq;
}

void merge_push(struct merge *merge, int lane, const struct record *record, int64_t now_us)
{
    PRE(!record_is_control(record));
    PRE(lane >= 0 && lane < merge->options.lanes);
    merge_see(&merge->lanes[lane], record);
    if (merge_has_passed(merge, record)) {
        merge->counters.duplicates++;
        return;
    }
    if (merge_is_next(merge, record)) {
        merge_pass(merge, record);
        merge_drain(merge);
        return;
    }
    int at = merge_find(merge, record);
    if (at < merge->count && merge_at(merge, at)->record.epoch == record->epoch &&
        merge_at(merge, at)->record.seq == record->seq) {
        merge->counters.duplicates++;
        return;
    }
    if (!merge_make_room(merge, record))
        merge_insert(merge, merge_find(merge, record), record, now_us);
}

/* When the record that came first of those waiting came. */
static int64_t merge_oldest_us(const struct merge *merge)
{
    int64_t since_us = merge_at(merge, 0)->since_us;
    for (int i = 1; i < merge->count; i++)
        if (merge_at(merge, i)->since_us < since_us)
            since_us = merge_at(merge, i)->since_us;
    return since_us;
}

/* No stream can still bring what lies before the first waiting record. Nobody sends what an
 * older epoch left behind: a first record needs no other stream's word. */
static bool merge_is_certain(const struct merge *merge)
{
    const struct record *first = &merge_at(merge, 0)->record;
    if (merge->has_start && first->epoch != merge->epoch && first->seq == 1)
        return true;
    for (int i = 0; i < merge->options.lanes; i++) {
        const struct merge_lane *lane = &merge->lanes[i];
        if (record_compare(lane->epoch, lane->seq, first->epoch, first->seq) < 0)
            return false;
    }
    return true;
}

int64_t merge_expire(struct merge *merge, int64_t now_us)
{
    while (merge->count > 0) {
        int64_t wait_us =
            merge_is_certain(merge) ? merge->options.hold_us : merge->options.patience_us;
        /* since_us may be too early, since records leave: looked up again only when due. */
        if (merge->since_us + wait_us <= now_us)
            merge->since_us = merge_oldest_us(merge);
        int64_t left_us = merge->since_us + wait_us - now_us;
        if (left_us > 0)
            return left_us;
        merge_give_up_first(merge);
    }
    return -1;
}

void merge_clock_pass(struct merge_clock *clock, int64_t mono_us, bool drained)
{
    int64_t step_us = mono_us - clock->last_us;
    clock->last_us = mono_us;
    if (drained && step_us > 0)
        clock->now_us += step_us > MERGE_STEP_US_MAX ? MERGE_STEP_US_MAX : step_us;
}
