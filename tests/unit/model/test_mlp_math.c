/* The activations' error against libm in double. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "model/mlp.h"

/* Every 997th float32 of both signs: all magnitudes, 4.3 million values. */
#define STEP 997u

static struct mlp *open_activation(enum mlp_activation activation)
{
    static const float zeros[16], ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct mlp_layer layer = {.inputs = 16,
                                    .outputs = 16,
                                    .activation = activation,
                                    .shift = zeros,
                                    .scale = ones,
                                    .offset = zeros};
    struct mlp *mlp;
    assert_int_equal(mlp_open(&layer, 1, MLP_KERNEL_AUTO, &mlp, NULL), ERR_OK);
    return mlp;
}

/* Largest |f(x) - want(x)| and largest relative error over the sweep. */
static void sweep(enum mlp_activation activation, double (*want)(double), double *absolute,
                  double *relative)
{
    struct mlp *mlp = open_activation(activation);
    *absolute = *relative = 0;
    float x[16], y[16];
    uint32_t bits = 0;
    while (bits < 0xff800000u) {
        for (int i = 0; i < 16; i++, bits += STEP) {
            uint32_t finite = (bits & 0x7fffffffu) < 0x7f800000u ? bits : 0;
            memcpy(&x[i], &finite, sizeof(float));
        }
        mlp_forward(mlp, x, y);
        for (int i = 0; i < 16; i++) {
            double exact = want((double)x[i]), error = fabs((double)y[i] - exact);
            *absolute = fmax(*absolute, error);
            if (fabs(exact) > 1e-30)
                *relative = fmax(*relative, error / fabs(exact));
            assert_true(fabsf(y[i]) <= 1.0f);
        }
    }
    mlp_close(mlp);
}

static double exact_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static void tanh_is_within_3e_7_of_libm(void **state)
{
    (void)state;
    double absolute, relative;
    sweep(MLP_TANH, tanh, &absolute, &relative);
    print_message("tanh: absolute %.3g, relative %.3g\n", absolute, relative);
    assert_true(absolute <= 3e-7);
    assert_true(relative <= 3e-7);
}

static void sigmoid_is_within_2e_7_of_libm(void **state)
{
    (void)state;
    double absolute, relative;
    sweep(MLP_SIGMOID, exact_sigmoid, &absolute, &relative);
    print_message("sigmoid: absolute %.3g\n", absolute);
    assert_true(absolute <= 2e-7);
}

static void activations_hit_their_fixed_points(void **state)
{
    (void)state;
    const float x[16] = {0.0f, -0.0f, 100.0f, -100.0f, INFINITY, -INFINITY, 1e-40f};
    float y[16];
    struct mlp *mlp = open_activation(MLP_TANH);
    mlp_forward(mlp, x, y);
    const float tanhs[] = {0, 0, 1, -1, 1, -1};
    for (int i = 0; i < 6; i++)
        assert_true(y[i] == tanhs[i]);
    assert_true(y[6] > 0.0f); /* subnormals are not flushed */
    mlp_close(mlp);
    mlp = open_activation(MLP_SIGMOID);
    mlp_forward(mlp, x, y);
    const float sigmoids[] = {0.5f, 0.5f, 1, 0, 1, 0};
    for (int i = 0; i < 6; i++)
        assert_true(y[i] == sigmoids[i]);
    mlp_close(mlp);
    mlp = open_activation(MLP_RELU);
    mlp_forward(mlp, x, y);
    const float relus[] = {0, 0, 100, 0, INFINITY, 0};
    for (int i = 0; i < 6; i++)
        assert_true(y[i] == relus[i]);
    mlp_close(mlp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tanh_is_within_3e_7_of_libm),
        cmocka_unit_test(sigmoid_is_within_2e_7_of_libm),
        cmocka_unit_test(activations_hit_their_fixed_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
