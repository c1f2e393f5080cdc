/* The REST view as a reader of the hot state sees it: source rest, no place in the order of
 * the world. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_REST_VIEW_STATE_H
#define BTCAST_HOT_STATE_REST_VIEW_STATE_H

#include "hot/state/rest_view.h"
#include "hot/state/state_parse.h"

/* has_vector as the view's; mid, touch and slot mids are there in any case. */
void rest_view_state(const struct rest_view *view, struct state_read *state);

#endif
