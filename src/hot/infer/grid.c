/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/infer/grid.h"

void grid_init(struct grid *grid, struct clock_now now)
{
    *grid = (struct grid){.offset_us = now.wall_us - now.mono_us,
                          .updated_mono_us = now.mono_us,
                          .seen_offset_us = now.wall_us - now.mono_us};
}

static int64_t grid_clamp(int64_t value, int64_t limit)
{
    return value > limit ? limit : value < -limit ? -limit : value;
}

int64_t grid_update(struct grid *grid, struct clock_now now)
{
    int64_t elapsed_us = now.mono_us - grid->updated_mono_us;
    if (elapsed_us <= 0)
        return 0;
    int64_t offset_us = now.wall_us - now.mono_us;
    int64_t step_us = offset_us - grid->seen_offset_us;
    int64_t error_us = offset_us - grid->offset_us;
    int64_t slew_us = elapsed_us * GRID_SLEW_US_PER_S / CLOCK_US_PER_S;
    /* Less than a microsecond of slew would be lost: wait until there is some. */
    if (slew_us == 0 && error_us != 0)
        return 0;
    grid->offset_us += grid_clamp(error_us, slew_us);
    grid->updated_mono_us = now.mono_us;
    grid->seen_offset_us = offset_us;
    grid->wall_error_us = offset_us - grid->offset_us;
    if (step_us <= GRID_STEP_US && step_us >= -GRID_STEP_US)
        return 0;
    grid->steps++;
    return step_us;
}
