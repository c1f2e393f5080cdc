/* What a model is worth on rows it has not seen, always beside what costs nothing: no change,
 * the sign of the order book's imbalance, ridge (DESIGN.md section 7, Trainer). Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_EVALUATION_H
#define BTCAST_LEARN_TRAIN_EVALUATION_H

#include "learn/train/forecast.h"

#define EVALUATION_BINS     10
#define EVALUATION_TERCILES 3
#define EVALUATION_POINTS   48 /* of the error over time */
/* Fewer independent labels than this: indicative, and no reason to promote anything. */
#define EVALUATION_INDEPENDENT_MIN 1000
/* Moving blocks of so many rows (5 min) keep the labels' overlap and the market's moods. */
#define EVALUATION_BLOCK     150
#define EVALUATION_RESAMPLES 400
/* Costs stated in the report: taker fee a side, and one slot between forecast and entry. */
#define EVALUATION_FEE_BP        10.0
#define EVALUATION_LATENCY_SLOTS 1
/* The band's rival: quantiles of the labels of the last hour. */
#define EVALUATION_ROLLING 1800
/* Rows for the importance, evenly spread: each costs a forward pass a feature. */
#define EVALUATION_IMPORTANCE_ROWS 40000

/* An estimate with its 95 % bootstrap interval. */
struct estimate {
    double value, low, high;
};

enum evaluated {
    EVALUATED_MODEL,
    EVALUATED_RIDGE,
    EVALUATED_IMBALANCE,
    EVALUATED_ORACLE,
    EVALUATED
};
const char *evaluated_name(int who);

struct evaluation {
    size_t rows, independent, moved;
    bool indicative; /* too few independent labels to believe any of this */
    double label_rms_bp;
    bool has_oracle;
    struct estimate mae_bp[EVALUATED], mae_zero_bp;
    struct estimate r2[EVALUATED];  /* against no change; the imbalance gives no size */
    struct estimate hit[EVALUATED]; /* share of moved rows with the sign right */
    struct estimate r2_over_ridge, hit_over_ridge, hit_over_imbalance, mae_gain_bp;
    struct estimate oracle_share; /* R2 / the oracle's R2 */
    /* Confidence against what happened: bins of equal mass. */
    struct {
        size_t count;
        double confidence, right;
    } bin[EVALUATION_BINS];
    double calibration_error;
    /* Band p10..p90, adapting as outcomes come in. */
    double coverage, coverage_fixed, coverage_tercile[EVALUATION_TERCILES];
    double pinball_bp, pinball_rolling_bp;
    /* Money: trades whose forecast exceeds the costs; and the tenth with the strongest. */
    size_t trades;
    double net_bp_sum, strongest_gross_bp, cost_bp;
    /* Error over time, means over equal stretches. */
    struct {
        int64_t slot;
        double model_bp, zero_bp;
    } point[EVALUATION_POINTS];
    int points;
    /* Growth of the squared error when one feature is shuffled, in shares of the label's
     * mean square: how much R2 hangs on it. */
    double importance[FEATURE_COUNT];
};

struct evaluation_input {
    const struct dataset *dataset;
    struct split_range range;
    const struct model *model; /* with calibration and band */
    const float *ridge_bp;     /* forecasts of ridge for the range's rows */
    const float *oracle_bp;    /* NULL: there is none; NAN: not for this row */
    uint64_t seed;             /* of resampling and shuffling */
    bool with_importance;
};

int evaluation_make(const struct evaluation_input *input, struct evaluation *evaluation,
                    struct err *err) MUST_CHECK;
/* Better than no change, ridge and the imbalance beyond the intervals, on enough labels. */
bool evaluation_is_better(const struct evaluation *evaluation);
/* The sentence about money. Written into out. */
void evaluation_money(const struct evaluation *evaluation, char *out, size_t size);

#endif
