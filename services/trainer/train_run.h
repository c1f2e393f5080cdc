/* From rows to a model that has been judged: split, search, training, calibration, test,
 * walk-forward, files. The source of the rows is the caller's (captures now, a store later).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_TRAINER_TRAIN_RUN_H
#define BTCAST_SERVICES_TRAINER_TRAIN_RUN_H

#include "learn/train/train_artifact.h"
#include "learn/train/train_report.h"
#include "services/trainer/train_pool.h"

struct train_run_options {
    const char *out;     /* folder: model.onnx, report.json, report.html; made when missing */
    const char *report;  /* another place for the HTML page, or NULL */
    const char *oracle;  /* CSVs of simulated exchanges, joined by commas, or NULL */
    const char *version; /* NULL: made of net, data and seed */
    uint64_t seed;
    int trials, epochs, folds, threads;
    int batch;                  /* of the first trial; 0: the default */
    double share[SPLIT_SLICES]; /* of the rows, in order; [0] 0: the default */
    bool quiet;
};

/* What came out; train_run_free releases it. */
struct train_run {
    struct split split;
    struct report report;
    struct report_trial trials[SEARCH_TRIALS_MAX];
    struct report_fold folds[REPORT_FOLDS_MAX];
    struct evaluation test;
    struct train_artifact artifact;
    struct model *model;
    struct fit *fit;
    char version[MODEL_VERSION_SIZE];
    float *x, *y; /* standardised */
};

/* dataset: finished rows, borrowed as long as the run. ERR_EMPTY: too few rows. */
int train_run(const struct train_run_options *options, const struct dataset *dataset,
              struct train_run *run, struct err *err) MUST_CHECK;
void train_run_free(struct train_run *run);

#endif
