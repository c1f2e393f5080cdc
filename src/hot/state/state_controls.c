/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/state_controls.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"

int state_controls_open(struct state_controls *controls)
{
    memset(controls, 0, sizeof(*controls));
    controls->payloads = calloc(STATE_CONTROLS_MAX, RECORD_PAYLOAD_MAX);
    return controls->payloads == NULL ? ERR_MEMORY : ERR_OK;
}

void state_controls_close(struct state_controls *controls)
{
    free(controls->payloads);
    controls->payloads = NULL;
}

void state_controls_clear(struct state_controls *controls)
{
    controls->count = 0;
}

const struct record *state_controls_first(const struct state_controls *controls)
{
    return controls->count > 0 ? &controls->list[0] : NULL;
}

void state_controls_pop(struct state_controls *controls)
{
    PRE(controls->count > 0);
    size_t rest = (size_t)--controls->count;
    memmove(controls->list, controls->list + 1, rest * sizeof(controls->list[0]));
    memmove(controls->slot, controls->slot + 1, rest * sizeof(controls->slot[0]));
}

static int state_controls_free_slot(const struct state_controls *controls)
{
    for (int slot = 0; slot < STATE_CONTROLS_MAX; slot++) {
        bool used = false;
        for (int i = 0; i < controls->count; i++)
            used = used || controls->slot[i] == slot;
        if (!used)
            return slot;
    }
    return -1;
}

/* Where the record belongs; -1 when it is there already. */
static int state_controls_index(const struct state_controls *controls, const struct record *record)
{
    int index = 0;
    for (; index < controls->count; index++) {
        const struct record *other = &controls->list[index];
        int order = record_compare(record->epoch, record->seq, other->epoch, other->seq);
        if (order == 0 && record->kind == other->kind)
            return -1;
        if (order < 0)
            break;
    }
    return index;
}

bool state_controls_add(struct state_controls *controls, const struct record *record)
{
    if (record->payload.size > RECORD_PAYLOAD_MAX)
        return false;
    if (state_controls_index(controls, record) < 0)
        return true;
    if (controls->count == STATE_CONTROLS_MAX) {
        state_controls_pop(controls);
        controls->dropped++;
    }
    int index = state_controls_index(controls, record);
    int slot = state_controls_free_slot(controls);
    size_t after = (size_t)(controls->count - index);
    CHECK(index >= 0 && slot >= 0);
    memmove(controls->list + index + 1, controls->list + index, after * sizeof(controls->list[0]));
    memmove(controls->slot + index + 1, controls->slot + index, after * sizeof(controls->slot[0]));
    uint8_t *payload = controls->payloads + (size_t)slot * RECORD_PAYLOAD_MAX;
    if (record->payload.size > 0)
        memcpy(payload, record->payload.data, record->payload.size);
    controls->list[index] = *record;
    controls->list[index].payload = bytes_of(payload, record->payload.size);
    controls->slot[index] = slot;
    controls->count++;
    return true;
}
