/* The checkpoint of a symbol: the world and where the streams were, in one blob with a
 * CRC, so that restoring it and following from there equals never having stopped
 * (DESIGN.md section 5, Aggregator). Little endian; docs/hot-state.md has the layout.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_STATE_CHECKPOINT_H
#define BTCAST_HOT_STATE_STATE_CHECKPOINT_H

#include "base/bytes.h"
#include "base/err.h"
#include "hot/stream/stream_port.h"
#include "market/record.h"
#include "market/world.h"

/* Bytes in front of the saved world. */
#define STATE_CHECKPOINT_OVERHEAD                                                                  \
    (8u + 4u + 4u + 24u + 8u + 8u + STREAM_COUNT * STREAM_POSITION_SIZE)
/* Where a stream's position stands in the blob: text, filled up with NUL. The trimming rule
 * reads it there. */
#define STATE_CHECKPOINT_POSITION_AT(stream)                                                       \
    (8u + 4u + 4u + 24u + 8u + 8u + (size_t)(stream)*STREAM_POSITION_SIZE)

struct state_checkpoint {
    char symbol[RECORD_SYMBOL_SIZE];
    uint64_t epoch, seq; /* everything up to here is in the world … */
    bool anchored;       /* … and the anchor that was adopted at this very place, if any */
    struct stream_position positions[STREAM_COUNT];
    struct bytes world; /* borrowed: for world_load */
};

/* Writes meta and the saved world into out; ERR_FULL when it does not fit in capacity or
 * in STATE_CHECKPOINT_BYTES_MAX. meta->world is ignored. */
int state_checkpoint_write(const struct state_checkpoint *meta, const struct world *world,
                           uint8_t *out, size_t capacity, size_t *size, struct err *err) MUST_CHECK;
/* ERR_MALFORMED, ERR_CORRUPT (CRC), ERR_SCHEMA (another version or symbol). The world's
 * own bytes are checked by world_load. */
int state_checkpoint_read(struct bytes data, const char *symbol, struct state_checkpoint *out,
                          struct err *err) MUST_CHECK;

#endif
