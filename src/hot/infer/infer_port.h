/* What inference needs from the hot state, as operations: one atomic read of all keys and
 * one publishing script (DESIGN.md section 5, "Inference"). Implemented on Redis by
 * edge/redis/redis_infer. Asynchronous: a call starts, the callback ends it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_INFER_PORT_H
#define BTCAST_HOT_INFER_INFER_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "hot/infer/prediction.h"
#include "hot/state/state_parse.h"

/* What one atomic read gave; borrowed for the callback. */
struct infer_read {
    struct state_read state;  /* the four hashes, parsed and checked */
    struct bytes calibration; /* the saved fold; empty: none yet */
};
/* result: ERR_OK, ERR_EMPTY (keys missing), ERR_MALFORMED, or why Redis did not answer. */
typedef void (*infer_read_fn)(void *context, int result, const struct infer_read *read);

enum infer_published {
    INFER_PUBLISHED, /* ours is the record of the slot */
    INFER_EXISTED,   /* the slot had one already: published is that one */
    INFER_HOLE,      /* the stream's newest slot is not the one before: *top is it */
    INFER_OLD,       /* the stream is past this slot */
};
typedef void (*infer_publish_fn)(void *context, int result, enum infer_published outcome,
                                 int64_t top_slot, const struct prediction *published);

struct infer_publish {
    int64_t slot;
    const struct prediction *prediction;
    struct bytes calibration; /* stored when ours is published; empty: left as it is */
    bool allow_hole;          /* append although slots before it are missing */
};

/* Both return ERR_OK when started, else why not (ERR_CONNECTION, ERR_AGAIN); arguments are
 * copied before they return. */
struct infer_port {
    void *self;
    int (*read)(void *self, infer_read_fn done, void *context);
    int (*publish)(void *self, const struct infer_publish *request, infer_publish_fn done,
                   void *context);
    /* The model changes: from now on the calibration read and stored is this one's (each
     * model has its own, so replicas with different models do not undo each other's).
     * NULL: there is only one. */
    void (*model)(void *self, uint64_t identity);
};

/* The REST view (hot/state/rest_view), for when the hot state cannot be read: at once, from
 * memory, never waiting. False: there is none, or it is older than REST_VIEW_OLD_US at
 * slot_us. state is filled as a read of the hot state would be; read NULL: no view at all. */
struct infer_view_port {
    void *self;
    bool (*read)(void *self, int64_t slot_us, struct state_read *state);
};

#endif
