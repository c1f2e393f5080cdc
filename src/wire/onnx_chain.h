/* An ONNX graph as the one chain of layers it has to be. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_ONNX_CHAIN_H
#define BTCAST_WIRE_ONNX_CHAIN_H

#include <onnx.pb-c.h>

#include "base/err.h"
#include "model/mlp.h"
#include "wire/onnx_constant.h"

/* What may still be merged into the last layer without a different result. */
enum onnx_open {
    ONNX_OPEN_BIAS = 1,   /* a dense layer that has no bias yet */
    ONNX_OPEN_SHIFT = 2,  /* an elementwise layer that only subtracts … */
    ONNX_OPEN_SCALE = 4,  /* … then multiplies … */
    ONNX_OPEN_OFFSET = 8, /* … then adds */
    ONNX_OPEN_ACTIVATION = 16,
};

struct onnx_chain {
    int inputs;
    int count;
    struct mlp_layer layers[MLP_LAYERS_MAX];
    float *arrays[MLP_LAYERS_MAX][3]; /* owned: what the layers point to */
    unsigned open;                    /* enum onnx_open, of the last layer */
    const char *value;                /* name of the value the chain has come to */
    int width;                        /* its columns */
    struct onnx_constants constants;
};

/* Fills chain (zeroed before) from the graph, which has to outlive it; close it also after
 * an error. ERR_UNSUPPORTED or ERR_MALFORMED name the node. */
int onnx_chain_read(struct onnx_chain *chain, const Onnx__GraphProto *graph,
                    struct err *err) MUST_CHECK;
void onnx_chain_close(struct onnx_chain *chain);

#endif
