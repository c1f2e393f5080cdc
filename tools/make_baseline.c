/* Makes models/baseline.onnx: the microprice baseline over the features of market/feature.h
 * (docs/models.md, "Baseline"). Deterministic.
 * usage: make-baseline FILE | make-baseline --check FILE
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "market/feature.h"
#include "wire/onnx.h"

#define BASELINE_VERSION  "microprice-baseline-1"
#define BASELINE_FILE_MAX 65536

/* Basis points of expected 10 s log return per unit of the feature. */
static const struct {
    const char *feature;
    float weight;
} terms[] = {
    {"microprice_dev_bp", 1.0f}, /* the mid is drawn to the microprice */
    {"touch_imbalance", 0.7f},   /* and drifts towards the thinner side */
};
/* p10 and p90 of its error on the public capture, made symmetric. */
#define BASELINE_BAND_BP 3.8f

static int fill_weights(float *weights)
{
    for (size_t t = 0; t < sizeof(terms) / sizeof(terms[0]); t++) {
        int index = 0;
        while (index < FEATURE_COUNT && strcmp(feature_name(index), terms[t].feature) != 0)
            index++;
        if (index == FEATURE_COUNT) {
            fprintf(stderr, "make-baseline: there is no feature %s\n", terms[t].feature);
            return 1;
        }
        weights[index] = terms[t].weight;
    }
    return 0;
}

static int make(uint8_t *out, size_t *size)
{
    static float weights[FEATURE_COUNT], bias[1];
    static char names[FEATURE_COUNT][MODEL_INPUT_NAME_SIZE];
    if (fill_weights(weights) != 0)
        return 1;
    for (int i = 0; i < FEATURE_COUNT; i++)
        snprintf(names[i], sizeof(names[i]), "%s", feature_name(i));
    struct model_spec spec = {.version = BASELINE_VERSION,
                              .has_schema = true,
                              .feature_schema = feature_schema_hash(),
                              .input_names = (const char(*)[MODEL_INPUT_NAME_SIZE])names,
                              .has_band = true,
                              .band_p10 = -BASELINE_BAND_BP,
                              .band_p90 = BASELINE_BAND_BP,
                              .layer_count = 1};
    spec.layers[0] =
        (struct mlp_layer){.inputs = FEATURE_COUNT, .outputs = 1, .weights = weights, .bias = bias};
    struct err err = {0};
    if (onnx_write(&spec, out, BASELINE_FILE_MAX, size, &err) == ERR_OK)
        return 0;
    fprintf(stderr, "make-baseline: %s\n", err.text);
    return 1;
}

static int save(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    bool ok = file != NULL && fwrite(data, 1, size, file) == size;
    if (file != NULL && fclose(file) != 0)
        ok = false;
    if (!ok)
        fprintf(stderr, "make-baseline: %s: %s\n", path, strerror(errno));
    return !ok;
}

static int check(const char *path, const uint8_t *data, size_t size)
{
    static uint8_t there[BASELINE_FILE_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "make-baseline: %s: %s\n", path, strerror(errno));
        return 1;
    }
    size_t count = fread(there, 1, sizeof(there), file);
    fclose(file);
    if (count == size && memcmp(there, data, size) == 0)
        return 0;
    fprintf(stderr, "make-baseline: %s is out of date: run make-baseline %s\n", path, path);
    return 1;
}

int main(int argc, char **argv)
{
    static uint8_t data[BASELINE_FILE_MAX];
    size_t size;
    bool checking = argc == 3 && strcmp(argv[1], "--check") == 0;
    if (argc != 2 && !checking) {
        fprintf(stderr, "usage: make-baseline [--check] FILE\n");
        return 2;
    }
    if (make(data, &size) != 0)
        return 1;
    return checking ? check(argv[2], data, size) : save(argv[1], data, size);
}
