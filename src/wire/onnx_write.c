/* Model -> file. The message is put together from one block of parts, all borrowed, and
 * packed once. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <onnx.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "wire/onnx.h"

#define ONNX_WRITE_IR    8
#define ONNX_WRITE_OPSET 13
/* Sub, Mul, Add, activation, and an Identity in front. */
#define ONNX_WRITE_NODES_MAX     (5 * MLP_LAYERS_MAX)
#define ONNX_WRITE_CONSTANTS_MAX (3 * MLP_LAYERS_MAX)
#define ONNX_WRITE_METADATA_MAX  8
#define ONNX_WRITE_LABEL_SIZE    24
#define ONNX_WRITE_FEATURES_SIZE (MLP_INPUTS_MAX * MODEL_INPUT_NAME_SIZE)
#define ONNX_WRITE_BAND_SIZE     64

struct onnx_write_node {
    Onnx__NodeProto proto;
    Onnx__AttributeProto attribute, *attributes[1];
    char *input[3], *output[1];
    char label[ONNX_WRITE_LABEL_SIZE]; /* name of the node and of its output */
};

struct onnx_write_constant {
    Onnx__TensorProto proto;
    int64_t dims[2];
    char label[ONNX_WRITE_LABEL_SIZE];
};

struct onnx_write_port {
    Onnx__ValueInfoProto info;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dims[2], *dim_list[2];
};

struct onnx_write {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opsets[1];
    struct onnx_write_port input, output;
    Onnx__ValueInfoProto *inputs[1], *outputs[1];
    struct onnx_write_node nodes[ONNX_WRITE_NODES_MAX];
    Onnx__NodeProto *node_list[ONNX_WRITE_NODES_MAX];
    struct onnx_write_constant constants[ONNX_WRITE_CONSTANTS_MAX];
    Onnx__TensorProto *constant_list[ONNX_WRITE_CONSTANTS_MAX];
    Onnx__StringStringEntryProto metadata[ONNX_WRITE_METADATA_MAX];
    Onnx__StringStringEntryProto *metadata_list[ONNX_WRITE_METADATA_MAX];
    char *value; /* name of what the last node made */
    char schema[17];
    char band[ONNX_WRITE_BAND_SIZE];
    char features[ONNX_WRITE_FEATURES_SIZE];
    char calibration[CALIBRATION_TEXT_SIZE];
};

/* protobuf-c's structures take what they only read as pointers to non-const. */
static void *onnx_write_borrow(const void *data)
{
    void *borrowed;
    memcpy(&borrowed, &data, sizeof(borrowed));
    return borrowed;
}

/* -0 is not 0 here. */
static bool onnx_write_all(const float *values, int count, float value)
{
    for (int i = 0; i < count; i++)
        if (values[i] < value || values[i] > value || signbit(values[i]) != signbit(value))
            return false;
    return true;
}

/* rows 0: a vector. */
static char *onnx_write_add_constant(struct onnx_write *self, const char *role, int layer,
                                     const float *values, int rows, int columns)
{
    struct onnx_write_constant *constant = &self->constants[self->graph.n_initializer];
    onnx__tensor_proto__init(&constant->proto);
    snprintf(constant->label, sizeof(constant->label), "%s%d", role, layer);
    constant->dims[0] = rows > 0 ? rows : columns;
    constant->dims[1] = columns;
    constant->proto.name = constant->label;
    constant->proto.n_dims = rows > 0 ? 2 : 1;
    constant->proto.dims = constant->dims;
    constant->proto.has_data_type = 1;
    constant->proto.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    constant->proto.has_raw_data = 1;
    size_t count = (size_t)columns * (size_t)(rows > 0 ? rows : 1);
    constant->proto.raw_data =
        (ProtobufCBinaryData){.len = count * sizeof(float), .data = onnx_write_borrow(values)};
    self->constant_list[self->graph.n_initializer++] = &constant->proto;
    return constant->label;
}

/* A node that takes the chain's value and up to two constants (NULL: none). */
static struct onnx_write_node *onnx_write_add_node(struct onnx_write *self, const char *type,
                                                   int layer, char *first, char *second)
{
    struct onnx_write_node *node = &self->nodes[self->graph.n_node];
    onnx__node_proto__init(&node->proto);
    snprintf(node->label, sizeof(node->label), "%s_%d", type, layer);
    node->input[0] = self->value;
    node->input[1] = first;
    node->input[2] = second;
    node->output[0] = node->label;
    node->proto.n_input = second != NULL ? 3 : first != NULL ? 2 : 1;
    node->proto.input = node->input;
    node->proto.n_output = 1;
    node->proto.output = node->output;
    node->proto.name = node->label;
    node->proto.op_type = onnx_write_borrow(type);
    self->node_list[self->graph.n_node++] = &node->proto;
    self->value = node->label;
    return node;
}

static void onnx_write_dense(struct onnx_write *self, const struct mlp_layer *layer, int index)
{
    char *weights = onnx_write_add_constant(self, "weights", index, layer->weights, layer->outputs,
                                            layer->inputs);
    char *bias = onnx_write_add_constant(self, "bias", index, layer->bias, 0, layer->outputs);
    struct onnx_write_node *node = onnx_write_add_node(self, "Gemm", index, weights, bias);
    onnx__attribute_proto__init(&node->attribute);
    node->attribute.name = onnx_write_borrow("transB");
    node->attribute.has_type = 1;
    node->attribute.type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    node->attribute.has_i = 1;
    node->attribute.i = 1;
    node->attributes[0] = &node->attribute;
    node->proto.n_attribute = 1;
    node->proto.attribute = node->attributes;
}

/* The parts that change something; at least one, so that the layer is there. */
static void onnx_write_elementwise(struct onnx_write *self, const struct mlp_layer *layer,
                                   int index)
{
    int count = layer->inputs;
    bool shift = !onnx_write_all(layer->shift, count, 0.0f);
    bool offset = !onnx_write_all(layer->offset, count, 0.0f);
    bool scale = !onnx_write_all(layer->scale, count, 1.0f) || (!shift && !offset);
    if (shift)
        onnx_write_add_node(self, "Sub", index,
                            onnx_write_add_constant(self, "shift", index, layer->shift, 0, count),
                            NULL);
    if (scale)
        onnx_write_add_node(self, "Mul", index,
                            onnx_write_add_constant(self, "scale", index, layer->scale, 0, count),
                            NULL);
    if (offset)
        onnx_write_add_node(self, "Add", index,
                            onnx_write_add_constant(self, "offset", index, layer->offset, 0, count),
                            NULL);
}

static void onnx_write_layer(struct onnx_write *self, const struct mlp_layer *layer, int index)
{
    static const char *const activations[] = {
        [MLP_RELU] = "Relu", [MLP_TANH] = "Tanh", [MLP_SIGMOID] = "Sigmoid"};
    if (layer->weights != NULL) {
        onnx_write_dense(self, layer, index);
    } else {
        /* Keeps the reader from merging two scalers. */
        if (index > 0)
            onnx_write_add_node(self, "Identity", index, NULL, NULL);
        onnx_write_elementwise(self, layer, index);
    }
    if (layer->activation != MLP_IDENTITY)
        onnx_write_add_node(self, activations[layer->activation], index, NULL, NULL);
}

static void onnx_write_port(struct onnx_write_port *port, char *name, int columns)
{
    onnx__value_info_proto__init(&port->info);
    onnx__type_proto__init(&port->type);
    onnx__type_proto__tensor__init(&port->tensor);
    onnx__tensor_shape_proto__init(&port->shape);
    for (int i = 0; i < 2; i++) {
        onnx__tensor_shape_proto__dimension__init(&port->dims[i]);
        port->dim_list[i] = &port->dims[i];
    }
    port->dims[0].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    port->dims[0].dim_param = onnx_write_borrow("N");
    port->dims[1].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    port->dims[1].dim_value = columns;
    port->shape.n_dim = 2;
    port->shape.dim = port->dim_list;
    port->tensor.has_elem_type = 1;
    port->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    port->tensor.shape = &port->shape;
    port->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    port->type.tensor_type = &port->tensor;
    port->info.name = name;
    port->info.type = &port->type;
}

static void onnx_write_graph(struct onnx_write *self, const struct model_spec *spec)
{
    onnx__graph_proto__init(&self->graph);
    self->graph.name = onnx_write_borrow("btcast");
    self->graph.node = self->node_list;
    self->graph.initializer = self->constant_list;
    self->value = onnx_write_borrow("features");
    onnx_write_port(&self->input, self->value, spec->layers[0].inputs);
    for (int i = 0; i < spec->layer_count; i++)
        onnx_write_layer(self, &spec->layers[i], i);
    /* The last node's output is the graph's. */
    self->nodes[self->graph.n_node - 1].output[0] = onnx_write_borrow(MODEL_OUTPUT_NAME);
    onnx_write_port(&self->output, self->nodes[self->graph.n_node - 1].output[0],
                    spec->layers[spec->layer_count - 1].outputs);
    self->inputs[0] = &self->input.info;
    self->outputs[0] = &self->output.info;
    self->graph.n_input = self->graph.n_output = 1;
    self->graph.input = self->inputs;
    self->graph.output = self->outputs;
}

static void onnx_write_property(struct onnx_write *self, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *entry = &self->metadata[self->model.n_metadata_props];
    onnx__string_string_entry_proto__init(entry);
    entry->key = onnx_write_borrow(key);
    entry->value = onnx_write_borrow(value);
    self->metadata_list[self->model.n_metadata_props++] = entry;
}

static void onnx_write_metadata(struct onnx_write *self, const struct model_spec *spec)
{
    self->model.metadata_props = self->metadata_list;
    onnx_write_property(self, ONNX_KEY_OUTPUT, MODEL_OUTPUT_NAME);
    if (spec->has_schema) {
        snprintf(self->schema, sizeof(self->schema), "%016llx",
                 (unsigned long long)spec->feature_schema);
        onnx_write_property(self, ONNX_KEY_SCHEMA, self->schema);
    }
    if (spec->input_names != NULL) {
        struct text text = text_begin(self->features, sizeof(self->features));
        for (int i = 0; i < spec->layers[0].inputs; i++)
            text_add_format(&text, "%s%s", i > 0 ? "," : "", spec->input_names[i]);
        onnx_write_property(self, ONNX_KEY_FEATURES, text_end(&text));
    }
    if (spec->has_band) {
        snprintf(self->band, sizeof(self->band), "%.9g,%.9g", (double)spec->band_p10,
                 (double)spec->band_p90);
        onnx_write_property(self, ONNX_KEY_BAND, self->band);
    }
    if (spec->calibration.count > 0) {
        struct text text = text_begin(self->calibration, sizeof(self->calibration));
        calibration_format(&spec->calibration, &text);
        CHECK(!text.truncated);
        onnx_write_property(self, ONNX_KEY_CALIBRATION, text_end(&text));
    }
    /* At the very end of the file, and required: a file cut short is never a model. */
    onnx_write_property(self, ONNX_KEY_VERSION, spec->version);
}

static void onnx_write_model(struct onnx_write *self, const struct model_spec *spec)
{
    onnx__model_proto__init(&self->model);
    onnx__operator_set_id_proto__init(&self->opset);
    self->opset.domain = onnx_write_borrow("");
    self->opset.has_version = 1;
    self->opset.version = ONNX_WRITE_OPSET;
    self->opsets[0] = &self->opset;
    self->model.has_ir_version = 1;
    self->model.ir_version = ONNX_WRITE_IR;
    self->model.n_opset_import = 1;
    self->model.opset_import = self->opsets;
    self->model.producer_name = onnx_write_borrow("btcast");
    onnx_write_graph(self, spec);
    self->model.graph = &self->graph;
    onnx_write_metadata(self, spec);
}

int onnx_write(const struct model_spec *spec, uint8_t *out, size_t capacity, size_t *size,
               struct err *err)
{
    PRE(spec != NULL && size != NULL);
    *size = 0;
    /* One judge of what a model is. */
    struct model *judged;
    int rc = model_open(spec, MLP_KERNEL_PLAIN, &judged, err);
    if (rc != ERR_OK)
        return rc;
    model_close(judged);
    struct onnx_write *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return err_set(err, ERR_MEMORY, "no memory for an ONNX file");
    onnx_write_model(self, spec);
    *size = onnx__model_proto__get_packed_size(&self->model);
    if (*size > capacity)
        rc = err_set(err, ERR_FULL, "the file takes %zu bytes, there are %zu", *size, capacity);
    else
        onnx__model_proto__pack(&self->model, out);
    free(self);
    return rc;
}
