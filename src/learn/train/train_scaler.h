/* Standardisation, fitted on the training rows alone and carried inside the model as its
 * first layer. It treats both sides of the market alike (feature_mirror): what has a sign
 * keeps its zero, bids and asks share their numbers. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_SCALER_H
#define BTCAST_LEARN_TRAIN_SCALER_H

#include "learn/train/dataset.h"

struct train_scaler {
    float shift[FEATURE_COUNT]; /* mean; 0 of what has a sign */
    float scale[FEATURE_COUNT]; /* 1 / standard deviation; 0 for a constant feature */
    float zero[FEATURE_COUNT];  /* the offset of the model's layer */
    double label_bp;            /* standard deviation of the label around 0 */
};

/* ERR_INVALID when the labels never move. */
int train_scaler_fit(const struct dataset *dataset, struct split_range range,
                     struct train_scaler *scaler, struct err *err) MUST_CHECK;
/* Standardised copies of all rows, the very operation of the model's scaler layer:
 * x [count * FEATURE_COUNT], y [count]. */
void train_scaler_apply(const struct train_scaler *scaler, const struct dataset *dataset, float *x,
                        float *y);

#endif
