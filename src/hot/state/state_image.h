/* The writer's half of the hot state: a world's view as the four hashes of a symbol, all
 * field/value pairs in one buffer (CONTRACTS.md section 1). A hash is always whole: what
 * is not in the image is not to exist in Redis afterwards, so a short side of the book
 * leaves no old level behind (CONTRACTS.md section 12, row 9). docs/hot-state.md lists the
 * fields. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_STATE_STATE_IMAGE_H
#define BTCAST_HOT_STATE_STATE_IMAGE_H

#include <stdint.h>

#include "base/bytes.h"
#include "hot/state/state_keys.h"
#include "market/world.h"

/* STATE_OB, STATE_TR_1S, STATE_TR_5S, STATE_FEAT: also the index of a hash. */
#define STATE_HASH_COUNT 4
/* ob is the longest: 40 level fields and about a dozen others. */
#define STATE_PAIRS_MAX   64
#define STATE_IMAGE_BYTES 8192

struct state_pair {
    struct bytes field; /* static text */
    struct bytes value; /* in the image's bytes, or static */
};

struct state_image {
    uint64_t epoch, seq; /* of the last record applied: the same in all four hashes */
    int64_t recv_us;     /* its receive time */
    int64_t event_us;    /* the book's exchange time, 0: none */
    int count[STATE_HASH_COUNT];
    struct state_pair pairs[STATE_HASH_COUNT][STATE_PAIRS_MAX];
    char bytes[STATE_IMAGE_BYTES];
};

struct state_image_input {
    const struct world_view *view;
    const struct world_slot_mid *mids; /* newest first */
    int mid_count;
    uint64_t writer;    /* fence epoch of the aggregator */
    const char *source; /* "sbe" or "rest"; static */
};

/* Fills image. Both windows are always there, with zeros in a quiet market (CONTRACTS.md
 * section 12, row 4). Levels and mid are missing while they are unknown. */
void state_image_make(const struct state_image_input *input, struct state_image *image);
/* The value of a field, or an empty view with data NULL. */
struct bytes state_image_value(const struct state_image *image, enum state_key hash,
                               const char *field);
/* What a swap wants to be true (CONTRACTS.md section 7, row 3): both sides there, prices
 * and quantities positive, ask above bid. Returns NULL, or the field that is wrong. */
const char *state_image_judge(const struct state_image *image);

#endif
