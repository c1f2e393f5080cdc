/* Inside the MLP: packed layers and the three kernels over them. Included by mlp*.c only.
 *
 * A vector kernel keeps the four lanes of an output side by side, so that one 128-bit block
 * of x serves all outputs and memory is read once. Block b of accumulator i of a group
 * holds output 4 b + i of that group, so that two levels of shuffles and additions leave
 * the sums in natural order. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MODEL_MLP_KERNELS_H
#define BTCAST_MODEL_MLP_KERNELS_H

#include "model/mlp.h"

/* Written results are padded to whole vectors. */
#define MLP_PAD    16
#define MLP_BUFFER (MLP_WIDTH_MAX + MLP_PAD)

/* Sizes in outputs: a whole group has 4 accumulators of `blocks` outputs each; a narrow
 * group, at the end only, has one. */
struct mlp_packed {
    int inputs, outputs;
    int groups; /* whole groups; 0 in the plain kernel and in elementwise layers */
    int narrow; /* 1: a narrow group follows */
    enum mlp_activation activation;
    const float *weights; /* packed, 64-byte aligned; plain: row-major; NULL: elementwise */
    const float *bias;    /* padded by MLP_PAD */
    const float *shift, *scale, *offset; /* padded by MLP_PAD */
};

struct mlp {
    int count;
    int inputs, outputs;
    enum mlp_kernel kernel;
    struct mlp_packed layers[MLP_LAYERS_MAX];
    float *block; /* all numbers of all layers */
};

/* Result in out[0..outputs), room for MLP_BUFFER floats behind it. */
void mlp_plain_forward(const struct mlp *mlp, const float *x, float *out);
#ifdef __x86_64__
void mlp_avx2_forward(const struct mlp *mlp, const float *x, float *out);
void mlp_avx512_forward(const struct mlp *mlp, const float *x, float *out);
#endif

/* tanh(x) = x P(x^2) / Q(x^2) on [-9, 9], beyond it tanh rounds to +-1. Coefficients by
 * tools/fit_tanh.py; relative error of the fraction 2.1e-8, of the float32 evaluation
 * at most 3e-7 (tests/unit/model/test_mlp_math.c). All are positive: nothing cancels.
 * sigmoid(x) = fma(0.5, tanh(0.5 x), 0.5). Every kernel performs the same operations:
 *   z = min(9, max(-9, x)), t = z z, P and Q by Horner with fma, r = (z P) / Q,
 *   y = min(1, max(-1, r)), where min(a, b) is "a < b ? a : b", max(a, b) "a > b ? a : b"
 * so that a NaN in b stays. relu(x) is max(0, x): NaN and -0 stay. */
#define MLP_TANH_LIMIT 9.0f
#define MLP_TANH_P0    1.00000000e+00f
#define MLP_TANH_P1    1.33810177e-01f
#define MLP_TANH_P2    3.49557889e-03f
#define MLP_TANH_P3    2.06089317e-05f
#define MLP_TANH_P4    1.33544606e-08f
#define MLP_TANH_Q0    1.00000000e+00f
#define MLP_TANH_Q1    4.67143327e-01f
#define MLP_TANH_Q2    2.58769467e-02f
#define MLP_TANH_Q3    3.28561960e-04f
#define MLP_TANH_Q4    7.77647472e-07f

#endif
