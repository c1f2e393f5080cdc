/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/train/train_artifact.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t artifact_size(const struct train_net_options *net)
{
    size_t size = 0;
    for (int l = 0; l < net->layers; l++)
        size += (size_t)net->widths[l + 1] * (size_t)(net->widths[l] + 1);
    return size;
}

static void artifact_scaler_layer(struct train_artifact *artifact)
{
    artifact->spec.layers[0] = (struct mlp_layer){.inputs = FEATURE_COUNT,
                                                  .outputs = FEATURE_COUNT,
                                                  .activation = MLP_IDENTITY,
                                                  .shift = artifact->scaler.shift,
                                                  .scale = artifact->scaler.scale,
                                                  .offset = artifact->scaler.zero};
}

/* From units of the label's deviation to bp: the mean is multiplied, the log scale moved. */
static void artifact_to_bp(const struct train_net_options *net, double label_bp, float *weights,
                           float *bias)
{
    int inputs = net->widths[net->layers - 1];
    for (int k = 0; k < inputs; k++)
        weights[k] = (float)((double)weights[k] * label_bp);
    bias[0] = (float)((double)bias[0] * label_bp);
    if (net->widths[net->layers] > 1)
        bias[1] = (float)((double)bias[1] + log(label_bp));
}

int train_artifact_make(struct fit *fit, const struct train_scaler *scaler, const char *version,
                        struct train_artifact *artifact, struct err *err)
{
    const struct train_net_options *net = &fit_options(fit)->net;
    *artifact = (struct train_artifact){.scaler = *scaler};
    if (net->layers + 1 > MLP_LAYERS_MAX)
        return err_set(err, ERR_INVALID, "no room for the scaler before %d layers", net->layers);
    artifact->block = malloc(artifact_size(net) * sizeof(float));
    if (artifact->block == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a model");
    struct model_spec *spec = &artifact->spec;
    snprintf(spec->version, sizeof(spec->version), "%s", version);
    spec->has_schema = true;
    spec->feature_schema = feature_schema_hash();
    for (int i = 0; i < FEATURE_COUNT; i++)
        snprintf(artifact->names[i], sizeof(artifact->names[i]), "%s", feature_name(i));
    spec->input_names = (const char(*)[MODEL_INPUT_NAME_SIZE])artifact->names;
    artifact_scaler_layer(artifact);
    float *at = artifact->block;
    for (int l = 0; l < net->layers; l++) {
        int inputs = net->widths[l], outputs = net->widths[l + 1];
        float *weights = at, *bias = at + inputs * outputs;
        at = bias + outputs;
        fit_best_layer(fit, l, weights, bias);
        bool last = l + 1 == net->layers;
        if (last)
            artifact_to_bp(net, scaler->label_bp, weights, bias);
        spec->layers[l + 1] = (struct mlp_layer){.inputs = inputs,
                                                 .outputs = outputs,
                                                 .weights = weights,
                                                 .bias = bias,
                                                 .activation = last ? MLP_IDENTITY : MLP_RELU};
    }
    spec->layer_count = net->layers + 1;
    return ERR_OK;
}

void train_artifact_free(struct train_artifact *artifact)
{
    free(artifact->block);
    artifact->block = NULL;
}
