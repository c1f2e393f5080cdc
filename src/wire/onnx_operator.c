/* One function an operator. Meaning of each: the ONNX operator list, ai.onnx opset 9 to 25
 * (none of these changed its meaning in between). SPDX-License-Identifier: Apache-2.0 */
#include "wire/onnx_operator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ONNX_OPEN_ELEMENTWISE (ONNX_OPEN_SHIFT | ONNX_OPEN_SCALE | ONNX_OPEN_OFFSET)

/* The new layer is the last one, its arrays are there, the rest is the caller's. */
static int onnx_operator_push(struct onnx_chain *chain, int outputs, size_t weights,
                              struct err *err)
{
    if (chain->count == MLP_LAYERS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "more than %d layers", MLP_LAYERS_MAX);
    float **arrays = chain->arrays[chain->count];
    const size_t counts[3] = {weights, (size_t)outputs, (size_t)outputs};
    for (int a = 0; a < 3; a++) {
        arrays[a] = calloc(counts[a], sizeof(float));
        if (arrays[a] == NULL)
            return err_set(err, ERR_MEMORY, "no memory for a layer");
    }
    chain->layers[chain->count++] = (struct mlp_layer){.inputs = chain->width, .outputs = outputs};
    return ERR_OK;
}

/* A new dense layer with a zero bias; *weights is to be filled [outputs][inputs]. */
static int onnx_operator_dense(struct onnx_chain *chain, int outputs, float **weights,
                               struct err *err)
{
    int rc = onnx_operator_push(chain, outputs, (size_t)outputs * (size_t)chain->width, err);
    if (rc != ERR_OK)
        return rc;
    struct mlp_layer *layer = &chain->layers[chain->count - 1];
    *weights = chain->arrays[chain->count - 1][0];
    layer->weights = *weights;
    layer->bias = chain->arrays[chain->count - 1][1];
    chain->width = outputs;
    chain->open = ONNX_OPEN_BIAS | ONNX_OPEN_ACTIVATION;
    return ERR_OK;
}

/* A new elementwise layer that changes nothing yet. */
static int onnx_operator_elementwise(struct onnx_chain *chain, struct err *err)
{
    int rc = onnx_operator_push(chain, chain->width, (size_t)chain->width, err);
    if (rc != ERR_OK)
        return rc;
    struct mlp_layer *layer = &chain->layers[chain->count - 1];
    float **arrays = chain->arrays[chain->count - 1];
    for (int i = 0; i < chain->width; i++)
        arrays[1][i] = 1.0f;
    layer->shift = arrays[0];
    layer->scale = arrays[1];
    layer->offset = arrays[2];
    chain->open = ONNX_OPEN_ELEMENTWISE | ONNX_OPEN_ACTIVATION;
    return ERR_OK;
}

/* Makes sure that `wanted` is still open, with a new layer if need be. */
static int onnx_operator_open(struct onnx_chain *chain, unsigned wanted, struct err *err)
{
    return (chain->open & wanted) == wanted ? ERR_OK : onnx_operator_elementwise(chain, err);
}

struct onnx_gemm {
    float alpha, beta;
    int64_t trans_a, trans_b;
};

static int onnx_operator_gemm_attribute(const Onnx__AttributeProto *attribute,
                                        struct onnx_gemm *gemm, struct err *err)
{
    const char *name = attribute->name == NULL ? "" : attribute->name;
    if (strcmp(name, "alpha") == 0 && attribute->has_f)
        gemm->alpha = attribute->f;
    else if (strcmp(name, "beta") == 0 && attribute->has_f)
        gemm->beta = attribute->f;
    else if (strcmp(name, "transA") == 0 && attribute->has_i)
        gemm->trans_a = attribute->i;
    else if (strcmp(name, "transB") == 0 && attribute->has_i)
        gemm->trans_b = attribute->i;
    else
        return err_set(err, ERR_UNSUPPORTED, "Gemm attribute '%s' is not supported",
                       onnx_name(name).text);
    return ERR_OK;
}

static int onnx_operator_gemm_attributes(const Onnx__NodeProto *node, struct onnx_gemm *gemm,
                                         struct err *err)
{
    *gemm = (struct onnx_gemm){.alpha = 1.0f, .beta = 1.0f};
    for (size_t i = 0; i < node->n_attribute; i++) {
        int rc = onnx_operator_gemm_attribute(node->attribute[i], gemm, err);
        if (rc != ERR_OK)
            return rc;
    }
    if (gemm->trans_a != 0)
        return err_set(err, ERR_UNSUPPORTED, "Gemm with transA=1 would mix the rows of a batch");
    return ERR_OK;
}

/* W[o][i] = alpha B[i][o], or alpha B[o][i] when transposed. */
static int onnx_operator_matrix(struct onnx_chain *chain, const char *name, float alpha,
                                bool transposed, struct err *err)
{
    struct onnx_constant matrix;
    int rc = onnx_constants_get(&chain->constants, name, &matrix, err);
    if (rc != ERR_OK)
        return rc;
    if (matrix.rank != 2)
        return err_set(err, ERR_UNSUPPORTED, "'%s' is not a matrix", onnx_name(name).text);
    int inputs = matrix.dims[transposed ? 1 : 0], outputs = matrix.dims[transposed ? 0 : 1];
    if (inputs != chain->width)
        return err_set(err, ERR_MALFORMED, "'%s' takes %d columns, there are %d",
                       onnx_name(name).text, inputs, chain->width);
    float *weights;
    rc = onnx_operator_dense(chain, outputs, &weights, err);
    if (rc != ERR_OK)
        return rc;
    for (int o = 0; o < outputs; o++)
        for (int i = 0; i < inputs; i++) {
            int at = transposed ? o * inputs + i : i * outputs + o;
            *weights++ = alpha * onnx_constant_at(&matrix, (size_t)at);
        }
    return ERR_OK;
}

static int onnx_operator_vector(const struct onnx_chain *chain, const char *name,
                                struct onnx_constant *vector, struct err *err)
{
    int rc = onnx_constants_get(&chain->constants, name, vector, err);
    if (rc == ERR_OK && !onnx_constant_spreads(vector, chain->width))
        return err_set(err, ERR_UNSUPPORTED, "the shape of '%s' does not fit %d columns",
                       onnx_name(name).text, chain->width);
    return rc;
}

/* Y = alpha A B' + beta C. */
static int onnx_operator_gemm(struct onnx_chain *chain, const Onnx__NodeProto *node,
                              struct err *err)
{
    struct onnx_gemm gemm;
    int rc = onnx_operator_gemm_attributes(node, &gemm, err);
    if (rc != ERR_OK)
        return rc;
    if (strcmp(node->input[0], chain->value) != 0)
        return err_set(err, ERR_UNSUPPORTED, "Gemm: the left factor is not the chain's value");
    rc = onnx_operator_matrix(chain, node->input[1], gemm.alpha, gemm.trans_b != 0, err);
    if (rc != ERR_OK || node->n_input < 3 || node->input[2][0] == '\0')
        return rc;
    struct onnx_constant bias;
    rc = onnx_operator_vector(chain, node->input[2], &bias, err);
    for (int o = 0; rc == ERR_OK && o < chain->width; o++)
        chain->arrays[chain->count - 1][1][o] = gemm.beta * onnx_constant_column(&bias, o);
    chain->open &= ~(unsigned)ONNX_OPEN_BIAS;
    return rc;
}

static int onnx_operator_matmul(struct onnx_chain *chain, const Onnx__NodeProto *node,
                                struct err *err)
{
    if (strcmp(node->input[0], chain->value) != 0)
        return err_set(err, ERR_UNSUPPORTED, "MatMul: the left factor is not the chain's value");
    return onnx_operator_matrix(chain, node->input[1], 1.0f, false, err);
}

static int onnx_operator_add(struct onnx_chain *chain, const struct onnx_constant *constant,
                             float sign, struct err *err)
{
    int array = 1;
    if ((chain->open & ONNX_OPEN_BIAS) == 0) {
        int rc = onnx_operator_open(chain, ONNX_OPEN_OFFSET, err);
        if (rc != ERR_OK)
            return rc;
        array = 2;
    }
    for (int i = 0; i < chain->width; i++)
        chain->arrays[chain->count - 1][array][i] = sign * onnx_constant_column(constant, i);
    chain->open = ONNX_OPEN_ACTIVATION;
    return ERR_OK;
}

static int onnx_operator_shift(struct onnx_chain *chain, const struct onnx_constant *constant,
                               struct err *err)
{
    /* Behind a bias that is open, or a scale, subtracting is adding. */
    if ((chain->open & ONNX_OPEN_SHIFT) == 0 &&
        (chain->open & (ONNX_OPEN_BIAS | ONNX_OPEN_OFFSET)) != 0)
        return onnx_operator_add(chain, constant, -1.0f, err);
    int rc = onnx_operator_open(chain, ONNX_OPEN_SHIFT, err);
    for (int i = 0; rc == ERR_OK && i < chain->width; i++)
        chain->arrays[chain->count - 1][0][i] = onnx_constant_column(constant, i);
    chain->open &= ~(unsigned)ONNX_OPEN_SHIFT;
    return rc;
}

/* Multiplies by the constant, or divides by it. */
static int onnx_operator_scale(struct onnx_chain *chain, const struct onnx_constant *constant,
                               bool divide, struct err *err)
{
    int rc = onnx_operator_open(chain, ONNX_OPEN_SCALE, err);
    for (int i = 0; rc == ERR_OK && i < chain->width; i++) {
        float value = onnx_constant_column(constant, i);
        float scale = divide ? 1.0f / value : value;
        if (!isfinite(scale))
            return err_set(err, ERR_MALFORMED, "division by %g in column %d", (double)value, i);
        chain->arrays[chain->count - 1][1][i] = scale;
    }
    chain->open &= ~(unsigned)(ONNX_OPEN_SHIFT | ONNX_OPEN_SCALE);
    return rc;
}

/* constant - x: times -1, plus the constant. */
static int onnx_operator_negate(struct onnx_chain *chain, const struct onnx_constant *constant,
                                struct err *err)
{
    int rc = onnx_operator_open(chain, ONNX_OPEN_SCALE, err);
    for (int i = 0; rc == ERR_OK && i < chain->width; i++)
        chain->arrays[chain->count - 1][1][i] = -1.0f;
    if (rc == ERR_OK) {
        chain->open = ONNX_OPEN_OFFSET;
        rc = onnx_operator_add(chain, constant, 1.0f, err);
    }
    return rc;
}

/* Add, Sub, Mul, Div with a constant on one side. */
static int onnx_operator_binary(struct onnx_chain *chain, const Onnx__NodeProto *node,
                                struct err *err)
{
    bool left = strcmp(node->input[0], chain->value) == 0;
    if (left == (strcmp(node->input[1], chain->value) == 0))
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: exactly one input has to be the chain's value '%s'", node->op_type,
                       onnx_name(chain->value).text);
    struct onnx_constant constant;
    int rc = onnx_operator_vector(chain, node->input[left ? 1 : 0], &constant, err);
    if (rc != ERR_OK)
        return rc;
    if (strcmp(node->op_type, "Add") == 0)
        return onnx_operator_add(chain, &constant, 1.0f, err);
    if (strcmp(node->op_type, "Mul") == 0)
        return onnx_operator_scale(chain, &constant, false, err);
    if (strcmp(node->op_type, "Sub") == 0)
        return left ? onnx_operator_shift(chain, &constant, err)
                    : onnx_operator_negate(chain, &constant, err);
    if (left)
        return onnx_operator_scale(chain, &constant, true, err);
    return err_set(err, ERR_UNSUPPORTED, "Div of a constant by the chain's value");
}

static int onnx_operator_activation(struct onnx_chain *chain, const Onnx__NodeProto *node,
                                    struct err *err)
{
    int rc = onnx_operator_open(chain, ONNX_OPEN_ACTIVATION, err);
    if (rc != ERR_OK)
        return rc;
    chain->layers[chain->count - 1].activation = strcmp(node->op_type, "Relu") == 0   ? MLP_RELU
                                                 : strcmp(node->op_type, "Tanh") == 0 ? MLP_TANH
                                                                                      : MLP_SIGMOID;
    chain->open = 0;
    return ERR_OK;
}

/* A second name. Nothing but an activation is merged past it: our writer puts it between
 * layers that have to stay apart. */
static int onnx_operator_identity(struct onnx_chain *chain, const Onnx__NodeProto *node,
                                  struct err *err)
{
    (void)node;
    (void)err;
    chain->open &= ONNX_OPEN_ACTIVATION;
    return ERR_OK;
}

static const struct onnx_operator {
    const char *name;
    size_t inputs_min, inputs_max;
    bool attributes;
    int (*apply)(struct onnx_chain *chain, const Onnx__NodeProto *node, struct err *err);
} onnx_operators[] = {
    {"Gemm", 2, 3, true, onnx_operator_gemm},
    {"MatMul", 2, 2, false, onnx_operator_matmul},
    {"Add", 2, 2, false, onnx_operator_binary},
    {"Sub", 2, 2, false, onnx_operator_binary},
    {"Mul", 2, 2, false, onnx_operator_binary},
    {"Div", 2, 2, false, onnx_operator_binary},
    {"Relu", 1, 1, false, onnx_operator_activation},
    {"Tanh", 1, 1, false, onnx_operator_activation},
    {"Sigmoid", 1, 1, false, onnx_operator_activation},
    {"Identity", 1, 1, false, onnx_operator_identity},
};

static const struct onnx_operator *onnx_operator_find(const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < sizeof(onnx_operators) / sizeof(onnx_operators[0]); i++)
        if (node->op_type != NULL && strcmp(node->op_type, onnx_operators[i].name) == 0)
            return &onnx_operators[i];
    return NULL;
}

static int onnx_operator_check(const struct onnx_chain *chain, const Onnx__NodeProto *node,
                               struct err *err)
{
    struct onnx_name op = onnx_name(node->op_type);
    bool standard =
        node->domain == NULL || node->domain[0] == '\0' || strcmp(node->domain, "ai.onnx") == 0;
    if (!standard)
        return err_set(err, ERR_UNSUPPORTED, "operator %s of domain %s is not supported", op.text,
                       onnx_name(node->domain).text);
    if (node->n_output != 1 || node->output[0][0] == '\0')
        return err_set(err, ERR_UNSUPPORTED, "%s has not exactly one output", op.text);
    if (onnx_constants_has(&chain->constants, node->output[0]) ||
        strcmp(node->output[0], chain->value) == 0)
        return err_set(err, ERR_MALFORMED, "'%s' is computed twice",
                       onnx_name(node->output[0]).text);
    return ERR_OK;
}

/* Whether the chain's value is among the inputs; a node off the chain is a branch. */
static bool onnx_operator_on_chain(const struct onnx_chain *chain, const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_input; i++)
        if (strcmp(node->input[i], chain->value) == 0)
            return true;
    return false;
}

int onnx_operator_apply(struct onnx_chain *chain, const Onnx__NodeProto *node, struct err *err)
{
    int rc = onnx_operator_check(chain, node, err);
    if (rc != ERR_OK)
        return rc;
    if (node->op_type != NULL && strcmp(node->op_type, "Constant") == 0)
        return onnx_constants_add_node(&chain->constants, node, err);
    const struct onnx_operator *op = onnx_operator_find(node);
    if (op == NULL)
        return err_set(err, ERR_UNSUPPORTED, "operator %s is not supported",
                       onnx_name(node->op_type).text);
    if (node->n_input < op->inputs_min || node->n_input > op->inputs_max)
        return err_set(err, ERR_MALFORMED, "%s with %zu inputs", op->name, node->n_input);
    if (!op->attributes && node->n_attribute > 0)
        return err_set(err, ERR_UNSUPPORTED, "%s with attributes", op->name);
    if (op->apply == onnx_operator_identity &&
        onnx_constants_has(&chain->constants, node->input[0]))
        return onnx_constants_alias(&chain->constants, node->output[0], node->input[0], err);
    if (!onnx_operator_on_chain(chain, node))
        return err_set(err, ERR_UNSUPPORTED,
                       "%s does not continue the chain at '%s' (branches "
                       "are not supported)",
                       op->name, onnx_name(chain->value).text);
    rc = op->apply(chain, node, err);
    if (rc == ERR_OK)
        chain->value = node->output[0];
    return rc;
}
