/* ONNX files: written and read back bit by bit, refused by name, never trusted.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <onnx.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "wire/onnx.h"

#define SCHEMA   0x0123456789abcdefULL
#define FILE_MAX (1u << 20)
#define INPUTS   5

static uint8_t file[FILE_MAX];
static size_t file_size;
static const struct onnx_options ours = {.feature_schema = SCHEMA};

/* 5 -> scaler -> 7 relu -> scaler, tanh -> scaler -> 2. */
static float numbers[10][64];
static const char names[INPUTS][MODEL_INPUT_NAME_SIZE] = {"a", "b_bp", "c", "d", "e"};

static struct model_spec example(void)
{
    struct prng prng;
    prng_init(&prng, 5);
    for (int a = 0; a < 10; a++)
        for (int i = 0; i < 64; i++)
            numbers[a][i] = (float)prng_normal(&prng);
    static const float zeros[8], ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct model_spec spec = {.version = "test-1",
                              .has_schema = true,
                              .feature_schema = SCHEMA,
                              .input_names = names,
                              .has_band = true,
                              .band_p10 = -1.25f,
                              .band_p90 = 1.5f,
                              .layer_count = 5};
    assert_int_equal(calibration_parse("2/0:0.5,1.5:0.625;5/0:0.25", 26, &spec.calibration, NULL),
                     ERR_OK);
    spec.layers[0] = (struct mlp_layer){
        .inputs = 5, .outputs = 5, .shift = numbers[0], .scale = numbers[1], .offset = zeros};
    spec.layers[1] = (struct mlp_layer){.inputs = 5,
                                        .outputs = 7,
                                        .weights = numbers[2],
                                        .bias = numbers[3],
                                        .activation = MLP_RELU};
    spec.layers[2] = (struct mlp_layer){.inputs = 7,
                                        .outputs = 7,
                                        .shift = zeros,
                                        .scale = ones,
                                        .offset = zeros,
                                        .activation = MLP_TANH};
    spec.layers[3] = (struct mlp_layer){
        .inputs = 7, .outputs = 7, .shift = numbers[4], .scale = ones, .offset = numbers[5]};
    spec.layers[4] =
        (struct mlp_layer){.inputs = 7, .outputs = 2, .weights = numbers[6], .bias = numbers[7]};
    return spec;
}

static void write_example(void)
{
    struct model_spec spec = example();
    struct err err = {0};
    if (onnx_write(&spec, file, sizeof(file), &file_size, &err) != ERR_OK)
        fail_msg("%s", err.text);
}

static struct model *read_or_fail(const struct onnx_options *options)
{
    struct model *model = NULL;
    struct err err = {0};
    if (onnx_read(bytes_of(file, file_size), options, &model, &err) != ERR_OK)
        fail_msg("%s", err.text);
    return model;
}

static void assert_layer_equal(const struct mlp_layer *want, const struct mlp_layer *got)
{
    size_t in = (size_t)want->inputs * sizeof(float), out = (size_t)want->outputs;
    assert_int_equal(want->inputs, got->inputs);
    assert_int_equal(want->outputs, got->outputs);
    assert_int_equal(want->activation, got->activation);
    assert_int_equal(want->weights == NULL, got->weights == NULL);
    if (want->weights != NULL) {
        assert_memory_equal(want->weights, got->weights, in * out);
        assert_memory_equal(want->bias, got->bias, out * sizeof(float));
        return;
    }
    assert_memory_equal(want->shift, got->shift, in);
    assert_memory_equal(want->scale, got->scale, in);
    assert_memory_equal(want->offset, got->offset, in);
}

static void model_survives_writing_and_reading_bit_by_bit(void **state)
{
    (void)state;
    write_example();
    struct model_spec want = example();
    struct model *model = read_or_fail(&ours);
    const struct model_spec *got = model_spec(model);
    assert_string_equal(got->version, "test-1");
    assert_true(got->has_schema && got->feature_schema == SCHEMA);
    assert_memory_equal(got->input_names, names, sizeof(names));
    assert_true(got->has_band && got->band_p10 == -1.25f && got->band_p90 == 1.5f);
    assert_int_equal(got->calibration.count, 2);
    assert_true(calibration_probability(&got->calibration, 0.75, 1.0) == 0.5625);
    assert_int_equal(got->layer_count, want.layer_count);
    for (int i = 0; i < want.layer_count; i++)
        assert_layer_equal(&want.layers[i], &got->layers[i]);
    /* And once more: the same bytes. */
    static uint8_t again[FILE_MAX];
    size_t size;
    assert_int_equal(onnx_write(got, again, sizeof(again), &size, NULL), ERR_OK);
    assert_int_equal(size, file_size);
    assert_memory_equal(again, file, size);
    model_close(model);
}

static void writing_reports_the_size_it_takes(void **state)
{
    (void)state;
    struct model_spec spec = example();
    uint8_t small[10];
    size_t size;
    struct err err = {0};
    assert_int_equal(onnx_write(&spec, small, sizeof(small), &size, &err), ERR_FULL);
    write_example();
    assert_int_equal(size, file_size);
    memset(spec.version, 0, sizeof(spec.version));
    assert_int_equal(onnx_write(&spec, file, sizeof(file), &size, &err), ERR_INVALID);
    assert_int_equal(size, 0);
}

static void prediction_is_the_net_and_its_scale(void **state)
{
    (void)state;
    write_example();
    struct model *model = read_or_fail(&ours);
    struct model_output out;
    const float x[INPUTS] = {0.1f, -0.2f, 0.3f, 4.0f, -5.0f};
    model_predict(model, x, &out);
    assert_true(out.valid && out.has_scale && isfinite(out.mean_bp));
    assert_true(fabsf(out.scale_bp - expf(out.log_scale)) == 0.0f);
    assert_true(fabs(model_strength(&out) - fabs((double)out.mean_bp) / (double)out.scale_bp) ==
                0.0);
    const float bad[INPUTS] = {NAN};
    model_predict(model, bad, &out);
    assert_false(out.valid);
    assert_true(out.mean_bp == 0.0f && model_strength(&out) == 0.0);
    model_close(model);
}

/* The example with one thing changed in its message. */
typedef void (*tweak_fn)(Onnx__ModelProto *model);

static void replace(char **text, const char *with)
{
    free(*text);
    *text = with == NULL ? NULL : strdup(with);
}

static Onnx__NodeProto *node_of(Onnx__ModelProto *model, const char *type)
{
    for (size_t i = 0; i < model->graph->n_node; i++)
        if (strcmp(model->graph->node[i]->op_type, type) == 0)
            return model->graph->node[i];
    fail_msg("no %s", type);
    return NULL;
}

static Onnx__TensorProto *tensor_of(Onnx__ModelProto *model, const char *name)
{
    for (size_t i = 0; i < model->graph->n_initializer; i++)
        if (strcmp(model->graph->initializer[i]->name, name) == 0)
            return model->graph->initializer[i];
    fail_msg("no %s", name);
    return NULL;
}

static void metadata(Onnx__ModelProto *model, const char *key, const char *value)
{
    for (size_t i = 0; i < model->n_metadata_props; i++)
        if (strcmp(model->metadata_props[i]->key, key) == 0)
            replace(value == NULL ? &model->metadata_props[i]->key
                                  : &model->metadata_props[i]->value,
                    value == NULL ? "gone" : value);
}

static void set_leaky(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Relu")->op_type, "LeakyRelu");
}
static void set_domain(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Relu")->domain, "com.ms");
}
static void set_noname(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Tanh")->name, NULL);
    replace(&node_of(m, "Tanh")->op_type, "Softmax");
}
static void set_no_type(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Relu")->op_type, NULL);
}
static void set_branch(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Relu")->input[0], "features");
}
static void set_twice(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Mul")->output[0], "shift0");
}
static void set_no_output(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Mul")->output[0], "");
}
static void set_not_constant(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Mul")->input[1], "x");
}
static void set_square(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Mul")->input[1], node_of(m, "Mul")->input[0]);
}
static void set_div(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Mul")->op_type, "Div");
    float zero = 0.0f;
    memcpy(tensor_of(m, "scale0")->raw_data.data + 8, &zero, sizeof(zero));
}
static void set_inverse(Onnx__ModelProto *m)
{
    Onnx__NodeProto *node = node_of(m, "Mul");
    replace(&node->op_type, "Div");
    char *first = node->input[0];
    node->input[0] = node->input[1];
    node->input[1] = first;
}
static void set_trans_a(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Gemm")->attribute[0]->name, "transA");
}
static void set_attribute(Onnx__ModelProto *m)
{
    replace(&node_of(m, "Gemm")->attribute[0]->name, "transC");
}
static void set_trans_b(Onnx__ModelProto *m)
{
    node_of(m, "Gemm")->attribute[0]->i = 0;
}
static void set_inputs(Onnx__ModelProto *m)
{
    free(node_of(m, "Mul")->input[1]);
    node_of(m, "Mul")->n_input = 1;
}
static void set_right(Onnx__ModelProto *m)
{
    Onnx__NodeProto *node = node_of(m, "Gemm");
    char *first = node->input[0];
    node->input[0] = node->input[1];
    node->input[1] = first;
}
static void set_ir(Onnx__ModelProto *m)
{
    m->ir_version = 14;
}
static void set_opset(Onnx__ModelProto *m)
{
    m->opset_import[0]->version = 26;
}
static void set_old_opset(Onnx__ModelProto *m)
{
    m->opset_import[0]->version = 8;
}
static void set_opset_domain(Onnx__ModelProto *m)
{
    replace(&m->opset_import[0]->domain, "ai.ml");
}
static void set_double(Onnx__ModelProto *m)
{
    tensor_of(m, "bias1")->data_type = 11;
}
static void set_external(Onnx__ModelProto *m)
{
    tensor_of(m, "bias1")->has_data_location = 1;
    tensor_of(m, "bias1")->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}
static void set_short(Onnx__ModelProto *m)
{
    tensor_of(m, "bias1")->raw_data.len -= 4;
}
static void set_empty(Onnx__ModelProto *m)
{
    tensor_of(m, "bias1")->has_raw_data = 0;
}
static void set_huge(Onnx__ModelProto *m)
{
    tensor_of(m, "weights1")->dims[0] = INT64_MAX;
}
static void set_negative(Onnx__ModelProto *m)
{
    tensor_of(m, "weights1")->dims[1] = -5;
}
static void set_vector(Onnx__ModelProto *m)
{
    tensor_of(m, "weights1")->n_dims = 1;
    tensor_of(m, "weights1")->dims[0] = 35;
}
static void set_misfit(Onnx__ModelProto *m)
{
    tensor_of(m, "shift0")->dims[0] = 4;
    tensor_of(m, "shift0")->raw_data.len = 16;
}
static void set_nan(Onnx__ModelProto *m)
{
    memset(tensor_of(m, "bias1")->raw_data.data + 12, 0xff, 4);
}
static void set_same_name(Onnx__ModelProto *m)
{
    replace(&tensor_of(m, "bias1")->name, "scale0");
}
static void set_nameless(Onnx__ModelProto *m)
{
    replace(&tensor_of(m, "bias1")->name, NULL);
}
static void set_no_graph(Onnx__ModelProto *m)
{
    onnx__graph_proto__free_unpacked(m->graph, NULL);
    m->graph = NULL;
}
static void set_input_type(Onnx__ModelProto *m)
{
    m->graph->input[0]->type->tensor_type->elem_type = 11;
}
static void set_input_rank(Onnx__ModelProto *m)
{
    protobuf_c_message_free_unpacked(&m->graph->input[0]->type->tensor_type->shape->dim[1]->base,
                                     NULL);
    m->graph->input[0]->type->tensor_type->shape->n_dim = 1;
}
static void set_input_columns(Onnx__ModelProto *m)
{
    m->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value = 513;
}
static void set_input_open(Onnx__ModelProto *m)
{
    m->graph->input[0]->type->tensor_type->shape->dim[1]->value_case =
        ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
}
static void set_input_known(Onnx__ModelProto *m)
{
    replace(&m->graph->input[0]->name, "bias1");
}
static void set_input_untyped(Onnx__ModelProto *m)
{
    onnx__type_proto__free_unpacked(m->graph->input[0]->type, NULL);
    m->graph->input[0]->type = NULL;
}
static void set_output_name(Onnx__ModelProto *m)
{
    replace(&m->graph->output[0]->name, "Relu_1");
}
static void set_output_columns(Onnx__ModelProto *m)
{
    m->graph->output[0]->type->tensor_type->shape->dim[1]->dim_value = 1;
}
static void no_version(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_VERSION, NULL);
}
static void bad_version(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_VERSION, "a\nb");
}
static void long_version(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_VERSION,
             "0123456789012345678901234567890123456789012345678901234567890123");
}
static void no_schema(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_SCHEMA, NULL);
}
static void bad_schema(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_SCHEMA, "0x12");
}
static void other_schema(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_SCHEMA, "fedcba9876543210");
}
static void few_features(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_FEATURES, "a,b");
}
static void many_features(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_FEATURES, "a,b,c,d,e,f");
}
static void empty_feature(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_FEATURES, "a,,c,d,e");
}
static void bad_output(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_OUTPUT, "price");
}
static void bad_band(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_BAND, "1");
}
static void crossed_band(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_BAND, "1,-1");
}
static void bad_calibration(Onnx__ModelProto *m)
{
    metadata(m, ONNX_KEY_CALIBRATION, "2/0:1.5");
}
static void key_twice(Onnx__ModelProto *m)
{
    for (size_t i = 0; i < m->n_metadata_props; i++)
        if (strcmp(m->metadata_props[i]->key, ONNX_KEY_BAND) == 0)
            replace(&m->metadata_props[i]->key, ONNX_KEY_OUTPUT);
}

static const struct {
    tweak_fn tweak;
    int code;
    const char *text;
} refusals[] = {
    {set_leaky, ERR_UNSUPPORTED, "node 'Relu_1': operator LeakyRelu is not supported"},
    {set_domain, ERR_UNSUPPORTED, "node 'Relu_1': operator Relu of domain com.ms is not supported"},
    {set_noname, ERR_UNSUPPORTED, "operator Softmax is not supported"},
    {set_no_type, ERR_UNSUPPORTED, "node 'Relu_1': operator  is not supported"},
    {set_branch, ERR_UNSUPPORTED, "node 'Relu_1': Relu does not continue the chain at 'Gemm_1'"},
    {set_twice, ERR_MALFORMED, "node 'Mul_0': 'shift0' is computed twice"},
    {set_no_output, ERR_UNSUPPORTED, "node 'Mul_0': Mul has not exactly one output"},
    {set_not_constant, ERR_NOT_FOUND, "node 'Mul_0': 'x' is not a constant"},
    {set_square, ERR_UNSUPPORTED, "node 'Mul_0': Mul: exactly one input has to be"},
    {set_div, ERR_MALFORMED, "node 'Mul_0': division by 0 in column 2"},
    {set_inverse, ERR_UNSUPPORTED, "node 'Mul_0': Div of a constant"},
    {set_trans_a, ERR_UNSUPPORTED, "node 'Gemm_1': Gemm with transA=1"},
    {set_attribute, ERR_UNSUPPORTED, "node 'Gemm_1': Gemm attribute 'transC' is not supported"},
    {set_trans_b, ERR_MALFORMED, "node 'Gemm_1': 'weights1' takes 7 columns, there are 5"},
    {set_inputs, ERR_MALFORMED, "node 'Mul_0': Mul with 1 inputs"},
    {set_right, ERR_UNSUPPORTED, "node 'Gemm_1': Gemm: the left factor is not"},
    {set_ir, ERR_UNSUPPORTED, "IR version 14, supported are 3 to 13"},
    {set_opset, ERR_UNSUPPORTED, "ai.onnx opset 26, supported are 9 to 25"},
    {set_old_opset, ERR_UNSUPPORTED, "ai.onnx opset 8"},
    {set_opset_domain, ERR_MALFORMED, "no ai.onnx opset"},
    {set_double, ERR_UNSUPPORTED, "'bias1' has data type 11, only FLOAT (1) is supported"},
    {set_external, ERR_UNSUPPORTED, "constant 'bias1' lies in another file"},
    {set_short, ERR_MALFORMED, "constant 'bias1' has 24 bytes, its shape takes 28"},
    {set_empty, ERR_MALFORMED, "constant 'bias1' has no values"},
    {set_huge, ERR_UNSUPPORTED, "constant 'weights1': dimension 0 is 9223372036854775807"},
    {set_negative, ERR_UNSUPPORTED, "constant 'weights1': dimension 1 is -5"},
    {set_vector, ERR_UNSUPPORTED, "node 'Gemm_1': 'weights1' is not a matrix"},
    {set_misfit, ERR_UNSUPPORTED, "node 'Sub_0': the shape of 'shift0' does not fit 5 columns"},
    {set_nan, ERR_MALFORMED, "constant 'bias1': value 3 is not finite"},
    {set_same_name, ERR_MALFORMED, "constant 'scale0' is there twice"},
    {set_nameless, ERR_MALFORMED, "a constant has no name"},
    {set_no_graph, ERR_MALFORMED, "the file has no graph"},
    {set_input_type, ERR_UNSUPPORTED, "input 'features' has element type 11"},
    {set_input_rank, ERR_UNSUPPORTED, "input 'features' has 1 dimensions"},
    {set_input_columns, ERR_UNSUPPORTED, "input 'features' has 513 columns"},
    {set_input_open, ERR_UNSUPPORTED, "input 'features' does not say how many columns"},
    {set_input_known, ERR_MALFORMED, "there is no input"},
    {set_input_untyped, ERR_UNSUPPORTED, "input 'features' is not a tensor"},
    {set_output_name, ERR_UNSUPPORTED, "output 'Relu_1' is not the end of the chain"},
    {set_output_columns, ERR_MALFORMED, "output 'log_return_bp' says 1 columns and has 2"},
    {no_version, ERR_SCHEMA, "btcast.version is missing"},
    {bad_version, ERR_INVALID, "model version must be"},
    {long_version, ERR_MALFORMED, "btcast.version is longer than 63"},
    {no_schema, ERR_SCHEMA, "btcast.schema is missing"},
    {bad_schema, ERR_MALFORMED, "btcast.schema '0x12' is not 16"},
    {other_schema, ERR_SCHEMA,
     "made for feature schema fedcba9876543210, this is 0123456789abcdef"},
    {few_features, ERR_MALFORMED, "btcast.features has 2 names for 5 inputs"},
    {many_features, ERR_MALFORMED, "btcast.features has more than 5 names"},
    {empty_feature, ERR_MALFORMED, "btcast.features: name 1 has 0 characters"},
    {bad_output, ERR_UNSUPPORTED, "btcast.output is 'price'"},
    {bad_band, ERR_MALFORMED, "btcast.band '1' is not P10,P90"},
    {crossed_band, ERR_INVALID, "p10 is above its p90"},
    {bad_calibration, ERR_MALFORMED, "calibration, byte 7: a probability is above 1"},
    {key_twice, ERR_MALFORMED, "metadata btcast.output is there twice"},
};

static void tweak_file(tweak_fn tweak)
{
    write_example();
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, file_size, file);
    assert_non_null(proto);
    tweak(proto);
    file_size = onnx__model_proto__pack(proto, file);
    onnx__model_proto__free_unpacked(proto, NULL);
}

static void each_unsupported_thing_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        tweak_file(refusals[i].tweak);
        struct model *model = NULL;
        struct err err = {0};
        int rc = onnx_read(bytes_of(file, file_size), &ours, &model, &err);
        if (rc != refusals[i].code || strstr(err.text, refusals[i].text) == NULL)
            fail_msg("case %zu: got %d \"%s\", wanted %d \"%s\"", i, rc, err.text, refusals[i].code,
                     refusals[i].text);
        assert_null(model);
        /* The text is a wish, not a need. */
        assert_int_equal(onnx_read(bytes_of(file, file_size), &ours, &model, NULL), rc);
    }
}

static void foreign_file_is_read_when_asked_for(void **state)
{
    (void)state;
    const struct onnx_options foreign = {.allow_foreign = true};
    tweak_file(no_version);
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, file_size, file);
    no_schema(proto);
    file_size = onnx__model_proto__pack(proto, file);
    onnx__model_proto__free_unpacked(proto, NULL);
    struct model *model = read_or_fail(&foreign);
    assert_string_equal(model_version(model), "foreign");
    assert_false(model_spec(model)->has_schema);
    model_close(model);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    write_example();
    for (size_t size = 0; size < file_size; size++) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, file, size);
        struct model *model = NULL;
        struct err err = {0};
        if (onnx_read(bytes_of(cut, size), &ours, &model, &err) == ERR_OK)
            fail_msg("%zu of %zu bytes were enough", size, file_size);
        assert_true(err.text[0] != '\0');
        free(cut);
    }
}

static void random_mutations_never_crash(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 6);
    int accepted = 0;
    write_example();
    uint8_t *copy = malloc(file_size);
    for (int n = 0; n < 20000; n++) {
        memcpy(copy, file, file_size);
        for (uint64_t i = 1 + prng_below(&prng, 4); i > 0; i--)
            copy[prng_below(&prng, file_size)] = (uint8_t)prng_below(&prng, 256);
        struct model *model = NULL;
        if (onnx_read(bytes_of(copy, file_size), &ours, &model, NULL) != ERR_OK)
            continue;
        struct model_output out;
        static const float x[MLP_INPUTS_MAX] = {1.0f};
        model_predict(model, x, &out);
        model_close(model);
        accepted++;
    }
    free(copy);
    print_message("%d of 20000 mutated files were still models\n", accepted);
    assert_in_range(accepted, 1, 19999);
}

static size_t put_field(uint8_t *out, unsigned number, size_t size)
{
    size_t at = 0;
    out[at++] = (uint8_t)(number << 3 | 2);
    for (; size >= 0x80; size >>= 7)
        out[at++] = (uint8_t)(size | 0x80);
    out[at++] = (uint8_t)size;
    return at;
}

static void deeply_nested_graphs_do_not_eat_the_stack(void **state)
{
    (void)state;
    /* From the inside out, written from the end of the buffer: graph -> attribute.g(6) ->
     * node.attribute(5) -> graph.node(1) ... model.graph(7). */
    size_t size = 0;
    for (int i = 0; i < 90001; i++) {
        static const unsigned path[] = {6, 5, 1};
        uint8_t head[16];
        size_t length = put_field(head, i == 90000 ? 7 : path[i % 3], size);
        size += length;
        memcpy(file + FILE_MAX - size, head, length);
    }
    struct model *model = NULL;
    struct err err = {0};
    assert_int_equal(onnx_read(bytes_of(file + FILE_MAX - size, size), &ours, &model, &err),
                     ERR_FULL);
    assert_non_null(strstr(err.text, "nested deeper"));
}

static void small_file_cannot_unfold_to_gigabytes(void **state)
{
    (void)state;
    /* A megabyte of empty nodes. */
    size_t head = put_field(file, 7, 1000000);
    for (size_t i = 0; i < 500000; i++)
        memcpy(file + head + 2 * i, "\x0a\x00", 2);
    struct model *model = NULL;
    struct err err = {0};
    assert_int_equal(onnx_read(bytes_of(file, head + 1000000), &ours, &model, &err), ERR_MALFORMED);
    assert_non_null(strstr(err.text, "unfolds to too much"));
}

static void empty_and_oversized_files_are_refused(void **state)
{
    (void)state;
    struct model *model = NULL;
    assert_int_equal(onnx_read(bytes_of(file, 0), &ours, &model, NULL), ERR_MALFORMED);
    assert_int_equal(onnx_read(bytes_of(file, (size_t)ONNX_FILE_MAX + 1), &ours, &model, NULL),
                     ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_survives_writing_and_reading_bit_by_bit),
        cmocka_unit_test(writing_reports_the_size_it_takes),
        cmocka_unit_test(prediction_is_the_net_and_its_scale),
        cmocka_unit_test(each_unsupported_thing_is_refused_by_name),
        cmocka_unit_test(foreign_file_is_read_when_asked_for),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(random_mutations_never_crash),
        cmocka_unit_test(deeply_nested_graphs_do_not_eat_the_stack),
        cmocka_unit_test(small_file_cannot_unfold_to_gigabytes),
        cmocka_unit_test(empty_and_oversized_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
