/* What btcast-sim prints. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_SIM_REPORT_H
#define BTCAST_SIM_SIM_REPORT_H

#include "sim/sim_jobs.h"

/* The rules, or the faults, with what they mean. */
void sim_report_list(bool rules);
/* One failed seed: rule, time, what was seen, commit, and how to see it again. */
void sim_report_failure(const struct sim_jobs_options *options, uint64_t seed,
                        const struct simulation_result *result);
void sim_report(const struct sim_jobs_options *options, const struct sim_totals *totals, bool table,
                bool json);

#endif
