/* The MLP's arithmetic is a contract: every kernel gives the bits of the documented order.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "model/mlp.h"

#define NETS      150
#define VECTORS   8
#define WIDTH_MAX 130
#define DEPTH_MAX 5

static const enum mlp_kernel vector_kernels[] = {MLP_KERNEL_AVX2, MLP_KERNEL_AVX512};

/* A net with its own memory. */
struct net {
    struct mlp_layer layers[DEPTH_MAX];
    float *arrays[DEPTH_MAX][3];
    int count;
};

static float *random_array(struct prng *prng, size_t count, double scale)
{
    float *values = malloc(count * sizeof(float));
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(scale * prng_normal(prng));
    return values;
}

static void net_random(struct net *net, struct prng *prng)
{
    memset(net, 0, sizeof(*net));
    net->count = 1 + (int)prng_below(prng, DEPTH_MAX);
    int width = 1 + (int)prng_below(prng, WIDTH_MAX);
    for (int i = 0; i < net->count; i++) {
        struct mlp_layer *layer = &net->layers[i];
        bool last = i + 1 == net->count;
        bool dense = prng_below(prng, 4) > 0 || (last && width > MLP_OUTPUTS_MAX);
        int outputs = !dense ? width : 1 + (int)prng_below(prng, last ? 16 : WIDTH_MAX);
        *layer = (struct mlp_layer){.inputs = width,
                                    .outputs = outputs,
                                    .activation = (enum mlp_activation)prng_below(prng, 4)};
        size_t in = (size_t)width, out = (size_t)outputs;
        for (int a = 0; a < 3; a++)
            net->arrays[i][a] = random_array(prng,
                                             dense && a == 0 ? in * out
                                             : in > out      ? in
                                                             : out,
                                             dense ? 1.0 / sqrt((double)width) : 1.0);
        if (dense) {
            layer->weights = net->arrays[i][0];
            layer->bias = net->arrays[i][1];
        } else {
            layer->shift = net->arrays[i][0];
            layer->scale = net->arrays[i][1];
            layer->offset = net->arrays[i][2];
        }
        width = outputs;
    }
}

static void net_free(struct net *net)
{
    for (int i = 0; i < net->count; i++)
        for (int a = 0; a < 3; a++)
            free(net->arrays[i][a]);
}

static struct mlp *open_or_null(const struct net *net, enum mlp_kernel kernel)
{
    struct mlp *mlp = NULL;
    struct err err = {0};
    int rc = mlp_open(net->layers, net->count, kernel, &mlp, &err);
    if (rc == ERR_UNSUPPORTED)
        return NULL;
    if (rc != ERR_OK)
        fail_msg("%s", err.text);
    return mlp;
}

/* The documented order, written down a second time (identity and relu). */
static void reference_dense(const struct mlp_layer *layer, const float *x, float *y)
{
    for (int o = 0; o < layer->outputs; o++) {
        float lane[4] = {0};
        for (int j = 0; j < 4; j++)
            for (int k = j; k < layer->inputs; k += 4)
                lane[j] = fmaf(layer->weights[o * layer->inputs + k], x[k], lane[j]);
        float sum = (lane[0] + lane[1]) + (lane[2] + lane[3]);
        sum += layer->bias[o];
        y[o] = layer->activation == MLP_RELU && sum < 0 ? 0.0f : sum;
    }
}

static void fill_input(struct prng *prng, float *x, int count, bool nasty)
{
    static const float special[] = {0.0f, -0.0f, 1e-42f, -1e-45f, 3e38f, -3e38f, INFINITY, NAN};
    for (int k = 0; k < count; k++) {
        x[k] = (float)prng_normal(prng);
        if (nasty && prng_below(prng, 6) == 0)
            x[k] = special[prng_below(prng, 8)];
    }
}

static void every_kernel_gives_the_same_bits(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    int compared[2] = {0, 0};
    for (int n = 0; n < NETS; n++) {
        struct net net;
        net_random(&net, &prng);
        struct mlp *plain = open_or_null(&net, MLP_KERNEL_PLAIN);
        for (int v = 0; v < 2; v++) {
            struct mlp *vector = open_or_null(&net, vector_kernels[v]);
            for (int i = 0; vector != NULL && i < VECTORS; i++) {
                /* Exactly as long as needed: a read past the end is a finding. */
                float *x = malloc((size_t)net.layers[0].inputs * sizeof(float));
                float want[MLP_OUTPUTS_MAX], got[MLP_OUTPUTS_MAX];
                fill_input(&prng, x, net.layers[0].inputs, i % 2 == 1);
                mlp_forward(plain, x, want);
                mlp_forward(vector, x, got);
                assert_memory_equal(want, got, (size_t)mlp_outputs(plain) * sizeof(float));
                compared[v]++;
                free(x);
            }
            mlp_close(vector);
        }
        mlp_close(plain);
        net_free(&net);
    }
    print_message("compared with plain: avx2 %d, avx512 %d vectors\n", compared[0], compared[1]);
}

static void every_width_up_to_130_agrees_in_all_kernels(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 2);
    float *weights = random_array(&prng, 130 * 130, 0.1), *x = random_array(&prng, 130, 1.0);
    float tail[130] = {1.0f, -1.0f};
    for (int width = 1; width <= 130; width++) {
        struct net net = {.count = 2};
        net.layers[0] = (struct mlp_layer){.inputs = width,
                                           .outputs = width,
                                           .weights = weights,
                                           .bias = x,
                                           .activation = MLP_TANH};
        net.layers[1] =
            (struct mlp_layer){.inputs = width, .outputs = 1, .weights = weights, .bias = tail};
        struct mlp *plain = open_or_null(&net, MLP_KERNEL_PLAIN);
        float want, got;
        mlp_forward(plain, x, &want);
        for (int v = 0; v < 2; v++) {
            struct mlp *vector = open_or_null(&net, vector_kernels[v]);
            if (vector == NULL)
                continue;
            mlp_forward(vector, x, &got);
            assert_memory_equal(&want, &got, sizeof(want));
            mlp_close(vector);
        }
        mlp_close(plain);
    }
    free(weights);
    free(x);
}

static void plain_follows_the_documented_order(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    for (int n = 0; n < 200; n++) {
        int inputs = 1 + (int)prng_below(&prng, 130), outputs = 1 + (int)prng_below(&prng, 16);
        float *weights = random_array(&prng, (size_t)(inputs * outputs), 1.0);
        float *bias = random_array(&prng, (size_t)outputs, 1.0);
        float *x = random_array(&prng, (size_t)inputs, 1.0);
        struct net net = {.count = 1};
        net.layers[0] = (struct mlp_layer){.inputs = inputs,
                                           .outputs = outputs,
                                           .weights = weights,
                                           .bias = bias,
                                           .activation = n % 2 ? MLP_RELU : MLP_IDENTITY};
        struct mlp *mlp = open_or_null(&net, MLP_KERNEL_PLAIN);
        float want[16], got[16];
        reference_dense(&net.layers[0], x, want);
        mlp_forward(mlp, x, got);
        assert_memory_equal(want, got, (size_t)outputs * sizeof(float));
        mlp_close(mlp);
        free(weights);
        free(bias);
        free(x);
    }
}

static void small_net_gives_hand_computed_values(void **state)
{
    (void)state;
    const float w0[] = {1, 2, 3, -1, 0.5f, -2}, b0[] = {0.5f, 1}, w1[] = {2, -4}, b1[] = {-1};
    const float shift[] = {1, 2, 3}, scale[] = {2, 1, 0.5f}, offset[] = {0, -1, 0};
    const struct mlp_layer layers[] = {
        {.inputs = 3, .outputs = 3, .shift = shift, .scale = scale, .offset = offset},
        {.inputs = 3, .outputs = 2, .weights = w0, .bias = b0, .activation = MLP_RELU},
        {.inputs = 2, .outputs = 1, .weights = w1, .bias = b1},
    };
    struct mlp *mlp;
    assert_int_equal(mlp_open(layers, 3, MLP_KERNEL_AUTO, &mlp, NULL), ERR_OK);
    assert_int_equal(mlp_inputs(mlp), 3);
    assert_int_equal(mlp_outputs(mlp), 1);
    const float x[] = {2, 5, 7}; /* scaled: 2, 2, 2 -> 12.5 and relu(-4) */
    float y;
    mlp_forward(mlp, x, &y);
    assert_true(y == 24.0f);
    mlp_close(mlp);
}

static void nan_input_gives_the_one_quiet_nan(void **state)
{
    (void)state;
    const float w[] = {1, 0}, b[] = {0};
    for (int a = MLP_IDENTITY; a <= MLP_SIGMOID; a++) {
        struct net net = {.count = 1};
        net.layers[0] = (struct mlp_layer){.inputs = 2,
                                           .outputs = 1,
                                           .weights = w,
                                           .bias = b,
                                           .activation = (enum mlp_activation)a};
        for (int k = MLP_KERNEL_PLAIN; k <= MLP_KERNEL_AVX512; k++) {
            struct mlp *mlp = open_or_null(&net, (enum mlp_kernel)k);
            if (mlp == NULL)
                continue;
            float y, x[] = {1, -NAN};
            uint32_t bits;
            mlp_forward(mlp, x, &y);
            memcpy(&bits, &y, sizeof(bits));
            assert_int_equal(bits, 0x7fc00000);
            x[1] = INFINITY; /* 0 * inf */
            mlp_forward(mlp, x, &y);
            assert_true(isnan(y));
            mlp_close(mlp);
        }
    }
}

static void auto_takes_the_widest_kernel_that_runs(void **state)
{
    (void)state;
    const float w[] = {1}, b[] = {0};
    struct net net = {.count = 1};
    net.layers[0] = (struct mlp_layer){.inputs = 1, .outputs = 1, .weights = w, .bias = b};
    const char *best = "plain";
    for (int k = MLP_KERNEL_PLAIN; k <= MLP_KERNEL_AVX512; k++) {
        struct mlp *mlp = open_or_null(&net, (enum mlp_kernel)k);
        if (mlp != NULL)
            best = mlp_kernel_name(mlp);
        mlp_close(mlp);
    }
    struct mlp *mlp = open_or_null(&net, MLP_KERNEL_AUTO);
    assert_string_equal(mlp_kernel_name(mlp), best);
    mlp_close(mlp);
}

static void assert_refused(const struct mlp_layer *layers, int count, const char *why)
{
    struct mlp *mlp;
    struct err err = {0};
    assert_int_equal(mlp_open(layers, count, MLP_KERNEL_AUTO, &mlp, &err), ERR_INVALID);
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void wrong_layers_are_refused_with_their_number(void **state)
{
    (void)state;
    static float w[20 * MLP_WIDTH_MAX], b[MLP_WIDTH_MAX];
    const struct mlp_layer good = {.inputs = 4, .outputs = 4, .weights = w, .bias = b};
    struct mlp_layer layers[MLP_LAYERS_MAX + 1];
    for (int i = 0; i <= MLP_LAYERS_MAX; i++)
        layers[i] = good;
    assert_refused(layers, 0, "0 layers");
    assert_refused(layers, MLP_LAYERS_MAX + 1, "17 layers");
    layers[1].inputs = 5;
    assert_refused(layers, 2, "layer 1: 5 inputs behind 4 outputs");
    layers[1] = good;
    layers[1].outputs = MLP_WIDTH_MAX + 1;
    assert_refused(layers, 2, "layer 1: 4 inputs and 513 outputs");
    layers[1].outputs = MLP_OUTPUTS_MAX + 1;
    assert_refused(layers, 2, "17 outputs");
    layers[1] = good;
    layers[1].bias = NULL;
    assert_refused(layers, 2, "layer 1: numbers are missing");
    layers[1] = (struct mlp_layer){.inputs = 4, .outputs = 3, .shift = b, .scale = b, .offset = b};
    assert_refused(layers, 2, "layer 1: elementwise with 4 inputs and 3 outputs");
    layers[1] = good;
    layers[1].activation = (enum mlp_activation)9;
    assert_refused(layers, 2, "layer 1: unknown activation");
    w[7] = INFINITY;
    assert_refused(&good, 1, "layer 0: a number is not finite");
    w[7] = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_gives_the_same_bits),
        cmocka_unit_test(every_width_up_to_130_agrees_in_all_kernels),
        cmocka_unit_test(plain_follows_the_documented_order),
        cmocka_unit_test(small_net_gives_hand_computed_values),
        cmocka_unit_test(nan_input_gives_the_one_quiet_nan),
        cmocka_unit_test(auto_takes_the_widest_kernel_that_runs),
        cmocka_unit_test(wrong_layers_are_refused_with_their_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
