/* Many seeds on several processes, and what they add up to.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_SIM_JOBS_H
#define BTCAST_SIM_SIM_JOBS_H

#include "sim/simulation.h"

#define SIM_JOBS_MAX 64

struct sim_jobs_options {
    uint64_t first, last; /* seeds, both included */
    int seconds, jobs;
    int for_s; /* no seed is begun after so many real seconds; 0: no end */
    int64_t began_s;
    bool faults, trace, stop;
    enum fault_kind only; /* FAULT_COUNT: all of them */
};

struct sim_totals {
    uint64_t seeds, failures;
    uint64_t events, frames, steps, predictions, flushes, swaps, restarts, faults;
    uint64_t faults_least, hash; /* of the seed with the fewest faults; of all hashes */
    uint64_t hits[FAULT_COUNT][STEP_COUNT + 1];
    uint64_t by_rule[CHECK_RULES];
};

/* 0, or 1 when it could not be run at all. Failures are printed as they come. */
int sim_jobs_run(const struct sim_jobs_options *options, struct sim_totals *totals);

#endif
