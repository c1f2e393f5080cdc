/* The built-in model: models/baseline.onnx inside the program, so that it runs from any
 * directory until a trained model exists. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_MODEL_BASELINE_H
#define BTCAST_MODEL_BASELINE_H

#include "base/bytes.h"

/* An ONNX file for wire/onnx, static. What it predicts: docs/models.md, "Baseline". */
struct bytes baseline_file(void);

#endif
