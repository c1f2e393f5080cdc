/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/ridge.h"

#include <math.h>
#include <string.h>

#define RIDGE_TERMS (FEATURE_COUNT + 1) /* and the intercept */

static const double ridge_penalties[] = {1e-6, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0};

bool ridge_solve(double *a, double *b, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0.0))
                return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++)
            b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++)
            b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
    return true;
}

struct ridge_sums {
    double moments[RIDGE_TERMS * RIDGE_TERMS], right[RIDGE_TERMS];
};

static void ridge_collect(const float *x, const float *y, struct split_range rows,
                          struct ridge_sums *sums)
{
    memset(sums, 0, sizeof(*sums));
    double share = 1.0 / (double)(rows.end - rows.begin);
    for (size_t row = rows.begin; row < rows.end; row++) {
        double term[RIDGE_TERMS];
        for (int k = 0; k < FEATURE_COUNT; k++)
            term[k] = (double)x[row * FEATURE_COUNT + (size_t)k];
        term[FEATURE_COUNT] = 1.0;
        for (int i = 0; i < RIDGE_TERMS; i++) {
            double scaled = term[i] * share;
            sums->right[i] += scaled * (double)y[row];
            for (int j = 0; j <= i; j++)
                sums->moments[i * RIDGE_TERMS + j] += scaled * term[j];
        }
    }
}

static bool ridge_try(const struct ridge_sums *sums, double penalty, struct ridge *ridge)
{
    double a[RIDGE_TERMS * RIDGE_TERMS], b[RIDGE_TERMS];
    memcpy(a, sums->moments, sizeof(a));
    memcpy(b, sums->right, sizeof(b));
    for (int i = 0; i < FEATURE_COUNT; i++)
        a[i * RIDGE_TERMS + i] += penalty;
    if (!ridge_solve(a, b, RIDGE_TERMS))
        return false;
    memcpy(ridge->weights, b, sizeof(ridge->weights));
    ridge->intercept = b[FEATURE_COUNT];
    ridge->penalty = penalty;
    return true;
}

double ridge_predict(const struct ridge *ridge, const float *x)
{
    double sum = ridge->intercept;
    for (int k = 0; k < FEATURE_COUNT; k++)
        sum += ridge->weights[k] * (double)x[k];
    return sum;
}

static double ridge_error(const struct ridge *ridge, const float *x, const float *y,
                          struct split_range rows)
{
    double sum = 0.0;
    for (size_t row = rows.begin; row < rows.end; row++) {
        double error = ridge_predict(ridge, x + row * FEATURE_COUNT) - (double)y[row];
        sum += error * error;
    }
    return sum;
}

int ridge_fit(const float *x, const float *y, struct split_range train, struct split_range valid,
              struct ridge *ridge, struct err *err)
{
    struct ridge_sums sums;
    double least = INFINITY;
    if (train.end <= train.begin)
        return err_set(err, ERR_EMPTY, "no row for ridge");
    ridge_collect(x, y, train, &sums);
    for (size_t i = 0; i < sizeof(ridge_penalties) / sizeof(ridge_penalties[0]); i++) {
        struct ridge candidate;
        if (!ridge_try(&sums, ridge_penalties[i], &candidate))
            continue;
        double error = ridge_error(&candidate, x, y, valid);
        if (error < least) {
            least = error;
            *ridge = candidate;
        }
    }
    return isfinite(least) ? ERR_OK : err_set(err, ERR_INVALID, "ridge has no solution");
}
