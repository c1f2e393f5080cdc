/* Records in world order -> one row a slot: the very agents of the live path on a virtual
 * clock. Events go through wire/decode and market/world, slots through hot/infer with a port
 * that reads the world in memory (DESIGN.md section 4: a replay is byte-identical to live).
 * A recording of a running system says where each prediction was made (RECORD_SLOT): then
 * these slots are predicted, at these places; otherwise each slot at its time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_REPLAY_REPLAY_SLOTS_H
#define BTCAST_SERVICES_REPLAY_REPLAY_SLOTS_H

#include "base/err.h"
#include "hot/infer/infer.h"
#include "market/record.h"
#include "market/world.h"
#include "model/model.h"
#include "wire/sbe.h"

struct replay_slots; /* opaque */

/* After each slot that has a vector: the state as inference read it, and its prediction
 * (NULL when no model was given or no price is known). Both borrowed. */
typedef void (*replay_slot_fn)(void *context, int64_t slot, const struct state_read *state,
                               const struct prediction *prediction);

/* After each tick that has a vector: the state as a reader would find it then. Borrowed. */
typedef void (*replay_tick_fn)(void *context, const struct state_read *state);

struct replay_slots_options {
    const char *symbol;
    const struct model *model; /* NULL: features only */
    bool scheduled;            /* predict where the records say, and nowhere else */
    replay_slot_fn slot;       /* NULL: no rows (throughput measurements) */
    replay_tick_fn tick;       /* NULL: ticks are not asked for */
    void *context;
};

struct replay_counters {
    uint64_t records, frames, ticks, anchors, holes, slots;
    uint64_t slots_unplaced; /* predicted from records that are not there */
    uint64_t given_up;       /* records inside a declared hole: the live writer went on without */
    uint64_t refused[SBE_VERDICT_COUNT]; /* frames by cause */
    uint64_t refused_controls;
};

int replay_slots_open(const struct replay_slots_options *options, struct replay_slots **replay,
                      struct err *err) MUST_CHECK;
void replay_slots_close(struct replay_slots *replay);
/* The next record in world order. */
void replay_slots_apply(struct replay_slots *replay, const struct record *record);
const struct replay_counters *replay_slots_counters(const struct replay_slots *replay);
const struct world *replay_slots_world(const struct replay_slots *replay);

#endif
