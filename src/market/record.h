/* One record of the order of the world: what the ingestor stamps, what streams,
 * captures, archive and replay carry (DESIGN.md section 4, "Order of the world").
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_RECORD_H
#define BTCAST_MARKET_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Longest frame accepted anywhere (a full 5,000-level diff has 160 KB). */
#define RECORD_PAYLOAD_MAX (1u << 20)
/* Longest symbol with its NUL. */
#define RECORD_SYMBOL_SIZE 24

enum record_kind {
    RECORD_FRAME = 1,  /* payload: one bare SBE frame */
    RECORD_TICK = 2,   /* no payload: time passes (every 100 ms, and 5 ms before a slot) */
    RECORD_ANCHOR = 3, /* control: payload = the handed-over REST replies (JSON document) */
    RECORD_HOLE = 4,   /* control: a consumer skipped; payload = u64 epoch, u64 seq of the
                          first record applied after the hole */
    RECORD_SLOT = 5,   /* control, in captures only: a prediction was published from the
                          vector of this place; payload = i64 slot */
};
/* Payload of a RECORD_SLOT. */
#define RECORD_SLOT_SIZE 8

enum record_flag {
    RECORD_SYNTHETIC_FRAME = 1, /* encoded by us from a JSON source */
    RECORD_SYNTHETIC_TIME = 2,  /* the source has no event time; recv_us stands in */
    RECORD_CONNECTED = 4,       /* of a tick: a connection was opened since the last one */
};

/* Ordered by (epoch, seq). seq starts at 1 in each epoch and is gapless over the three
 * streams of a symbol. A control record has no seq of its own: (epoch, seq) is the last
 * record applied before it. */
struct record {
    uint64_t epoch;
    uint64_t seq;
    int64_t recv_us;      /* receive time, non-decreasing within an epoch */
    uint8_t kind;         /* enum record_kind */
    uint8_t flags;        /* enum record_flag */
    struct bytes payload; /* borrowed */
};

static inline bool record_is_control(const struct record *record)
{
    return record->kind >= RECORD_ANCHOR && record->kind <= RECORD_SLOT;
}

/* < 0, 0, > 0 by (epoch, seq). */
static inline int record_compare(uint64_t epoch_a, uint64_t seq_a, uint64_t epoch_b, uint64_t seq_b)
{
    if (epoch_a != epoch_b)
        return epoch_a < epoch_b ? -1 : 1;
    return seq_a == seq_b ? 0 : seq_a < seq_b ? -1 : 1;
}

#endif
