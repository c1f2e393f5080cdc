/* Mids at slot boundaries, for outcomes: the mid as of the last record with recv_us <=
 * boundary, known once a later record arrives (DESIGN.md section 4, Slots).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_SLOTS_H
#define BTCAST_MARKET_SLOTS_H

#include "market/codec.h"
#include "market/scale.h"
#include "market/world.h"

struct slots {
    bool is_started;
    int64_t next;   /* first slot whose boundary is still open */
    int64_t bad_us; /* last moment at which the mid could not be trusted */
    uint64_t count; /* closed ever; the newest WORLD_SLOT_MIDS are in list */
    struct world_slot_mid list[WORLD_SLOT_MIDS];
};

void slots_init(struct slots *slots);
/* A record of now_us (never decreasing) is about to be applied to a world of this mid;
 * is_live: its mid can be trusted. */
void slots_advance(struct slots *slots, int64_t now_us, int64_t mid2, bool is_live);
/* A gap or hole at this moment: outcomes over it are not valid. */
void slots_mark_bad(struct slots *slots, int64_t now_us);
/* Newest first; returns how many were filled. */
int slots_newest(const struct slots *slots, struct world_slot_mid *mids, int capacity);
void slots_code(struct slots *slots, struct codec *codec);
#define SLOTS_CODE_SIZE_MAX (33 + (size_t)WORLD_SLOT_MIDS * (8 + 8 + 1))

#endif
