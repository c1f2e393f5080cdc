/* Trainings end where they should, whoever interrupts them; models say what nets learned.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "learn/train/ridge.h"
#include "learn/train/train_artifact.h"
#include "learn/train/train_search.h"
#include "wire/onnx.h"

#define ROWS 4000

/* label = 2 x0 - x1 + 1.5 x2 x3 + noise, in rows whose features are in their ranges. */
static void fill(struct dataset *dataset, double noise, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    dataset_init(dataset);
    for (int i = 0; i < ROWS; i++) {
        float values[FEATURE_COUNT];
        for (int k = 0; k < FEATURE_COUNT; k++) {
            float low = feature_minimum(k), high = feature_maximum(k);
            values[k] = low + (high - low) * (float)prng_f64(&prng);
        }
        double u[4];
        for (int k = 0; k < 4; k++)
            u[k] = ((double)values[k] - (double)feature_minimum(k)) * 3.4 /
                       ((double)feature_maximum(k) - (double)feature_minimum(k)) -
                   1.7;
        double label = 2.0 * u[0] - u[1] + 1.5 * u[2] * u[3] + noise * prng_normal(&prng);
        assert_int_equal(dataset_add_labelled(dataset, 1000 + i, values, 60000.0, label, NULL),
                         ERR_OK);
    }
    assert_int_equal(dataset->count, ROWS);
}

struct setup {
    struct dataset dataset;
    struct train_scaler scaler;
    float *x, *y;
    struct fit_data data;
    struct fit_options options;
};

static void setup_open(struct setup *setup, double noise)
{
    fill(&setup->dataset, noise, 9);
    struct split_range train = {0, 3000};
    assert_int_equal(train_scaler_fit(&setup->dataset, train, &setup->scaler, NULL), ERR_OK);
    setup->x = malloc(ROWS * FEATURE_COUNT * sizeof(float));
    setup->y = malloc(ROWS * sizeof(float));
    assert_true(setup->x != NULL && setup->y != NULL);
    train_scaler_apply(&setup->scaler, &setup->dataset, setup->x, setup->y);
    setup->data = (struct fit_data){setup->x, setup->y, train, {3000, ROWS}};
    search_defaults(5, 12, 170000, &setup->options);
    setup->options.mirror = false; /* the labels have no sides */
    setup->options.batch = 100;
    setup->options.learning_rate = 3e-3f;
}

static void setup_close(struct setup *setup)
{
    free(setup->x);
    free(setup->y);
    dataset_free(&setup->dataset);
}

static uint8_t *saved(const struct fit *fit, size_t *size)
{
    *size = fit_save_size(fit);
    uint8_t *data = malloc(*size);
    assert_non_null(data);
    fit_save(fit, data);
    return data;
}

static void a_training_stopped_anywhere_ends_the_same(void **unused)
{
    (void)unused;
    struct setup setup;
    struct fit *whole, *first, *second;
    size_t whole_size, size;
    setup_open(&setup, 1.0);
    assert_int_equal(fit_open(&setup.options, &setup.data, &whole, NULL), ERR_OK);
    while (fit_epoch(whole))
        ;
    uint8_t *expected = saved(whole, &whole_size);
    for (int stop = 0; stop < 12; stop += 5) {
        assert_int_equal(fit_open(&setup.options, &setup.data, &first, NULL), ERR_OK);
        for (int i = 0; i < stop; i++)
            fit_epoch(first);
        uint8_t *state = saved(first, &size);
        fit_close(first);
        assert_int_equal(fit_open(&setup.options, &setup.data, &second, NULL), ERR_OK);
        assert_int_equal(fit_load(second, bytes_of(state, size), NULL), ERR_OK);
        assert_int_equal(fit_epochs(second), stop);
        while (fit_epoch(second))
            ;
        free(state);
        state = saved(second, &size);
        assert_int_equal(size, whole_size);
        assert_memory_equal(state, expected, size);
        free(state);
        fit_close(second);
    }
    free(expected);
    fit_close(whole);
    setup_close(&setup);
}

static void a_damaged_or_foreign_state_is_refused(void **unused)
{
    (void)unused;
    struct setup setup;
    struct fit *fit, *other;
    size_t size, after_size;
    setup_open(&setup, 1.0);
    assert_int_equal(fit_open(&setup.options, &setup.data, &fit, NULL), ERR_OK);
    fit_epoch(fit);
    uint8_t *state = saved(fit, &size);
    struct fit_options options = setup.options;
    options.learning_rate *= 2.0f;
    assert_int_equal(fit_open(&options, &setup.data, &other, NULL), ERR_OK);
    assert_int_equal(fit_load(other, bytes_of(state, size), NULL), ERR_SCHEMA);
    fit_close(other);
    setup.y[0] += 1.0f;
    assert_int_equal(fit_open(&setup.options, &setup.data, &other, NULL), ERR_OK);
    assert_int_equal(fit_load(other, bytes_of(state, size), NULL), ERR_SCHEMA);
    fit_close(other);
    for (size_t cut = 0; cut < size; cut += size / 7 + 1)
        assert_int_equal(fit_load(fit, bytes_of(state, cut), NULL), ERR_CORRUPT);
    for (size_t at = 0; at < size; at += size / 50 + 1) {
        state[at] ^= 4;
        assert_int_equal(fit_load(fit, bytes_of(state, size), NULL), ERR_CORRUPT);
        state[at] ^= 4;
    }
    uint8_t *after = saved(fit, &after_size);
    assert_int_equal(size, after_size);
    assert_memory_equal(state, after, size);
    free(state);
    free(after);
    fit_close(fit);
    setup_close(&setup);
}

static void the_net_learns_what_a_line_cannot(void **unused)
{
    (void)unused;
    struct setup setup;
    struct fit *fit;
    struct ridge ridge;
    setup_open(&setup, 0.5);
    setup.options.epochs = 60;
    assert_int_equal(fit_open(&setup.options, &setup.data, &fit, NULL), ERR_OK);
    while (fit_epoch(fit))
        ;
    assert_int_equal(ridge_fit(setup.x, setup.y, setup.data.train, setup.data.valid, &ridge, NULL),
                     ERR_OK);
    double line = 0.0, count = 0.0;
    for (size_t row = setup.data.valid.begin; row < setup.data.valid.end; row++, count++) {
        double error = ridge_predict(&ridge, setup.x + row * FEATURE_COUNT) - (double)setup.y[row];
        line += error * error;
    }
    line /= count;
    /* Of the variance 7.4, the product has 2.1 and the noise 0.25. */
    assert_true(line > 0.25 && line < 0.40);
    assert_true(fit_best_error(fit) < 0.6 * line);
    fit_close(fit);
    setup_close(&setup);
}

/* Few rows, all noise, no prior: from the first epochs on it learns them by heart. */
static void what_is_learned_by_heart_is_not_kept(void **unused)
{
    (void)unused;
    struct setup setup;
    struct fit *fit;
    setup_open(&setup, 20.0);
    setup.data.train = (struct split_range){2800, 3000};
    setup.options.epochs = 400;
    setup.options.weight_decay = 0.0f;
    assert_int_equal(fit_open(&setup.options, &setup.data, &fit, NULL), ERR_OK);
    while (fit_epoch(fit))
        ;
    int last = fit_epochs(fit) - 1;
    assert_true(last < 399); /* it was ended */
    assert_int_equal(fit_best_epoch(fit), last - setup.options.patience);
    assert_true(fit_valid_error(fit, last) > 1.02 * fit_best_error(fit));
    fit_close(fit);
    setup_close(&setup);
}

/* An epoch that by chance has the least error does not end a training, nor is it what is kept: the
 * last one, at the lowest rate, is. */
static void chance_does_not_choose_the_epoch(void **unused)
{
    (void)unused;
    struct setup setup;
    struct fit *fit;
    setup_open(&setup, 4.0);
    setup.options.epochs = 20;
    setup.options.learning_rate = 2e-3f;
    setup.options.weight_decay = 1.0f;
    assert_int_equal(fit_open(&setup.options, &setup.data, &fit, NULL), ERR_OK);
    int rises = 0;
    while (fit_epoch(fit)) {
        int at = fit_epochs(fit) - 1;
        rises += at > 0 && fit_valid_error(fit, at) > fit_valid_error(fit, at - 1);
    }
    assert_true(rises > 0);
    assert_int_equal(fit_epochs(fit), 20);
    assert_int_equal(fit_best_epoch(fit), 19);
    fit_close(fit);
    setup_close(&setup);
}

/* y = x0 - 3 x5 + 0.5, exactly. */
static void ridge_finds_the_line(void **unused)
{
    (void)unused;
    struct prng prng;
    struct ridge ridge;
    static float x[500 * FEATURE_COUNT], y[500];
    prng_init(&prng, 2);
    for (int i = 0; i < 500 * FEATURE_COUNT; i++)
        x[i] = (float)prng_normal(&prng);
    for (int i = 0; i < 500; i++)
        y[i] = x[i * FEATURE_COUNT] - 3.0f * x[i * FEATURE_COUNT + 5] + 0.5f;
    assert_int_equal(
        ridge_fit(x, y, (struct split_range){0, 400}, (struct split_range){400, 500}, &ridge, NULL),
        ERR_OK);
    for (int k = 0; k < FEATURE_COUNT; k++)
        assert_true(fabs(ridge.weights[k] - (k == 0 ? 1.0 : k == 5 ? -3.0 : 0.0)) < 1e-3);
    assert_true(fabs(ridge.intercept - 0.5) < 1e-3);
}

static void a_constant_feature_is_switched_off(void **unused)
{
    (void)unused;
    struct dataset dataset;
    struct train_scaler scaler;
    fill(&dataset, 1.0, 3);
    for (size_t row = 0; row < dataset.count; row++)
        dataset.values[row * FEATURE_COUNT + 4] = 0.7f;
    assert_int_equal(train_scaler_fit(&dataset, (struct split_range){0, ROWS}, &scaler, NULL),
                     ERR_OK);
    assert_true(scaler.scale[4] == 0.0f && scaler.scale[5] > 0.0f);
    dataset_free(&dataset);
}

/* The written model is the net: scaler, units and best epoch are the same numbers. */
static void the_model_is_the_net_at_its_best(void **unused)
{
    (void)unused;
    struct setup setup;
    struct fit *fit;
    struct train_artifact artifact;
    struct model *model;
    static uint8_t file[1 << 18];
    size_t size;
    setup_open(&setup, 1.0);
    assert_int_equal(fit_open(&setup.options, &setup.data, &fit, NULL), ERR_OK);
    while (fit_epoch(fit))
        ;
    assert_int_equal(train_artifact_make(fit, &setup.scaler, "t-1", &artifact, NULL), ERR_OK);
    assert_int_equal(onnx_write(&artifact.spec, file, sizeof(file), &size, NULL), ERR_OK);
    struct onnx_options options = {.feature_schema = feature_schema_hash()};
    assert_int_equal(onnx_read(bytes_of(file, size), &options, &model, NULL), ERR_OK);
    double sum = 0.0;
    for (size_t row = setup.data.valid.begin; row < setup.data.valid.end; row++) {
        struct model_output out;
        model_predict(model, setup.dataset.values + row * FEATURE_COUNT, &out);
        assert_true(out.valid && out.has_scale);
        double error = ((double)out.mean_bp - setup.dataset.label_bp[row]) / setup.scaler.label_bp;
        sum += error * error;
    }
    double error = sum / (double)(setup.data.valid.end - setup.data.valid.begin);
    assert_true(fabs(error / fit_best_error(fit) - 1.0) < 1e-4);
    model_close(model);
    train_artifact_free(&artifact);
    fit_close(fit);
    setup_close(&setup);
}

static void halving_keeps_the_better_half_in_order(void **unused)
{
    (void)unused;
    struct search search;
    search_begin(&search, 5);
    assert_int_equal(search.epochs, SEARCH_FIRST_EPOCHS);
    search_halve(&search, (const double[]){0.5, 0.3, 0.9, 0.3, 0.1});
    assert_int_equal(search.count, 3);
    assert_int_equal(search.alive[0], 4);
    assert_int_equal(search.alive[1], 1);
    assert_int_equal(search.alive[2], 3);
    assert_int_equal(search.epochs, 2 * SEARCH_FIRST_EPOCHS);
    search_halve(&search, (const double[]){0.3, 0.2, 0.1});
    search_halve(&search, (const double[]){0.3, 0.2});
    assert_int_equal(search.count, 1);
    assert_int_equal(search.alive[0], 1);
    assert_int_equal(search.epochs, FIT_EPOCHS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_training_stopped_anywhere_ends_the_same),
        cmocka_unit_test(a_damaged_or_foreign_state_is_refused),
        cmocka_unit_test(the_net_learns_what_a_line_cannot),
        cmocka_unit_test(what_is_learned_by_heart_is_not_kept),
        cmocka_unit_test(chance_does_not_choose_the_epoch),
        cmocka_unit_test(ridge_finds_the_line),
        cmocka_unit_test(a_constant_feature_is_switched_off),
        cmocka_unit_test(the_model_is_the_net_at_its_best),
        cmocka_unit_test(halving_keeps_the_better_half_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
