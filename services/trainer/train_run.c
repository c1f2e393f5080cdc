/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/train_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "services/trainer/train_fold.h"
#include "services/trainer/train_load.h"
#include "services/trainer/train_output.h"

/* Chronological shares of train, valid, calibrate, test. */
static const double run_share[SPLIT_SLICES] = {0.6, 0.1, 0.1, 0.2};

/* --- search --------------------------------------------------------------------------- */

static int run_open_trials(const struct train_run_options *options, struct train_run *run,
                           struct train_task *tasks, struct err *err)
{
    struct fit_options base, drawn[SEARCH_TRIALS_MAX];
    struct fit_data data = {.x = run->x,
                            .y = run->y,
                            .train = run->split.slice[SPLIT_TRAIN],
                            .valid = run->split.slice[SPLIT_VALID]};
    search_defaults(options->seed, options->epochs, data.train.end - data.train.begin, &base);
    if (options->batch > 0)
        base.batch = options->batch;
    search_draw(&base, options->seed, drawn, options->trials);
    for (int i = 0; i < options->trials; i++) {
        run->trials[i].options = drawn[i];
        int rc = fit_open(&drawn[i], &data, &tasks[i].fit, err);
        if (rc != ERR_OK)
            return rc;
        snprintf(tasks[i].state, sizeof(tasks[i].state), "%s/state/trial-%02d.fit", options->out,
                 i);
        train_pool_resume(&tasks[i]);
    }
    return ERR_OK;
}

/* Trains the living to the rung's epochs and halves them; the last one to its end. */
static int run_rung(const struct train_run_options *options, struct train_task *tasks,
                    struct search *search, struct err *err)
{
    struct train_task rung[SEARCH_TRIALS_MAX];
    double errors[SEARCH_TRIALS_MAX];
    char phase[64];
    snprintf(phase, sizeof(phase), search->count > 1 ? "search, %d trials" : "training",
             search->count);
    for (int i = 0; i < search->count; i++) {
        rung[i] = tasks[search->alive[i]];
        rung[i].epochs = search->epochs;
    }
    struct train_pool pool = {options->threads, options->quiet, phase};
    int rc = train_pool_run(&pool, rung, search->count, err);
    for (int i = 0; i < search->count && rc == ERR_OK; i++)
        errors[i] = search_error(rung[i].fit, search->epochs);
    if (rc == ERR_OK && search->count > 1)
        search_halve(search, errors);
    return rc;
}

static int run_search(const struct train_run_options *options, struct train_run *run,
                      struct train_task *tasks, struct err *err)
{
    struct search search;
    search_begin(&search, options->trials);
    int rc = ERR_OK;
    while (rc == ERR_OK && search.count > 1)
        rc = run_rung(options, tasks, &search, err);
    if (rc == ERR_OK)
        rc = run_rung(options, tasks, &search, err);
    if (rc != ERR_OK)
        return rc;
    run->report.chosen = search.alive[0];
    for (int i = 0; i < options->trials; i++) {
        run->trials[i].epochs = fit_epochs(tasks[i].fit);
        run->trials[i].error = fit_best_error(tasks[i].fit);
    }
    return ERR_OK;
}

static int run_train(const struct train_run_options *options, struct train_run *run,
                     struct err *err)
{
    struct train_task *tasks = calloc(SEARCH_TRIALS_MAX, sizeof(*tasks));
    if (tasks == NULL)
        return err_set(err, ERR_MEMORY, "no memory to train");
    int rc = run_open_trials(options, run, tasks, err);
    if (rc == ERR_OK)
        rc = run_search(options, run, tasks, err);
    if (rc == ERR_OK) {
        run->fit = tasks[run->report.chosen].fit;
        train_pool_forget(tasks, options->trials);
    }
    for (int i = 0; i < options->trials; i++)
        if (tasks[i].fit != run->fit)
            fit_close(tasks[i].fit);
    free(tasks);
    return rc;
}

/* --- the model ------------------------------------------------------------------------ */

static void run_version(const struct train_run_options *options, const struct train_run *run,
                        char version[MODEL_VERSION_SIZE])
{
    const struct train_net_options *net = &fit_options(run->fit)->net;
    if (options->version != NULL) {
        snprintf(version, MODEL_VERSION_SIZE, "%s", options->version);
        return;
    }
    snprintf(version, MODEL_VERSION_SIZE, "mlp-%d-%d-%08" PRIx32 "-%" PRIu64, net->widths[1],
             net->widths[2], (uint32_t)(run->report.data_hash >> 32), options->seed);
}

int train_run_model(struct fit *fit, const struct train_scaler *scaler,
                    const struct dataset *dataset, struct split_range calibrate,
                    const char *version, struct train_artifact *artifact, struct model **model,
                    struct err *err)
{
    struct forecast forecast = {0};
    struct model_spec *spec = &artifact->spec;
    struct model *bare = NULL;
    int rc = train_artifact_make(fit, scaler, version, artifact, err);
    if (rc == ERR_OK)
        rc = model_open(spec, MLP_KERNEL_AUTO, &bare, err);
    if (rc == ERR_OK)
        rc = forecast_make(bare, dataset, calibrate, &forecast, err);
    if (rc == ERR_OK)
        rc = forecast_calibrate(&forecast, dataset, &spec->calibration, err);
    if (rc == ERR_OK)
        rc = forecast_band(&forecast, dataset, &spec->band_p10, &spec->band_p90, err);
    if (rc == ERR_OK) {
        spec->has_band = true;
        rc = model_open(spec, MLP_KERNEL_AUTO, model, err);
    }
    forecast_free(&forecast);
    model_close(bare);
    return rc;
}

/* --- the whole ------------------------------------------------------------------------ */

static int run_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return ERR_OK;
    return err_set(err, ERR_IO, "cannot make %s: %s", path, strerror(errno));
}

static int run_folders(const struct train_run_options *options, struct err *err)
{
    char state[512];
    snprintf(state, sizeof(state), "%s/state", options->out);
    int rc = run_folder(options->out, err);
    return rc == ERR_OK ? run_folder(state, err) : rc;
}

static int run_prepare(const struct train_run_options *options, const struct dataset *dataset,
                       struct train_run *run, struct train_scaler *scaler, struct err *err)
{
    struct split_range whole = {0, dataset->count};
    int rc = split_cut(dataset, whole, options->share[0] > 0.0 ? options->share : run_share,
                       &run->split, err);
    if (rc == ERR_OK)
        rc = train_scaler_fit(dataset, run->split.slice[SPLIT_TRAIN], scaler, err);
    if (rc != ERR_OK)
        return rc;
    run->x = malloc(dataset->count * FEATURE_COUNT * sizeof(float));
    run->y = malloc(dataset->count * sizeof(float));
    if (run->x == NULL || run->y == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %zu rows", dataset->count);
    train_scaler_apply(scaler, dataset, run->x, run->y);
    return ERR_OK;
}

static int run_test(const struct train_run_options *options, const struct dataset *dataset,
                    const struct train_scaler *scaler, struct train_run *run, struct err *err)
{
    struct train_fold_rows rows = {.dataset = dataset,
                                   .scaler = scaler,
                                   .x = run->x,
                                   .y = run->y,
                                   .train = run->split.slice[SPLIT_TRAIN],
                                   .valid = run->split.slice[SPLIT_VALID],
                                   .test = run->split.slice[SPLIT_TEST]};
    return train_fold_evaluate(&rows, run->model, options->oracle, options->seed, true, &run->test,
                               err);
}

int train_run(const struct train_run_options *options, const struct dataset *dataset,
              struct train_run *run, struct err *err)
{
    struct train_scaler scaler;
    *run = (struct train_run){0};
    run->report = (struct report){.dataset = dataset,
                                  .split = &run->split,
                                  .version = run->version,
                                  .data_hash = dataset_hash(dataset),
                                  .seed = options->seed,
                                  .trials = run->trials,
                                  .trial_count = options->trials,
                                  .folds = run->folds,
                                  .test = &run->test};
    int rc = run_folders(options, err);
    if (rc == ERR_OK)
        rc = run_prepare(options, dataset, run, &scaler, err);
    if (rc == ERR_OK)
        rc = run_train(options, run, err);
    if (rc != ERR_OK)
        return rc;
    run->report.fit = run->fit;
    run_version(options, run, run->version);
    rc = train_run_model(run->fit, &scaler, dataset, run->split.slice[SPLIT_CALIBRATE],
                         run->version, &run->artifact, &run->model, err);
    if (rc == ERR_OK)
        rc = run_test(options, dataset, &scaler, run, err);
    if (rc == ERR_OK)
        rc = train_fold_walk(options, dataset, fit_options(run->fit), run->folds,
                             &run->report.fold_count, err);
    return rc == ERR_OK ? train_output_write(options, run, err) : rc;
}

void train_run_free(struct train_run *run)
{
    model_close(run->model);
    train_artifact_free(&run->artifact);
    fit_close(run->fit);
    free(run->x);
    free(run->y);
    *run = (struct train_run){0};
}
