/* A whole training as `btcast train --rows` does it: 1.8 M rows (1,000 hours) from a row file,
 * split, standardised, 30 epochs of 32-64-32-2 at batch 1024 with both sides of the market, one
 * thread. Wall and processor time, since the wall tells what else the machine is doing.
 * `name<TAB>value<TAB>unit` lines. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/prng.h"
#include "learn/train/fit.h"
#include "learn/train/train_scaler.h"
#include "learn/train/train_search.h"
#include "services/trainer/train_load.h"

#define ROWS   1800000
#define EPOCHS 30
#define BATCH  1024

struct moment {
    double wall_s, cpu_s;
};

static double clock_s(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static struct moment moment(void)
{
    return (struct moment){clock_s(CLOCK_MONOTONIC), clock_s(CLOCK_PROCESS_CPUTIME_ID)};
}

static void tell(const char *name, struct moment from, struct moment to)
{
    printf("train.whole_%s\t%.2f\ts\ntrain.whole_%s_cpu\t%.2f\ts\n", name, to.wall_s - from.wall_s,
           name, to.cpu_s - from.cpu_s);
    fflush(stdout);
}

static int fail(const struct err *err)
{
    fprintf(stderr, "bench_train_whole: %s\n", err->text);
    return 1;
}

/* A third of the label is a line through the first features: something to learn. */
static int make_rows(const char *path, struct err *err)
{
    struct dataset dataset;
    struct prng prng;
    int rc = ERR_OK;
    dataset_init(&dataset);
    prng_init(&prng, 1);
    for (int64_t i = 0; i < ROWS && rc == ERR_OK; i++) {
        double raw[FEATURE_COUNT];
        float values[FEATURE_COUNT];
        for (int k = 0; k < FEATURE_COUNT; k++)
            raw[k] = prng_normal(&prng) * (double)feature_maximum(k) * 0.1;
        feature_clamp(raw, values);
        double label_bp = 3.0 * prng_normal(&prng) + 10.0 * raw[0] / (double)feature_maximum(0);
        rc = dataset_add_labelled(&dataset, 890000000 + i, values, 60000.0, label_bp, err);
    }
    if (rc == ERR_OK)
        rc = train_save_rows(path, &dataset, err);
    dataset_free(&dataset);
    return rc;
}

static int train(const struct dataset *dataset, const float *x, const float *y,
                 const struct split *split, struct err *err)
{
    struct fit_options options;
    struct fit_data data = {x, y, split->slice[SPLIT_TRAIN], split->slice[SPLIT_VALID]};
    struct fit *fit;
    search_defaults(1, EPOCHS, dataset->count, &options);
    options.batch = BATCH;
    options.patience = EPOCHS + 1;
    int rc = fit_open(&options, &data, &fit, err);
    if (rc != ERR_OK)
        return rc;
    while (fit_epoch(fit)) {
    }
    fprintf(stderr, "bench: %zu rows, %d epochs, least validation error %.4f\n", dataset->count,
            fit_epochs(fit), fit_best_error(fit));
    fit_close(fit);
    return ERR_OK;
}

static int whole(const char *path, struct err *err)
{
    /* All rows train, but for what validation, calibration and test need to be there. */
    static const double share[SPLIT_SLICES] = {97, 1, 1, 1};
    struct moment start = moment(), loaded;
    struct dataset dataset;
    struct train_scaler scaler;
    struct split split;
    dataset_init(&dataset);
    int rc = train_load_rows(path, &dataset, err);
    loaded = moment();
    if (rc == ERR_OK)
        rc = split_cut(&dataset, (struct split_range){0, dataset.count}, share, &split, err);
    if (rc == ERR_OK)
        rc = train_scaler_fit(&dataset, split.slice[SPLIT_TRAIN], &scaler, err);
    float *x = malloc(dataset.count * FEATURE_COUNT * sizeof(float) + 1);
    float *y = malloc(dataset.count * sizeof(float) + 1);
    if (rc == ERR_OK && (x == NULL || y == NULL))
        rc = err_set(err, ERR_MEMORY, "no memory");
    if (rc == ERR_OK) {
        train_scaler_apply(&scaler, &dataset, x, y);
        rc = train(&dataset, x, y, &split, err);
    }
    if (rc == ERR_OK) {
        tell("load", start, loaded);
        tell("1000h_30_epochs", start, moment());
    }
    free(x);
    free(y);
    dataset_free(&dataset);
    return rc;
}

int main(void)
{
    char path[] = "/tmp/btcast-bench-rows-XXXXXX";
    struct err err = {0};
    int file = mkstemp(path);
    if (file < 0)
        return 1;
    close(file);
    int rc = make_rows(path, &err);
    if (rc == ERR_OK)
        rc = whole(path, &err);
    unlink(path);
    return rc == ERR_OK ? 0 : fail(&err);
}
