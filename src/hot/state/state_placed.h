/* Which control records the world has: their places, the newest few. The same record may come
 * again, because a position lies before it or because its writer has sent it once more after
 * the store had lost it. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_STATE_PLACED_H
#define BTCAST_HOT_STATE_STATE_PLACED_H

#include <stdbool.h>

#include "market/record.h"

/* More than a writer sends again (AGGREGATOR_OUTBOX_MAX). */
#define STATE_PLACED_MAX 32

struct state_placed {
    struct {
        uint8_t kind;
        uint64_t epoch, seq;
    } list[STATE_PLACED_MAX]; /* a ring */
    uint32_t count;           /* ever added since it was cleared */
};

void state_placed_clear(struct state_placed *placed);
void state_placed_add(struct state_placed *placed, uint8_t kind, uint64_t epoch, uint64_t seq);
/* It was undone: the world does not have it. */
void state_placed_remove(struct state_placed *placed, uint8_t kind, uint64_t epoch, uint64_t seq);
bool state_placed_has(const struct state_placed *placed, uint8_t kind, uint64_t epoch,
                      uint64_t seq);

#endif
