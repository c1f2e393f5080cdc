/* The anchor part of the aggregator: takes the document that is handed over, joins it with
 * the buffered diffs, writes the new state beside the live keys, swaps it in and reads it
 * back. An anchor that was not adopted has never happened: the world is as it was (DESIGN.md
 * section 6, Re-anchor). When one is asked for: aggregator_ask.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hot/state/aggregator_parts.h"

int aggregator_anchor_open(struct aggregator *aggregator, struct err *err)
{
    aggregator->anchor.document = malloc(RECORD_PAYLOAD_MAX);
    if (aggregator->anchor.document == NULL)
        return err_set(err, ERR_MEMORY, "aggregator: no room for an anchor");
    return ERR_OK;
}

void aggregator_anchor_close(struct aggregator *aggregator)
{
    free(aggregator->anchor.document);
}

/* What was written after a swap that had failed its check is checked before the next one. */
static bool aggregator_anchor_recheck_due(const struct aggregator *aggregator)
{
    const struct aggregator_anchor *anchor = &aggregator->anchor;
    return anchor->recheck && !aggregator->flush.in_flight &&
           aggregator->flushes > anchor->recheck_flushes;
}

bool aggregator_anchor_busy(const struct aggregator *aggregator)
{
    return aggregator->anchor.step != AGGREGATOR_IDLE || aggregator_anchor_recheck_due(aggregator);
}

/* Before the first record an anchor would have no place in the order. */
static bool aggregator_anchor_possible(const struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    uint64_t epoch, seq;
    int64_t recv_us;
    state_feed_place(aggregator->feed, &epoch, &seq, &recv_us);
    return epoch != 0 && aggregator->caught_up && state->ready(state->self);
}

static void aggregator_anchor_on_look(void *context, const struct state_reply *reply)
{
    struct aggregator *aggregator = context;
    struct aggregator_anchor *anchor = &aggregator->anchor;
    aggregator_answer(&anchor->look, reply);
    if (reply->result == ERR_OK || reply->result == ERR_EMPTY)
        aggregator_ask_heard(aggregator, reply->verdict);
    anchor->document_size = 0;
    if (reply->result != ERR_OK || anchor->step != AGGREGATOR_IDLE)
        return;
    if (reply->data.size == 0 || reply->data.size > RECORD_PAYLOAD_MAX) {
        anchor->look.result = ERR_MALFORMED;
        return;
    }
    memcpy(anchor->document, reply->data.data, reply->data.size);
    anchor->document_size = reply->data.size;
    snprintf(anchor->flag, sizeof(anchor->flag), "%s", reply->text);
}

static void aggregator_anchor_look(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    struct aggregator_anchor *anchor = &aggregator->anchor;
    if (anchor->look.in_flight || aggregator->now.mono_us < anchor->next_look_us)
        return;
    anchor->next_look_us =
        aggregator->now.mono_us +
        (aggregator_ask_wanted(aggregator) ? AGGREGATOR_LOOK_US : AGGREGATOR_LOOK_IDLE_US);
    anchor->look.in_flight =
        state->anchor_look(state->self, aggregator_anchor_on_look, aggregator) == ERR_OK;
}

/* The world as it was before the anchor. Records that came meanwhile come once more. */
static void aggregator_anchor_roll_back(struct aggregator *aggregator, const char *reason)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    struct world_view view;
    struct err err = {0};
    anchor->step = AGGREGATOR_IDLE;
    if (world_load(aggregator->world, bytes_of(aggregator->scratch, anchor->saved_size), &err) !=
        ERR_OK)
        log_error("roll_back_failed", "symbol=%s reason=\"%s\"", aggregator->options.symbol,
                  err.text);
    state_feed_anchor_undone(aggregator->feed, &anchor->record);
    aggregator_restore_rewind(aggregator, anchor->saved_epoch, anchor->saved_seq,
                              anchor->saved_positions);
    world_view(aggregator->world, &view);
    aggregator->book_live = view.book_live;
    aggregator->anchors_refused++;
    aggregator_mark_dirty(aggregator);
    log_warn("anchor_not_adopted", "symbol=%s token=%s reason=\"%s\"", aggregator->options.symbol,
             anchor->meta.token, reason);
}

/* It will not do: another one is wanted. */
static void aggregator_anchor_refuse(struct aggregator *aggregator, const char *reason,
                                     struct metric *count)
{
    const struct state_port *state = &aggregator->options.state;
    struct aggregator_anchor *anchor = &aggregator->anchor;
    metric_add(count, 1);
    aggregator_anchor_roll_back(aggregator, reason);
    anchor->refuse.in_flight = state->anchor_refuse(state->self, anchor->meta.token,
                                                    aggregator_answer, &anchor->refuse) == ERR_OK;
}

static void aggregator_anchor_stage(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    struct aggregator_anchor *anchor = &aggregator->anchor;
    aggregator_make_image(aggregator);
    const char *wrong = state_image_judge(&aggregator->image);
    if (wrong != NULL) {
        char reason[64];
        snprintf(reason, sizeof(reason), "the new state has no valid %s", wrong);
        aggregator_anchor_refuse(aggregator, reason, aggregator->metrics.anchors_bad);
        return;
    }
    if (state->anchor_stage(state->self, aggregator->lease.epoch, &aggregator->image,
                            aggregator_answer, &anchor->stage) != ERR_OK) {
        aggregator_anchor_roll_back(aggregator, "the store is away");
        anchor->judged[0] = 0;
        return;
    }
    anchor->stage.in_flight = true;
    anchor->step = AGGREGATOR_STAGING;
}

/* A document of another token than the flag's, or one judged before, is left alone. */
static bool aggregator_anchor_is_new(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    struct err err = {0};
    if (anchor_document_read(bytes_of(anchor->document, anchor->document_size), &anchor->meta,
                             &err) != ERR_OK) {
        metric_add(aggregator->metrics.anchors_bad, 1);
        log_warn("anchor_unreadable", "symbol=%s reason=\"%s\"", aggregator->options.symbol,
                 err.text);
        return false;
    }
    if (strcmp(anchor->meta.token, anchor->flag) != 0 ||
        strcmp(anchor->meta.symbol, aggregator->options.symbol) != 0)
        return false;
    return strcmp(anchor->meta.token, anchor->judged) != 0 ||
           anchor->meta.received_us != anchor->judged_us;
}

/* Joins the document with the buffered diffs. */
static void aggregator_anchor_judge(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    struct bytes document = bytes_of(anchor->document, anchor->document_size);
    struct err err = {0};
    /* Two anchors cannot have one place in the order: the second waits for the next record. */
    if (state_feed_is_anchored(aggregator->feed) || !aggregator_anchor_is_new(aggregator))
        return;
    if (world_save(aggregator->world, aggregator->scratch, aggregator->scratch_capacity,
                   &anchor->saved_size, &err) != ERR_OK) {
        log_error("anchor_not_tried", "symbol=%s reason=\"%s\"", aggregator->options.symbol,
                  err.text);
        return;
    }
    int64_t recv_us;
    state_feed_place(aggregator->feed, &anchor->saved_epoch, &anchor->saved_seq, &recv_us);
    state_feed_positions(aggregator->feed, anchor->saved_positions);
    snprintf(anchor->judged, sizeof(anchor->judged), "%s", anchor->meta.token);
    anchor->judged_us = anchor->meta.received_us;
    unsigned effects = state_feed_anchor(aggregator->feed, document, &anchor->record);
    if (effects & WORLD_ANCHORED)
        aggregator_anchor_stage(aggregator);
    else if (effects & WORLD_ANCHOR_OLD)
        aggregator_anchor_refuse(aggregator, "older than the buffered diffs",
                                 aggregator->metrics.anchors_old);
    else
        aggregator_anchor_refuse(aggregator, "malformed or crossed",
                                 aggregator->metrics.anchors_bad);
}

/* Adopted: into the archive's order, and the next flush brings a checkpoint. */
static void aggregator_anchor_adopted(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    struct world_view view;
    int64_t took_us = anchor->started_us == 0 ? 0 : aggregator->now.mono_us - anchor->started_us;
    anchor->step = AGGREGATOR_IDLE;
    aggregator_ask_done(aggregator);
    world_view(aggregator->world, &view); /* a diff may have been lost since */
    aggregator->book_live = view.book_live;
    aggregator->anchors++;
    aggregator->checkpoint_us = 0;
    aggregator->checkpoint_place[0] = 0;
    aggregator_report_add(aggregator, GAP_ANCHORED, "anchored");
    aggregator_mark_dirty(aggregator);
    aggregator_outbox_add(aggregator, &anchor->record);
    metric_add(aggregator->metrics.anchors, 1);
    metric_observe_ns(aggregator->metrics.anchor_duration, took_us * 1000);
    log_info("anchored", "symbol=%s token=%s cause=\"%s\" after_seq=%llu took_ms=%lld",
             aggregator->options.symbol, anchor->meta.token, anchor->meta.cause,
             (unsigned long long)anchor->record.seq, (long long)(took_us / 1000));
}

/* Nothing was swapped for certain. */
static void aggregator_anchor_lost(struct aggregator *aggregator,
                                   const struct aggregator_call *call)
{
    metric_add(aggregator->metrics.anchors_lost, 1);
    aggregator_anchor_roll_back(aggregator,
                                call->text[0] != 0 ? call->text : err_text(call->result));
    aggregator->anchor.next_look_us = 0;
    if (call->result == ERR_FENCED)
        aggregator_demote(aggregator, "anchor", call->epoch);
    if (call->result != ERR_REFUSED)
        aggregator->anchor.judged[0] = 0; /* the same document may be tried again */
}

/* At once, before answers behind it are judged: the lease's renewal that ran after the swap was
 * refused by the fence that the swap itself has raised. */
static void aggregator_anchor_on_swap(void *context, const struct state_reply *reply)
{
    struct aggregator *aggregator = context;
    if (reply->result == ERR_OK)
        writer_lease_raise(&aggregator->lease, reply->epoch);
    aggregator_answer(&aggregator->anchor.swap, reply);
}

static void aggregator_anchor_staged(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    struct aggregator_anchor *anchor = &aggregator->anchor;
    if (anchor->stage.result == ERR_OK &&
        state->anchor_swap(state->self, aggregator->lease.epoch, anchor->meta.token,
                           aggregator->now.wall_us / CLOCK_US_PER_MS, aggregator_anchor_on_swap,
                           aggregator) == ERR_OK) {
        anchor->swap.in_flight = true;
        anchor->step = AGGREGATOR_SWAPPING;
        return;
    }
    aggregator_anchor_lost(aggregator, &anchor->stage);
}

/* Only what a swap or flush of ours has just written can be checked. */
static void aggregator_anchor_verify(struct aggregator *aggregator)
{
    const struct state_port *state = &aggregator->options.state;
    struct aggregator_anchor *anchor = &aggregator->anchor;
    anchor->recheck = false;
    if (state->anchor_verify == NULL ||
        state->anchor_verify(state->self, aggregator->lease.epoch, &aggregator->image,
                             aggregator_answer, &anchor->verify) != ERR_OK)
        return;
    anchor->verify.in_flight = true;
    anchor->step = AGGREGATOR_VERIFYING;
}

/* The live keys are not what was swapped in: everything is written once more, and checked
 * again. With the connection lost the next flush does the same. */
static void aggregator_anchor_verified(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    const struct aggregator_call *call = &anchor->verify;
    anchor->step = AGGREGATOR_IDLE;
    if (call->result == ERR_OK || call->result == ERR_CONNECTION || call->result == ERR_TIMEOUT)
        return;
    if (call->result == ERR_FENCED) {
        aggregator_demote(aggregator, "verify", call->epoch);
        return;
    }
    anchor->verify_tries++;
    metric_add(aggregator->metrics.swaps_wrong, 1);
    log_error("swap_wrong", "symbol=%s token=%s try=%d reason=\"%s\"", aggregator->options.symbol,
              anchor->meta.token, anchor->verify_tries, call->text);
    anchor->recheck = anchor->verify_tries < AGGREGATOR_VERIFY_TRIES;
    anchor->recheck_flushes = aggregator->flushes;
    aggregator_mark_dirty(aggregator);
}

/* With the connection lost in between nobody knows whether it was swapped. The new world
 * is right in either case, and the next flush writes it. */
static void aggregator_anchor_swapped(struct aggregator *aggregator)
{
    struct aggregator_call *call = &aggregator->anchor.swap;
    bool unknown = call->result == ERR_CONNECTION || call->result == ERR_TIMEOUT;
    if (call->result != ERR_OK && !unknown) {
        aggregator_anchor_lost(aggregator, call);
        return;
    }
    aggregator_anchor_adopted(aggregator);
    aggregator->anchor.verify_tries = 0;
    if (call->result == ERR_OK)
        aggregator_anchor_verify(aggregator);
}

static bool aggregator_anchor_answers(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    bool staged = aggregator_answered(&anchor->stage);
    if (staged)
        aggregator_anchor_staged(aggregator);
    bool swapped = aggregator_answered(&anchor->swap);
    if (swapped)
        aggregator_anchor_swapped(aggregator);
    bool verified = aggregator_answered(&anchor->verify);
    if (verified)
        aggregator_anchor_verified(aggregator);
    return staged || swapped || verified;
}

int aggregator_anchor_do_work(struct aggregator *aggregator)
{
    struct aggregator_anchor *anchor = &aggregator->anchor;
    bool answered = aggregator_anchor_answers(aggregator);
    if (anchor->step != AGGREGATOR_IDLE)
        return answered;
    if (!aggregator->lease.holds) {
        anchor->recheck = false;
        return 0;
    }
    if (aggregator_anchor_recheck_due(aggregator)) {
        aggregator_anchor_verify(aggregator);
        return 1;
    }
    if (!aggregator_anchor_possible(aggregator))
        return 0;
    if (anchor->document_size > 0 && !aggregator->flush.in_flight) {
        aggregator_anchor_judge(aggregator);
        anchor->document_size = 0;
        return 1;
    }
    aggregator_ask_do_work(aggregator);
    aggregator_anchor_look(aggregator);
    return 0;
}
