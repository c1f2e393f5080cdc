/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slew.h"

void slew_init(struct slew *slew, struct clock_now now)
{
    *slew = (struct slew){.offset_us = now.wall_us - now.mono_us, .adjusted_us = now.mono_us};
}

int64_t slew_read_us(struct slew *slew, struct clock_now now)
{
    int64_t gap = now.wall_us - (now.mono_us + slew->offset_us);
    int64_t jump = gap - slew->wall_gap_us;
    if (jump > SLEW_STEP_US || jump < -SLEW_STEP_US)
        slew->steps++;
    /* Whole microseconds only: the remainder stays in adjusted_us for the next reading. */
    int64_t room = (now.mono_us - slew->adjusted_us) * SLEW_RATE_US_PER_S / CLOCK_US_PER_S;
    if (room > 0) {
        int64_t move = gap > room ? room : gap < -room ? -room : gap;
        slew->offset_us += move;
        gap -= move;
        slew->adjusted_us += room * CLOCK_US_PER_S / SLEW_RATE_US_PER_S;
    }
    slew->wall_gap_us = gap;
    return now.mono_us + slew->offset_us;
}
