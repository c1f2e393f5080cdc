/* The operators an ONNX chain may consist of. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_WIRE_ONNX_OPERATOR_H
#define BTCAST_WIRE_ONNX_OPERATOR_H

#include "wire/onnx_chain.h"

/* Appends what the node does to the chain. The error text does not name the node. */
int onnx_operator_apply(struct onnx_chain *chain, const Onnx__NodeProto *node,
                        struct err *err) MUST_CHECK;

#endif
