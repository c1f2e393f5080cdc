/* Time as it is handed around. Wall times are int64 microseconds UTC; durations come
 * from a monotonic clock. Agents never ask: their caller reads the clocks once a
 * cycle and passes the result (DESIGN.md section 4).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_CLOCK_H
#define BTCAST_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_US_PER_S  1000000LL
#define CLOCK_US_PER_MS 1000LL

/* One reading of both clocks. */
struct clock_now {
    int64_t wall_us; /* CLOCK_REALTIME */
    int64_t mono_us; /* CLOCK_MONOTONIC */
};

/* The prediction grid: a slot every 2 s, the target 10 s later (DESIGN.md section 4). */
#define CLOCK_SLOT_US       2000000LL
#define CLOCK_HORIZON_US    10000000LL
#define CLOCK_HORIZON_SLOTS (CLOCK_HORIZON_US / CLOCK_SLOT_US)

static inline int64_t clock_slot(int64_t wall_us)
{
    int64_t slot = wall_us / CLOCK_SLOT_US;
    return wall_us % CLOCK_SLOT_US < 0 ? slot - 1 : slot;
}

static inline int64_t clock_slot_us(int64_t slot)
{
    return slot * CLOCK_SLOT_US;
}

#endif
