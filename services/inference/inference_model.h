/* Where the inference service gets its model from. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_INFERENCE_INFERENCE_MODEL_H
#define BTCAST_SERVICES_INFERENCE_INFERENCE_MODEL_H

#include "base/err.h"
#include "model/model.h"

/* The ONNX file at path, or the built-in baseline when path is empty. A model of another
 * feature schema is refused (ERR_SCHEMA). The caller closes it. */
int inference_model_load(const char *path, struct model **model, struct err *err) MUST_CHECK;

#endif
