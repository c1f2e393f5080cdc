/* A net in training: parameters, gradients, AdamW's moments and the running mean of the
 * parameters; one step forward, backward and down. Hidden layers use relu. Everything is a
 * function of the options and of the batches in their order: the same bits on every run and
 * with every kernel. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_NET_H
#define BTCAST_LEARN_TRAIN_NET_H

#include <stdint.h>

#include "base/err.h"
#include "learn/train/train_kernel.h"
#include "model/mlp.h"

/* Rows that go through the layers together, so that they stay in the first cache. */
#define TRAIN_BLOCK_ROWS 64
/* A row's squared error, in units of its scale, counts at most so much for the scale: one
 * jump of the market does not blow up the scale of everything. */
#define TRAIN_SURPRISE_MAX 25.0f
/* The log scale (in units of the label's deviation) learns inside this range only. */
#define TRAIN_LOG_SCALE_MAX 6.0f

struct train_net_options {
    int layers;                     /* dense layers, 1..MLP_LAYERS_MAX */
    int widths[MLP_LAYERS_MAX + 1]; /* inputs, hidden …, outputs (1: mean; 2: and log scale) */
    uint64_t seed;                  /* of the initial weights */
    enum mlp_kernel kernel;
};

/* A second look at each row: input k of the mirrored row is sign[k] * x[from[k]], its label
 * changes the sign. */
struct train_mirror {
    float sign[MLP_INPUTS_MAX];
    uint16_t from[MLP_INPUTS_MAX];
};
/* Set in an entry of `rows`: mirrored. */
#define TRAIN_MIRRORED UINT32_C(0x80000000)

/* Rows of a matrix: row r is x[r * inputs …] with label y[r]; `rows` picks and orders. */
struct train_batch {
    const float *x, *y;
    const uint32_t *rows; /* NULL: 0, 1, 2 … */
    int count;
    const struct train_mirror *mirror; /* NULL: no entry of rows is mirrored */
};

struct train_step {
    float learning_rate, weight_decay;
    float scale_weight; /* of the log scale's loss beside the mean's */
    float mean_share;   /* of this step in the running mean of the parameters */
};

/* Sums over rows: half the squared error; and for the scale ln s + half the squared error in
 * units of s (docs/training.md, "Loss"). */
struct train_loss {
    double error, scale;
};

struct train_net; /* opaque */

/* ERR_INVALID names the broken limit, ERR_UNSUPPORTED the missing CPU feature. */
int train_net_open(const struct train_net_options *options, struct train_net **net,
                   struct err *err) MUST_CHECK;
void train_net_close(struct train_net *net);
const char *train_net_kernel(const struct train_net *net);
/* One step of AdamW on the mean loss of the batch; adds to *loss (before the step). */
void train_net_step(struct train_net *net, const struct train_batch *batch,
                    const struct train_step *step, struct train_loss *loss);
/* Adds the loss of the rows to *loss, of the running mean of the parameters when use_mean. */
void train_net_loss(struct train_net *net, const struct train_batch *batch, bool use_mean,
                    struct train_loss *loss);
/* The gradient of mean error + scale_weight * scale over the batch, for tests; layout of
 * train_net_layer. */
void train_net_gradient(struct train_net *net, const struct train_batch *batch, float scale_weight);
/* Copies a layer as model/mlp wants it: weights[outputs][inputs], bias[outputs]. */
enum train_part { TRAIN_PARAMETERS, TRAIN_MEAN, TRAIN_GRADIENT };
void train_net_layer(const struct train_net *net, enum train_part part, int layer, float *weights,
                     float *bias);
/* Overwrites the parameters of a layer, for tests and warm starts. */
void train_net_set_layer(struct train_net *net, int layer, const float *weights, const float *bias);
/* Everything that the next step depends on, as floats: parameters, mean, moments. */
size_t train_net_state_size(const struct train_net *net);
void train_net_save(const struct train_net *net, float *state, uint64_t *steps);
void train_net_load(struct train_net *net, const float *state, uint64_t steps);

#endif
