/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/train_net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/prng.h"

#define NET_BETA1   0.9
#define NET_BETA2   0.999
#define NET_EPSILON 1e-8f
#define NET_ALIGN   64
/* parameters, mean, first and second moment are what a state holds; then the gradient */
#define NET_STATE_PARTS 4

/* Weights stand as [in][out_pad], so that forward and gradient run along the outputs. */
struct net_layer {
    int in, out, in_pad, out_pad;
    size_t weights, bias;  /* offsets */
    float *turned;         /* [out][in_pad]: for the way back */
    float *output, *slope; /* [block][out_pad] */
};

struct train_net {
    const struct train_kernel *kernel;
    int layers;
    size_t count; /* of parameters, with padding */
    uint64_t steps;
    float *parameters, *mean, *first, *second, *gradient;
    float *input; /* [block][in] */
    struct net_layer layer[MLP_LAYERS_MAX];
    float *memory;
};

/* --- opening -------------------------------------------------------------------------- */

static int net_check(const struct train_net_options *options, struct err *err)
{
    if (options->layers < 1 || options->layers > MLP_LAYERS_MAX)
        return err_set(err, ERR_INVALID, "%d layers, allowed are 1 to %d", options->layers,
                       MLP_LAYERS_MAX);
    for (int i = 0; i <= options->layers; i++) {
        int most = i == 0 ? MLP_INPUTS_MAX : i == options->layers ? 2 : MLP_WIDTH_MAX;
        if (options->widths[i] < 1 || options->widths[i] > most)
            return err_set(err, ERR_INVALID, "width %d is %d, allowed are 1 to %d", i,
                           options->widths[i], most);
    }
    return ERR_OK;
}

static void net_measure(struct train_net *net, const struct train_net_options *options)
{
    for (int l = 0; l < net->layers; l++) {
        struct net_layer *layer = &net->layer[l];
        layer->in = options->widths[l];
        layer->out = options->widths[l + 1];
        layer->in_pad = train_pad(layer->in);
        layer->out_pad = train_pad(layer->out);
        layer->weights = net->count;
        layer->bias = layer->weights + (size_t)layer->in * (size_t)layer->out_pad;
        net->count = layer->bias + (size_t)layer->out_pad;
    }
}

static float *net_take(float **at, size_t count)
{
    float *start = *at;
    *at += (count + TRAIN_LANES - 1) / TRAIN_LANES * TRAIN_LANES;
    return start;
}

static size_t net_place(struct train_net *net, float *memory)
{
    float *at = memory;
    net->parameters = net_take(&at, net->count);
    net->mean = net_take(&at, net->count);
    net->first = net_take(&at, net->count);
    net->second = net_take(&at, net->count);
    net->gradient = net_take(&at, net->count);
    net->input = net_take(&at, (size_t)(TRAIN_BLOCK_ROWS * net->layer[0].in));
    for (int l = 0; l < net->layers; l++) {
        struct net_layer *layer = &net->layer[l];
        layer->turned = net_take(&at, (size_t)layer->out * (size_t)layer->in_pad);
        layer->output = net_take(&at, (size_t)(TRAIN_BLOCK_ROWS * layer->out_pad));
        layer->slope = net_take(&at, (size_t)(TRAIN_BLOCK_ROWS * layer->out_pad));
    }
    return (size_t)(at - memory);
}

/* He et al. 2015 for the hidden layers; the last one starts small, near "no change". */
static void net_draw(struct train_net *net, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    for (int l = 0; l < net->layers; l++) {
        struct net_layer *layer = &net->layer[l];
        double scale = sqrt(2.0 / layer->in) * (l + 1 == net->layers ? 0.1 : 1.0);
        for (int k = 0; k < layer->in; k++)
            for (int o = 0; o < layer->out; o++)
                net->parameters[layer->weights + (size_t)(k * layer->out_pad + o)] =
                    (float)(scale * prng_normal(&prng));
    }
    memcpy(net->mean, net->parameters, net->count * sizeof(float));
}

int train_net_open(const struct train_net_options *options, struct train_net **out, struct err *err)
{
    int rc = net_check(options, err);
    if (rc != ERR_OK)
        return rc;
    const struct train_kernel *kernel = train_kernel_choose(options->kernel);
    if (kernel == NULL)
        return err_set(err, ERR_UNSUPPORTED, "this CPU cannot run the kernel asked for");
    struct train_net *net = calloc(1, sizeof(*net));
    if (net == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a net");
    net->kernel = kernel;
    net->layers = options->layers;
    net_measure(net, options);
    static float nowhere[1];
    size_t size = net_place(net, nowhere) * sizeof(float);
    net->memory = aligned_alloc(NET_ALIGN, size);
    if (net->memory == NULL) {
        free(net);
        return err_set(err, ERR_MEMORY, "no memory for %zu weights", size);
    }
    memset(net->memory, 0, size);
    net_place(net, net->memory);
    net_draw(net, options->seed);
    *out = net;
    return ERR_OK;
}

void train_net_close(struct train_net *net)
{
    if (net == NULL)
        return;
    free(net->memory);
    free(net);
}

const char *train_net_kernel(const struct train_net *net)
{
    return net->kernel->name;
}

/* --- forward -------------------------------------------------------------------------- */

static size_t net_row_of(const struct train_batch *batch, int at)
{
    return batch->rows != NULL ? batch->rows[at] & ~TRAIN_MIRRORED : (size_t)at;
}

static bool net_is_mirrored(const struct train_batch *batch, int at)
{
    return batch->mirror != NULL && batch->rows != NULL && (batch->rows[at] & TRAIN_MIRRORED) != 0;
}

static void net_mirror_row(const struct train_mirror *mirror, const float *x, size_t inputs,
                           float *to)
{
    for (size_t k = 0; k < inputs; k++)
        to[k] = mirror->sign[k] * x[mirror->from[k]];
}

/* The rows after these are fetched while these are computed. */
static void net_gather(struct train_net *net, const struct train_batch *batch, int from, int rows)
{
    size_t inputs = (size_t)net->layer[0].in;
    int ahead = from + 2 * TRAIN_BLOCK_ROWS <= batch->count ? TRAIN_BLOCK_ROWS : 0;
    for (int i = 0; i < rows; i++) {
        const float *x = batch->x + net_row_of(batch, from + i) * inputs;
        float *to = net->input + (size_t)i * inputs;
        if (net_is_mirrored(batch, from + i))
            net_mirror_row(batch->mirror, x, inputs, to);
        else
            memcpy(to, x, inputs * sizeof(float));
        if (ahead == 0 || batch->rows == NULL)
            continue;
        size_t next = net_row_of(batch, from + i + ahead);
        __builtin_prefetch(batch->y + next);
        for (size_t k = 0; k < inputs; k += 16)
            __builtin_prefetch(batch->x + next * inputs + k);
    }
}

static void net_forward(struct train_net *net, const float *parameters, int rows)
{
    const float *x = net->input;
    ptrdiff_t x_row = net->layer[0].in;
    for (int l = 0; l < net->layers; l++) {
        struct net_layer *layer = &net->layer[l];
        net->kernel->multiply(&(struct train_product){.m = rows,
                                                      .n = layer->out_pad,
                                                      .depth = layer->in,
                                                      .a = x,
                                                      .a_row = x_row,
                                                      .a_step = 1,
                                                      .b = parameters + layer->weights,
                                                      .b_step = layer->out_pad,
                                                      .c = layer->output,
                                                      .c_row = layer->out_pad,
                                                      .bias = parameters + layer->bias});
        if (l + 1 < net->layers)
            net->kernel->relu(layer->output, (size_t)rows * (size_t)layer->out_pad);
        x = layer->output;
        x_row = layer->out_pad;
    }
}

/* --- loss ----------------------------------------------------------------------------- */

static float net_label(const struct train_batch *batch, int at)
{
    float y = batch->y[net_row_of(batch, at)];
    return net_is_mirrored(batch, at) ? -y : y;
}

/* The loss of one row, and its slopes times `weight` of the row. The scale takes the error
 * as given and hands nothing back to the mean (docs/training.md, "Loss"). */
static void net_row(const float *output, float *slope, bool has_scale, float label, float weight,
                    float scale_weight, struct train_loss *loss)
{
    float error = output[0] - label;
    loss->error += 0.5 * (double)error * (double)error;
    slope[0] = error * weight;
    if (!has_scale)
        return;
    float log_scale = fminf(TRAIN_LOG_SCALE_MAX, fmaxf(-TRAIN_LOG_SCALE_MAX, output[1]));
    float surprise = fminf(TRAIN_SURPRISE_MAX, error * error * expf(-2.0f * log_scale));
    loss->scale += (double)log_scale + 0.5 * (double)surprise;
    slope[1] = (1.0f - surprise) * weight * scale_weight;
}

static void net_rows(struct train_net *net, const struct train_batch *batch, int from, int rows,
                     float weight, float scale_weight, struct train_loss *loss)
{
    struct net_layer *last = &net->layer[net->layers - 1];
    for (int i = 0; i < rows; i++)
        net_row(last->output + i * last->out_pad, last->slope + i * last->out_pad, last->out > 1,
                net_label(batch, from + i), weight, scale_weight, loss);
}

void train_net_loss(struct train_net *net, const struct train_batch *batch, bool use_mean,
                    struct train_loss *loss)
{
    for (int from = 0; from < batch->count; from += TRAIN_BLOCK_ROWS) {
        int left = batch->count - from;
        int rows = left < TRAIN_BLOCK_ROWS ? left : TRAIN_BLOCK_ROWS;
        net_gather(net, batch, from, rows);
        net_forward(net, use_mean ? net->mean : net->parameters, rows);
        net_rows(net, batch, from, rows, 0.0f, 0.0f, loss);
    }
}

/* --- backward ------------------------------------------------------------------------- */

static void net_turn(struct train_net *net)
{
    for (int l = 1; l < net->layers; l++) {
        const struct net_layer *layer = &net->layer[l];
        const float *weights = net->parameters + layer->weights;
        for (int k = 0; k < layer->in; k++)
            for (int o = 0; o < layer->out; o++)
                layer->turned[o * layer->in_pad + k] = weights[k * layer->out_pad + o];
    }
}

/* Adds x' slope to the gradient; the bias is a row of ones. */
static void net_add_gradient(struct train_net *net, const struct net_layer *layer, const float *x,
                             ptrdiff_t x_row, int rows)
{
    static const float one = 1.0f;
    struct train_product product = {.m = layer->in,
                                    .n = layer->out_pad,
                                    .depth = rows,
                                    .a = x,
                                    .a_row = 1,
                                    .a_step = x_row,
                                    .b = layer->slope,
                                    .b_step = layer->out_pad,
                                    .c = net->gradient + layer->weights,
                                    .c_row = layer->out_pad,
                                    .add = true};
    net->kernel->multiply(&product);
    product.m = 1;
    product.a = &one;
    product.a_row = product.a_step = 0;
    product.c = net->gradient + layer->bias;
    net->kernel->multiply(&product);
}

static void net_backward(struct train_net *net, int rows)
{
    for (int l = net->layers - 1; l >= 0; l--) {
        const struct net_layer *layer = &net->layer[l], *below = layer - 1;
        if (l == 0) {
            net_add_gradient(net, layer, net->input, layer->in, rows);
            return;
        }
        net_add_gradient(net, layer, below->output, below->out_pad, rows);
        net->kernel->multiply(&(struct train_product){.m = rows,
                                                      .n = layer->in_pad,
                                                      .depth = layer->out,
                                                      .a = layer->slope,
                                                      .a_row = layer->out_pad,
                                                      .a_step = 1,
                                                      .b = layer->turned,
                                                      .b_step = layer->in_pad,
                                                      .c = below->slope,
                                                      .c_row = below->out_pad});
        net->kernel->relu_back(below->slope, below->output, (size_t)rows * (size_t)below->out_pad);
    }
}

static void net_descend(struct train_net *net, const struct train_batch *batch, float scale_weight,
                        struct train_loss *loss)
{
    const float weight = 1.0f / (float)batch->count;
    memset(net->gradient, 0, net->count * sizeof(float));
    net_turn(net);
    for (int from = 0; from < batch->count; from += TRAIN_BLOCK_ROWS) {
        int left = batch->count - from;
        int rows = left < TRAIN_BLOCK_ROWS ? left : TRAIN_BLOCK_ROWS;
        net_gather(net, batch, from, rows);
        net_forward(net, net->parameters, rows);
        net_rows(net, batch, from, rows, weight, scale_weight, loss);
        net_backward(net, rows);
    }
}

void train_net_gradient(struct train_net *net, const struct train_batch *batch, float scale_weight)
{
    struct train_loss loss = {0};
    net_descend(net, batch, scale_weight, &loss);
}

static void net_adam(struct train_net *net, const struct train_adam *adam, size_t from, size_t end)
{
    net->kernel->adam(adam, net->parameters + from, net->first + from, net->second + from,
                      net->gradient + from, end - from);
}

void train_net_step(struct train_net *net, const struct train_batch *batch,
                    const struct train_step *step, struct train_loss *loss)
{
    net_descend(net, batch, step->scale_weight, loss);
    net->steps++;
    double seen1 = 1.0 - pow(NET_BETA1, (double)net->steps);
    double seen2 = 1.0 - pow(NET_BETA2, (double)net->steps);
    struct train_adam adam = {.one_minus_beta1 = (float)(1.0 - NET_BETA1),
                              .one_minus_beta2 = (float)(1.0 - NET_BETA2),
                              .keep = 1.0f - step->learning_rate * step->weight_decay,
                              .rate = (float)((double)step->learning_rate / seen1),
                              .root = (float)(1.0 / sqrt(seen2)),
                              .epsilon = NET_EPSILON};
    struct train_adam free_of_decay = adam; /* a bias is not drawn to 0 */
    free_of_decay.keep = 1.0f;
    for (int l = 0; l < net->layers; l++) {
        const struct net_layer *layer = &net->layer[l];
        net_adam(net, &adam, layer->weights, layer->bias);
        net_adam(net, &free_of_decay, layer->bias, layer->bias + (size_t)layer->out_pad);
    }
    if (step->mean_share > 0.0f)
        net->kernel->follow(net->mean, net->parameters, step->mean_share, net->count);
}

/* --- parameters in and out ------------------------------------------------------------ */

void train_net_layer(const struct train_net *net, enum train_part part, int at, float *weights,
                     float *bias)
{
    PRE(at >= 0 && at < net->layers);
    const struct net_layer *layer = &net->layer[at];
    const float *from = part == TRAIN_PARAMETERS ? net->parameters
                        : part == TRAIN_MEAN     ? net->mean
                                                 : net->gradient;
    for (int o = 0; o < layer->out; o++) {
        for (int k = 0; k < layer->in; k++)
            weights[o * layer->in + k] = from[layer->weights + (size_t)(k * layer->out_pad + o)];
        bias[o] = from[layer->bias + (size_t)o];
    }
}

void train_net_set_layer(struct train_net *net, int at, const float *weights, const float *bias)
{
    PRE(at >= 0 && at < net->layers);
    const struct net_layer *layer = &net->layer[at];
    for (int o = 0; o < layer->out; o++) {
        for (int k = 0; k < layer->in; k++)
            net->parameters[layer->weights + (size_t)(k * layer->out_pad + o)] =
                weights[o * layer->in + k];
        net->parameters[layer->bias + (size_t)o] = bias[o];
    }
    memcpy(net->mean, net->parameters, net->count * sizeof(float));
}

size_t train_net_state_size(const struct train_net *net)
{
    return NET_STATE_PARTS * net->count;
}

void train_net_save(const struct train_net *net, float *state, uint64_t *steps)
{
    memcpy(state, net->parameters, NET_STATE_PARTS * net->count * sizeof(float));
    *steps = net->steps;
}

void train_net_load(struct train_net *net, const float *state, uint64_t steps)
{
    memcpy(net->parameters, state, NET_STATE_PARTS * net->count * sizeof(float));
    net->steps = steps;
}
