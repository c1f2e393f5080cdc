/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/train_scaler.h"

#include <math.h>

/* A deviation below this share of the mean is rounding, not information. */
#define SCALER_CONSTANT 1e-6

static void scaler_set(const double *mean, const double *variance, struct train_scaler *scaler)
{
    for (int k = 0; k < FEATURE_COUNT; k++) {
        float sign;
        int twin = feature_mirror(k, &sign);
        double shift = sign < 0.0f ? 0.0 : 0.5 * (mean[k] + mean[twin]);
        double own = mean[k] - shift, other = mean[twin] - shift;
        double deviation = sqrt(0.5 * (variance[k] + own * own + variance[twin] + other * other));
        bool is_constant = sqrt(variance[k]) <= SCALER_CONSTANT * (1.0 + fabs(mean[k]));
        scaler->shift[k] = (float)shift;
        scaler->scale[k] = is_constant ? 0.0f : (float)(1.0 / deviation);
    }
}

/* Row by row, so that memory is read once; twice over all, so that large means cost nothing. */
static void scaler_fit_columns(const struct dataset *dataset, struct split_range range,
                               struct train_scaler *scaler)
{
    double mean[FEATURE_COUNT] = {0}, squares[FEATURE_COUNT] = {0};
    double count = (double)(range.end - range.begin);
    for (size_t row = range.begin; row < range.end; row++)
        for (int k = 0; k < FEATURE_COUNT; k++)
            mean[k] += (double)dataset->values[row * FEATURE_COUNT + (size_t)k];
    for (int k = 0; k < FEATURE_COUNT; k++)
        mean[k] /= count;
    for (size_t row = range.begin; row < range.end; row++)
        for (int k = 0; k < FEATURE_COUNT; k++) {
            double d = (double)dataset->values[row * FEATURE_COUNT + (size_t)k] - mean[k];
            squares[k] += d * d;
        }
    for (int k = 0; k < FEATURE_COUNT; k++)
        squares[k] /= count;
    scaler_set(mean, squares, scaler);
}

int train_scaler_fit(const struct dataset *dataset, struct split_range range,
                     struct train_scaler *scaler, struct err *err)
{
    *scaler = (struct train_scaler){0};
    if (range.end <= range.begin)
        return err_set(err, ERR_EMPTY, "no row to learn from");
    scaler_fit_columns(dataset, range, scaler);
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
