/* Control records on their way into the order: adopted anchors and declared holes that
 * somebody else has placed, waiting until the world has come to their (epoch, seq).
 * Bounded: the oldest goes when a newer one needs the room.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_STATE_CONTROLS_H
#define BTCAST_HOT_STATE_STATE_CONTROLS_H

#include <stdbool.h>

#include "market/record.h"

#define STATE_CONTROLS_MAX 8

struct state_controls {
    struct record list[STATE_CONTROLS_MAX]; /* ascending; payloads in their own slots */
    int slot[STATE_CONTROLS_MAX];
    int count;
    uint8_t *payloads; /* STATE_CONTROLS_MAX x RECORD_PAYLOAD_MAX, touched only when used */
    uint64_t dropped;
};

int state_controls_open(struct state_controls *controls);
void state_controls_close(struct state_controls *controls);
void state_controls_clear(struct state_controls *controls);
/* Copies a record in; the same place and kind again is ignored. False when it did not fit. */
bool state_controls_add(struct state_controls *controls, const struct record *record);
/* The first one, or NULL. */
const struct record *state_controls_first(const struct state_controls *controls);
void state_controls_pop(struct state_controls *controls);

#endif
