/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/forecast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Age buckets of the calibration: up to so many seconds, fitted on vectors so many slots old. */
static const struct {
    float age_s_max;
    int64_t lag_slots;
} forecast_ages[] = {{2.0f, 0}, {5.0f, 2}};
#define FORECAST_AGES    2
#define FORECAST_KNOTS   17
#define FORECAST_NEWTONS 50
/* Log odds beyond this are certainty that no data gives. */
#define FORECAST_LOGIT_MAX 6.0

int forecast_make(const struct model *model, const struct dataset *dataset,
                  struct split_range range, struct forecast *forecast, struct err *err)
{
    size_t rows = range.end - range.begin;
    *forecast = (struct forecast){.range = range};
    forecast->mean_bp = malloc((rows + 1) * sizeof(float));
    forecast->scale_bp = malloc((rows + 1) * sizeof(float));
    if (forecast->mean_bp == NULL || forecast->scale_bp == NULL) {
        forecast_free(forecast);
        return err_set(err, ERR_MEMORY, "no memory for %zu forecasts", rows);
    }
    for (size_t i = 0; i < rows; i++) {
        struct model_output out;
        model_predict(model, dataset->values + (range.begin + i) * FEATURE_COUNT, &out);
        forecast->mean_bp[i] = out.mean_bp;
        forecast->scale_bp[i] = out.valid ? out.scale_bp : 1.0f;
    }
    return ERR_OK;
}

void forecast_free(struct forecast *forecast)
{
    free(forecast->mean_bp);
    free(forecast->scale_bp);
    *forecast = (struct forecast){0};
}

double forecast_strength(const struct forecast *forecast, size_t at)
{
    return fabs((double)forecast->mean_bp[at]) / (double)forecast->scale_bp[at];
}

/* --- confidence ----------------------------------------------------------------------- */

/* Pairs of strength and whether the sign was right. */
struct forecast_signs {
    size_t count;
    double *strength;
    bool *right;
};

static void forecast_collect(const struct forecast *forecast, const struct dataset *dataset,
                             int64_t lag, struct forecast_signs *signs)
{
    size_t rows = forecast->range.end - forecast->range.begin, then = 0;
    const int64_t *slot = dataset->slot + forecast->range.begin;
    signs->count = 0;
    for (size_t i = 0; i < rows; i++) {
        while (slot[then] < slot[i] - lag)
            then++;
        if (slot[then] != slot[i] - lag)
            continue;
        double mean = (double)forecast->mean_bp[then];
        signs->strength[signs->count] = forecast_strength(forecast, then);
        signs->right[signs->count++] = mean * dataset->label_bp[forecast->range.begin + i] > 0.0;
    }
}

struct forecast_curve {
    double level, slope;
};

static double forecast_odds(const struct forecast_curve *curve, double strength)
{
    double logit = curve->level + curve->slope * strength;
    logit = fmin(FORECAST_LOGIT_MAX, fmax(-FORECAST_LOGIT_MAX, logit));
    return 1.0 / (1.0 + exp(-logit));
}

/* One step of Newton on the log likelihood with a weak prior towards even odds, without
 * which a handful of rows would be told apart perfectly. */
static double forecast_newton(const struct forecast_signs *signs, bool flat,
                              struct forecast_curve *curve)
{
    double g0 = -curve->level, g1 = -curve->slope, h00 = 1.0, h01 = 0.0, h11 = 1.0;
    for (size_t i = 0; i < signs->count; i++) {
        double s = signs->strength[i], p = forecast_odds(curve, s), w = p * (1.0 - p);
        double miss = (signs->right[i] ? 1.0 : 0.0) - p;
        g0 += miss;
        g1 += miss * s;
        h00 += w;
        h01 += w * s;
        h11 += w * s * s;
    }
    double d0 = g0 / h00, d1 = 0.0;
    if (!flat) {
        double det = h00 * h11 - h01 * h01;
        d0 = (h11 * g0 - h01 * g1) / det;
        d1 = (h00 * g1 - h01 * g0) / det;
    }
    curve->level += d0;
    curve->slope += d1;
    return fabs(d0) + fabs(d1);
}

static void forecast_fit_curve(const struct forecast_signs *signs, bool flat,
                               struct forecast_curve *curve)
{
    *curve = (struct forecast_curve){0};
    for (int i = 0; i < FORECAST_NEWTONS; i++)
        if (forecast_newton(signs, flat, curve) < 1e-10)
            return;
}

static int forecast_ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Knots at quantiles of the strength; equal ones are one knot. */
static void forecast_knots(struct forecast_signs *signs, const struct forecast_curve *curve,
                           struct calibration_bucket *bucket)
{
    qsort(signs->strength, signs->count, sizeof(double), forecast_ascending);
    bucket->count = 0;
    for (int k = 0; k < FORECAST_KNOTS; k++) {
        size_t at = (signs->count - 1) * (size_t)k / (FORECAST_KNOTS - 1);
        struct calibration_knot knot = {.strength = (float)signs->strength[at],
                                        .probability =
                                            (float)forecast_odds(curve, signs->strength[at])};
        if (bucket->count == 0 || knot.strength > bucket->knots[bucket->count - 1].strength)
            bucket->knots[bucket->count++] = knot;
    }
}

int forecast_calibrate(const struct forecast *forecast, const struct dataset *dataset,
                       struct calibration *calibration, struct err *err)
{
    size_t rows = forecast->range.end - forecast->range.begin;
    struct forecast_signs signs = {.strength = malloc((rows + 1) * sizeof(double)),
                                   .right = malloc((rows + 1) * sizeof(bool))};
    *calibration = (struct calibration){0};
    int rc = signs.strength != NULL && signs.right != NULL
                 ? ERR_OK
                 : err_set(err, ERR_MEMORY, "no memory to calibrate");
    for (int b = 0; b < FORECAST_AGES && rc == ERR_OK; b++) {
        forecast_collect(forecast, dataset, forecast_ages[b].lag_slots, &signs);
        if (signs.count == 0) {
            if (b == 0)
                rc = err_set(err, ERR_EMPTY, "no row to calibrate on");
            break;
        }
        struct forecast_curve curve;
        forecast_fit_curve(&signs, false, &curve);
        if (curve.slope < 0.0)
            forecast_fit_curve(&signs, true, &curve);
        struct calibration_bucket *bucket = &calibration->buckets[calibration->count++];
        bucket->age_s_max = forecast_ages[b].age_s_max;
        forecast_knots(&signs, &curve, bucket);
    }
    free(signs.strength);
    free(signs.right);
    return rc;
}

/* --- band ----------------------------------------------------------------------------- */

/* The ceil((n + 1) q)-th smallest of n, and its mirror image below. */
static double forecast_quantile(const double *sorted, size_t count, double share)
{
    double rank = share < 0.5 ? floor(share * (double)(count + 1)) - 1.0
                              : ceil(share * (double)(count + 1)) - 1.0;
    rank = fmin((double)count - 1.0, fmax(0.0, rank));
    return sorted[(size_t)rank];
}

int forecast_band(const struct forecast *forecast, const struct dataset *dataset, float *p10,
                  float *p90, struct err *err)
{
    size_t rows = forecast->range.end - forecast->range.begin;
    if (rows == 0)
        return err_set(err, ERR_EMPTY, "no row for a band");
    double *errors = malloc(rows * sizeof(double));
    if (errors == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a band");
    for (size_t i = 0; i < rows; i++)
        errors[i] = (dataset->label_bp[forecast->range.begin + i] - (double)forecast->mean_bp[i]) /
                    (double)forecast->scale_bp[i];
    qsort(errors, rows, sizeof(double), forecast_ascending);
    *p10 = (float)forecast_quantile(errors, rows, FORECAST_LOW);
    *p90 = (float)forecast_quantile(errors, rows, FORECAST_HIGH);
    free(errors);
    return ERR_OK;
}

void band_follow(struct band *band, double error)
{
    band->low += band->step * (FORECAST_LOW - (error < band->low ? 1.0 : 0.0));
    band->high += band->step * (FORECAST_HIGH - (error < band->high ? 1.0 : 0.0));
    if (band->low > band->high) { /* both lie at the same place: neither side is certain */
        double middle = 0.5 * (band->low + band->high);
        band->low = band->high = middle;
    }
}
