/* The built-in model fits the features it is made for and points where the book leans.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "market/feature.h"
#include "model/baseline.h"
#include "wire/onnx.h"

static struct model *baseline(void)
{
    const struct onnx_options options = {.feature_schema = feature_schema_hash()};
    struct model *model = NULL;
    struct err err = {0};
    if (onnx_read(baseline_file(), &options, &model, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return model;
}

static float predict(const struct model *model, const char *feature, float value)
{
    float features[FEATURE_COUNT] = {0};
    features[feature_index(feature)] = value;
    struct model_output out;
    model_predict(model, features, &out);
    assert_true(out.valid);
    return out.mean_bp;
}

static void baseline_is_made_for_the_current_features(void **state)
{
    (void)state;
    struct model *model = baseline();
    assert_int_equal(model_inputs(model), FEATURE_COUNT);
    for (int i = 0; i < FEATURE_COUNT; i++)
        assert_string_equal(model_spec(model)->input_names[i], feature_name(i));
    assert_string_equal(model_version(model), "microprice-baseline-1");
    assert_true(model_spec(model)->has_band);
    model_close(model);
}

static void baseline_follows_microprice_and_touch_imbalance_alone(void **state)
{
    (void)state;
    struct model *model = baseline();
    for (int i = 0; i < FEATURE_COUNT; i++) {
        const char *name = feature_name(i);
        float want = strcmp(name, "microprice_dev_bp") == 0 ? 2.0f
                     : strcmp(name, "touch_imbalance") == 0 ? 2.0f * 0.7f
                                                            : 0.0f;
        assert_true(predict(model, name, 2.0f) == want);
        assert_true(predict(model, name, -2.0f) == -want);
    }
    model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(baseline_is_made_for_the_current_features),
        cmocka_unit_test(baseline_follows_microprice_and_touch_imbalance_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
