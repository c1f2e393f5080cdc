/* What backfill reads: the entries of gap-events:{symbol} from a remembered place.
 * Asynchronous: `done` is called exactly once, never from inside the call; a call that could
 * not be started returns an error and does not call back.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_RECOVER_BACKFILL_GAP_FEED_PORT_H
#define BTCAST_RECOVER_BACKFILL_GAP_FEED_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hot/state/gap_event.h"

#define GAP_FEED_ENTRIES_MAX 64

/* Place in the stream: entry id `ms-seq`; {0, 0} is before the first. */
struct gap_feed_place {
    int64_t ms, seq;
};

struct gap_feed_entry {
    struct gap_feed_place place;
    bool is_event; /* false: no event of this symbol could be read from it */
    struct gap_event event;
};

/* result: ERR_OK, ERR_CONNECTION, ERR_TIMEOUT, ERR_IO. Entries are borrowed for the call,
 * oldest first; fewer than GAP_FEED_ENTRIES_MAX: there are no more. */
typedef void (*gap_feed_fn)(void *context, int result, const struct gap_feed_entry *entries,
                            int count);

struct gap_feed_port {
    void *self;
    bool (*ready)(void *self);
    int (*read)(void *self, struct gap_feed_place after, gap_feed_fn done, void *context);
    int (*do_work)(void *self, int64_t mono_us);
};

#endif
