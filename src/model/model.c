/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct model {
    struct model_spec spec; /* pointers into block and names */
    struct mlp *mlp;
    float *block;
    char (*names)[MODEL_INPUT_NAME_SIZE];
    char sha256[MODEL_SHA256_SIZE];
};

/* Versions travel in JSON, Redis fields, file names and log lines. */
static bool model_version_ok(const char *version)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-:@";
    size_t size = strnlen(version, MODEL_VERSION_SIZE);
    return size > 0 && size < MODEL_VERSION_SIZE && strspn(version, allowed) == size;
}

/* Names are joined by commas in files and by newlines in tables. */
static int model_check_names(const struct model_spec *spec, struct err *err)
{
    for (int i = 0; spec->input_names != NULL && i < spec->layers[0].inputs; i++) {
        const char *name = spec->input_names[i];
        size_t size = strnlen(name, MODEL_INPUT_NAME_SIZE);
        bool ok = size > 0 && size < MODEL_INPUT_NAME_SIZE;
        for (size_t c = 0; ok && c < size; c++)
            ok = name[c] > ' ' && name[c] <= '~' && name[c] != ',';
        if (!ok)
            return err_set(err, ERR_INVALID,
                           "input %d needs a name of 1 to %d printable "
                           "characters without comma",
                           i, MODEL_INPUT_NAME_SIZE - 1);
    }
    return ERR_OK;
}

static bool model_calibration_ok(const struct calibration *calibration)
{
    if (calibration->count < 0 || calibration->count > CALIBRATION_BUCKETS_MAX)
        return false;
    for (int b = 0; b < calibration->count; b++)
        if (calibration->buckets[b].count < 1 ||
            calibration->buckets[b].count > CALIBRATION_KNOTS_MAX)
            return false;
    return true;
}

static int model_check(const struct model_spec *spec, struct err *err)
{
    if (!model_version_ok(spec->version))
        return err_set(err, ERR_INVALID, "model version must be 1 to %d letters, digits or ._+-:@",
                       MODEL_VERSION_SIZE - 1);
    if (spec->layer_count < 1 || spec->layer_count > MLP_LAYERS_MAX)
        return err_set(err, ERR_INVALID, "%d layers, allowed are 1 to %d", spec->layer_count,
                       MLP_LAYERS_MAX);
    int outputs = spec->layers[spec->layer_count - 1].outputs;
    if (outputs < 1 || outputs > MODEL_OUTPUTS_MAX)
        return err_set(err, ERR_INVALID, "%d outputs, a model has 1 (mean) or 2 (and log scale)",
                       outputs);
    if (spec->has_band &&
        !(isfinite(spec->band_p10) && isfinite(spec->band_p90) && spec->band_p10 <= spec->band_p90))
        return err_set(err, ERR_INVALID, "the band's p10 is above its p90");
    if (!model_calibration_ok(&spec->calibration))
        return err_set(err, ERR_INVALID, "the calibration table has a wrong size");
    return ERR_OK;
}

static size_t model_layer_size(const struct mlp_layer *layer)
{
    size_t inputs = (size_t)layer->inputs, outputs = (size_t)layer->outputs;
    return layer->weights != NULL ? inputs * outputs + outputs : 3 * inputs;
}

static const float *model_copy(float **at, const float *values, size_t count)
{
    float *start = *at;
    memcpy(start, values, count * sizeof(float));
    *at += count;
    return start;
}

static void model_copy_layer(struct mlp_layer *layer, float **at)
{
    size_t inputs = (size_t)layer->inputs, outputs = (size_t)layer->outputs;
    if (layer->weights != NULL) {
        layer->weights = model_copy(at, layer->weights, inputs * outputs);
        layer->bias = model_copy(at, layer->bias, outputs);
        return;
    }
    layer->shift = model_copy(at, layer->shift, inputs);
    layer->scale = model_copy(at, layer->scale, inputs);
    layer->offset = model_copy(at, layer->offset, inputs);
}

static int model_copy_spec(struct model *self, struct err *err)
{
    struct model_spec *spec = &self->spec;
    size_t size = 0;
    for (int i = 0; i < spec->layer_count; i++)
        size += model_layer_size(&spec->layers[i]);
    CHECK(size > 0);
    self->block = malloc(size * sizeof(float));
    size_t names = (size_t)spec->layers[0].inputs * sizeof(self->names[0]);
    if (spec->input_names != NULL)
        self->names = malloc(names);
    if (self->block == NULL || (spec->input_names != NULL && self->names == NULL))
        return err_set(err, ERR_MEMORY, "no memory for %zu weights", size);
    float *at = self->block;
    for (int i = 0; i < spec->layer_count; i++)
        model_copy_layer(&spec->layers[i], &at);
    if (spec->input_names != NULL)
        memcpy(self->names, spec->input_names, names);
    spec->input_names = (const char(*)[MODEL_INPUT_NAME_SIZE])self->names;
    return ERR_OK;
}

int model_open(const struct model_spec *spec, enum mlp_kernel kernel, struct model **model,
               struct err *err)
{
    PRE(spec != NULL && model != NULL);
    int rc = model_check(spec, err);
    if (rc != ERR_OK)
        return rc;
    struct model *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a model");
    self->spec = *spec;
    /* mlp_open checks the layers before model_copy_spec trusts their sizes. */
    rc = mlp_open(spec->layers, spec->layer_count, kernel, &self->mlp, err);
    if (rc == ERR_OK)
        rc = model_check_names(spec, err);
    if (rc == ERR_OK)
        rc = model_copy_spec(self, err);
    if (rc != ERR_OK) {
        model_close(self);
        return rc;
    }
    *model = self;
    return ERR_OK;
}

void model_close(struct model *model)
{
    if (model == NULL)
        return;
    mlp_close(model->mlp);
    free(model->block);
    free(model->names);
    free(model);
}

void model_predict(const struct model *model, const float *features, struct model_output *out)
{
    float y[MLP_OUTPUTS_MAX];
    mlp_forward(model->mlp, features, y);
    *out = (struct model_output){.scale_bp = 1.0f};
    bool has_scale = mlp_outputs(model->mlp) > 1;
    if (!isfinite(y[0]) || (has_scale && !isfinite(y[1]))) {
        out->scale_bp = 0.0f;
        return;
    }
    out->valid = true;
    out->mean_bp = y[0];
    if (!has_scale)
        return;
    out->has_scale = true;
    out->log_scale = fminf(MODEL_LOG_SCALE_MAX, fmaxf(-MODEL_LOG_SCALE_MAX, y[1]));
    out->scale_bp = expf(out->log_scale);
}

const struct model_spec *model_spec(const struct model *model)
{
    return &model->spec;
}

const char *model_version(const struct model *model)
{
    return model->spec.version;
}

int model_inputs(const struct model *model)
{
    return mlp_inputs(model->mlp);
}

const char *model_kernel_name(const struct model *model)
{
    return mlp_kernel_name(model->mlp);
}

void model_set_sha256(struct model *model, const char hex[MODEL_SHA256_SIZE])
{
    memcpy(model->sha256, hex, MODEL_SHA256_SIZE - 1);
    model->sha256[MODEL_SHA256_SIZE - 1] = '\0';
}

const char *model_sha256(const struct model *model)
{
    return model->sha256;
}

double model_strength(const struct model_output *out)
{
    return out->valid ? fabs((double)out->mean_bp) / (double)out->scale_bp : 0.0;
}
