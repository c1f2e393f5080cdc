/* A loaded model: what it is (version, feature schema, meaning of its output, calibration)
 * and the net that computes it. Files are read by wire/onnx; this knows no format. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MODEL_MODEL_H
#define BTCAST_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/calibration.h"
#include "model/mlp.h"

#define MODEL_VERSION_SIZE    64
#define MODEL_INPUT_NAME_SIZE 48
/* Hexadecimal SHA-256 of the artifact with its NUL. */
#define MODEL_SHA256_SIZE 65
/* One output: the mean of the 10 s log return; a second one: ln of its scale. */
#define MODEL_OUTPUTS_MAX 2
#define MODEL_OUTPUT_NAME "log_return_bp"

/* Everything that describes a model; layers and names are borrowed. Zero-initialise. */
struct model_spec {
    char version[MODEL_VERSION_SIZE]; /* model_version of every prediction, not empty */
    bool has_schema;                  /* false: a foreign file, its inputs are not ours */
    uint64_t feature_schema;          /* feature_schema_hash() it was trained on */
    const char (*input_names)[MODEL_INPUT_NAME_SIZE]; /* [inputs of layer 0], or NULL */
    /* p10 and p90 of the error of the mean, in units of the scale (of bp without one). */
    bool has_band;
    float band_p10, band_p90;
    struct calibration calibration;
    int layer_count;
    struct mlp_layer layers[MLP_LAYERS_MAX];
};

/* One forecast: log return over 10 s in basis points. */
struct model_output {
    bool valid; /* false: not a finite number, all others are 0 */
    float mean_bp;
    bool has_scale;
    float log_scale; /* ln of the scale in bp, clamped to +-MODEL_LOG_SCALE_MAX */
    float scale_bp;  /* exp(log_scale), or 1 without one */
};
#define MODEL_LOG_SCALE_MAX 20.0f

struct model; /* opaque, immutable but for its SHA-256: share it freely */

/* Copies everything. ERR_INVALID names the broken rule, ERR_UNSUPPORTED the missing CPU
 * feature. */
int model_open(const struct model_spec *spec, enum mlp_kernel kernel, struct model **model,
               struct err *err) MUST_CHECK;
void model_close(struct model *model);
/* features: [model_inputs]. Thread-safe. */
void model_predict(const struct model *model, const float *features, struct model_output *out);
/* The description, valid as long as the model: for show, compare, and writing it again. */
const struct model_spec *model_spec(const struct model *model);
const char *model_version(const struct model *model);
int model_inputs(const struct model *model);
const char *model_kernel_name(const struct model *model);
/* Hash of the file it came from, "" until set by whoever read the file. */
void model_set_sha256(struct model *model, const char hex[MODEL_SHA256_SIZE]);
const char *model_sha256(const struct model *model);
/* |mean| in units of the scale: the strength that calibrations are fitted on. */
double model_strength(const struct model_output *out);

#endif
