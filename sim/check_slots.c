/* A prediction in every slot: exactly one in the stream, served in time by somebody.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "sim/checks.h"
#include "sim/simulation.h"

/* A prediction is in time when it is served so long after its slot. */
#define CHECK_SLOT_LATE_US 500000

static const struct model_stream *check_predictions(struct checks *checks)
{
    return &check_value(checks, checks->keys[STATE_PREDICTIONS])->stream;
}

static const struct model_entry *check_newest(struct checks *checks)
{
    const struct model_stream *stream = check_predictions(checks);
    return stream->count == 0 ? NULL : &stream->entries[stream->first + stream->count - 1];
}

void check_slots_relearn(struct checks *checks)
{
    const struct model_entry *newest = check_newest(checks);
    checks->top_slot = newest == NULL ? 0 : (int64_t)newest->id.ms;
}

static void check_same(struct checks *checks, const struct model_entry *newest)
{
    const struct model_value *pred = check_value(checks, checks->keys[STATE_PRED]);
    struct bytes rest = blob_bytes(newest->pairs), field, value;
    while (blob_next_pair(&rest, &field, &value))
        if (pred->type != MODEL_HASH || !blob_same(blob_find(pred->data, field), value)) {
            simulation_fail(checks->simulation, CHECK_SLOT_SAME, "%.*s differs", (int)field.size,
                            (const char *)field.data);
            return;
        }
}

void check_slots_appended(struct checks *checks)
{
    const struct model_entry *newest = check_newest(checks);
    if (newest == NULL || (int64_t)newest->id.ms == checks->top_slot)
        return;
    int64_t slot = (int64_t)newest->id.ms;
    if (slot < checks->top_slot || newest->id.seq != 0)
        simulation_fail(checks->simulation, CHECK_SLOT_ONCE, "%lld-%llu after %lld",
                        (long long)slot, (unsigned long long)newest->id.seq,
                        (long long)checks->top_slot);
    checks->top_slot = slot;
    checks->simulation->result.predictions++;
    check_same(checks, newest);
}

/* The view is the one that was there when the slot was read. */
static void check_blind(struct checks *checks, const struct prediction *prediction, int64_t slot)
{
    const struct virtual_lake *lake = &checks->simulation->lake;
    bool fresh = lake->view_put_us != 0 &&
                 checks->simulation->queue.now_us - lake->view_put_us > CHECK_SLOT_LATE_US &&
                 clock_slot_us(slot) - lake->view.received_us <= REST_VIEW_OLD_US;
    if (fresh && strcmp(prediction->value[PREDICTION_MODE], "blind") == 0)
        simulation_fail(checks->simulation, CHECK_SLOT_BLIND,
                        "slot %lld is blind, the view is %lld ms old", (long long)slot,
                        (long long)(clock_slot_us(slot) - lake->view.received_us) / 1000);
}

void checks_served(struct checks *checks, const struct prediction *prediction,
                   const struct infer_timing *timing)
{
    int64_t late_us = checks->simulation->queue.now_us - clock_slot_us(timing->slot);
    int64_t slot;
    check_blind(checks, prediction, timing->slot);
    if (!prediction_i64(prediction, PREDICTION_SLOT, &slot) || slot != timing->slot)
        simulation_fail(checks->simulation, CHECK_SLOT_SAME, "slot %lld serves another's record",
                        (long long)timing->slot);
    if (checks->first_slot == 0)
        checks->first_slot = timing->slot;
    if (timing->slot > checks->last_slot)
        checks->last_slot = timing->slot;
    int64_t at = timing->slot - checks->first_slot;
    if (at >= 0 && at < CHECK_SLOTS_MAX && llabs(late_us) < CHECK_SLOT_LATE_US)
        checks->served[at]++;
}

void check_slots_end(struct checks *checks)
{
    const struct model_stream *stream = check_predictions(checks);
    int64_t before = 0;
    for (int i = 0; i < stream->count; i++) {
        int64_t slot = (int64_t)stream->entries[stream->first + i].id.ms;
        if (before != 0 && slot != before + 1)
            simulation_fail(checks->simulation, CHECK_SLOT_MISSING, "%lld follows %lld",
                            (long long)slot, (long long)before);
        before = slot;
    }
    if (before < checks->last_slot - 1)
        simulation_fail(checks->simulation, CHECK_SLOT_MISSING, "%lld is the last, %lld was served",
                        (long long)before, (long long)checks->last_slot);
    for (int64_t at = 0; at < checks->last_slot - checks->first_slot && at < CHECK_SLOTS_MAX; at++)
        if (checks->served[at] == 0)
            simulation_fail(checks->simulation, CHECK_SLOT_SERVED, "slot %lld (%lld s) by nobody",
                            (long long)(checks->first_slot + at), (long long)(2 * at));
}
