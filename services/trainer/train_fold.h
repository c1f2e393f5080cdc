/* Judging a model on rows, and walking forward: train on what was, test on what came next,
 * again and again with more of the past. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_TRAIN_FOLD_H
#define BTCAST_SERVICES_TRAINER_TRAIN_FOLD_H

#include "learn/train/train_scaler.h"
#include "services/trainer/train_run.h"

struct train_fold_rows {
    const struct dataset *dataset;
    const struct train_scaler *scaler;
    const float *x, *y; /* standardised by it */
    struct split_range train, valid, test;
};

/* Fits ridge on the same rows and evaluates both on the test rows. oracle: NULL or a CSV. */
int train_fold_evaluate(const struct train_fold_rows *rows, const struct model *model,
                        const char *oracle, uint64_t seed, bool with_importance,
                        struct evaluation *evaluation, struct err *err) MUST_CHECK;
/* options->folds folds with the chosen settings; *count is how many the data gave. */
int train_fold_walk(const struct train_run_options *options, const struct dataset *dataset,
                    const struct fit_options *chosen, struct report_fold *folds, int *count,
                    struct err *err) MUST_CHECK;
/* The best epoch of fit as a model with confidence and band from the calibration rows. */
int train_run_model(struct fit *fit, const struct train_scaler *scaler,
                    const struct dataset *dataset, struct split_range calibrate,
                    const char *version, struct train_artifact *artifact, struct model **model,
                    struct err *err) MUST_CHECK;

#endif
