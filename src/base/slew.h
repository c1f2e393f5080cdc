/* A wall clock that never steps: CLOCK_MONOTONIC plus an offset that follows
 * CLOCK_REALTIME by at most 1 ms a second. A step of the wall clock over 100 ms is
 * counted for the alarm and never followed at once (DESIGN.md section 4, "Slots").
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_SLEW_H
#define BTCAST_BASE_SLEW_H

#include <stdint.h>

#include "base/clock.h"

#define SLEW_RATE_US_PER_S 1000
#define SLEW_STEP_US       100000

struct slew {
    int64_t offset_us;   /* added to the monotonic clock */
    int64_t adjusted_us; /* monotonic time up to which the offset has moved */
    int64_t wall_gap_us; /* wall - slewed at the last reading */
    uint64_t steps;      /* jumps of the wall clock over SLEW_STEP_US */
};

void slew_init(struct slew *slew, struct clock_now now);
/* The slewed wall time of this reading; never less than at an earlier one. */
int64_t slew_read_us(struct slew *slew, struct clock_now now);

/* Between readings: the slewed time of a monotonic one, and the other way round. */
static inline int64_t slew_at_us(const struct slew *slew, int64_t mono_us)
{
    return mono_us + slew->offset_us;
}

static inline int64_t slew_mono_us(const struct slew *slew, int64_t time_us)
{
    return time_us - slew->offset_us;
}

#endif
