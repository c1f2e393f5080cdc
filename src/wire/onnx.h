/* ONNX bytes <-> model. Reads what common tools export for a multilayer perceptron over
 * named features and refuses everything else by name; every size, shape and string is
 * checked here, protobuf-c only splits the bytes. Sans I/O.
 *
 * Accepted: IR 3 to 13, ai.onnx opset 9 to 25; one chain from one input [N, F] to one
 * output [N, 1] or [N, 2] (mean, log scale); operators Gemm (alpha, beta, transB), MatMul,
 * Add, Sub, Mul, Div with constants, Relu, Tanh, Sigmoid, Identity, Constant; constants in
 * float32 as raw_data or float_data, not external (docs/models.md, "Files").
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_ONNX_H
#define BTCAST_WIRE_ONNX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "model/model.h"

#define ONNX_FILE_MAX      (64u << 20)
#define ONNX_NODES_MAX     256
#define ONNX_CONSTANTS_MAX 512
#define ONNX_METADATA_MAX  64

/* metadata_props */
#define ONNX_KEY_VERSION     "btcast.version"     /* text */
#define ONNX_KEY_SCHEMA      "btcast.schema"      /* 16 hexadecimal digits */
#define ONNX_KEY_FEATURES    "btcast.features"    /* names joined by ',' */
#define ONNX_KEY_OUTPUT      "btcast.output"      /* MODEL_OUTPUT_NAME */
#define ONNX_KEY_BAND        "btcast.band"        /* "P10,P90" */
#define ONNX_KEY_CALIBRATION "btcast.calibration" /* model/calibration.h */

struct onnx_options {
    uint64_t feature_schema; /* the reader's; a file with another one is refused */
    bool allow_foreign;      /* accept any schema, or none, and files without a version */
    enum mlp_kernel kernel;
};

/* The result is the caller's: model_close. ERR_UNSUPPORTED: a valid file beyond the above;
 * ERR_MALFORMED: not a valid one; ERR_SCHEMA: another feature schema, or none. */
int onnx_read(struct bytes file, const struct onnx_options *options, struct model **model,
              struct err *err) MUST_CHECK;

/* A model as IR 8, opset 13: Gemm with transB=1 and raw_data, Sub, Mul, Add for scalers.
 * onnx_read gives the same model back, bit by bit. ERR_INVALID as model_open (nothing
 * written); ERR_FULL: *size (set in any case) is what it takes. */
int onnx_write(const struct model_spec *spec, uint8_t *out, size_t capacity, size_t *size,
               struct err *err) MUST_CHECK;

#endif
