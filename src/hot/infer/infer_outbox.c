/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/infer_outbox.h"

#include "base/check.h"

static void infer_outbox_send(struct infer *infer, int64_t mono_us);

/* Hands this slot's record to the observer and ends the slot. */
static void infer_outbox_serve(struct infer *infer, const struct prediction *prediction,
                               bool acknowledged, bool ours)
{
    int64_t now_ns = infer_now_ns(infer);
    struct infer_timing *timing = &infer->timing;
    timing->output_ns = now_ns - timing->output_ns;
    timing->total_ns = now_ns - infer->started_ns;
    timing->published_late_us =
        slew_at_us(&infer->grid, now_ns / 1000) - clock_slot_us(timing->slot);
    timing->acknowledged = acknowledged;
    timing->ours = ours;
    infer->served = true;
    infer->observer.served(infer->observer.context, prediction, timing);
    infer_finish_slot(infer);
}

static bool infer_outbox_is_current(const struct infer *infer, int64_t slot)
{
    return infer->phase == INFER_PUBLISHING && slot == infer->slot;
}

/* What goes out next: slots that the stream had and lost come before all others. */
static const struct journal_entry *infer_outbox_first(const struct infer *infer)
{
    const struct journal_entry *first = journal_first(&infer->outbox);
    const struct journal_entry *lost = journal_after(&infer->recent, infer->refill_after);
    return lost != NULL && first != NULL && lost->slot < first->slot ? lost : first;
}

/* Kept as it was published, whoever made it: a failover may lose the stream's newest. */
static void infer_outbox_keep(struct infer *infer, int64_t slot, const struct prediction *published)
{
    if (journal_after(&infer->recent, slot - 1) == NULL)
        journal_push(&infer->recent, slot, published);
}

/* The stream has this slot now. */
static void infer_outbox_settled(struct infer *infer, int64_t slot, bool ours,
                                 const struct prediction *published)
{
    bool current = infer_outbox_is_current(infer, slot);
    if (infer->refill_after != INT64_MAX)
        infer->refill_after = current ? INT64_MAX : slot;
    infer->hole_since_mono_us = 0;
    if (ours && slot == infer->saved_slot)
        infer->track = infer->next;
    if (current) {
        struct prediction record = *published;
        journal_pop_through(&infer->outbox, slot);
        infer_outbox_serve(infer, &record, true, ours);
        return;
    }
    journal_pop_through(&infer->outbox, slot);
}

/* The newest slot in the stream is not the one before the slot that was sent: what the stream
 * has lost of it goes first; what we do not know the other replica may. */
static void infer_outbox_hole(struct infer *infer, int64_t top_slot, int64_t mono_us)
{
    journal_pop_through(&infer->outbox, top_slot);
    infer->refill_after = top_slot;
    const struct journal_entry *first = infer_outbox_first(infer);
    if (first != NULL && first->slot < infer->sent_slot) {
        infer_outbox_send(infer, mono_us);
        return;
    }
    if (infer->hole_since_mono_us == 0) {
        infer->hole_since_mono_us = mono_us;
        infer->counters.holes_waited++;
    }
    infer->retry_mono_us = mono_us + INFER_RETRY_US;
}

static void infer_outbox_done(void *context, int result, enum infer_published outcome,
                              int64_t top_slot, const struct prediction *published)
{
    struct infer *infer = context;
    int64_t mono_us = infer_now_ns(infer) / 1000;
    infer->publishing = false;
    const struct journal_entry *first = infer_outbox_first(infer);
    if (first == NULL || first->slot != infer->sent_slot)
        return; /* dropped meanwhile: the outbox was full */
    int64_t slot = first->slot;
    if (result == ERR_MALFORMED) { /* the slot is taken by something unreadable: go on */
        infer->counters.publish_failures++;
        infer_outbox_settled(infer, slot, false, &first->prediction);
        infer_outbox_send(infer, mono_us);
        return;
    }
    if (result != ERR_OK) { /* neither could the other replica fill a hole meanwhile */
        infer->counters.publish_failures++;
        infer->hole_since_mono_us = 0;
        infer->retry_mono_us = mono_us + INFER_RETRY_US;
        return;
    }
    switch (outcome) {
    case INFER_PUBLISHED:
        infer->counters.published++;
        infer->counters.refilled += journal_after(&infer->recent, slot - 1) != NULL;
        infer_outbox_keep(infer, slot, &first->prediction);
        infer_outbox_settled(infer, slot, true, &first->prediction);
        break;
    case INFER_EXISTED:
        infer->counters.existed++;
        infer_outbox_keep(infer, slot, published);
        infer_outbox_settled(infer, slot, false, published);
        break;
    case INFER_HOLE:
        infer_outbox_hole(infer, top_slot, mono_us);
        return;
    case INFER_OLD:
        infer->counters.old++;
        infer_outbox_settled(infer, slot, false, &first->prediction);
        break;
    }
    infer_outbox_send(infer, mono_us);
}

/* Sends the oldest entry, if nothing is in flight. */
static void infer_outbox_send(struct infer *infer, int64_t mono_us)
{
    const struct journal_entry *first = infer_outbox_first(infer);
    if (first == NULL || infer->publishing)
        return;
    struct infer_publish request = {.slot = first->slot, .prediction = &first->prediction};
    if (first->slot == infer->saved_slot)
        request.calibration = bytes_of(infer->saved, infer->saved_size);
    if (infer->hole_since_mono_us != 0 &&
        mono_us - infer->hole_since_mono_us >= INFER_HOLE_GRACE_US) {
        request.allow_hole = true;
        infer->counters.holes_allowed++;
    }
    infer->publishing = true;
    infer->sent_slot = first->slot;
    if (infer->port.publish(infer->port.self, &request, infer_outbox_done, infer) != ERR_OK) {
        infer->publishing = false;
        infer->counters.publish_failures++;
        infer->retry_mono_us = mono_us + INFER_RETRY_US;
    }
}

void infer_outbox_put(struct infer *infer, const struct prediction *prediction, int64_t mono_us)
{
    journal_push(&infer->outbox, infer->slot, prediction);
    infer_outbox_send(infer, mono_us);
    /* Redis is known to be away: no reason to wait for the deadline. */
    if (infer->phase == INFER_PUBLISHING && !infer->publishing)
        infer_outbox_serve_local(infer, mono_us);
}

void infer_outbox_serve_local(struct infer *infer, int64_t mono_us)
{
    CHECK(infer->phase == INFER_PUBLISHING && infer->outbox.count > 0);
    (void)mono_us;
    const struct journal *outbox = &infer->outbox;
    int newest = (outbox->first + outbox->count - 1) % outbox->capacity;
    if (infer->saved_slot == infer->slot)
        infer->track = infer->next;
    infer_outbox_serve(infer, &outbox->entries[newest].prediction, false, true);
}

int infer_outbox_do_work(struct infer *infer, int64_t mono_us)
{
    if (infer->outbox.count == 0 || infer->publishing || mono_us < infer->retry_mono_us)
        return 0;
    infer_outbox_send(infer, mono_us);
    return 1;
}
