/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/aggregator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "hot/state/aggregator_parts.h"

#define AGGREGATOR_READERS_CARE                                                                    \
    (WORLD_CHANGED | WORLD_TICKED | WORLD_GAP | WORLD_ANCHORED | WORLD_DIVERGED)

void aggregator_answer(void *context, const struct state_reply *reply)
{
    struct aggregator_call *call = context;
    call->in_flight = false;
    call->answered = true;
    call->result = reply->result;
    call->epoch = reply->epoch;
    snprintf(call->text, sizeof(call->text), "%s", reply->text != NULL ? reply->text : "");
}

bool aggregator_answered(struct aggregator_call *call)
{
    bool answered = call->answered;
    call->answered = false;
    return answered;
}

void aggregator_mark_dirty(struct aggregator *aggregator)
{
    if (!aggregator->dirty)
        aggregator->dirty_us = aggregator->now.mono_us;
    aggregator->dirty = true;
}

void aggregator_demote(struct aggregator *aggregator, const char *what, uint64_t epoch)
{
    aggregator->writes_refused++;
    metric_add(aggregator->metrics.flushes_fenced, 1);
    log_warn("fenced", "symbol=%s what=%s own=%llu stored=%llu", aggregator->options.symbol, what,
             (unsigned long long)aggregator->lease.epoch, (unsigned long long)epoch);
    writer_lease_fenced(&aggregator->lease);
}

static const char *aggregator_loss(unsigned effects)
{
    if (effects & WORLD_DIVERGED)
        return "book differs from depth20";
    if (effects & WORLD_GAP)
        return "depth id gap";
    return NULL;
}

/* After each record applied (state_feed_fn). */
static void aggregator_on_effects(void *context, unsigned effects, const struct record *record,
                                  bool own)
{
    struct aggregator *aggregator = context;
    const char *loss = aggregator_loss(effects);
    if (effects & AGGREGATOR_READERS_CARE) {
        aggregator_mark_dirty(aggregator);
        /* What a standby applies, or a restart catches up with, waits for no flush of ours. */
        if (aggregator->waiting_recv_us == 0 && aggregator->lease.holds && aggregator->caught_up)
            aggregator->waiting_recv_us = record->recv_us;
    }
    if (effects & WORLD_TICKED)
        metric_add(aggregator->metrics.updates, 1);
    if (effects & WORLD_ANCHORED) {
        aggregator->book_live = true;
        aggregator_ask_done(aggregator);
    }
    if (record->kind == RECORD_HOLE && own && aggregator->lease.holds)
        aggregator_outbox_add(aggregator, record);
    if (loss != NULL) {
        if (aggregator->lease.holds)
            log_warn("book_lost", "symbol=%s cause=\"%s\" epoch=%llu seq=%llu",
                     aggregator->options.symbol, loss, (unsigned long long)record->epoch,
                     (unsigned long long)record->seq);
        aggregator->book_live = false;
        aggregator_ask_want(aggregator, loss);
    }
    aggregator_report_effects(aggregator, effects, record, loss);
    if (!aggregator->lease.holds && (loss != NULL || own))
        aggregator_restore_want_resync(aggregator);
}

void aggregator_on_record(void *self, const struct stream_record *record, const char *position)
{
    struct aggregator *aggregator = self;
    uint64_t late = state_feed_counters(aggregator->feed)->controls_late;
    state_feed_record(aggregator->feed, record, position);
    if (state_feed_counters(aggregator->feed)->controls_late != late)
        aggregator_restore_want_resync(aggregator);
}

/* From standby to active or back: said once, and the new writer writes everything. */
static void aggregator_follow_lease(struct aggregator *aggregator)
{
    bool active = aggregator->lease.holds;
    uint64_t refusals = aggregator->lease.refusals;
    aggregator->lease.refusals = 0;
    aggregator->writes_refused += refusals;
    metric_add(aggregator->metrics.flushes_fenced, refusals);
    if (active == aggregator->was_active)
        return;
    aggregator->was_active = active;
    state_feed_set_active(aggregator->feed, active);
    metric_set(aggregator->metrics.active, active);
    metric_add(active ? aggregator->metrics.takeovers : aggregator->metrics.losses, 1);
    log_info(active ? "active" : "standby", "symbol=%s owner=%s fence=%llu",
             aggregator->options.symbol, aggregator->options.owner,
             (unsigned long long)aggregator->lease.epoch);
    if (!active) {
        aggregator_outbox_forget(aggregator);
        aggregator_restore_want_resync(aggregator);
        return;
    }
    aggregator->resync_wanted = false;
    aggregator_report_add(aggregator, GAP_STATE, "became active");
    aggregator->checkpoint_us = 0;
    aggregator_mark_dirty(aggregator);
}

static void aggregator_commit(struct aggregator *aggregator)
{
    struct stream_consumer *consumer = &aggregator->options.consumer;
    struct stream_position positions[STREAM_COUNT];
    if (aggregator->now.mono_us < aggregator->commit_us ||
        aggregator->phase != AGGREGATOR_FOLLOWING || !consumer->ready(consumer->self))
        return;
    aggregator->commit_us = aggregator->now.mono_us + AGGREGATOR_COMMIT_US;
    /* What a restart needs is kept by the stored checkpoint itself: trimming looks at it. */
    state_feed_positions(aggregator->feed, positions);
    (void)consumer->commit(consumer->self, positions);
}

/* Delivers records. Returns whether the streams were read to their ends. */
static bool aggregator_feed(struct aggregator *aggregator, int *work)
{
    struct stream_consumer *consumer = &aggregator->options.consumer;
    *work += consumer->do_work(consumer->self, aggregator->now.mono_us);
    bool following = aggregator->phase == AGGREGATOR_FOLLOWING;
    bool drained = consumer->ready(consumer->self) && consumer->drained(consumer->self);
    state_feed_expire(aggregator->feed, aggregator->now.mono_us, following && drained);
    if (following &&
        (drained || aggregator->now.mono_us - aggregator->phase_us > AGGREGATOR_CATCH_UP_US))
        aggregator->caught_up = true;
    return drained;
}

int aggregator_do_work(struct aggregator *aggregator, struct clock_now now)
{
    const struct state_port *state = &aggregator->options.state;
    struct stream_producer *control = &aggregator->options.control;
    int work = 0;
    aggregator->now = now;
    work += state->do_work(state->self, now.mono_us);
    work += control->do_work(control->self, now.mono_us);
    bool drained = aggregator_feed(aggregator, &work);
    work += aggregator_restore_do_work(aggregator, drained);
    if (!aggregator->stopped)
        work += writer_lease_do_work(&aggregator->lease, now, aggregator->caught_up);
    aggregator_follow_lease(aggregator);
    work += aggregator_anchor_do_work(aggregator);
    work += aggregator_flush_do_work(aggregator, drained);
    work += aggregator_report_do_work(aggregator);
    work += aggregator_outbox_do_work(aggregator);
    aggregator_commit(aggregator);
    aggregator_metrics_update(aggregator);
    return work;
}

static int64_t aggregator_sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t aggregator_wait_us(const struct aggregator *aggregator, struct clock_now now)
{
    int64_t wait = AGGREGATOR_WAIT_US_MAX;
    int64_t due = state_feed_wait_us(aggregator->feed);
    if (due >= 0)
        wait = aggregator_sooner(wait, due);
    if (aggregator_flush_waits(aggregator)) {
        int64_t at = aggregator->dirty_us + aggregator->options.flush_delay_us;
        if (at < aggregator->retry_us)
            at = aggregator->retry_us;
        wait = aggregator_sooner(wait, at - now.mono_us);
    }
    return wait < 0 ? 0 : wait;
}

static void aggregator_defaults(struct aggregator_options *options)
{
    if (options->lease_ttl_us == 0)
        options->lease_ttl_us = WRITER_LEASE_TTL_US;
    if (options->lease_renew_us == 0)
        options->lease_renew_us = WRITER_LEASE_RENEW_US;
    if (options->hold_us == 0)
        options->hold_us = MERGE_HOLD_US_REDIS;
    if (options->flush_delay_us == 0)
        options->flush_delay_us = AGGREGATOR_FLUSH_DELAY_US;
    if (options->checkpoint_us == 0)
        options->checkpoint_us = AGGREGATOR_CHECKPOINT_US;
}

static int aggregator_open_world(struct aggregator *aggregator, struct err *err)
{
    struct world_options world = {0};
    struct state_feed_options feed = {.symbol = aggregator->options.symbol,
                                      .hold_us = aggregator->options.hold_us,
                                      .arena_bytes_max = AGGREGATOR_ARENA_BYTES,
                                      .records_max = AGGREGATOR_ARENA_RECORDS,
                                      .stopwatch_ns = aggregator->options.stopwatch_ns};
    if (strlen(aggregator->options.symbol) >= sizeof(world.symbol))
        return err_set(err, ERR_INVALID, "aggregator: symbol \"%s\" is too long",
                       aggregator->options.symbol);
    memcpy(world.symbol, aggregator->options.symbol, strlen(aggregator->options.symbol) + 1);
    int result = world_open(&world, &aggregator->world, err);
    if (result != ERR_OK)
        return result;
    return state_feed_open(&feed, aggregator->world, aggregator_on_effects, aggregator,
                           &aggregator->feed, err);
}

static int aggregator_open_parts(struct aggregator *aggregator, struct err *err)
{
    int result = aggregator_open_world(aggregator, err);
    if (result == ERR_OK)
        result = aggregator_flush_open(aggregator, err);
    if (result == ERR_OK)
        result = aggregator_anchor_open(aggregator, err);
    if (result == ERR_OK)
        result = aggregator_outbox_open(aggregator, err);
    return result;
}

int aggregator_open(const struct aggregator_options *options, struct aggregator **out,
                    struct err *err)
{
    struct aggregator *aggregator = calloc(1, sizeof(*aggregator));
    if (aggregator == NULL)
        return err_set(err, ERR_MEMORY, "aggregator of %s: out of memory", options->symbol);
    aggregator->options = *options;
    aggregator_defaults(&aggregator->options);
    aggregator_metrics_open(aggregator);
    writer_lease_init(&aggregator->lease, &aggregator->options.state, options->owner,
                      options->kin != NULL ? options->kin : "", aggregator->options.lease_ttl_us,
                      aggregator->options.lease_renew_us);
    int result = aggregator_open_parts(aggregator, err);
    if (result != ERR_OK)
        aggregator_close(aggregator);
    else
        *out = aggregator;
    return result;
}

void aggregator_stop(struct aggregator *aggregator)
{
    aggregator->stopped = true;
    writer_lease_release(&aggregator->lease);
}

void aggregator_close(struct aggregator *aggregator)
{
    aggregator_outbox_close(aggregator);
    aggregator_anchor_close(aggregator);
    free(aggregator->scratch);
    if (aggregator->feed != NULL)
        state_feed_close(aggregator->feed);
    if (aggregator->world != NULL)
        world_close(aggregator->world);
    free(aggregator);
}

void aggregator_status(const struct aggregator *aggregator, struct aggregator_status *status)
{
    const struct aggregator_options *options = &aggregator->options;
    *status = (struct aggregator_status){
        .phase = aggregator->phase,
        .active = aggregator->lease.holds,
        .caught_up = aggregator->caught_up,
        .book_live = aggregator->book_live,
        .state_ready = options->state.ready(options->state.self),
        .consumer_ready = options->consumer.ready(options->consumer.self),
        .anchoring = aggregator->anchor.started_us != 0,
        .fence = aggregator->lease.epoch,
        .flushed_us = aggregator->flushed_us,
        .flushes = aggregator->flushes,
        .writes_refused = aggregator->writes_refused + aggregator->lease.refusals,
        .anchors = aggregator->anchors,
        .anchors_refused = aggregator->anchors_refused,
        .restores = aggregator->restores,
        .resyncs = aggregator->resyncs,
    };
    state_feed_place(aggregator->feed, &status->epoch, &status->seq, &status->recv_us);
    memcpy(status->holder, aggregator->lease.holder, sizeof(status->holder));
}

const struct world *aggregator_world(const struct aggregator *aggregator)
{
    return aggregator->world;
}
