/* The constants of an ONNX graph: initialisers and Constant nodes by name, their values
 * checked when they are used. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_ONNX_CONSTANT_H
#define BTCAST_WIRE_ONNX_CONSTANT_H

#include <onnx.pb-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "wire/onnx.h"

#define ONNX_RANK_MAX  2
#define ONNX_NAME_SIZE 64

/* A foreign name for an error text: printable, cut, never NULL. */
struct onnx_name {
    char text[ONNX_NAME_SIZE];
};
struct onnx_name onnx_name(const char *foreign);

/* A float32 tensor of rank 0 to 2, all values finite; a view into the file's message. */
struct onnx_constant {
    int rank;
    int dims[ONNX_RANK_MAX];
    size_t count;
    const uint8_t *values;
};

struct onnx_constants {
    int count;
    struct onnx_constant_entry {
        const char *name;
        const Onnx__TensorProto *tensor;       /* or, from a Constant node: */
        const Onnx__AttributeProto *attribute; /* value_float or value_floats */
    } entries[ONNX_CONSTANTS_MAX];
};

/* Adds an initialiser, or the one attribute of a Constant node under the node's output. */
int onnx_constants_add(struct onnx_constants *constants, const Onnx__TensorProto *tensor,
                       struct err *err) MUST_CHECK;
int onnx_constants_add_node(struct onnx_constants *constants, const Onnx__NodeProto *node,
                            struct err *err) MUST_CHECK;
/* Adds a second name for a known one. */
int onnx_constants_alias(struct onnx_constants *constants, const char *name, const char *of,
                         struct err *err) MUST_CHECK;
bool onnx_constants_has(const struct onnx_constants *constants, const char *name);
/* ERR_NOT_FOUND, ERR_UNSUPPORTED (type, rank, external), ERR_MALFORMED (sizes, values). */
int onnx_constants_get(const struct onnx_constants *constants, const char *name,
                       struct onnx_constant *constant, struct err *err) MUST_CHECK;
float onnx_constant_at(const struct onnx_constant *constant, size_t index);
/* Whether it can be added to [N, width]: (), (1), (1, 1), (width) or (1, width) … */
bool onnx_constant_spreads(const struct onnx_constant *constant, int width);
/* … and the value that meets column i then. */
float onnx_constant_column(const struct onnx_constant *constant, int i);

#endif
