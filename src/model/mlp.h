/* The multilayer perceptron that trains and serves: one forward pass, one order of
 * operations, bit-identical in the AVX-512, AVX2 and plain kernels (DESIGN.md section 7,
 * Trainer). Pure: no I/O, no allocation in mlp_forward.
 *
 * The order, for one output o of a dense layer with K inputs (docs/models.md, "Arithmetic"):
 *   lane[j] = 0; for k = j, j + 4, j + 8 ... < K: lane[j] = fma(W[o][k], x[k], lane[j])
 *   y[o] = act(((lane[0] + lane[1]) + (lane[2] + lane[3])) + bias[o])
 * and of an elementwise layer: y[k] = act(fma(x[k] - shift[k], scale[k], offset[k])).
 * All of it in float32, round to nearest, subnormals kept. A NaN or an infinity at the
 * input follows IEEE 754; a NaN at the output is always the quiet NaN 0x7fc00000.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MODEL_MLP_H
#define BTCAST_MODEL_MLP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MLP_LAYERS_MAX  16
#define MLP_WIDTH_MAX   512
#define MLP_INPUTS_MAX  512
#define MLP_OUTPUTS_MAX 16

enum mlp_activation { MLP_IDENTITY, MLP_RELU, MLP_TANH, MLP_SIGMOID };
enum mlp_kernel { MLP_KERNEL_AUTO, MLP_KERNEL_PLAIN, MLP_KERNEL_AVX2, MLP_KERNEL_AVX512 };

struct mlp; /* opaque: weights packed for the chosen kernel */

/* One layer, its arrays borrowed during mlp_open. Dense: weights row-major
 * [outputs][inputs], bias [outputs], the rest NULL. Elementwise (a scaler): weights NULL,
 * inputs == outputs, and shift, scale, offset [inputs]. */
struct mlp_layer {
    int inputs, outputs;
    const float *weights;
    const float *bias;
    enum mlp_activation activation;
    const float *shift, *scale, *offset;
};

/* inputs of layer i+1 == outputs of layer i. All numbers must be finite. ERR_INVALID says
 * which layer breaks a rule or a limit; ERR_UNSUPPORTED: this CPU cannot run the kernel. */
int mlp_open(const struct mlp_layer *layers, int count, enum mlp_kernel kernel, struct mlp **mlp,
             struct err *err) MUST_CHECK;
void mlp_close(struct mlp *mlp);
int mlp_inputs(const struct mlp *mlp);
int mlp_outputs(const struct mlp *mlp);
/* "avx512", "avx2" or "plain": what runs. */
const char *mlp_kernel_name(const struct mlp *mlp);
/* x: [inputs], y: [outputs]; they may not overlap. Thread-safe on a shared mlp. */
void mlp_forward(const struct mlp *mlp, const float *x, float *y);

#endif
