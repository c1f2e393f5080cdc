/* File -> model: versions, metadata; the graph is read by onnx_chain.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/onnx.h"

#include <math.h>
#include <onnx.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "wire/onnx_chain.h"
#include "wire/onnx_scan.h"

#define ONNX_IR_MIN    3
#define ONNX_IR_MAX    13
#define ONNX_OPSET_MIN 9
#define ONNX_OPSET_MAX 25
/* Unpacked, weights take their size again; everything else is small. */
#define ONNX_BUDGET(file_size) (2 * (file_size) + (4u << 20))

static int onnx_check_versions(const Onnx__ModelProto *proto, struct err *err)
{
    if (!proto->has_ir_version || proto->ir_version < ONNX_IR_MIN ||
        proto->ir_version > ONNX_IR_MAX)
        return err_set(err, ERR_UNSUPPORTED, "IR version %lld, supported are %d to %d",
                       proto->has_ir_version ? (long long)proto->ir_version : 0LL, ONNX_IR_MIN,
                       ONNX_IR_MAX);
    const Onnx__OperatorSetIdProto *standard = NULL;
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        const char *domain = proto->opset_import[i]->domain;
        if (domain != NULL && domain[0] != '\0' && strcmp(domain, "ai.onnx") != 0)
            continue;
        if (standard != NULL)
            return err_set(err, ERR_MALFORMED, "two ai.onnx opsets");
        standard = proto->opset_import[i];
    }
    if (standard == NULL || !standard->has_version)
        return err_set(err, ERR_MALFORMED, "no ai.onnx opset");
    if (standard->version < ONNX_OPSET_MIN || standard->version > ONNX_OPSET_MAX)
        return err_set(err, ERR_UNSUPPORTED, "ai.onnx opset %lld, supported are %d to %d",
                       (long long)standard->version, ONNX_OPSET_MIN, ONNX_OPSET_MAX);
    return ERR_OK;
}

/* *value: of the key, NULL when absent. */
static int onnx_metadata_get(const Onnx__ModelProto *proto, const char *key, const char **value,
                             struct err *err)
{
    *value = NULL;
    for (size_t i = 0; i < proto->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = proto->metadata_props[i];
        if (entry->key == NULL || strcmp(entry->key, key) != 0)
            continue;
        if (*value != NULL)
            return err_set(err, ERR_MALFORMED, "metadata %s is there twice", key);
        *value = entry->value == NULL ? "" : entry->value;
    }
    return ERR_OK;
}

static int onnx_metadata_version(const char *value, const struct onnx_options *options,
                                 struct model_spec *spec, struct err *err)
{
    if (value == NULL && !options->allow_foreign)
        return err_set(err, ERR_SCHEMA,
                       "metadata " ONNX_KEY_VERSION " is missing: not a model "
                       "made for btcast");
    if (value == NULL)
        value = "foreign";
    size_t size = strlen(value);
    if (size >= sizeof(spec->version))
        return err_set(err, ERR_MALFORMED,
                       "metadata " ONNX_KEY_VERSION " is longer than %zu "
                       "characters",
                       sizeof(spec->version) - 1);
    memcpy(spec->version, value, size + 1);
    return ERR_OK;
}

static int onnx_metadata_schema(const char *value, const struct onnx_options *options,
                                struct model_spec *spec, struct err *err)
{
    spec->has_schema = value != NULL;
    if (value == NULL && options->allow_foreign)
        return ERR_OK;
    if (value == NULL)
        return err_set(err, ERR_SCHEMA,
                       "metadata " ONNX_KEY_SCHEMA " is missing: unknown features");
    if (strlen(value) != 16 || strspn(value, "0123456789abcdef") != 16)
        return err_set(err, ERR_MALFORMED,
                       "metadata " ONNX_KEY_SCHEMA " '%s' is not 16 "
                       "hexadecimal digits",
                       onnx_name(value).text);
    spec->feature_schema = strtoull(value, NULL, 16);
    if (!options->allow_foreign && spec->feature_schema != options->feature_schema)
        return err_set(err, ERR_SCHEMA, "made for feature schema %s, this is %016llx", value,
                       (unsigned long long)options->feature_schema);
    return ERR_OK;
}

/* names: [inputs], filled from "a,b,c". */
static int onnx_metadata_features(const char *value, int inputs,
                                  char (*names)[MODEL_INPUT_NAME_SIZE], struct err *err)
{
    int count = 0;
    for (const char *at = value;; at++) {
        size_t size = strcspn(at, ",");
        if (count == inputs)
            return err_set(err, ERR_MALFORMED,
                           "metadata " ONNX_KEY_FEATURES " has more than %d "
                           "names, the number of inputs",
                           inputs);
        if (size == 0 || size >= MODEL_INPUT_NAME_SIZE)
            return err_set(err, ERR_MALFORMED,
                           "metadata " ONNX_KEY_FEATURES ": name %d has %zu "
                           "characters, allowed are 1 to %d",
                           count, size, MODEL_INPUT_NAME_SIZE - 1);
        memcpy(names[count], at, size);
        names[count++][size] = '\0';
        at += size;
        if (*at == '\0')
            break;
    }
    if (count != inputs)
        return err_set(err, ERR_MALFORMED,
                       "metadata " ONNX_KEY_FEATURES " has %d names for %d "
                       "inputs",
                       count, inputs);
    return ERR_OK;
}

static int onnx_metadata_band(const char *value, struct model_spec *spec, struct err *err)
{
    char *end;
    spec->band_p10 = strtof(value, &end);
    bool ok = end != value && *end == ',';
    const char *second = end + 1;
    if (ok) {
        spec->band_p90 = strtof(second, &end);
        ok = end != second && *end == '\0';
    }
    if (!ok || !isfinite(spec->band_p10) || !isfinite(spec->band_p90))
        return err_set(err, ERR_MALFORMED, "metadata " ONNX_KEY_BAND " '%s' is not P10,P90",
                       onnx_name(value).text);
    spec->has_band = true;
    return ERR_OK;
}

static int onnx_metadata_meaning(const Onnx__ModelProto *proto, struct model_spec *spec,
                                 struct err *err)
{
    const char *output, *band, *calibration;
    int rc = onnx_metadata_get(proto, ONNX_KEY_OUTPUT, &output, err);
    if (rc == ERR_OK)
        rc = onnx_metadata_get(proto, ONNX_KEY_BAND, &band, err);
    if (rc == ERR_OK)
        rc = onnx_metadata_get(proto, ONNX_KEY_CALIBRATION, &calibration, err);
    if (rc != ERR_OK)
        return rc;
    if (output != NULL && strcmp(output, MODEL_OUTPUT_NAME) != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "metadata " ONNX_KEY_OUTPUT " is '%s', supported is " MODEL_OUTPUT_NAME,
                       onnx_name(output).text);
    if (band != NULL)
        rc = onnx_metadata_band(band, spec, err);
    if (rc == ERR_OK && calibration != NULL)
        rc = calibration_parse(calibration, strlen(calibration), &spec->calibration, err);
    return rc;
}

/* Everything of the spec but layers and names; *features: the raw names, or NULL. */
static int onnx_read_metadata(const Onnx__ModelProto *proto, const struct onnx_options *options,
                              struct model_spec *spec, const char **features, struct err *err)
{
    if (proto->n_metadata_props > ONNX_METADATA_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%zu metadata entries, at most %d are supported",
                       proto->n_metadata_props, ONNX_METADATA_MAX);
    const char *version, *schema;
    int rc = onnx_metadata_get(proto, ONNX_KEY_VERSION, &version, err);
    if (rc == ERR_OK)
        rc = onnx_metadata_get(proto, ONNX_KEY_SCHEMA, &schema, err);
    if (rc == ERR_OK)
        rc = onnx_metadata_get(proto, ONNX_KEY_FEATURES, features, err);
    if (rc == ERR_OK)
        rc = onnx_metadata_version(version, options, spec, err);
    if (rc == ERR_OK)
        rc = onnx_metadata_schema(schema, options, spec, err);
    return rc == ERR_OK ? onnx_metadata_meaning(proto, spec, err) : rc;
}

static int onnx_open_model(const struct onnx_chain *chain, struct model_spec *spec,
                           const char *features, enum mlp_kernel kernel, struct model **model,
                           struct err *err)
{
    spec->layer_count = chain->count;
    memcpy(spec->layers, chain->layers, sizeof(spec->layers));
    if (features == NULL)
        return model_open(spec, kernel, model, err);
    char(*names)[MODEL_INPUT_NAME_SIZE] = calloc((size_t)chain->inputs, sizeof(*names));
    if (names == NULL)
        return err_set(err, ERR_MEMORY, "no memory for input names");
    int rc = onnx_metadata_features(features, chain->inputs, names, err);
    spec->input_names = (const char(*)[MODEL_INPUT_NAME_SIZE])names;
    if (rc == ERR_OK)
        rc = model_open(spec, kernel, model, err);
    free(names);
    return rc;
}

static int onnx_read_model(const Onnx__ModelProto *proto, const struct onnx_options *options,
                           struct onnx_chain *chain, struct model **model, struct err *err)
{
    struct model_spec spec = {0};
    const char *features = NULL;
    int rc = onnx_check_versions(proto, err);
    if (rc == ERR_OK)
        rc = onnx_read_metadata(proto, options, &spec, &features, err);
    if (rc == ERR_OK && proto->graph == NULL)
        rc = err_set(err, ERR_MALFORMED, "the file has no graph");
    if (rc == ERR_OK)
        rc = onnx_chain_read(chain, proto->graph, err);
    return rc == ERR_OK ? onnx_open_model(chain, &spec, features, options->kernel, model, err) : rc;
}

int onnx_read(struct bytes file, const struct onnx_options *options, struct model **model,
              struct err *err)
{
    PRE(options != NULL && model != NULL);
    if (file.size == 0 || file.size > ONNX_FILE_MAX)
        return err_set(err, ERR_MALFORMED, "%zu bytes, an ONNX file has 1 to %u", file.size,
                       ONNX_FILE_MAX);
    int rc = onnx_scan_depth(&onnx__model_proto__descriptor, file, err);
    if (rc != ERR_OK)
        return rc;
    struct onnx_chain *chain = calloc(1, sizeof(*chain));
    if (chain == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a graph");
    struct onnx_budget budget;
    onnx_budget_init(&budget, ONNX_BUDGET(file.size));
    Onnx__ModelProto *proto = onnx__model_proto__unpack(&budget.allocator, file.size, file.data);
    if (proto == NULL)
        rc = err_set(err, ERR_MALFORMED, "not an ONNX file, or one that unfolds to too much");
    else
        rc = onnx_read_model(proto, options, chain, model, err);
    onnx_chain_close(chain);
    free(chain);
    if (proto != NULL)
        onnx__model_proto__free_unpacked(proto, &budget.allocator);
    return rc;
}
