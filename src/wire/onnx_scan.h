/* What has to be known before protobuf-c may unpack foreign bytes: it recurses as deep as
 * the messages are nested and allocates several times their size. Here the nesting is
 * measured first and the memory is counted. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_ONNX_SCAN_H
#define BTCAST_WIRE_ONNX_SCAN_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

/* A model needs 7 levels: model, graph, node, attribute, tensor, segment. */
#define ONNX_SCAN_DEPTH_MAX 12

/* ERR_MALFORMED: not in the wire format; ERR_FULL: nested too deep. */
int onnx_scan_depth(const ProtobufCMessageDescriptor *descriptor, struct bytes message,
                    struct err *err) MUST_CHECK;

/* An allocator that gives out `left` bytes in all, then NULL (protobuf-c then gives up
 * cleanly). Freed bytes do not come back. */
struct onnx_budget {
    ProtobufCAllocator allocator;
    size_t left;
};
void onnx_budget_init(struct onnx_budget *budget, size_t bytes_max);

#endif
