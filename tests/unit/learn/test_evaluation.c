/* Figures of an evaluation on data whose truth is known. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "learn/train/evaluation.h"

#define ROWS  40000
#define SPLIT 15000 /* calibration before, test after */

/* label = 2 vol_imbalance + s * noise with s of 1 or e, which volatility_30s_bp tells. */
struct truth {
    struct dataset dataset;
    float weights[2 * FEATURE_COUNT], bias[2];
    struct model_spec spec;
    struct model *model;
    float *ridge, *oracle;
};

static void truth_rows(struct truth *truth, double signal, size_t rows)
{
    struct prng prng;
    prng_init(&prng, 17);
    dataset_init(&truth->dataset);
    for (size_t i = 0; i < rows; i++) {
        float values[FEATURE_COUNT] = {0};
        double scale = prng_below(&prng, 2) == 0 ? 1.0 : exp(1.0);
        values[FEATURE_VOL_IMBALANCE] = (float)(2.0 * prng_f64(&prng) - 1.0);
        values[FEATURE_OB_IMBALANCE] = (float)(2.0 * prng_f64(&prng) - 1.0);
        values[FEATURE_SPREAD_BP] = 0.5f;
        values[FEATURE_VOLATILITY_30S_BP] = (float)scale;
        double label = signal * (double)values[FEATURE_VOL_IMBALANCE] + scale * prng_normal(&prng);
        if (prng_below(&prng, 50) == 0)
            label = 0.0;
        assert_int_equal(
            dataset_add_labelled(&truth->dataset, 1000 + (int64_t)i, values, 6e4, label, NULL),
            ERR_OK);
    }
}

static void truth_open(struct truth *truth, double signal, size_t rows, size_t calibrate)
{
    memset(truth, 0, sizeof(*truth));
    truth_rows(truth, signal, rows);
    double e = exp(1.0);
    truth->weights[FEATURE_VOL_IMBALANCE] = 2.0f;
    truth->weights[FEATURE_COUNT + FEATURE_VOLATILITY_30S_BP] = (float)(1.0 / (e - 1.0));
    truth->bias[1] = (float)(-1.0 / (e - 1.0));
    truth->spec = (struct model_spec){.version = "truth",
                                      .layer_count = 1,
                                      .layers = {{.inputs = FEATURE_COUNT,
                                                  .outputs = 2,
                                                  .weights = truth->weights,
                                                  .bias = truth->bias}}};
    struct forecast forecast;
    struct split_range range = {0, calibrate};
    assert_int_equal(model_open(&truth->spec, MLP_KERNEL_AUTO, &truth->model, NULL), ERR_OK);
    assert_int_equal(forecast_make(truth->model, &truth->dataset, range, &forecast, NULL), ERR_OK);
    assert_int_equal(forecast_calibrate(&forecast, &truth->dataset, &truth->spec.calibration, NULL),
                     ERR_OK);
    assert_int_equal(forecast_band(&forecast, &truth->dataset, &truth->spec.band_p10,
                                   &truth->spec.band_p90, NULL),
                     ERR_OK);
    truth->spec.has_band = true;
    forecast_free(&forecast);
    model_close(truth->model);
    assert_int_equal(model_open(&truth->spec, MLP_KERNEL_AUTO, &truth->model, NULL), ERR_OK);
    truth->ridge = calloc(rows, sizeof(float));
    truth->oracle = calloc(rows, sizeof(float));
    assert_true(truth->ridge != NULL && truth->oracle != NULL);
}

static void truth_close(struct truth *truth)
{
    model_close(truth->model);
    free(truth->ridge);
    free(truth->oracle);
    dataset_free(&truth->dataset);
}

static void evaluate(struct truth *truth, size_t from, struct evaluation *out)
{
    for (size_t row = from; row < truth->dataset.count; row++)
        truth->oracle[row - from] =
            2.0f * truth->dataset.values[row * FEATURE_COUNT + FEATURE_VOL_IMBALANCE];
    struct evaluation_input input = {.dataset = &truth->dataset,
                                     .range = {from, truth->dataset.count},
                                     .model = truth->model,
                                     .ridge_bp = truth->ridge,
                                     .oracle_bp = truth->oracle,
                                     .seed = 1,
                                     .with_importance = true};
    assert_int_equal(evaluation_make(&input, out, NULL), ERR_OK);
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%g is not within %g of %g", value, tolerance, expected);
}

static void a_known_truth_gives_its_figures(void **unused)
{
    (void)unused;
    struct truth truth;
    static struct evaluation out;
    truth_open(&truth, 2.0, ROWS, SPLIT);
    evaluate(&truth, SPLIT, &out);
    /* Variances: forecast 4/3, noise (1 + e^2)/2; a fiftieth of the labels is 0. */
    double r2 =
        (0.98 * 4.0 / 3.0 - 0.02 * 4.0 / 3.0) / (0.98 * (4.0 / 3.0 + (1.0 + exp(2.0)) / 2.0));
    assert_int_equal(out.rows, ROWS - SPLIT);
    assert_int_equal(out.independent, (ROWS - SPLIT) / 5);
    assert_false(out.indicative);
    assert_near(out.r2[EVALUATED_MODEL].value, r2, 0.015);
    assert_true(out.r2[EVALUATED_MODEL].low < r2 && r2 < out.r2[EVALUATED_MODEL].high);
    assert_near(out.r2[EVALUATED_MODEL].high - out.r2[EVALUATED_MODEL].low, 0.025, 0.012);
    assert_near(out.r2[EVALUATED_RIDGE].value, 0.0, 1e-12);
    assert_near(out.oracle_share.value, 1.0, 1e-9);
    assert_near(out.hit[EVALUATED_IMBALANCE].value, 0.5, 0.01);
    assert_near((double)out.moved / (double)out.rows, 0.98, 0.005);
    assert_true(evaluation_is_better(&out));
    assert_true(out.calibration_error < 0.02);
    assert_near(out.coverage, 0.8, 0.01);
    assert_near(out.coverage_fixed, 0.8, 0.015);
    assert_true(out.pinball_bp < 0.95 * out.pinball_rolling_bp);
    for (int i = 0; i < FEATURE_COUNT; i++)
        if (i == FEATURE_VOL_IMBALANCE)
            assert_true(out.importance[i] > 0.9 * r2);
        else
            assert_near(out.importance[i], 0.0, 1e-6);
    truth_close(&truth);
}

static void few_labels_are_indicative_whatever_they_say(void **unused)
{
    (void)unused;
    struct truth truth;
    static struct evaluation out;
    truth_open(&truth, 20.0, 900, 300);
    evaluate(&truth, 300, &out);
    assert_int_equal(out.independent, 120);
    assert_true(out.indicative);
    assert_false(evaluation_is_better(&out));
    truth_close(&truth);
}

static void a_model_without_signal_is_no_better(void **unused)
{
    (void)unused;
    struct truth truth;
    static struct evaluation out;
    char money[512];
    truth_open(&truth, 0.0, ROWS, SPLIT);
    evaluate(&truth, SPLIT, &out);
    assert_true(out.r2[EVALUATED_MODEL].high < 0.0);
    assert_true(out.hit_over_imbalance.low < 0.0);
    assert_false(evaluation_is_better(&out));
    /* The calibration knows that the strength says nothing. */
    assert_true(out.calibration_error < 0.02);
    assert_near(calibration_probability(&truth.spec.calibration, 2.0, 0.0), 0.49, 0.03);
    evaluation_money(&out, money, sizeof(money));
    assert_non_null(strstr(money, "No profit: no forecast exceeds the costs"));
    truth_close(&truth);
}

static void profit_is_told_after_costs_and_latency(void **unused)
{
    (void)unused;
    struct truth truth;
    static struct evaluation out;
    char money[512];
    truth_open(&truth, 2.0, 2000, 1000);
    model_close(truth.model);
    truth.weights[FEATURE_VOL_IMBALANCE] = 100.0f; /* boasts, so that it trades */
    assert_int_equal(model_open(&truth.spec, MLP_KERNEL_AUTO, &truth.model, NULL), ERR_OK);
    evaluate(&truth, 1000, &out);
    assert_true(out.trades > 700 && out.trades < 900);
    assert_near(out.cost_bp, 20.5, 1e-6);
    /* One slot later nothing of the signal is left: a trade loses its costs. */
    assert_near(out.net_bp_sum / (double)out.trades, -20.5, 0.3);
    evaluation_money(&out, money, sizeof(money));
    assert_non_null(strstr(money, "No profit: "));
    truth_close(&truth);
}

static void the_band_follows_a_market_that_changes(void **unused)
{
    (void)unused;
    struct band band = {-1.0, 1.0, BAND_STEP};
    struct prng prng;
    int covered = 0;
    prng_init(&prng, 4);
    for (int i = 0; i < 20000; i++) {
        double error = (i < 5000 ? 1.0 : 3.0) * prng_normal(&prng) + (i < 5000 ? 0.0 : 1.0);
        covered += i >= 10000 && error >= band.low && error <= band.high;
        band_follow(&band, error);
    }
    assert_near(covered / 10000.0, 0.8, 0.01);
    assert_near(band.low, 1.0 - 3.0 * 1.2816, 0.5);
    assert_near(band.high, 1.0 + 3.0 * 1.2816, 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_truth_gives_its_figures),
        cmocka_unit_test(few_labels_are_indicative_whatever_they_say),
        cmocka_unit_test(a_model_without_signal_is_no_better),
        cmocka_unit_test(profit_is_told_after_costs_and_latency),
        cmocka_unit_test(the_band_follows_a_market_that_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
