/* The exchange's request weights: a minute's window, 429 over it, 418 and growing bans for
 * those who go on (BINANCE.md section 8). Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_EXCHANGE_SIM_SIM_LIMITS_H
#define BTCAST_SERVICES_EXCHANGE_SIM_SIM_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

/* Requests made in spite of 429 before the ban, and the first and longest ban. */
#define SIM_LIMITS_TOLERANCE 10
#define SIM_LIMITS_BAN_S     120
#define SIM_LIMITS_BAN_MAX_S 259200

struct sim_limits {
    int64_t limit;          /* weight a minute */
    int64_t used_by_others; /* weight that others behind the same address use each minute */
    int64_t used, minute;
    int64_t refused; /* in this window */
    int64_t banned_until_us, ban_s;
    uint64_t requests, refused_total, bans;
};

struct sim_verdict {
    int status;            /* 200, 429 or 418 */
    int64_t used;          /* for X-MBX-USED-WEIGHT-1M */
    int64_t retry_after_s; /* with 429 and 418 */
    int64_t banned_until_us;
};

void sim_limits_init(struct sim_limits *limits, int64_t limit);
/* Charges one request of `weight` at wall_us. */
struct sim_verdict sim_limits_charge(struct sim_limits *limits, int64_t wall_us, int64_t weight);

#endif
