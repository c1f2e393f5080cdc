/* Ridge regression over the standardised features: the line that a net has to beat. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_RIDGE_H
#define BTCAST_LEARN_TRAIN_RIDGE_H

#include "learn/train/dataset.h"

struct ridge {
    double weights[FEATURE_COUNT];
    double intercept;
    double penalty; /* of the sum of squares, per row */
};

/* x, y: of train_scaler_apply. Fits on `train` for each of a ladder of penalties and keeps
 * the one with the least error on `valid`. ERR_INVALID when no penalty gives a solution. */
int ridge_fit(const float *x, const float *y, struct split_range train, struct split_range valid,
              struct ridge *ridge, struct err *err) MUST_CHECK;
/* In units of y. */
double ridge_predict(const struct ridge *ridge, const float *x);

/* Solves a s = b for a symmetric positive definite a[n][n] (its lower half is read and
 * overwritten by the Cholesky factor); b becomes s. False when a is not positive definite. */
bool ridge_solve(double *a, double *b, int n);

#endif
