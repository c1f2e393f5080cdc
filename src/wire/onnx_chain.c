/* The graph's frame: input, constants, nodes in order, output. The operators are in
 * onnx_operator.c. SPDX-License-Identifier: Apache-2.0 */
#include "wire/onnx_chain.h"

#include <stdlib.h>
#include <string.h>

#include "wire/onnx_operator.h"

/* Columns of a float tensor [N, columns]: 0 when they are symbolic, ERR_* when it is
 * something else. */
static int onnx_chain_columns(const Onnx__ValueInfoProto *info, const char *role, int *columns,
                              struct err *err)
{
    struct onnx_name name = onnx_name(info->name);
    if (info->type == NULL || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        info->type->tensor_type == NULL)
        return err_set(err, ERR_UNSUPPORTED, "%s '%s' is not a tensor", role, name.text);
    const Onnx__TypeProto__Tensor *tensor = info->type->tensor_type;
    if (!tensor->has_elem_type || tensor->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s '%s' has element type %d, only FLOAT (1) is "
                       "supported",
                       role, name.text, tensor->has_elem_type ? tensor->elem_type : 0);
    *columns = 0;
    if (tensor->shape == NULL)
        return ERR_OK;
    if (tensor->shape->n_dim != 2)
        return err_set(err, ERR_UNSUPPORTED, "%s '%s' has %zu dimensions instead of [N, columns]",
                       role, name.text, tensor->shape->n_dim);
    const Onnx__TensorShapeProto__Dimension *last = tensor->shape->dim[1];
    if (last->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
        return ERR_OK;
    if (last->dim_value < 1 || last->dim_value > MLP_INPUTS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%s '%s' has %lld columns, allowed are 1 to %d", role,
                       name.text, (long long)last->dim_value, MLP_INPUTS_MAX);
    *columns = (int)last->dim_value;
    return ERR_OK;
}

/* The one input that is not an initialiser (before IR 4 those are inputs too). */
static int onnx_chain_input(struct onnx_chain *chain, const Onnx__GraphProto *graph,
                            struct err *err)
{
    const Onnx__ValueInfoProto *input = NULL;
    for (size_t i = 0; i < graph->n_input; i++) {
        const char *name = graph->input[i]->name;
        if (name == NULL || name[0] == '\0')
            return err_set(err, ERR_MALFORMED, "input %zu has no name", i);
        if (onnx_constants_has(&chain->constants, name))
            continue;
        if (input != NULL)
            return err_set(err, ERR_UNSUPPORTED, "there are two inputs, '%s' and '%s'",
                           onnx_name(input->name).text, onnx_name(name).text);
        input = graph->input[i];
    }
    if (input == NULL)
        return err_set(err, ERR_MALFORMED, "there is no input");
    int rc = onnx_chain_columns(input, "input", &chain->width, err);
    if (rc != ERR_OK)
        return rc;
    if (chain->width == 0)
        return err_set(err, ERR_UNSUPPORTED, "input '%s' does not say how many columns it has",
                       onnx_name(input->name).text);
    chain->inputs = chain->width;
    chain->value = input->name;
    return ERR_OK;
}

static int onnx_chain_constants(struct onnx_chain *chain, const Onnx__GraphProto *graph,
                                struct err *err)
{
    if (graph->n_sparse_initializer > 0)
        return err_set(err, ERR_UNSUPPORTED, "sparse initialisers are not supported");
    for (size_t i = 0; i < graph->n_initializer; i++) {
        int rc = onnx_constants_add(&chain->constants, graph->initializer[i], err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static int onnx_chain_output(const struct onnx_chain *chain, const Onnx__GraphProto *graph,
                             struct err *err)
{
    if (graph->n_output != 1)
        return err_set(err, ERR_UNSUPPORTED, "there are %zu outputs instead of one",
                       graph->n_output);
    const Onnx__ValueInfoProto *output = graph->output[0];
    const char *name = output->name == NULL ? "" : output->name;
    if (strcmp(name, chain->value) != 0)
        return err_set(err, ERR_UNSUPPORTED, "output '%s' is not the end of the chain, '%s'",
                       onnx_name(name).text, onnx_name(chain->value).text);
    int columns = 0;
    int rc = output->type == NULL ? ERR_OK : onnx_chain_columns(output, "output", &columns, err);
    if (rc != ERR_OK)
        return rc;
    if (columns != 0 && columns != chain->width)
        return err_set(err, ERR_MALFORMED, "output '%s' says %d columns and has %d",
                       onnx_name(name).text, columns, chain->width);
    if (chain->count == 0)
        return err_set(err, ERR_UNSUPPORTED, "the graph computes nothing");
    return ERR_OK;
}

int onnx_chain_read(struct onnx_chain *chain, const Onnx__GraphProto *graph, struct err *err)
{
    if (graph->n_node > ONNX_NODES_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%zu nodes, at most %d are supported", graph->n_node,
                       ONNX_NODES_MAX);
    int rc = onnx_chain_constants(chain, graph, err);
    if (rc == ERR_OK)
        rc = onnx_chain_input(chain, graph, err);
    for (size_t i = 0; rc == ERR_OK && i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        rc = onnx_operator_apply(chain, node, err);
        if (rc != ERR_OK && node->name != NULL && node->name[0] != '\0')
            err_wrap(err, rc, "node '%s'", onnx_name(node->name).text);
        else if (rc != ERR_OK)
            err_wrap(err, rc, "node %zu", i);
    }
    return rc == ERR_OK ? onnx_chain_output(chain, graph, err) : rc;
}

void onnx_chain_close(struct onnx_chain *chain)
{
    for (int i = 0; i < MLP_LAYERS_MAX; i++)
        for (int a = 0; a < 3; a++)
            free(chain->arrays[i][a]);
    chain->count = 0;
}
