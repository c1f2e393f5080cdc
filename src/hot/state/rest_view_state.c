/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/state/rest_view_state.h"

#include <string.h>

/* Half of mid2 exactly: five times as many of a unit ten times as small. */
static struct state_decimal rest_view_state_mid(int64_t mid2, int exponent)
{
    return (struct state_decimal){mid2 * 5, exponent - 1};
}

void rest_view_state(const struct rest_view *view, struct state_read *state)
{
    memset(state, 0, sizeof(*state));
    state->consistent = true;
    state->source = STATE_SOURCE_REST;
    state->last_update_id = view->last_update_id;
    state->ts_us = view->received_us;
    state->best_bid = (struct state_decimal){view->best_bid, view->price_exponent};
    state->best_ask = (struct state_decimal){view->best_ask, view->price_exponent};
    state->book_live = state->vec_live = true;
    state->has_vector = view->has_vector;
    state->schema = view->schema;
    state->as_of_us = view->has_vector ? view->as_of_us : view->received_us;
    state->mid = rest_view_state_mid(view->mid2, view->price_exponent);
    memcpy(state->values, view->values, sizeof(state->values));
    state->mid_count = view->slot_mid_count;
    for (int i = 0; i < view->slot_mid_count; i++)
        state->mids[i] = (struct state_slot_mid){
            .slot = view->slot_mids[i].slot,
            .mid = rest_view_state_mid(view->slot_mids[i].mid2, view->price_exponent),
            .valid = view->slot_mids[i].valid};
}
