/* A trained net as a model: scaler, layers, the label's unit, names, schema, and later its
 * band and calibration. What it describes can be opened (model_open) and written
 * (onnx_write). Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_LEARN_TRAIN_ARTIFACT_H
#define BTCAST_LEARN_TRAIN_ARTIFACT_H

#include "learn/train/fit.h"
#include "learn/train/train_scaler.h"
#include "model/model.h"

struct train_artifact {
    struct model_spec spec; /* its pointers go into the rest */
    struct train_scaler scaler;
    float *block;
    char names[FEATURE_COUNT][MODEL_INPUT_NAME_SIZE];
};

/* Mean in bp and ln of the scale in bp; no band and no calibration yet. */
int train_artifact_make(struct fit *fit, const struct train_scaler *scaler, const char *version,
                        struct train_artifact *artifact, struct err *err) MUST_CHECK;
void train_artifact_free(struct train_artifact *artifact);

#endif
