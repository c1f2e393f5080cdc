/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/evaluation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/train/evaluation_sums.h"

static const char *const evaluated_names[EVALUATED] = {"model", "ridge", "imbalance", "oracle"};

const char *evaluated_name(int who)
{
    return evaluated_names[who];
}

/* --- calibration ---------------------------------------------------------------------- */

struct evaluation_pair {
    double confidence;
    bool right;
};

static int evaluation_by_confidence(const void *a, const void *b)
{
    double x = ((const struct evaluation_pair *)a)->confidence;
    double y = ((const struct evaluation_pair *)b)->confidence;
    return (x > y) - (x < y);
}

static int evaluation_calibration(const struct evaluation_input *input,
                                  const struct forecast *forecast, struct evaluation *out,
                                  struct err *err)
{
    size_t rows = out->rows;
    const struct calibration *calibration = &model_spec(input->model)->calibration;
    struct evaluation_pair *pairs = malloc(rows * sizeof(*pairs));
    if (pairs == NULL)
        return err_set(err, ERR_MEMORY, "no memory to evaluate");
    for (size_t i = 0; i < rows; i++) {
        double label = input->dataset->label_bp[input->range.begin + i];
        pairs[i].confidence =
            calibration_probability(calibration, forecast_strength(forecast, i), 0.0);
        pairs[i].right = (double)forecast->mean_bp[i] * label > 0.0;
    }
    qsort(pairs, rows, sizeof(*pairs), evaluation_by_confidence);
    for (int b = 0; b < EVALUATION_BINS; b++) {
        size_t from = rows * (size_t)b / EVALUATION_BINS;
        size_t end = rows * (size_t)(b + 1) / EVALUATION_BINS;
        out->bin[b].count = end - from;
        for (size_t i = from; i < end; i++) {
            out->bin[b].confidence += pairs[i].confidence / (double)(end - from);
            out->bin[b].right += (pairs[i].right ? 1.0 : 0.0) / (double)(end - from);
        }
        out->calibration_error +=
            fabs(out->bin[b].confidence - out->bin[b].right) * (double)(end - from) / (double)rows;
    }
    free(pairs);
    return ERR_OK;
}

/* --- band ----------------------------------------------------------------------------- */

static double evaluation_pinball(double label, double quantile, double share)
{
    return label < quantile ? (1.0 - share) * (quantile - label) : share * (label - quantile);
}

static int evaluation_ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The two limits between the terciles of volatility. */
static void evaluation_terciles(const struct evaluation_input *input, double *scratch, size_t rows,
                                double limit[2])
{
    for (size_t i = 0; i < rows; i++)
        scratch[i] =
            (double)input->dataset
                ->values[(input->range.begin + i) * FEATURE_COUNT + FEATURE_VOLATILITY_30S_BP];
    qsort(scratch, rows, sizeof(double), evaluation_ascending);
    limit[0] = scratch[rows / 3];
    limit[1] = scratch[2 * rows / 3];
}

/* Adds to coverage and pinball; outcomes reach the band when their slot has passed. */
static void evaluation_follow(const struct evaluation_input *input, const struct forecast *forecast,
                              const double limit[2], struct evaluation *out)
{
    const struct model_spec *spec = model_spec(input->model);
    const int64_t *slot = input->dataset->slot + input->range.begin;
    const double *label = input->dataset->label_bp + input->range.begin;
    struct band band = {(double)spec->band_p10, (double)spec->band_p90, BAND_STEP};
    size_t known = 0, seen[EVALUATION_TERCILES] = {0}, covered[EVALUATION_TERCILES] = {0};
    size_t fixed = 0;
    for (size_t i = 0; i < out->rows; i++) {
        for (; slot[known] + CLOCK_HORIZON_SLOTS < slot[i]; known++)
            band_follow(&band, (label[known] - (double)forecast->mean_bp[known]) /
                                   (double)forecast->scale_bp[known]);
        double mean = (double)forecast->mean_bp[i], scale = (double)forecast->scale_bp[i];
        double low = mean + band.low * scale, high = mean + band.high * scale;
        double mood =
            (double)input->dataset
                ->values[(input->range.begin + i) * FEATURE_COUNT + FEATURE_VOLATILITY_30S_BP];
        int tercile = (mood >= limit[0]) + (mood >= limit[1]);
        seen[tercile]++;
        covered[tercile] += label[i] >= low && label[i] <= high;
        fixed += label[i] >= mean + (double)spec->band_p10 * scale &&
                 label[i] <= mean + (double)spec->band_p90 * scale;
        out->pinball_bp += (evaluation_pinball(label[i], low, FORECAST_LOW) +
                            evaluation_pinball(label[i], high, FORECAST_HIGH)) /
                           (2.0 * (double)out->rows);
    }
    size_t all = 0;
    for (int t = 0; t < EVALUATION_TERCILES; t++) {
        out->coverage_tercile[t] = seen[t] > 0 ? (double)covered[t] / (double)seen[t] : 0.0;
        all += covered[t];
    }
    out->coverage = (double)all / (double)out->rows;
    out->coverage_fixed = (double)fixed / (double)out->rows;
}

/* Quantiles of the outcomes known by now, renewed every five minutes; rows before the test
 * range give the first window. */
static void evaluation_rolling(const struct evaluation_input *input, double *scratch,
                               struct evaluation *out)
{
    const struct dataset *dataset = input->dataset;
    double low = 0.0, high = 0.0;
    for (size_t i = 0; i < out->rows; i++) {
        size_t row = input->range.begin + i;
        if (i % EVALUATION_BLOCK == 0) {
            size_t end = split_before(dataset, 0, row, CLOCK_HORIZON_SLOTS);
            size_t begin = end > EVALUATION_ROLLING ? end - EVALUATION_ROLLING : 0;
            if (end - begin >= EVALUATION_BINS) {
                memcpy(scratch, dataset->label_bp + begin, (end - begin) * sizeof(double));
                qsort(scratch, end - begin, sizeof(double), evaluation_ascending);
                low = scratch[(size_t)(FORECAST_LOW * (double)(end - begin))];
                high = scratch[(size_t)(FORECAST_HIGH * (double)(end - begin))];
            }
        }
        out->pinball_rolling_bp +=
            (evaluation_pinball(dataset->label_bp[row], low, FORECAST_LOW) +
             evaluation_pinball(dataset->label_bp[row], high, FORECAST_HIGH)) /
            (2.0 * (double)out->rows);
    }
}

static int evaluation_band(const struct evaluation_input *input, const struct forecast *forecast,
                           struct evaluation *out, struct err *err)
{
    size_t size = out->rows > EVALUATION_ROLLING ? out->rows : EVALUATION_ROLLING;
    double *scratch = malloc(size * sizeof(double)), limit[2];
    if (scratch == NULL)
        return err_set(err, ERR_MEMORY, "no memory to evaluate");
    evaluation_terciles(input, scratch, out->rows, limit);
    evaluation_follow(input, forecast, limit, out);
    evaluation_rolling(input, scratch, out);
    free(scratch);
    return ERR_OK;
}

/* --- money ---------------------------------------------------------------------------- */

/* Entry one slot after the forecast, at the mid plus half the spread and the fee; exit 10 s
 * later: the gross return is the label of the row of the entry. */
static int evaluation_trades(const struct evaluation_input *input, const struct forecast *forecast,
                             struct evaluation *out, struct err *err)
{
    const struct dataset *dataset = input->dataset;
    size_t rows = out->rows, strong = 0, entry = 0;
    double *size = malloc(rows * sizeof(double)), cost_sum = 0.0, gross_sum = 0.0;
    if (size == NULL)
        return err_set(err, ERR_MEMORY, "no memory to evaluate");
    for (size_t i = 0; i < rows; i++)
        size[i] = fabs((double)forecast->mean_bp[i]);
    qsort(size, rows, sizeof(double), evaluation_ascending);
    double strongest = size[rows * 9 / 10];
    free(size);
    for (size_t i = 0; i < rows; i++) {
        const int64_t *slot = dataset->slot + input->range.begin;
        double spread =
            (double)dataset->values[(input->range.begin + i) * FEATURE_COUNT + FEATURE_SPREAD_BP];
        double cost = 2.0 * EVALUATION_FEE_BP + spread, mean = (double)forecast->mean_bp[i];
        cost_sum += cost;
        while (entry < rows && slot[entry] < slot[i] + EVALUATION_LATENCY_SLOTS)
            entry++;
        if (entry == rows || slot[entry] != slot[i] + EVALUATION_LATENCY_SLOTS)
            continue;
        double gross = copysign(1.0, mean) * dataset->label_bp[input->range.begin + entry];
        if (fabs(mean) >= strongest) {
            strong++;
            gross_sum += gross;
        }
        if (fabs(mean) > cost) {
            out->trades++;
            out->net_bp_sum += gross - cost;
        }
    }
    out->cost_bp = cost_sum / (double)rows;
    out->strongest_gross_bp = strong > 0 ? gross_sum / (double)strong : 0.0;
    return ERR_OK;
}

void evaluation_money(const struct evaluation *evaluation, char *out, size_t size)
{
    if (evaluation->trades == 0) {
        snprintf(out, size,
                 "No profit: no forecast exceeds the costs of a round trip (%.2f bp: a taker fee "
                 "of %.1f bp a side and the spread); the strongest tenth of the forecasts earns "
                 "%.2f bp a trade before costs, entered 2 s late.",
                 evaluation->cost_bp, EVALUATION_FEE_BP, evaluation->strongest_gross_bp);
        return;
    }
    double mean = evaluation->net_bp_sum / (double)evaluation->trades;
    snprintf(out, size,
             "%s: %zu trades whose forecast exceeds the costs (%.2f bp a round trip, entered 2 s "
             "late) give %.2f bp each after costs.",
             mean > 0.0 ? "Profit" : "No profit", evaluation->trades, evaluation->cost_bp, mean);
}

/* --- over time, importance ------------------------------------------------------------ */

static void evaluation_over_time(const struct evaluation_input *input,
                                 const struct forecast *forecast, struct evaluation *out)
{
    size_t rows = out->rows;
    out->points = rows < EVALUATION_POINTS ? (int)rows : EVALUATION_POINTS;
    for (int p = 0; p < out->points; p++) {
        size_t from = rows * (size_t)p / (size_t)out->points;
        size_t end = rows * (size_t)(p + 1) / (size_t)out->points;
        out->point[p].slot = input->dataset->slot[input->range.begin + from];
        for (size_t i = from; i < end; i++) {
            double label = input->dataset->label_bp[input->range.begin + i];
            out->point[p].model_bp +=
                fabs(label - (double)forecast->mean_bp[i]) / (double)(end - from);
            out->point[p].zero_bp += fabs(label) / (double)(end - from);
        }
    }
}

/* Every stride-th row of the range, with the column of another such row. */
struct evaluation_sample {
    size_t rows, stride;
    size_t *order;
};

static const float *evaluation_values(const struct evaluation_input *input,
                                      const struct evaluation_sample *sample, size_t i)
{
    return input->dataset->values + (input->range.begin + i * sample->stride) * FEATURE_COUNT;
}

/* Squared error with one column shuffled; -1: none. */
static double evaluation_shuffled(const struct evaluation_input *input,
                                  const struct evaluation_sample *sample, int column)
{
    double sum = 0.0;
    for (size_t i = 0; i < sample->rows; i++) {
        float x[FEATURE_COUNT];
        struct model_output out;
        memcpy(x, evaluation_values(input, sample, i), sizeof(x));
        if (column >= 0)
            x[column] = evaluation_values(input, sample, sample->order[i])[column];
        model_predict(input->model, x, &out);
        double label = input->dataset->label_bp[input->range.begin + i * sample->stride];
        sum += (label - (double)out.mean_bp) * (label - (double)out.mean_bp);
    }
    return sum;
}

static int evaluation_importance(const struct evaluation_input *input, struct evaluation *out,
                                 struct err *err)
{
    size_t stride = out->rows / EVALUATION_IMPORTANCE_ROWS + 1;
    struct evaluation_sample sample = {.rows = (out->rows + stride - 1) / stride, .stride = stride};
    double squares = 0.0;
    sample.order = malloc(sample.rows * sizeof(size_t));
    if (sample.order == NULL)
        return err_set(err, ERR_MEMORY, "no memory to evaluate");
    evaluation_permute(input->seed, sample.order, sample.rows);
    for (size_t i = 0; i < sample.rows; i++) {
        double label = input->dataset->label_bp[input->range.begin + i * stride];
        squares += label * label;
    }
    double base = evaluation_shuffled(input, &sample, -1);
    for (int column = 0; column < FEATURE_COUNT && squares > 0.0; column++)
        out->importance[column] = (evaluation_shuffled(input, &sample, column) - base) / squares;
    free(sample.order);
    return ERR_OK;
}

/* --- all of it ------------------------------------------------------------------------ */

int evaluation_make(const struct evaluation_input *input, struct evaluation *out, struct err *err)
{
    *out = (struct evaluation){0};
    out->rows = input->range.end - input->range.begin;
    if (out->rows == 0)
        return err_set(err, ERR_EMPTY, "no row to evaluate on");
    out->independent = split_independent(input->dataset, input->range);
    out->indicative = out->independent < EVALUATION_INDEPENDENT_MIN;
    struct forecast forecast;
    int rc = forecast_make(input->model, input->dataset, input->range, &forecast, err);
    if (rc != ERR_OK)
        return rc;
    rc = evaluation_sums(input, &forecast, out, err);
    if (rc == ERR_OK)
        rc = evaluation_calibration(input, &forecast, out, err);
    if (rc == ERR_OK)
        rc = evaluation_band(input, &forecast, out, err);
    if (rc == ERR_OK)
        rc = evaluation_trades(input, &forecast, out, err);
    if (rc == ERR_OK && input->with_importance)
        rc = evaluation_importance(input, out, err);
    if (rc == ERR_OK)
        evaluation_over_time(input, &forecast, out);
    forecast_free(&forecast);
    return rc;
}

bool evaluation_is_better(const struct evaluation *evaluation)
{
    return !evaluation->indicative && evaluation->r2[EVALUATED_MODEL].low > 0.0 &&
           evaluation->r2_over_ridge.low > 0.0 && evaluation->hit_over_imbalance.low > 0.0;
}
