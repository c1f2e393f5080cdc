/* SPDX-License-Identifier: Apache-2.0 */
#include "services/exchange-sim/sim_limits.h"

#include <string.h>

#include "base/clock.h"

#define LIMITS_WINDOW_S  60
#define LIMITS_WINDOW_US (LIMITS_WINDOW_S * CLOCK_US_PER_S)

void sim_limits_init(struct sim_limits *limits, int64_t limit)
{
    memset(limits, 0, sizeof(*limits));
    limits->limit = limit;
    limits->ban_s = SIM_LIMITS_BAN_S;
}

static void limits_roll(struct sim_limits *limits, int64_t wall_us)
{
    int64_t minute = wall_us / LIMITS_WINDOW_US;
    if (minute == limits->minute)
        return;
    limits->minute = minute;
    limits->used = limits->used_by_others;
    limits->refused = 0;
}

static int64_t limits_seconds(int64_t span_us)
{
    return (span_us + CLOCK_US_PER_S - 1) / CLOCK_US_PER_S;
}

static void limits_ban(struct sim_limits *limits, int64_t wall_us)
{
    limits->banned_until_us = wall_us + limits->ban_s * CLOCK_US_PER_S;
    limits->ban_s =
        limits->ban_s * 2 < SIM_LIMITS_BAN_MAX_S ? limits->ban_s * 2 : SIM_LIMITS_BAN_MAX_S;
    limits->bans++;
}

struct sim_verdict sim_limits_charge(struct sim_limits *limits, int64_t wall_us, int64_t weight)
{
    limits_roll(limits, wall_us);
    limits->requests++;
    bool banned = wall_us < limits->banned_until_us;
    if (!banned && limits->used + weight <= limits->limit) {
        limits->used += weight;
        return (struct sim_verdict){.status = 200, .used = limits->used};
    }
    limits->refused_total++;
    if (!banned && ++limits->refused > SIM_LIMITS_TOLERANCE) {
        limits_ban(limits, wall_us);
        banned = true;
    }
    int64_t until_us = banned ? limits->banned_until_us : (limits->minute + 1) * LIMITS_WINDOW_US;
    return (struct sim_verdict){.status = banned ? 418 : 429,
                                .used = limits->used,
                                .retry_after_s = limits_seconds(until_us - wall_us),
                                .banned_until_us = banned ? until_us : 0};
}
