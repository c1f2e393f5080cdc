/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/train_scaler.h"

#include <math.h>

/* A deviation below this share of the mean is rounding, not information. */
#define SCALER_CONSTANT 1e-6

static void scaler_fit_column(const struct dataset *dataset, struct split_range range, int column,
                              struct train_scaler *scaler)
{
    double sum = 0.0, squares = 0.0, count = (double)(range.end - range.begin);
    for (size_t row = range.begin; row < range.end; row++)
        sum += (double)dataset->values[row * FEATURE_COUNT + (size_t)column];
    double mean = sum / count;
    for (size_t row = range.begin; row < range.end; row++) {
        double d = (double)dataset->values[row * FEATURE_COUNT + (size_t)column] - mean;
        squares += d * d;
    }
    double deviation = sqrt(squares / count);
    scaler->shift[column] = (float)mean;
    scaler->scale[column] =
        deviation > SCALER_CONSTANT * (1.0 + fabs(mean)) ? (float)(1.0 / deviation) : 0.0f;
}

int train_scaler_fit(const struct dataset *dataset, struct split_range range,
                     struct train_scaler *scaler, struct err *err)
{
    *scaler = (struct train_scaler){0};
    if (range.end <= range.begin)
        return err_set(err, ERR_EMPTY, "no row to learn from");
    for (int column = 0; column < FEATURE_COUNT; column++)
        scaler_fit_column(dataset, range, column, scaler);
    double squares = 0.0;
    for (size_t row = range.begin; row < range.end; row++)
        squares += dataset->label_bp[row] * dataset->label_bp[row];
    scaler->label_bp = sqrt(squares / (double)(range.end - range.begin));
    if (!(scaler->label_bp > 0.0))
        return err_set(err, ERR_INVALID, "the price never moves in the training rows");
    return ERR_OK;
}

void train_scaler_apply(const struct train_scaler *scaler, const struct dataset *dataset, float *x,
                        float *y)
{
    for (size_t row = 0; row < dataset->count; row++) {
        const float *from = dataset->values + row * FEATURE_COUNT;
        float *to = x + row * FEATURE_COUNT;
        for (int k = 0; k < FEATURE_COUNT; k++)
            to[k] = (from[k] - scaler->shift[k]) * scaler->scale[k];
        y[row] = (float)(dataset->label_bp[row] / scaler->label_bp);
    }
}
