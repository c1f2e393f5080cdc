/* When ticks are due: at wall time k * 100 ms + 50 ms, and 5 ms before each slot
 * boundary. So no tick coincides with a boundary, and the vector visible at a slot is
 * the one of slot - 5 ms (DESIGN.md section 4, "Time is a record").
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_HOT_INGEST_TICK_SCHEDULE_H
#define BTCAST_HOT_INGEST_TICK_SCHEDULE_H

#include <stdint.h>

#define TICK_SCHEDULE_PERIOD_US      100000LL
#define TICK_SCHEDULE_PHASE_US       50000LL
#define TICK_SCHEDULE_BEFORE_SLOT_US 5000LL

/* The first tick time strictly after wall_us. */
int64_t tick_schedule_next_us(int64_t wall_us);

#endif
