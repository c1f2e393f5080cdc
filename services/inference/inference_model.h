/* Where the inference service gets its model from. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_INFERENCE_INFERENCE_MODEL_H
#define BTCAST_SERVICES_INFERENCE_INFERENCE_MODEL_H

#include "base/err.h"
#include "model/model.h"

/* The ONNX file at path, or the built-in baseline when path is empty. A model of another
 * feature schema is refused (ERR_SCHEMA). The caller closes it. */
int inference_model_load(const char *path, enum mlp_kernel kernel, struct model **model,
                         struct err *err) MUST_CHECK;

/* Names of enum mlp_kernel, in its order, NULL-terminated. */
extern const char *const inference_model_kernels[];

#endif
