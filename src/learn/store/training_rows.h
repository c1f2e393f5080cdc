/* Finished rows of the store -> the trainer's rows, bit for bit those that a capture of the
 * same time gives: vector, mid at the slot, mid 10 s later. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_STORE_TRAINING_ROWS_H
#define BTCAST_LEARN_STORE_TRAINING_ROWS_H

#include "base/bytes.h"
#include "learn/train/dataset.h"

/* Adds one row: its label is the log return between the two mids, in bp, as the trainer has
 * it. What the trainer would leave out is left out and counted. */
int training_rows_add(struct dataset *dataset, int64_t slot, const float *values, double mid,
                      double target, struct err *err) MUST_CHECK;

/* PostgreSQL's binary COPY of (slot bigint, features real[], mid float8, target float8): feed
 * it piece by piece as libpq hands it over, a whole tuple each (the first with its header). */
struct training_copy {
    struct dataset *dataset;
    bool began, ended;
};
/* ERR_MALFORMED for what is no such COPY, or a vector of another length. */
int training_copy_take(struct training_copy *copy, struct bytes piece, struct err *err) MUST_CHECK;

#endif
