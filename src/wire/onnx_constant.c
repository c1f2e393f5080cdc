/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/onnx_constant.h"

#include <math.h>
#include <string.h>

struct onnx_name onnx_name(const char *foreign)
{
    struct onnx_name name = {{0}};
    if (foreign == NULL)
        foreign = "";
    for (size_t i = 0; i + 1 < sizeof(name.text) && foreign[i] != '\0'; i++)
        name.text[i] = foreign[i] >= ' ' && foreign[i] <= '~' ? foreign[i] : '?';
    return name;
}

static const struct onnx_constant_entry *onnx_constants_find(const struct onnx_constants *constants,
                                                             const char *name)
{
    for (int i = 0; i < constants->count; i++)
        if (strcmp(constants->entries[i].name, name) == 0)
            return &constants->entries[i];
    return NULL;
}

bool onnx_constants_has(const struct onnx_constants *constants, const char *name)
{
    return onnx_constants_find(constants, name) != NULL;
}

static int onnx_constants_push(struct onnx_constants *constants,
                               const struct onnx_constant_entry *entry, struct err *err)
{
    if (entry->name == NULL || entry->name[0] == '\0')
        return err_set(err, ERR_MALFORMED, "a constant has no name");
    if (onnx_constants_find(constants, entry->name) != NULL)
        return err_set(err, ERR_MALFORMED, "constant '%s' is there twice",
                       onnx_name(entry->name).text);
    if (constants->count == ONNX_CONSTANTS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "more than %d constants", ONNX_CONSTANTS_MAX);
    constants->entries[constants->count++] = *entry;
    return ERR_OK;
}

int onnx_constants_add(struct onnx_constants *constants, const Onnx__TensorProto *tensor,
                       struct err *err)
{
    struct onnx_constant_entry entry = {.name = tensor->name, .tensor = tensor};
    return onnx_constants_push(constants, &entry, err);
}

int onnx_constants_add_node(struct onnx_constants *constants, const Onnx__NodeProto *node,
                            struct err *err)
{
    struct onnx_name name = onnx_name(node->output[0]);
    if (node->n_attribute != 1 || node->n_input != 0)
        return err_set(err, ERR_MALFORMED, "Constant '%s' has not exactly one value", name.text);
    const Onnx__AttributeProto *attribute = node->attribute[0];
    const char *kind = attribute->name == NULL ? "" : attribute->name;
    struct onnx_constant_entry entry = {.name = node->output[0]};
    if (strcmp(kind, "value") == 0 && attribute->t != NULL)
        entry.tensor = attribute->t;
    else if ((strcmp(kind, "value_float") == 0 && attribute->has_f) ||
             (strcmp(kind, "value_floats") == 0 && attribute->n_floats > 0))
        entry.attribute = attribute;
    else
        return err_set(err, ERR_UNSUPPORTED, "Constant '%s': attribute '%s' is not supported",
                       name.text, onnx_name(kind).text);
    return onnx_constants_push(constants, &entry, err);
}

int onnx_constants_alias(struct onnx_constants *constants, const char *name, const char *of,
                         struct err *err)
{
    const struct onnx_constant_entry *known = onnx_constants_find(constants, of);
    if (known == NULL)
        return err_set(err, ERR_NOT_FOUND, "'%s' is not a constant", onnx_name(of).text);
    struct onnx_constant_entry entry = *known;
    entry.name = name;
    return onnx_constants_push(constants, &entry, err);
}

/* Rank, dims and count; each dimension 1 to MLP_WIDTH_MAX, so that products stay small. */
static int onnx_constant_shape(const Onnx__TensorProto *tensor, const char *name,
                               struct onnx_constant *constant, struct err *err)
{
    if (tensor->n_dims > ONNX_RANK_MAX)
        return err_set(err, ERR_UNSUPPORTED,
                       "constant '%s' has %zu dimensions, at most %d are "
                       "supported",
                       name, tensor->n_dims, ONNX_RANK_MAX);
    constant->rank = (int)tensor->n_dims;
    constant->count = 1;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        int64_t size = tensor->dims[i];
        if (size < 1 || size > MLP_WIDTH_MAX)
            return err_set(err, ERR_UNSUPPORTED,
                           "constant '%s': dimension %zu is %lld, allowed "
                           "are 1 to %d",
                           name, i, (long long)size, MLP_WIDTH_MAX);
        constant->dims[i] = (int)size;
        constant->count *= (size_t)size;
    }
    return ERR_OK;
}

static int onnx_constant_data(const Onnx__TensorProto *tensor, const char *name,
                              struct onnx_constant *constant, struct err *err)
{
    if (tensor->n_external_data > 0 ||
        (tensor->has_data_location &&
         tensor->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT))
        return err_set(err, ERR_UNSUPPORTED, "constant '%s' lies in another file", name);
    if (tensor->segment != NULL)
        return err_set(err, ERR_UNSUPPORTED, "constant '%s' comes in segments", name);
    if (!tensor->has_data_type || tensor->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
        return err_set(err, ERR_UNSUPPORTED,
                       "constant '%s' has data type %d, only FLOAT (1) is "
                       "supported",
                       name, tensor->has_data_type ? tensor->data_type : 0);
    bool raw = tensor->has_raw_data;
    if (raw == (tensor->n_float_data > 0))
        return err_set(err, ERR_MALFORMED, "constant '%s' has %s", name,
                       raw ? "its values twice" : "no values");
    size_t size = raw ? tensor->raw_data.len : tensor->n_float_data * sizeof(float);
    if (size != constant->count * sizeof(float))
        return err_set(err, ERR_MALFORMED, "constant '%s' has %zu bytes, its shape takes %zu", name,
                       size, constant->count * sizeof(float));
    constant->values = raw ? tensor->raw_data.data : (const uint8_t *)tensor->float_data;
    return ERR_OK;
}

static int onnx_constant_attribute(const Onnx__AttributeProto *attribute, const char *name,
                                   struct onnx_constant *constant, struct err *err)
{
    bool vector = attribute->n_floats > 0;
    if (vector && attribute->n_floats > MLP_WIDTH_MAX)
        return err_set(err, ERR_UNSUPPORTED,
                       "constant '%s' has %zu values, at most %d are "
                       "supported",
                       name, attribute->n_floats, MLP_WIDTH_MAX);
    constant->rank = vector;
    constant->count = vector ? attribute->n_floats : 1;
    constant->dims[0] = (int)constant->count;
    constant->values = (const uint8_t *)(vector ? attribute->floats : &attribute->f);
    return ERR_OK;
}

int onnx_constants_get(const struct onnx_constants *constants, const char *name,
                       struct onnx_constant *constant, struct err *err)
{
    struct onnx_name shown = onnx_name(name);
    const struct onnx_constant_entry *entry = onnx_constants_find(constants, name);
    if (entry == NULL)
        return err_set(err, ERR_NOT_FOUND, "'%s' is not a constant", shown.text);
    *constant = (struct onnx_constant){0};
    int rc;
    if (entry->tensor == NULL) {
        rc = onnx_constant_attribute(entry->attribute, shown.text, constant, err);
    } else {
        rc = onnx_constant_shape(entry->tensor, shown.text, constant, err);
        if (rc == ERR_OK)
            rc = onnx_constant_data(entry->tensor, shown.text, constant, err);
    }
    for (size_t i = 0; rc == ERR_OK && i < constant->count; i++)
        if (!isfinite(onnx_constant_at(constant, i)))
            rc = err_set(err, ERR_MALFORMED, "constant '%s': value %zu is not finite", shown.text,
                         i);
    return rc;
}

float onnx_constant_at(const struct onnx_constant *constant, size_t index)
{
    float value;
    memcpy(&value, constant->values + index * sizeof(value), sizeof(value));
    return value;
}

bool onnx_constant_spreads(const struct onnx_constant *constant, int width)
{
    if (constant->count == 1)
        return true;
    int last = constant->dims[constant->rank - 1];
    return last == width && constant->count == (size_t)last;
}

float onnx_constant_column(const struct onnx_constant *constant, int i)
{
    return onnx_constant_at(constant, constant->count == 1 ? 0 : (size_t)i);
}
