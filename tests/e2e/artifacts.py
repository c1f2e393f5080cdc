# SPDX-License-Identifier: Apache-2.0
"""Artifacts made for a test: models whose numbers a test can compute itself."""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import harness as h

BASELINE = os.path.join(h.ROOT, "models", "baseline.onnx")


def linear_model(version, weights, bias, schema=None):
    """An artifact that answers weights · features + bias, with the baseline's metadata."""
    known = {p.key: p.value for p in onnx.load(BASELINE).metadata_props}
    metadata = {key: known[key] for key in ("btcast.schema", "btcast.features", "btcast.output")}
    metadata["btcast.version"] = version
    if schema:
        metadata["btcast.schema"] = schema
    constants = [numpy_helper.from_array(np.float32(weights).reshape(1, -1), "w"),
                 numpy_helper.from_array(np.float32([bias]), "b")]
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["features", "w", "b"], ["out"], transB=1)], version,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", len(weights)])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 1])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    helper.set_model_props(model, metadata)
    return model.SerializeToString()


def feature_names():
    known = {p.key: p.value for p in onnx.load(BASELINE).metadata_props}
    return known["btcast.features"].split(",")
