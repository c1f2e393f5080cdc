/* SPDX-License-Identifier: Apache-2.0 */
#include "hot/ingest/tick_schedule.h"

#include "base/clock.h"

/* The first time strictly after t of the form k * period + phase. */
static int64_t tick_schedule_after(int64_t t, int64_t period, int64_t phase)
{
    int64_t since = (t - phase) % period;
    if (since < 0)
        since += period;
    return t - since + period;
}

int64_t tick_schedule_next_us(int64_t wall_us)
{
    int64_t regular = tick_schedule_after(wall_us, TICK_SCHEDULE_PERIOD_US, TICK_SCHEDULE_PHASE_US);
    int64_t slot =
        tick_schedule_after(wall_us, CLOCK_SLOT_US, CLOCK_SLOT_US - TICK_SCHEDULE_BEFORE_SLOT_US);
    return regular < slot ? regular : slot;
}
