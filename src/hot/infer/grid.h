/* The grid clock: when a slot begins, on CLOCK_MONOTONIC plus an offset that follows the
 * wall clock by at most 1 ms a second (DESIGN.md section 4, "Slots"). A wall-clock step of
 * more than 100 ms is counted and alarmed, and then approached at the same slow rate, so no
 * slot is skipped or repeated. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INFER_GRID_H
#define BTCAST_HOT_INFER_GRID_H

#include <stdint.h>

#include "base/clock.h"

#define GRID_SLEW_US_PER_S 1000
#define GRID_STEP_US 100000

struct grid {
    int64_t offset_us;      /* grid time = mono + offset */
    int64_t updated_mono_us;
    int64_t wall_error_us;  /* wall - grid at the last update */
    int64_t seen_offset_us; /* wall - mono at the last update */
    uint64_t steps;         /* wall-clock steps over GRID_STEP_US */
};

void grid_init(struct grid *grid, struct clock_now now);
/* Slews; returns the size of a wall-clock step seen just now, else 0. Call once a slot or
 * more often. */
int64_t grid_update(struct grid *grid, struct clock_now now);

static inline int64_t grid_us(const struct grid *grid, int64_t mono_us)
{
    return mono_us + grid->offset_us;
}

/* The monotonic time at which a grid time is reached. */
static inline int64_t grid_mono_us(const struct grid *grid, int64_t time_us)
{
    return time_us - grid->offset_us;
}

#endif
