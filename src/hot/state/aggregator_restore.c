/* How the aggregator comes back: checkpoint, then the control records (so that anchors and
 * holes are known before their place comes), then everything. A standby whose world has
 * come apart from the writer's takes the writer's checkpoint the same way.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "hot/state/aggregator_parts.h"

#define AGGREGATOR_CONTROL_ONLY (1u << STREAM_CONTROL)
#define AGGREGATOR_EVERYTHING   ((1u << STREAM_COUNT) - 1u)

void aggregator_restore_want_resync(struct aggregator *aggregator)
{
    int64_t recv_us;
    if (aggregator->lease.holds || aggregator->phase != AGGREGATOR_FOLLOWING)
        return;
    aggregator->resync_wanted = true;
    state_feed_place(aggregator->feed, &aggregator->resync_epoch, &aggregator->resync_seq,
                     &recv_us);
}

static void aggregator_restore_enter(struct aggregator *aggregator, enum aggregator_phase phase)
{
    aggregator->phase = phase;
    aggregator->phase_us = aggregator->now.mono_us;
    aggregator->caught_up = false;
}

/* Follows from where the feed is; false while the streams cannot be reached. */
static bool aggregator_restore_follow(struct aggregator *aggregator, unsigned mask)
{
    struct stream_consumer *consumer = &aggregator->options.consumer;
    struct stream_position positions[STREAM_COUNT];
    state_feed_positions(aggregator->feed, positions);
    return consumer->follow(consumer->self, mask, positions) == ERR_OK;
}

void aggregator_restore_rewind(struct aggregator *aggregator, uint64_t epoch, uint64_t seq,
                               const struct stream_position *positions)
{
    uint64_t now_epoch, now_seq;
    int64_t recv_us;
    state_feed_place(aggregator->feed, &now_epoch, &now_seq, &recv_us);
    if (now_epoch == epoch && now_seq == seq)
        return;
    struct err err = {0};
    if (state_feed_restart(aggregator->feed, epoch, seq, false, positions, &err) != ERR_OK ||
        !aggregator_restore_follow(aggregator, AGGREGATOR_EVERYTHING))
        log_error("rewind_failed", "symbol=%s reason=\"%s\"", aggregator->options.symbol, err.text);
}

/* The blob waits in the scratch until do_work looks at it. */
static void aggregator_restore_on_load(void *context, const struct state_reply *reply)
{
    struct aggregator *aggregator = context;
    aggregator_answer(&aggregator->load, reply);
    aggregator->loaded_size = 0;
    /* Active meanwhile: the scratch has another use, and the blob none. */
    if (reply->result != ERR_OK || aggregator->lease.holds)
        return;
    if (reply->data.size > aggregator->scratch_capacity || reply->data.size == 0) {
        aggregator->load.result = ERR_MALFORMED;
        return;
    }
    memcpy(aggregator->scratch, reply->data.data, reply->data.size);
    aggregator->loaded_size = reply->data.size;
}

static void aggregator_restore_load(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    /* While an anchor is being swapped in, the scratch holds the world before it. */
    if (aggregator->load.in_flight || aggregator->now.mono_us < aggregator->load_us ||
        aggregator_anchor_busy(aggregator) || !state->ready(state->self))
        return;
    aggregator->load_us = aggregator->now.mono_us + AGGREGATOR_RESYNC_US;
    aggregator->load.in_flight =
        state->load(state->self, aggregator_restore_on_load, aggregator) == ERR_OK;
}

/* The world and its place from the blob. On error the world is empty and so is the feed. */
static int aggregator_restore_adopt(struct aggregator *aggregator,
                                    const struct state_checkpoint *checkpoint, struct err *err)
{
    static const struct stream_position oldest[STREAM_COUNT];
    struct world_view view;
    int result = world_load(aggregator->world, checkpoint->world, err);
    if (result != ERR_OK) {
        if (state_feed_restart(aggregator->feed, 0, 0, false, oldest, NULL) != ERR_OK)
            log_error("restart_failed", "symbol=%s", aggregator->options.symbol);
        return result;
    }
    world_view(aggregator->world, &view);
    aggregator->book_live = view.book_live;
    if (view.book_live)
        aggregator_ask_done(aggregator);
    return state_feed_restart(aggregator->feed, checkpoint->epoch, checkpoint->seq,
                              checkpoint->anchored, checkpoint->positions, err);
}

/* At the start: with or without a checkpoint, go on. */
static void aggregator_restore_start(struct aggregator *aggregator)
{
    const struct aggregator_call *call = &aggregator->load;
    struct state_checkpoint checkpoint;
    struct err err = {0};
    if (call->result == ERR_CONNECTION || call->result == ERR_TIMEOUT)
        return;
    int result = call->result;
    if (result == ERR_OK)
        result = state_checkpoint_read(bytes_of(aggregator->scratch, aggregator->loaded_size),
                                       aggregator->options.symbol, &checkpoint, &err);
    if (result == ERR_OK)
        result = aggregator_restore_adopt(aggregator, &checkpoint, &err);
    if (result == ERR_OK) {
        aggregator->restores++;
        log_info("restored", "symbol=%s epoch=%llu seq=%llu bytes=%zu", aggregator->options.symbol,
                 (unsigned long long)checkpoint.epoch, (unsigned long long)checkpoint.seq,
                 aggregator->loaded_size);
    } else if (result != ERR_EMPTY) {
        log_warn("checkpoint_unusable", "symbol=%s reason=\"%s\"", aggregator->options.symbol,
                 err.text[0] != 0 ? err.text : call->text);
    }
    /* Begun with nothing, beside a writer that has a past: its next checkpoint, whichever. */
    aggregator->resync_wanted = result != ERR_OK && !aggregator->lease.holds;
    aggregator->resync_epoch = aggregator->resync_seq = 0;
    aggregator_restore_enter(aggregator, AGGREGATOR_CONTROLS);
    if (!aggregator_restore_follow(aggregator, AGGREGATOR_CONTROL_ONLY))
        aggregator_restore_enter(aggregator, AGGREGATOR_LOADING);
}

/* A standby's: only a checkpoint from behind the place where the worlds came apart. Nor from
 * that very place: it might be its own, of before it was relieved, and the writer of now may
 * have placed the last anchor elsewhere. */
static void aggregator_restore_resync(struct aggregator *aggregator)
{
    struct state_checkpoint checkpoint;
    struct err err = {0};
    if (aggregator->load.result != ERR_OK || aggregator->lease.holds ||
        state_checkpoint_read(bytes_of(aggregator->scratch, aggregator->loaded_size),
                              aggregator->options.symbol, &checkpoint, &err) != ERR_OK)
        return;
    if (record_compare(checkpoint.epoch, checkpoint.seq, aggregator->resync_epoch,
                       aggregator->resync_seq) <= 0)
        return;
    aggregator->resync_wanted = false;
    if (aggregator_restore_adopt(aggregator, &checkpoint, &err) == ERR_OK) {
        aggregator->resyncs++;
        metric_add(aggregator->metrics.resyncs, 1);
    } else {
        /* Of another version, say: from the oldest records, as at a start. */
        log_warn("resync_failed", "symbol=%s reason=\"%s\"", aggregator->options.symbol, err.text);
    }
    aggregator_restore_enter(aggregator, AGGREGATOR_CONTROLS);
    if (!aggregator_restore_follow(aggregator, AGGREGATOR_CONTROL_ONLY))
        aggregator_restore_enter(aggregator, AGGREGATOR_LOADING);
}

static void aggregator_restore_controls(struct aggregator *aggregator, bool drained)
{
    bool enough =
        drained || aggregator->now.mono_us - aggregator->phase_us > AGGREGATOR_CONTROLS_US;
    if (enough && aggregator_restore_follow(aggregator, AGGREGATOR_EVERYTHING))
        aggregator_restore_enter(aggregator, AGGREGATOR_FOLLOWING);
}

int aggregator_restore_do_work(struct aggregator *aggregator, bool drained)
{
    bool answered = aggregator_answered(&aggregator->load);
    switch (aggregator->phase) {
    case AGGREGATOR_LOADING:
        if (answered)
            aggregator_restore_start(aggregator);
        else
            aggregator_restore_load(aggregator);
        break;
    case AGGREGATOR_CONTROLS:
        aggregator_restore_controls(aggregator, drained);
        break;
    case AGGREGATOR_FOLLOWING:
        if (answered && aggregator->resync_wanted)
            aggregator_restore_resync(aggregator);
        else if (aggregator->resync_wanted && !aggregator->lease.holds)
            aggregator_restore_load(aggregator);
        break;
    }
    return answered;
}
