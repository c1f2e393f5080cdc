/* The multilayer perceptron that trains and serves: one forward pass, one summation
 * order (four lanes by k mod 4, fixed tree, FMA), bit-identical in the AVX-512, AVX2 and
 * plain kernels (DESIGN.md section 7, Trainer). Pure: no I/O, no allocation in
 * mlp_forward. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MODEL_MLP_H
#define BTCAST_MODEL_MLP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MLP_LAYERS_MAX 8
#define MLP_WIDTH_MAX 512
#define MLP_INPUTS_MAX 512
#define MLP_OUTPUTS_MAX 16

enum mlp_activation { MLP_IDENTITY, MLP_RELU, MLP_TANH, MLP_SIGMOID };
enum mlp_kernel { MLP_KERNEL_AUTO, MLP_KERNEL_PLAIN, MLP_KERNEL_AVX2, MLP_KERNEL_AVX512 };

struct mlp; /* opaque: weights packed for the chosen kernel */

/* One dense layer: y = act(W x + b), W row-major [outputs][inputs] (borrowed during
 * mlp_open). */
struct mlp_layer {
    int inputs, outputs;
    const float *weights;
    const float *bias; /* [outputs] */
    enum mlp_activation activation;
};

/* inputs of layer i+1 == outputs of layer i. All weights must be finite. */
int mlp_open(const struct mlp_layer *layers, int count, enum mlp_kernel kernel, struct mlp **mlp,
             struct err *err) MUST_CHECK;
void mlp_close(struct mlp *mlp);
int mlp_inputs(const struct mlp *mlp);
int mlp_outputs(const struct mlp *mlp);
/* "avx512", "avx2" or "plain": what runs. */
const char *mlp_kernel_name(const struct mlp *mlp);
/* x: [inputs], y: [outputs]. Thread-safe on a shared mlp. */
void mlp_forward(const struct mlp *mlp, const float *x, float *y);

#endif
