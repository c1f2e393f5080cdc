/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/train_fold.h"

#include <stdio.h>
#include <stdlib.h>

#include "learn/train/ridge.h"
#include "services/trainer/train_load.h"

int train_fold_evaluate(const struct train_fold_rows *rows, const struct model *model,
                        const char *oracle, uint64_t seed, bool with_importance,
                        struct evaluation *evaluation, struct err *err)
{
    struct ridge ridge;
    size_t count = rows->test.end - rows->test.begin;
    float *ridge_bp = malloc((count + 1) * sizeof(float));
    float *oracle_bp = oracle != NULL ? malloc((count + 1) * sizeof(float)) : NULL;
    int rc = ridge_bp != NULL && (oracle == NULL || oracle_bp != NULL)
                 ? ERR_OK
                 : err_set(err, ERR_MEMORY, "no memory to evaluate");
    if (rc == ERR_OK)
        rc = ridge_fit(rows->x, rows->y, rows->train, rows->valid, &ridge, err);
    if (rc == ERR_OK && oracle != NULL)
        rc = train_load_oracle(oracle, rows->dataset, rows->test, oracle_bp, err);
    if (rc == ERR_OK) {
        for (size_t i = 0; i < count; i++)
            ridge_bp[i] =
                (float)(ridge_predict(&ridge, rows->x + (rows->test.begin + i) * FEATURE_COUNT) *
                        rows->scaler->label_bp);
        struct evaluation_input input = {.dataset = rows->dataset,
                                         .range = rows->test,
                                         .model = model,
                                         .ridge_bp = ridge_bp,
                                         .oracle_bp = oracle_bp,
                                         .seed = seed,
                                         .with_importance = with_importance};
        rc = evaluation_make(&input, evaluation, err);
    }
    free(ridge_bp);
    free(oracle_bp);
    return rc;
}

/* --- walking forward ------------------------------------------------------------------ */

/* Of the rows before the test: the last eighth calibrates, the eighth before validates. */
static const double fold_share[SPLIT_SLICES] = {0.75, 0.125, 0.125, 0.0};

struct fold {
    struct split split;
    struct train_scaler scaler;
    struct train_fold_rows rows;
    float *x, *y;
    struct split_range calibrate;
};

/* Shares of the time in which the last slice is the part to be tested. */
static int fold_cut(const struct dataset *dataset, int at, int parts, struct fold *fold,
                    struct err *err)
{
    double share[SPLIT_SLICES];
    size_t end = dataset->count * (size_t)(at + 2) / (size_t)parts;
    for (int i = 0; i < SPLIT_TEST; i++)
        share[i] = fold_share[i] * (at + 1);
    share[SPLIT_TEST] = 1.0;
    int rc = split_cut(dataset, (struct split_range){0, end}, share, &fold->split, err);
    fold->rows.train = fold->split.slice[SPLIT_TRAIN];
    fold->rows.valid = fold->split.slice[SPLIT_VALID];
    fold->rows.test = fold->split.slice[SPLIT_TEST];
    fold->calibrate = fold->split.slice[SPLIT_CALIBRATE];
    return rc;
}

static int fold_open(const struct dataset *dataset, int at, int parts,
                     const struct fit_options *chosen, struct fold *fold, struct fit **fit,
                     struct err *err)
{
    int rc = fold_cut(dataset, at, parts, fold, err);
    if (rc == ERR_OK)
        rc = train_scaler_fit(dataset, fold->rows.train, &fold->scaler, err);
    if (rc != ERR_OK)
        return rc;
    fold->x = malloc(dataset->count * FEATURE_COUNT * sizeof(float));
    fold->y = malloc(dataset->count * sizeof(float));
    if (fold->x == NULL || fold->y == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a fold");
    train_scaler_apply(&fold->scaler, dataset, fold->x, fold->y);
    fold->rows.dataset = dataset;
    fold->rows.scaler = &fold->scaler;
    fold->rows.x = fold->x;
    fold->rows.y = fold->y;
    struct fit_data data = {fold->x, fold->y, fold->rows.train, fold->rows.valid};
    return fit_open(chosen, &data, fit, err);
}

static int fold_judge(const struct fold *fold, struct fit *fit, const char *oracle, uint64_t seed,
                      struct report_fold *out, struct err *err)
{
    struct train_artifact artifact = {0};
    struct model *model = NULL;
    struct evaluation evaluation;
    int rc = train_run_model(fit, &fold->scaler, fold->rows.dataset, fold->calibrate, "fold",
                             &artifact, &model, err);
    if (rc == ERR_OK)
        rc = train_fold_evaluate(&fold->rows, model, oracle, seed, false, &evaluation, err);
    if (rc == ERR_OK) {
        *out = (struct report_fold){.train = fold->rows.train,
                                    .test = fold->rows.test,
                                    .independent = evaluation.independent};
        for (int who = 0; who < EVALUATED; who++) {
            out->r2[who] = evaluation.r2[who].value;
            out->hit[who] = evaluation.hit[who].value;
        }
    }
    model_close(model);
    train_artifact_free(&artifact);
    return rc;
}

int train_fold_walk(const struct train_run_options *options, const struct dataset *dataset,
                    const struct fit_options *chosen, struct report_fold *folds, int *count,
                    struct err *err)
{
    struct fold *fold = calloc(REPORT_FOLDS_MAX, sizeof(*fold));
    struct train_task *tasks = calloc(REPORT_FOLDS_MAX, sizeof(*tasks));
    int rc = fold != NULL && tasks != NULL ? ERR_OK : err_set(err, ERR_MEMORY, "no memory to walk");
    for (int i = 0; i < options->folds && rc == ERR_OK; i++) {
        rc = fold_open(dataset, i, options->folds + 1, chosen, &fold[i], &tasks[i].fit, err);
        tasks[i].epochs = FIT_EPOCHS_MAX;
        snprintf(tasks[i].state, sizeof(tasks[i].state), "%s/state/fold-%02d.fit", options->out, i);
        if (rc == ERR_OK)
            train_pool_resume(&tasks[i]);
    }
    struct train_pool pool = {options->threads, options->quiet, "walking forward"};
    if (rc == ERR_OK)
        rc = train_pool_run(&pool, tasks, options->folds, err);
    for (int i = 0; i < options->folds && rc == ERR_OK; i++)
        rc = fold_judge(&fold[i], tasks[i].fit, options->oracle, options->seed, &folds[i], err);
    if (rc == ERR_OK) {
        *count = options->folds;
        train_pool_forget(tasks, options->folds);
    }
    for (int i = 0; i < REPORT_FOLDS_MAX && fold != NULL && tasks != NULL; i++) {
        fit_close(tasks[i].fit);
        free(fold[i].x);
        free(fold[i].y);
    }
    free(fold);
    free(tasks);
    return rc;
}
