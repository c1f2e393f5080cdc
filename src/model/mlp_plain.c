/* The reference: the order of operations of mlp.h, one after the other.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stddef.h>

#include "model/mlp_kernels.h"

static float mlp_plain_min(float a, float b)
{
    return a < b ? a : b;
}

static float mlp_plain_max(float a, float b)
{
    return a > b ? a : b;
}

static float mlp_plain_tanh(float x)
{
    float z = mlp_plain_min(MLP_TANH_LIMIT, mlp_plain_max(-MLP_TANH_LIMIT, x));
    float t = z * z;
    float p = fmaf(MLP_TANH_P4, t, MLP_TANH_P3);
    p = fmaf(p, t, MLP_TANH_P2);
    p = fmaf(p, t, MLP_TANH_P1);
    p = fmaf(p, t, MLP_TANH_P0);
    float q = fmaf(MLP_TANH_Q4, t, MLP_TANH_Q3);
    q = fmaf(q, t, MLP_TANH_Q2);
    q = fmaf(q, t, MLP_TANH_Q1);
    q = fmaf(q, t, MLP_TANH_Q0);
    float r = (z * p) / q;
    return mlp_plain_min(1.0f, mlp_plain_max(-1.0f, r));
}

static float mlp_plain_activate(enum mlp_activation activation, float x)
{
    switch (activation) {
    case MLP_RELU:
        return mlp_plain_max(0.0f, x);
    case MLP_TANH:
        return mlp_plain_tanh(x);
    case MLP_SIGMOID:
        return fmaf(0.5f, mlp_plain_tanh(0.5f * x), 0.5f);
    case MLP_IDENTITY:
        break;
    }
    return x;
}

static float mlp_plain_dot(const float *w, const float *x, int count)
{
    float lane[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int k = 0; k < count; k++)
        lane[k & 3] = fmaf(w[k], x[k], lane[k & 3]);
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

static void mlp_plain_dense(const struct mlp_packed *layer, const float *x, float *y)
{
    for (int o = 0; o < layer->outputs; o++) {
        const float *w = layer->weights + (ptrdiff_t)o * layer->inputs;
        float sum = mlp_plain_dot(w, x, layer->inputs) + layer->bias[o];
        y[o] = mlp_plain_activate(layer->activation, sum);
    }
}

static void mlp_plain_elementwise(const struct mlp_packed *layer, const float *x, float *y)
{
    for (int k = 0; k < layer->outputs; k++) {
        float value = fmaf(x[k] - layer->shift[k], layer->scale[k], layer->offset[k]);
        y[k] = mlp_plain_activate(layer->activation, value);
    }
}

void mlp_plain_forward(const struct mlp *mlp, const float *x, float *out)
{
    float buffers[2][MLP_BUFFER] = {{0}};
    for (int i = 0; i < mlp->count; i++) {
        const struct mlp_packed *layer = &mlp->layers[i];
        float *y = i + 1 == mlp->count ? out : buffers[i & 1];
        if (layer->weights != NULL)
            mlp_plain_dense(layer, x, y);
        else
            mlp_plain_elementwise(layer, x, y);
        x = y;
    }
}
