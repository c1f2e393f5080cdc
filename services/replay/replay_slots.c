/* SPDX-License-Identifier: Apache-2.0 */
#include "services/replay/replay_slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "hot/state/state_image.h"
#include "wire/decode.h"

/* The live writer's and the live journal's part that a replay does not have. */
#define REPLAY_JOURNAL_SLOTS 16
/* A longer pause in the data than this is jumped over, its slots are not rows. */
#define REPLAY_PAUSE_US_MAX 600000000LL

struct replay_slots {
    struct replay_slots_options options;
    struct decode *decode;
    struct world *world;
    struct infer infer;
    bool started;
    int64_t slot_us;               /* virtual time while a slot is worked on */
    int64_t next_slot_us;          /* time of the slot that is due next */
    uint64_t skip_epoch, skip_seq; /* records before this place lie in a declared hole */
    struct state_image image;
    struct infer_read read;
    uint8_t saved[TRACK_SAVED_MAX]; /* what live keeps in the calibration key */
    size_t saved_size;
    struct prediction served;
    bool was_served;
    struct replay_counters counters;
};

/* --- the hot state in memory ---------------------------------------------------------- */

static void replay_slots_parse(struct replay_slots *replay)
{
    struct world_view view;
    struct world_slot_mid mids[WORLD_SLOT_MIDS];
    int mid_count = world_slot_mids(replay->world, mids, WORLD_SLOT_MIDS);
    world_view(replay->world, &view);
    struct state_image_input input = {.view = &view,
                                      .mids = mids,
                                      .mid_count = mid_count,
                                      .source = view.book_is_rest ? "rest" : "sbe"};
    state_image_make(&input, &replay->image);
    state_parse_begin(&replay->read.state);
    for (int hash = 0; hash < STATE_HASH_COUNT; hash++)
        for (int i = 0; i < replay->image.count[hash]; i++)
            state_parse_field(&replay->read.state, (enum state_key)hash,
                              replay->image.pairs[hash][i].field,
                              replay->image.pairs[hash][i].value);
    state_parse_finish(&replay->read.state);
}

static int replay_slots_read(void *self, infer_read_fn done, void *context)
{
    struct replay_slots *replay = self;
    replay_slots_parse(replay);
    replay->read.calibration = bytes_of(replay->saved, replay->saved_size);
    done(context, ERR_OK, &replay->read);
    return ERR_OK;
}

static int replay_slots_publish(void *self, const struct infer_publish *request,
                                infer_publish_fn done, void *context)
{
    struct replay_slots *replay = self;
    if (request->calibration.size > 0) {
        memcpy(replay->saved, request->calibration.data, request->calibration.size);
        replay->saved_size = request->calibration.size;
    }
    done(context, ERR_OK, INFER_PUBLISHED, request->slot, NULL);
    return ERR_OK;
}

static void replay_slots_served(void *context, const struct prediction *prediction,
                                const struct infer_timing *timing)
{
    struct replay_slots *replay = context;
    (void)timing;
    replay->served = *prediction;
    replay->was_served = true;
}

static void replay_slots_mode(void *context, enum degrade_mode from, enum degrade_mode to,
                              const char *reason)
{
    (void)context; /* the mode is a column of the row */
    (void)from;
    (void)to;
    (void)reason;
}

static void replay_slots_clock_step(void *context, int64_t step_us)
{
    (void)context;
    CHECK(step_us == 0); /* the virtual clock never steps */
}

/* The slot's own time: a replay's rows hold nothing that was measured. */
static int64_t replay_slots_mono_ns(void *clock)
{
    const struct replay_slots *replay = clock;
    return replay->slot_us * 1000;
}

/* --- slots ---------------------------------------------------------------------------- */

static int replay_slots_start(struct replay_slots *replay, int64_t now_us)
{
    struct infer_options options = {
        .journal_capacity = REPLAY_JOURNAL_SLOTS, .mono_ns = replay_slots_mono_ns, .clock = replay};
    snprintf(options.symbol, sizeof(options.symbol), "%s", replay->options.symbol);
    struct infer_port port = {
        .self = replay, .read = replay_slots_read, .publish = replay_slots_publish};
    struct infer_observer observer = {.context = replay,
                                      .served = replay_slots_served,
                                      .mode = replay_slots_mode,
                                      .clock_step = replay_slots_clock_step};
    struct clock_now now = {.wall_us = now_us, .mono_us = now_us};
    int result = infer_open(&replay->infer, &options, &port, &observer, now, NULL);
    if (result != ERR_OK)
        return result;
    replay->started = true;
    replay->next_slot_us = clock_slot_us(clock_slot(now_us) + 1);
    return infer_set_model(&replay->infer, replay->options.model);
}

static void replay_slots_slot(struct replay_slots *replay)
{
    int64_t slot_us = replay->next_slot_us;
    replay->slot_us = slot_us;
    replay->next_slot_us += CLOCK_SLOT_US;
    replay->counters.slots++;
    if (replay->options.slot == NULL)
        return;
    replay->was_served = false;
    infer_do_work(&replay->infer, (struct clock_now){.wall_us = slot_us, .mono_us = slot_us});
    if (replay->read.state.has_vector)
        replay->options.slot(replay->options.context, clock_slot(slot_us), &replay->read.state,
                             replay->was_served ? &replay->served : NULL);
}

/* A prediction was published from the vector of this place: it is made here again. */
static void replay_slots_scheduled(struct replay_slots *replay, const struct record *record)
{
    struct world_view view;
    if (record->payload.size != RECORD_SLOT_SIZE) {
        replay->counters.refused_controls++;
        return;
    }
    int64_t slot_us = clock_slot_us(bytes_load_i64(record->payload.data));
    world_view(replay->world, &view);
    if (slot_us < replay->next_slot_us || view.vector.epoch != record->epoch ||
        view.vector.seq != record->seq) {
        replay->counters.slots_unplaced++;
        return;
    }
    replay->next_slot_us = slot_us;
    replay_slots_slot(replay);
}

/* --- records -------------------------------------------------------------------------- */

int replay_slots_open(const struct replay_slots_options *options, struct replay_slots **out,
                      struct err *err)
{
    struct replay_slots *replay = calloc(1, sizeof(*replay));
    if (replay == NULL)
        return err_set(err, ERR_MEMORY, "replay");
    replay->options = *options;
    struct world_options world = {0};
    snprintf(world.symbol, sizeof(world.symbol), "%s", options->symbol);
    int result = world_open(&world, &replay->world, err);
    if (result == ERR_OK)
        result = decode_open(options->symbol, &replay->decode, err);
    if (result != ERR_OK) {
        replay_slots_close(replay);
        return result;
    }
    *out = replay;
    return ERR_OK;
}

void replay_slots_close(struct replay_slots *replay)
{
    if (replay->started)
        infer_close(&replay->infer);
    if (replay->decode != NULL)
        decode_close(replay->decode);
    if (replay->world != NULL)
        world_close(replay->world);
    free(replay);
}

static void replay_slots_count(struct replay_slots *replay, const struct record *record)
{
    replay->counters.records++;
    switch (record->kind) {
    case RECORD_FRAME:
        replay->counters.frames++;
        break;
    case RECORD_TICK:
        replay->counters.ticks++;
        break;
    case RECORD_ANCHOR:
        replay->counters.anchors++;
        break;
    default:
        replay->counters.holes++;
    }
}

/* A slot sees every record before its time and none after it. */
static void replay_slots_pass(struct replay_slots *replay, int64_t recv_us)
{
    if (recv_us - replay->next_slot_us > REPLAY_PAUSE_US_MAX)
        replay->next_slot_us = clock_slot_us(clock_slot(recv_us));
    while (recv_us >= replay->next_slot_us)
        replay_slots_slot(replay);
}

/* Behind a hole that the live writer declared lie records that came too late for it: they
 * are in the recording, and were never in its world. */
static bool replay_slots_given_up(struct replay_slots *replay, const struct record *record)
{
    if (record->kind == RECORD_HOLE && record->payload.size == 16) {
        replay->skip_epoch = bytes_load_u64(record->payload.data);
        replay->skip_seq = bytes_load_u64(record->payload.data + 8);
    }
    return !record_is_control(record) &&
           record_compare(record->epoch, record->seq, replay->skip_epoch, replay->skip_seq) < 0;
}

/* A reader of the hot state would have found the vector that this tick has made. A slot parses the
 * state again before it looks at it. */
static void replay_slots_tick(struct replay_slots *replay, const struct record *record)
{
    if (replay->options.tick == NULL || record->kind != RECORD_TICK)
        return;
    replay_slots_parse(replay);
    const struct state_read *state = &replay->read.state;
    if (state->has_vector && state->vec_epoch == record->epoch && state->vec_seq == record->seq)
        replay->options.tick(replay->options.context, state);
}

void replay_slots_apply(struct replay_slots *replay, const struct record *record)
{
    if (!replay->started) {
        int result = replay_slots_start(replay, record->recv_us);
        CHECK(result == ERR_OK);
    }
    if (record->kind == RECORD_SLOT) {
        if (replay->options.scheduled)
            replay_slots_scheduled(replay, record);
        return;
    }
    if (!replay->options.scheduled)
        replay_slots_pass(replay, record->recv_us);
    replay_slots_count(replay, record);
    if (replay_slots_given_up(replay, record)) {
        replay->counters.given_up++;
        return;
    }
    struct event event;
    enum sbe_verdict verdict = SBE_OK;
    if (decode_record(replay->decode, record, &event, &verdict, NULL) == ERR_OK) {
        world_apply(replay->world, &event);
        replay_slots_tick(replay, record);
    } else if (record->kind == RECORD_FRAME) {
        replay->counters.refused[verdict]++;
    } else {
        replay->counters.refused_controls++;
    }
}

const struct replay_counters *replay_slots_counters(const struct replay_slots *replay)
{
    return &replay->counters;
}

const struct world *replay_slots_world(const struct replay_slots *replay)
{
    return replay->world;
}
