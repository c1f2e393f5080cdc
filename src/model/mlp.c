/* Checks, packs and runs the layers. SPDX-License-Identifier: Apache-2.0 */
#include "model/mlp.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/mlp_kernels.h"

#define MLP_ALIGNMENT 64

static bool mlp_all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

static bool mlp_layer_finite(const struct mlp_layer *layer)
{
    size_t inputs = (size_t)layer->inputs, outputs = (size_t)layer->outputs;
    if (layer->weights != NULL)
        return mlp_all_finite(layer->weights, inputs * outputs) &&
               mlp_all_finite(layer->bias, outputs);
    return mlp_all_finite(layer->shift, inputs) && mlp_all_finite(layer->scale, inputs) &&
           mlp_all_finite(layer->offset, inputs);
}

static int mlp_check_layer(const struct mlp_layer *layer, int index, struct err *err)
{
    if (layer->inputs < 1 || layer->inputs > MLP_WIDTH_MAX || layer->outputs < 1 ||
        layer->outputs > MLP_WIDTH_MAX)
        return err_set(err, ERR_INVALID, "layer %d: %d inputs and %d outputs, allowed are 1 to %d",
                       index, layer->inputs, layer->outputs, MLP_WIDTH_MAX);
    bool dense = layer->weights != NULL;
    if (dense ? layer->bias == NULL
              : layer->shift == NULL || layer->scale == NULL || layer->offset == NULL)
        return err_set(err, ERR_INVALID, "layer %d: numbers are missing", index);
    if (!dense && layer->inputs != layer->outputs)
        return err_set(err, ERR_INVALID, "layer %d: elementwise with %d inputs and %d outputs",
                       index, layer->inputs, layer->outputs);
    if (layer->activation > MLP_SIGMOID)
        return err_set(err, ERR_INVALID, "layer %d: unknown activation", index);
    if (!mlp_layer_finite(layer))
        return err_set(err, ERR_INVALID, "layer %d: a number is not finite", index);
    return ERR_OK;
}

static int mlp_check(const struct mlp_layer *layers, int count, struct err *err)
{
    if (layers == NULL || count < 1 || count > MLP_LAYERS_MAX)
        return err_set(err, ERR_INVALID, "%d layers, allowed are 1 to %d", count, MLP_LAYERS_MAX);
    for (int i = 0; i < count; i++) {
        int rc = mlp_check_layer(&layers[i], i, err);
        if (rc != ERR_OK)
            return rc;
        if (i > 0 && layers[i].inputs != layers[i - 1].outputs)
            return err_set(err, ERR_INVALID, "layer %d: %d inputs behind %d outputs", i,
                           layers[i].inputs, layers[i - 1].outputs);
    }
    if (layers[count - 1].outputs > MLP_OUTPUTS_MAX)
        return err_set(err, ERR_INVALID, "%d outputs, allowed are %d", layers[count - 1].outputs,
                       MLP_OUTPUTS_MAX);
    return ERR_OK;
}

/* The processor and the operating system both have to know the registers. */
static bool mlp_kernel_runs(enum mlp_kernel kernel)
{
    switch (kernel) {
    case MLP_KERNEL_PLAIN:
        return true;
#ifdef __x86_64__
    case MLP_KERNEL_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case MLP_KERNEL_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
#endif
    default:
        return false;
    }
}

static enum mlp_kernel mlp_kernel_best(void)
{
    if (mlp_kernel_runs(MLP_KERNEL_AVX512))
        return MLP_KERNEL_AVX512;
    return mlp_kernel_runs(MLP_KERNEL_AVX2) ? MLP_KERNEL_AVX2 : MLP_KERNEL_PLAIN;
}

/* Outputs per accumulator: 128-bit blocks in a vector. */
static int mlp_blocks(enum mlp_kernel kernel)
{
    return kernel == MLP_KERNEL_AVX512 ? 4 : kernel == MLP_KERNEL_AVX2 ? 2 : 0;
}

static void mlp_shape(struct mlp_packed *packed, const struct mlp_layer *layer, int blocks)
{
    *packed = (struct mlp_packed){
        .inputs = layer->inputs, .outputs = layer->outputs, .activation = layer->activation};
    if (blocks == 0 || layer->weights == NULL)
        return;
    int whole = 4 * blocks, rest = layer->outputs % whole;
    packed->narrow = rest > 0 && rest <= blocks;
    packed->groups = layer->outputs / whole + (rest > blocks);
}

static size_t mlp_round(size_t count)
{
    return (count + MLP_PAD - 1) / MLP_PAD * MLP_PAD;
}

static size_t mlp_weights_size(const struct mlp_packed *packed, int blocks)
{
    if (blocks == 0)
        return mlp_round((size_t)packed->inputs * (size_t)packed->outputs);
    size_t steps = (size_t)(packed->inputs + 3) / 4;
    return mlp_round(steps * 4 * (size_t)blocks * (size_t)(packed->groups * 4 + packed->narrow));
}

static size_t mlp_layer_size(const struct mlp_layer *layer, int blocks)
{
    struct mlp_packed packed;
    mlp_shape(&packed, layer, blocks);
    size_t padded = mlp_round((size_t)layer->outputs) + MLP_PAD;
    return layer->weights == NULL ? 3 * padded : padded + mlp_weights_size(&packed, blocks);
}

static const float *mlp_pack_vector(float **at, const float *values, int count)
{
    float *start = *at;
    memcpy(start, values, (size_t)count * sizeof(float));
    *at += mlp_round((size_t)count) + MLP_PAD;
    return start;
}

/* One accumulator's weights of one step: block b holds lanes 0..3 of output
 * first + stride * b. What lies outside the matrix is zero already. */
static void mlp_pack_step(float *to, const struct mlp_layer *layer, int step, int first, int stride,
                          int blocks)
{
    for (int b = 0; b < blocks; b++) {
        int output = first + stride * b;
        for (int lane = 0; lane < 4; lane++) {
            int input = 4 * step + lane;
            if (output < layer->outputs && input < layer->inputs)
                to[4 * b + lane] = layer->weights[(ptrdiff_t)output * layer->inputs + input];
        }
    }
}

/* A run of `groups` whole groups shares its steps: [step][group][accumulator][block][lane]. */
static float *mlp_pack_groups(float *to, const struct mlp_layer *layer, int group, int groups,
                              int blocks)
{
    for (int step = 0; step < (layer->inputs + 3) / 4; step++)
        for (int i = 0; i < groups * 4; i++, to += (ptrdiff_t)4 * blocks)
            mlp_pack_step(to, layer, step, (group + i / 4) * 4 * blocks + i % 4, 4, blocks);
    return to;
}

static void mlp_pack_weights(float *to, const struct mlp_packed *packed,
                             const struct mlp_layer *layer, int blocks)
{
    if (blocks == 0) {
        memcpy(to, layer->weights, (size_t)layer->inputs * (size_t)layer->outputs * sizeof(float));
        return;
    }
    int group = 0;
    for (; group + 2 <= packed->groups; group += 2)
        to = mlp_pack_groups(to, layer, group, 2, blocks);
    for (; group < packed->groups; group++)
        to = mlp_pack_groups(to, layer, group, 1, blocks);
    for (int step = 0; packed->narrow && step < (layer->inputs + 3) / 4; step++)
        mlp_pack_step(to + (ptrdiff_t)step * 4 * blocks, layer, step, group * 4 * blocks, 1,
                      blocks);
}

static void mlp_pack_layer(struct mlp_packed *packed, const struct mlp_layer *layer, int blocks,
                           float **at)
{
    mlp_shape(packed, layer, blocks);
    if (layer->weights == NULL) {
        packed->shift = mlp_pack_vector(at, layer->shift, layer->inputs);
        packed->scale = mlp_pack_vector(at, layer->scale, layer->inputs);
        packed->offset = mlp_pack_vector(at, layer->offset, layer->inputs);
        return;
    }
    mlp_pack_weights(*at, packed, layer, blocks);
    packed->weights = *at;
    *at += mlp_weights_size(packed, blocks);
    packed->bias = mlp_pack_vector(at, layer->bias, layer->outputs);
}

int mlp_open(const struct mlp_layer *layers, int count, enum mlp_kernel kernel, struct mlp **mlp,
             struct err *err)
{
    PRE(mlp != NULL);
    int rc = mlp_check(layers, count, err);
    if (rc != ERR_OK)
        return rc;
    if (kernel == MLP_KERNEL_AUTO)
        kernel = mlp_kernel_best();
    if (!mlp_kernel_runs(kernel))
        return err_set(err, ERR_UNSUPPORTED, "this machine cannot run the wanted MLP kernel");
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += mlp_layer_size(&layers[i], mlp_blocks(kernel));
    struct mlp *self = calloc(1, sizeof(*self));
    float *block = aligned_alloc(MLP_ALIGNMENT, size * sizeof(float));
    if (self == NULL || block == NULL) {
        free(self);
        free(block);
        return err_set(err, ERR_MEMORY, "no memory for %zu weights", size);
    }
    memset(block, 0, size * sizeof(float));
    *self = (struct mlp){.count = count,
                         .inputs = layers[0].inputs,
                         .outputs = layers[count - 1].outputs,
                         .kernel = kernel,
                         .block = block};
    for (int i = 0; i < count; i++)
        mlp_pack_layer(&self->layers[i], &layers[i], mlp_blocks(kernel), &block);
    *mlp = self;
    return ERR_OK;
}

void mlp_close(struct mlp *mlp)
{
    if (mlp == NULL)
        return;
    free(mlp->block);
    free(mlp);
}

int mlp_inputs(const struct mlp *mlp)
{
    return mlp->inputs;
}

int mlp_outputs(const struct mlp *mlp)
{
    return mlp->outputs;
}

const char *mlp_kernel_name(const struct mlp *mlp)
{
    return mlp->kernel == MLP_KERNEL_AVX512 ? "avx512"
           : mlp->kernel == MLP_KERNEL_AVX2 ? "avx2"
                                            : "plain";
}

void mlp_forward(const struct mlp *mlp, const float *x, float *y)
{
    float out[MLP_BUFFER] __attribute__((aligned(64)));
    switch (mlp->kernel) {
#ifdef __x86_64__
    case MLP_KERNEL_AVX512:
        mlp_avx512_forward(mlp, x, out);
        break;
    case MLP_KERNEL_AVX2:
        mlp_avx2_forward(mlp, x, out);
        break;
#endif
    default:
        mlp_plain_forward(mlp, x, out);
        break;
    }
    /* Which NaN comes out of an operation depends on the order of its operands, which the
     * compiler chooses: one fixed NaN leaves. */
    for (int o = 0; o < mlp->outputs; o++)
        y[o] = isnan(out[o]) ? NAN : out[o];
}
