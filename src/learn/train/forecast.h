/* A model's forecasts over rows, by the forward pass that serves (src/model), and what is
 * fitted on them after training: the confidence, and the band that adapts online. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_FORECAST_H
#define BTCAST_LEARN_TRAIN_FORECAST_H

#include "learn/train/dataset.h"
#include "model/model.h"

/* The band's two quantiles. */
#define FORECAST_LOW  0.1
#define FORECAST_HIGH 0.9

/* Of rows [range.begin, range.end); arrays [rows], owned. */
struct forecast {
    struct split_range range;
    float *mean_bp, *scale_bp;
};

int forecast_make(const struct model *model, const struct dataset *dataset,
                  struct split_range range, struct forecast *forecast, struct err *err) MUST_CHECK;
void forecast_free(struct forecast *forecast);
/* |mean| / scale of a row, as model_strength. */
double forecast_strength(const struct forecast *forecast, size_t at);

/* Confidence: P(the sign of the move is the predicted one), an unchanged mid counting as
 * wrong, as a logistic curve over the strength, never falling; one for features of up to 2 s
 * and one for those of up to 5 s, which is fitted on vectors that are two slots old. Written
 * as knots at quantiles of the strength (model/calibration). ERR_EMPTY without rows. */
int forecast_calibrate(const struct forecast *forecast, const struct dataset *dataset,
                       struct calibration *calibration, struct err *err) MUST_CHECK;

/* p10 and p90 of (label - mean) / scale: split conformal with the finite-sample rank. */
int forecast_band(const struct forecast *forecast, const struct dataset *dataset, float *p10,
                  float *p90, struct err *err) MUST_CHECK;

/* The band online (Gibbs and Candès 2021, on the quantiles themselves): after each outcome a
 * quantile moves by `step` times its miss, so that the long-run coverage is right whatever
 * the market does. In units of the scale. */
struct band {
    double low, high;
    double step;
};
#define BAND_STEP 0.02
/* error: (label - mean) / scale. */
void band_follow(struct band *band, double error);

#endif
