/* A model is copied, checked and described. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "model/model.h"

static const float weights[] = {2, -1, 0, 0}, bias[] = {0.5f, 30.0f};
static const char names[2][MODEL_INPUT_NAME_SIZE] = {"first", "second"};

static struct model_spec two_outputs(void)
{
    struct model_spec spec = {.version = "v1", .input_names = names, .layer_count = 1};
    spec.layers[0] =
        (struct mlp_layer){.inputs = 2, .outputs = 2, .weights = weights, .bias = bias};
    return spec;
}

static struct model *open_or_fail(const struct model_spec *spec)
{
    struct model *model = NULL;
    struct err err = {0};
    if (model_open(spec, MLP_KERNEL_AUTO, &model, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return model;
}

static void mean_and_scale_are_what_the_net_says(void **state)
{
    (void)state;
    struct model_spec spec = two_outputs();
    struct model *model = open_or_fail(&spec);
    struct model_output out;
    model_predict(model, (const float[]){3, 4}, &out);
    assert_true(out.valid && out.has_scale && out.mean_bp == 2.5f);
    assert_true(out.log_scale == MODEL_LOG_SCALE_MAX); /* 30 is clamped */
    assert_true(out.scale_bp == expf(MODEL_LOG_SCALE_MAX));
    model_close(model);
    spec.layers[0].outputs = 1;
    model = open_or_fail(&spec);
    model_predict(model, (const float[]){3, 4}, &out);
    assert_true(out.valid && !out.has_scale && out.scale_bp == 1.0f);
    assert_true(model_strength(&out) == 2.5);
    model_close(model);
}

static void number_that_is_not_finite_is_no_forecast(void **state)
{
    (void)state;
    struct model_spec spec = two_outputs();
    struct model *model = open_or_fail(&spec);
    const float inputs[][2] = {{NAN, 0}, {INFINITY, 0}, {3e38f, -3e38f}};
    for (int i = 0; i < 3; i++) {
        struct model_output out;
        model_predict(model, inputs[i], &out);
        assert_false(out.valid);
        assert_true(out.mean_bp == 0.0f && out.log_scale == 0.0f && out.scale_bp == 0.0f);
        assert_true(model_strength(&out) == 0.0);
    }
    model_close(model);
}

static void model_owns_what_it_was_given(void **state)
{
    (void)state;
    float w[] = {1, 1}, b[] = {0};
    char inputs[2][MODEL_INPUT_NAME_SIZE] = {"a", "b"};
    struct model_spec spec = {.version = "v2",
                              .layer_count = 1,
                              .input_names = (const char(*)[MODEL_INPUT_NAME_SIZE])inputs};
    spec.layers[0] = (struct mlp_layer){.inputs = 2, .outputs = 1, .weights = w, .bias = b};
    struct model *model = open_or_fail(&spec);
    w[0] = b[0] = 99;
    memset(inputs, 'x', sizeof(inputs));
    memset(&spec, 0, sizeof(spec));
    struct model_output out;
    model_predict(model, (const float[]){3, 4}, &out);
    assert_true(out.mean_bp == 7.0f);
    assert_string_equal(model_version(model), "v2");
    assert_string_equal(model_spec(model)->input_names[1], "b");
    assert_true(model_spec(model)->layers[0].weights[0] == 1.0f);
    assert_int_equal(model_inputs(model), 2);
    assert_string_equal(model_sha256(model), "");
    const char hash[MODEL_SHA256_SIZE] =
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    model_set_sha256(model, hash);
    assert_string_equal(model_sha256(model), hash);
    model_close(model);
}

static void assert_refused(const struct model_spec *spec, const char *why)
{
    struct model *model = NULL;
    struct err err = {0};
    assert_int_equal(model_open(spec, MLP_KERNEL_AUTO, &model, &err), ERR_INVALID);
    assert_null(model);
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void wrong_descriptions_are_refused(void **state)
{
    (void)state;
    const struct model_spec good = two_outputs();
    struct model_spec spec = good;
    spec.version[0] = '\0';
    assert_refused(&spec, "model version");
    spec = good;
    strcpy(spec.version, "a b");
    assert_refused(&spec, "model version");
    spec = good;
    memset(spec.version, 'a', sizeof(spec.version));
    assert_refused(&spec, "model version");
    spec = good;
    spec.layer_count = 0;
    assert_refused(&spec, "0 layers");
    spec = good;
    spec.layers[0].outputs = 3;
    assert_refused(&spec, "3 outputs");
    spec = good;
    spec.layers[0].inputs = 0;
    assert_refused(&spec, "layer 0: 0 inputs");
    spec = good;
    spec.has_band = true;
    spec.band_p10 = 1;
    assert_refused(&spec, "p10 is above its p90");
    spec.band_p10 = NAN;
    assert_refused(&spec, "p10 is above its p90");
    spec = good;
    spec.calibration.count = CALIBRATION_BUCKETS_MAX + 1;
    assert_refused(&spec, "calibration");
    spec.calibration.count = 1;
    assert_refused(&spec, "calibration");
    spec = good;
    const char bad[2][MODEL_INPUT_NAME_SIZE] = {"a", "b,c"};
    spec.input_names = bad;
    assert_refused(&spec, "input 1 needs a name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_and_scale_are_what_the_net_says),
        cmocka_unit_test(number_that_is_not_finite_is_no_forecast),
        cmocka_unit_test(model_owns_what_it_was_given),
        cmocka_unit_test(wrong_descriptions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
