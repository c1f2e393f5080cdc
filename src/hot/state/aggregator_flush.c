/* The writing half of the aggregator: one flush under way at a time, the next one takes
 * along everything that has changed meanwhile; a checkpoint rides with one flush a second.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hot/state/aggregator_parts.h"

/* Room for a checkpoint, or for the world before an anchor. */
int aggregator_flush_open(struct aggregator *aggregator, struct err *err)
{
    size_t capacity = STATE_CHECKPOINT_OVERHEAD + world_save_size_max(aggregator->world);
    if (capacity < STATE_CHECKPOINT_BYTES_MAX)
        capacity = STATE_CHECKPOINT_BYTES_MAX;
    aggregator->scratch = malloc(capacity);
    if (aggregator->scratch == NULL)
        return err_set(err, ERR_MEMORY, "aggregator: no room for checkpoints");
    aggregator->scratch_capacity = capacity;
    return ERR_OK;
}

void aggregator_make_image(struct aggregator *aggregator)
{
    struct world_view view;
    struct world_slot_mid mids[WORLD_SLOT_MIDS];
    int mid_count = world_slot_mids(aggregator->world, mids, WORLD_SLOT_MIDS);
    world_view(aggregator->world, &view);
    state_image_make(&(struct state_image_input){.view = &view,
                                                 .mids = mids,
                                                 .mid_count = mid_count,
                                                 .writer = aggregator->lease.epoch,
                                                 .source = view.book_is_rest ? "rest" : "sbe"},
                     &aggregator->image);
}

/* The checkpoint to send along, or no bytes when none is due. */
static struct bytes aggregator_flush_checkpoint(struct aggregator *aggregator)
{
    struct state_checkpoint meta = {0};
    struct err err = {0};
    int64_t recv_us;
    size_t size;
    aggregator->flush_has_checkpoint = false;
    if (aggregator->now.mono_us < aggregator->checkpoint_us)
        return (struct bytes){NULL, 0};
    aggregator->checkpoint_us = aggregator->now.mono_us + aggregator->options.checkpoint_us;
    state_feed_place(aggregator->feed, &meta.epoch, &meta.seq, &recv_us);
    if (meta.epoch == aggregator->checkpoint_place[0] &&
        meta.seq == aggregator->checkpoint_place[1])
        return (struct bytes){NULL, 0};
    snprintf(meta.symbol, sizeof(meta.symbol), "%s", aggregator->options.symbol);
    meta.anchored = state_feed_is_anchored(aggregator->feed);
    state_feed_positions(aggregator->feed, meta.positions);
    if (state_checkpoint_write(&meta, aggregator->world, aggregator->scratch,
                               aggregator->scratch_capacity, &size, &err) != ERR_OK) {
        log_warn("checkpoint_skipped", "symbol=%s reason=\"%s\"", meta.symbol, err.text);
        return (struct bytes){NULL, 0};
    }
    aggregator->flush_has_checkpoint = true;
    aggregator->flush_place[0] = meta.epoch;
    aggregator->flush_place[1] = meta.seq;
    metric_set(aggregator->metrics.checkpoint_bytes, (double)size);
    return bytes_of(aggregator->scratch, size);
}

bool aggregator_flush_waits(const struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    return aggregator->dirty && aggregator->lease.holds && !aggregator->flush.in_flight &&
           !aggregator_anchor_busy(aggregator) && state->ready(state->self);
}

static bool aggregator_flush_due(const struct aggregator *aggregator, bool drained)
{
    int64_t now_us = aggregator->now.mono_us;
    if (!aggregator_flush_waits(aggregator) || now_us < aggregator->retry_us)
        return false;
    return drained || now_us - aggregator->dirty_us >= aggregator->options.flush_delay_us;
}

static int aggregator_flush_start(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    int64_t start_ns = 0;
    if (aggregator->options.stopwatch_ns != NULL)
        start_ns = aggregator->options.stopwatch_ns();
    aggregator_make_image(aggregator);
    if (aggregator->options.stopwatch_ns != NULL)
        metric_observe_ns(aggregator->metrics.computation,
                          aggregator->options.stopwatch_ns() - start_ns +
                              state_feed_take_tick_ns(aggregator->feed));
    struct bytes checkpoint = aggregator_flush_checkpoint(aggregator);
    if (state->flush(state->self, aggregator->lease.epoch, &aggregator->image, checkpoint,
                     aggregator_answer, &aggregator->flush) != ERR_OK)
        return 0;
    aggregator->flush.in_flight = true;
    aggregator->dirty = false;
    aggregator->flying_recv_us = aggregator->waiting_recv_us;
    aggregator->waiting_recv_us = 0;
    return 1;
}

static void aggregator_flush_written(struct aggregator *aggregator)
{
    aggregator->flushes++;
    aggregator->flushed_us = aggregator->now.wall_us;
    metric_add(aggregator->metrics.flushes, 1);
    if (aggregator->flying_recv_us != 0)
        metric_observe_ns(aggregator->metrics.frame_to_flush,
                          (aggregator->now.wall_us - aggregator->flying_recv_us) * 1000);
    if (!aggregator->flush_has_checkpoint)
        return;
    metric_add(aggregator->metrics.checkpoints, 1);
    memcpy(aggregator->checkpoint_place, aggregator->flush_place, sizeof(aggregator->flush_place));
}

static void aggregator_flush_done(struct aggregator *aggregator)
{
    const struct aggregator_call *call = &aggregator->flush;
    if (call->result == ERR_OK) {
        aggregator_flush_written(aggregator);
        return;
    }
    /* Not written, or nobody knows: the next flush says everything again. */
    metric_add(aggregator->metrics.flushes_failed, 1);
    aggregator_mark_dirty(aggregator);
    aggregator->checkpoint_us = 0;
    if (aggregator->flying_recv_us != 0)
        aggregator->waiting_recv_us = aggregator->flying_recv_us;
    if (call->result == ERR_FENCED) {
        aggregator->waiting_recv_us = 0;
        aggregator_demote(aggregator, "flush", call->epoch);
        return;
    }
    aggregator->retry_us = aggregator->now.mono_us + AGGREGATOR_RETRY_US;
    if (call->result != ERR_CONNECTION)
        log_warn("flush_failed", "symbol=%s reason=\"%s\"", aggregator->options.symbol, call->text);
}

int aggregator_flush_do_work(struct aggregator *aggregator, bool drained)
{
    int work = 0;
    if (aggregator_answered(&aggregator->flush)) {
        aggregator_flush_done(aggregator);
        work++;
    }
    if (aggregator_flush_due(aggregator, drained))
        work += aggregator_flush_start(aggregator);
    return work;
}
