/* The state port on one Redis link: each call one Lua script (redis_state_scripts), known
 * by SHA. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_STATE_H
#define BTCAST_EDGE_REDIS_REDIS_STATE_H

#include "base/metrics.h"
#include "edge/redis/redis_link.h"
#include "hot/state/state_port.h"

/* Calls under way at once; more is answered ERR_AGAIN. */
#define REDIS_STATE_CALLS_MAX 64
/* Gap events kept (stream `gap-events:{symbol}`, approximate). */
#define REDIS_STATE_GAP_EVENTS_MAX "10000"

struct redis_state;

struct redis_state_options {
    const char *symbol;
    enum state_key_style style;
    struct redis_link *link; /* borrowed; its owner runs do_work and flush */
    struct metrics *metrics; /* NULL: not measured */
};

int redis_state_open(const struct redis_state_options *options, struct redis_state **state,
                     struct err *err) MUST_CHECK;
/* Call after redis_link_close: the link answers what is owed first. */
void redis_state_close(struct redis_state *state);
struct state_port redis_state_port(struct redis_state *state);

#endif
