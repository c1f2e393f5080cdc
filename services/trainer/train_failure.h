/* A training that came to nothing, as a row of ml_experiments: status failed, and why.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_TRAIN_FAILURE_H
#define BTCAST_SERVICES_TRAINER_TRAIN_FAILURE_H

#include "learn/train/dataset.h"

struct train_failure {
    const char *database, *symbol;
    const char *experiment; /* a name for people */
    const char *reason;     /* what went wrong, one sentence */
    const char *version;    /* that the model would have had; NULL: not known yet */
    uint64_t seed;
    int64_t from_us, to_us; /* that were asked for; 0: not said */
    const struct dataset
        *dataset; /* rows that were loaded; their range counts when there are any */
};

/* The same failure as the last run's of that kind (the trainer tries again) gives no second row.
 * ERR_CONNECTION …: it is not recorded. */
int train_failure_record(const struct train_failure *failure, struct err *err) MUST_CHECK;

#endif
