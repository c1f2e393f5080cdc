/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/state_placed.h"

void state_placed_clear(struct state_placed *placed)
{
    placed->count = 0;
}

static int state_placed_find(const struct state_placed *placed, uint8_t kind, uint64_t epoch,
                             uint64_t seq)
{
    for (int i = 0; i < STATE_PLACED_MAX && (uint32_t)i < placed->count; i++)
        if (placed->list[i].kind == kind && placed->list[i].epoch == epoch &&
            placed->list[i].seq == seq)
            return i;
    return -1;
}

void state_placed_add(struct state_placed *placed, uint8_t kind, uint64_t epoch, uint64_t seq)
{
    uint32_t at = placed->count++ % STATE_PLACED_MAX;
    placed->list[at].kind = kind;
    placed->list[at].epoch = epoch;
    placed->list[at].seq = seq;
}

void state_placed_remove(struct state_placed *placed, uint8_t kind, uint64_t epoch, uint64_t seq)
{
    int at = state_placed_find(placed, kind, epoch, seq);
    if (at >= 0)
        placed->list[at].epoch = 0; /* no record's */
}

bool state_placed_has(const struct state_placed *placed, uint8_t kind, uint64_t epoch, uint64_t seq)
{
    return state_placed_find(placed, kind, epoch, seq) >= 0;
}
