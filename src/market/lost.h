/* Trade ids that never came: ranges with the receive times between which they belong, so
 * that an anchor's list of trades can fill the windows and nothing is counted twice
 * (DESIGN.md section 6, Re-anchor). Bounded: the oldest range goes when another needs the
 * room; then its trades stay missing. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MARKET_LOST_H
#define BTCAST_MARKET_LOST_H

#include <stdbool.h>
#include <stdint.h>

#include "market/codec.h"

#define LOST_RANGES_MAX 32

struct lost_range {
    int64_t first, last;         /* ids */
    int64_t before_us, after_us; /* receive times of the trades around it */
};

struct lost {
    uint32_t count;
    struct lost_range list[LOST_RANGES_MAX]; /* ascending, apart from each other */
};

void lost_init(struct lost *lost);
/* A range beyond all others. */
void lost_add(struct lost *lost, const struct lost_range *range);
/* The range that holds the id, or NULL. */
const struct lost_range *lost_find(const struct lost *lost, int64_t id);
/* These ids are known now, whatever they were. */
void lost_found(struct lost *lost, int64_t first, int64_t last);
void lost_code(struct lost *lost, struct codec *codec);
#define LOST_CODE_SIZE_MAX (8 + (size_t)LOST_RANGES_MAX * 4 * 8)

#endif
