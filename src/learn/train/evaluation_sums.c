/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/evaluation_sums.h"

#include <math.h>
#include <stdlib.h>

#include "base/prng.h"

/* Everything that a figure is made of, as sums over rows. */
enum sums_column {
    SUM_SQUARES,
    SUM_ABSOLUTE,
    SUM_MOVED,
    SUM_ERROR2,                          /* + who: squared errors */
    SUM_ERROR1 = SUM_ERROR2 + EVALUATED, /* absolute errors */
    SUM_HITS = SUM_ERROR1 + EVALUATED,
    SUM_ORACLE_SQUARES = SUM_HITS + EVALUATED, /* labels where the oracle speaks … */
    SUM_ORACLE_ERROR2,                         /* … and the model's error there */
    SUM_COLUMNS,
};

/* What is made of them. */
enum sums_figure {
    FIGURE_MAE_ZERO,
    FIGURE_R2,
    FIGURE_MAE = FIGURE_R2 + EVALUATED,
    FIGURE_HIT = FIGURE_MAE + EVALUATED,
    FIGURE_R2_OVER_RIDGE = FIGURE_HIT + EVALUATED,
    FIGURE_HIT_OVER_RIDGE,
    FIGURE_HIT_OVER_IMBALANCE,
    FIGURE_MAE_GAIN,
    FIGURE_ORACLE_SHARE,
    FIGURES,
};

void evaluation_permute(uint64_t seed, size_t *order, size_t count)
{
    struct prng prng;
    prng_init(&prng, seed);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)prng_below(&prng, i), swap = order[i - 1];
        order[i - 1] = order[other];
        order[other] = swap;
    }
}

static void sums_row(const struct evaluation_input *input, const struct forecast *forecast,
                     size_t i, double *sums)
{
    size_t row = input->range.begin + i;
    double label = input->dataset->label_bp[row];
    double oracle = input->oracle_bp != NULL ? (double)input->oracle_bp[i] : (double)NAN;
    double imbalance = (double)input->dataset->values[row * FEATURE_COUNT + FEATURE_OB_IMBALANCE];
    const double said[EVALUATED] = {(double)forecast->mean_bp[i], (double)input->ridge_bp[i],
                                    imbalance, oracle};
    sums[SUM_SQUARES] += label * label;
    sums[SUM_ABSOLUTE] += fabs(label);
    sums[SUM_MOVED] += label != 0.0;
    for (int who = 0; who < EVALUATED; who++) {
        if (isnan(said[who]))
            continue;
        sums[SUM_ERROR2 + who] += (label - said[who]) * (label - said[who]);
        sums[SUM_ERROR1 + who] += fabs(label - said[who]);
        sums[SUM_HITS + who] += label * said[who] > 0.0;
    }
    if (!isnan(oracle)) {
        sums[SUM_ORACLE_SQUARES] += label * label;
        sums[SUM_ORACLE_ERROR2] +=
            (label - said[EVALUATED_MODEL]) * (label - said[EVALUATED_MODEL]);
    }
}

static void sums_figures(const double *sums, double rows, double *figure)
{
    figure[FIGURE_MAE_ZERO] = sums[SUM_ABSOLUTE] / rows;
    for (int who = 0; who < EVALUATED; who++) {
        double squares = who == EVALUATED_ORACLE ? sums[SUM_ORACLE_SQUARES] : sums[SUM_SQUARES];
        figure[FIGURE_R2 + who] = squares > 0.0 ? 1.0 - sums[SUM_ERROR2 + who] / squares : 0.0;
        figure[FIGURE_MAE + who] = sums[SUM_ERROR1 + who] / rows;
        figure[FIGURE_HIT + who] =
            sums[SUM_MOVED] > 0.0 ? sums[SUM_HITS + who] / sums[SUM_MOVED] : 0.0;
    }
    figure[FIGURE_R2_OVER_RIDGE] =
        figure[FIGURE_R2 + EVALUATED_MODEL] - figure[FIGURE_R2 + EVALUATED_RIDGE];
    figure[FIGURE_HIT_OVER_RIDGE] =
        figure[FIGURE_HIT + EVALUATED_MODEL] - figure[FIGURE_HIT + EVALUATED_RIDGE];
    figure[FIGURE_HIT_OVER_IMBALANCE] =
        figure[FIGURE_HIT + EVALUATED_MODEL] - figure[FIGURE_HIT + EVALUATED_IMBALANCE];
    figure[FIGURE_MAE_GAIN] = figure[FIGURE_MAE_ZERO] - figure[FIGURE_MAE + EVALUATED_MODEL];
    double model = sums[SUM_ORACLE_SQUARES] - sums[SUM_ORACLE_ERROR2];
    double oracle = sums[SUM_ORACLE_SQUARES] - sums[SUM_ERROR2 + EVALUATED_ORACLE];
    figure[FIGURE_ORACLE_SHARE] = oracle > 0.0 ? model / oracle : 0.0;
}

/* Sums before each row: the sum of a block is a difference. */
struct sums_prefix {
    size_t rows;
    double *at; /* [rows + 1][SUM_COLUMNS] */
};

static void sums_add_block(const struct sums_prefix *prefix, size_t from, size_t size, double *sums)
{
    const double *low = prefix->at + from * SUM_COLUMNS, *high = low + size * SUM_COLUMNS;
    for (int c = 0; c < SUM_COLUMNS; c++)
        sums[c] += high[c] - low[c];
}

static void sums_resample(const struct sums_prefix *prefix, struct prng *prng, double *figure)
{
    double sums[SUM_COLUMNS] = {0};
    size_t block = prefix->rows < EVALUATION_BLOCK ? (prefix->rows + 3) / 4 : EVALUATION_BLOCK;
    size_t done = 0;
    while (done < prefix->rows) {
        size_t size = prefix->rows - done < block ? prefix->rows - done : block;
        sums_add_block(prefix, (size_t)prng_below(prng, prefix->rows - size + 1), size, sums);
        done += size;
    }
    sums_figures(sums, (double)prefix->rows, figure);
}

static int sums_ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sums_intervals(const struct sums_prefix *prefix, uint64_t seed,
                           double (*drawn)[EVALUATION_RESAMPLES], struct estimate *estimate)
{
    struct prng prng;
    double figure[FIGURES];
    prng_init(&prng, seed);
    sums_figures(prefix->at + prefix->rows * SUM_COLUMNS, (double)prefix->rows, figure);
    for (int f = 0; f < FIGURES; f++)
        estimate[f].value = figure[f];
    for (int r = 0; r < EVALUATION_RESAMPLES; r++) {
        sums_resample(prefix, &prng, figure);
        for (int f = 0; f < FIGURES; f++)
            drawn[f][r] = figure[f];
    }
    for (int f = 0; f < FIGURES; f++) {
        qsort(drawn[f], EVALUATION_RESAMPLES, sizeof(double), sums_ascending);
        estimate[f].low = drawn[f][EVALUATION_RESAMPLES / 40];
        estimate[f].high = drawn[f][EVALUATION_RESAMPLES - 1 - EVALUATION_RESAMPLES / 40];
    }
}

static void sums_hand_out(const struct estimate *estimate, struct evaluation *out)
{
    out->mae_zero_bp = estimate[FIGURE_MAE_ZERO];
    for (int who = 0; who < EVALUATED; who++) {
        out->r2[who] = estimate[FIGURE_R2 + who];
        out->mae_bp[who] = estimate[FIGURE_MAE + who];
        out->hit[who] = estimate[FIGURE_HIT + who];
    }
    out->r2_over_ridge = estimate[FIGURE_R2_OVER_RIDGE];
    out->hit_over_ridge = estimate[FIGURE_HIT_OVER_RIDGE];
    out->hit_over_imbalance = estimate[FIGURE_HIT_OVER_IMBALANCE];
    out->mae_gain_bp = estimate[FIGURE_MAE_GAIN];
    out->oracle_share = estimate[FIGURE_ORACLE_SHARE];
}

int evaluation_sums(const struct evaluation_input *input, const struct forecast *forecast,
                    struct evaluation *out, struct err *err)
{
    struct sums_prefix prefix = {.rows = out->rows,
                                 .at = calloc((out->rows + 1) * SUM_COLUMNS, sizeof(double))};
    double(*drawn)[EVALUATION_RESAMPLES] = calloc(FIGURES, sizeof(*drawn));
    struct estimate estimate[FIGURES];
    int rc = prefix.at != NULL && drawn != NULL ? ERR_OK
                                                : err_set(err, ERR_MEMORY, "no memory to evaluate");
    if (rc == ERR_OK) {
        for (size_t i = 0; i < out->rows; i++) {
            double *next = prefix.at + (i + 1) * SUM_COLUMNS;
            for (int c = 0; c < SUM_COLUMNS; c++)
                next[c] = next[c - SUM_COLUMNS];
            sums_row(input, forecast, i, next);
        }
        const double *total = prefix.at + out->rows * SUM_COLUMNS;
        out->moved = (size_t)total[SUM_MOVED];
        out->label_rms_bp = sqrt(total[SUM_SQUARES] / (double)out->rows);
        out->has_oracle = total[SUM_ORACLE_SQUARES] > 0.0;
        sums_intervals(&prefix, input->seed, drawn, estimate);
        sums_hand_out(estimate, out);
    }
    free(prefix.at);
    free(drawn);
    return rc;
}
