#!/usr/bin/python3
"""Makes the seeds of tests/fuzz/fuzz_onnx.c: small graphs that reach every operator, every
metadata key and most refusals. Deterministic. usage: tools/make_onnx_corpus.py [FOLDER]

SPDX-License-Identifier: Apache-2.0"""
import pathlib
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                      pathlib.Path(__file__).resolve().parents[1] / "tests/fuzz/corpus/onnx")
META = {"btcast.version": "seed-1", "btcast.schema": "0123456789abcdef", "btcast.features": "a,b",
        "btcast.output": "log_return_bp", "btcast.band": "-1.5,2",
        "btcast.calibration": "2/0:0.5,1:0.6;5/0:0.5"}
W = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
V = np.array([1.0, 2.0], np.float32)


def node(op, *inputs, out, **attributes):
    return helper.make_node(op, list(inputs), [out], name=f"n_{out}", **attributes)


def save(name, nodes, constants=None, meta=None, ir=8, opset=13, inputs=("N", 2),
         outputs=("N", 2), kind=TensorProto.FLOAT, change=None, listed=False):
    tensors = [t if isinstance(t, TensorProto) else numpy_helper.from_array(np.asarray(t), n)
               for n, t in (constants or {}).items()]
    ports = [helper.make_tensor_value_info("x", kind, inputs)]
    if listed:
        ports += [helper.make_tensor_value_info(t.name, TensorProto.FLOAT, t.dims) for t in tensors]
    graph = helper.make_graph(nodes, "g", ports,
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, outputs)],
                              tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir
    helper.set_model_props(model, META if meta is None else meta)
    if change is not None:
        change(model)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def external(model):
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def segment(model):
    model.graph.initializer[0].segment.begin = 1


def twice(model):
    model.graph.initializer[0].float_data.append(1.0)


def sparse(model):
    model.graph.sparse_initializer.add()


def two_opsets(model):
    model.opset_import.add().version = 13


def no_output_type(model):
    model.graph.output[0].ClearField("type")


def no_shape(model):
    model.graph.input[0].type.tensor_type.ClearField("shape")


def sequence(model):
    model.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1


def second_input(model):
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = "z"


def second_output(model):
    model.graph.output.add().CopyFrom(model.graph.output[0])


def no_names(model):
    for n in model.graph.node:
        n.ClearField("name")


def no_graph(model):
    model.ClearField("graph")


def nested(model):
    attribute = model.graph.node[0].attribute.add()
    for _ in range(6):
        attribute.name, attribute.type = "body", 5
        attribute = attribute.g.node.add().attribute.add()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    gemm = [node("Gemm", "x", "w", "v", out="y")]
    constants = {"w": W, "v": V}
    save("gemm", gemm, constants)
    save("gemm_trans_b", [node("Gemm", "x", "w", "v", out="y", transB=1, alpha=0.5, beta=2.0)],
         constants)
    save("gemm_trans_a", [node("Gemm", "x", "w", "v", out="y", transA=1)], constants)
    save("gemm_attribute", [node("Gemm", "x", "w", "v", out="y", other=1)], constants)
    save("gemm_no_bias", [node("Gemm", "x", "w", out="a"), node("Sub", "a", "v", out="y")],
         constants)
    save("gemm_right", [node("Gemm", "w", "x", out="y")], constants)
    save("gemm_empty_bias", [node("Gemm", "x", "w", "", out="y")], constants)
    save("gemm_vector", [node("Gemm", "x", "v", out="y")], constants)
    save("gemm_misfit", gemm, {"w": np.ones((3, 2), np.float32), "v": V})
    save("gemm_bias_misfit", gemm, {"w": W, "v": np.ones(3, np.float32)})
    save("matmul_add", [node("MatMul", "x", "w", out="a"), node("Add", "a", "v", out="y")],
         constants)
    save("matmul_right", [node("MatMul", "w", "x", out="y")], constants)
    save("scaler", [node("Sub", "x", "v", out="a"), node("Div", "a", "v", out="b"),
                    node("Add", "b", "v", out="c"), node("Tanh", "c", out="y")], constants)
    save("scaler_left", [node("Sub", "v", "x", out="a"), node("Mul", "v", "a", out="b"),
                         node("Sub", "b", "v", out="c"), node("Sub", "v", "c", out="y")], constants)
    save("division", [node("Div", "v", "x", out="y")], constants)
    save("division_by_zero", [node("Div", "x", "v", out="y")], {"v": np.zeros(2, np.float32)})
    save("square", [node("Mul", "x", "x", out="y")])
    save("activations", [node("Relu", "x", out="a"), node("Sigmoid", "a", out="b"),
                         node("Identity", "b", out="c"), node("Tanh", "c", out="y")])
    save("identity_constant", [node("Identity", "v", out="u"), node("Add", "x", "u", out="y")],
         constants)
    save("constant_nodes",
         [helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(W)),
          helper.make_node("Constant", [], ["s"], value_float=0.5),
          helper.make_node("Constant", [], ["v"], value_floats=[1.0, 2.0]),
          node("MatMul", "x", "w", out="a"), node("Mul", "a", "s", out="b"),
          node("Add", "b", "v", out="y")])
    save("constant_int", [helper.make_node("Constant", [], ["w"], value_int=3),
                          node("Add", "x", "w", out="y")])
    save("constant_empty", [helper.make_node("Constant", [], ["w"]), node("Add", "x", "w", out="y")])
    save("constant_long", [helper.make_node("Constant", [], ["w"], value_floats=[0.0] * 600),
                           node("Add", "x", "w", out="y")])
    save("float_data", gemm,
         {"w": helper.make_tensor("w", TensorProto.FLOAT, W.shape, W.ravel().tolist()), "v": V})
    save("one_output", [node("Gemm", "x", "w", out="y")], {"w": np.ones((2, 1), np.float32)},
         outputs=("N", 1))
    save("three_outputs", [node("Gemm", "x", "w", out="y")], {"w": np.ones((2, 3), np.float32)},
         outputs=("N", 3))
    save("leaky", [node("LeakyRelu", "x", out="y")])
    save("domain", [node("Relu", "x", out="y", domain="com.example")])
    save("branch", [node("Relu", "x", out="a"), node("Tanh", "x", out="b"),
                    node("Add", "a", "b", out="y")])
    save("relu_attribute", [node("Relu", "x", out="y", alpha=1.0)])
    save("relu_inputs", [node("Relu", "x", "x", out="y")])
    save("two_results", [helper.make_node("Relu", ["x"], ["y", "z"])])
    save("self", [node("Relu", "x", out="x")])
    save("nothing", [], change=lambda m: setattr(m.graph.output[0], "name", "x"))
    save("unknown_constant", [node("Add", "x", "q", out="y")])
    save("too_many_layers", [node("Relu", f"v{i}" if i else "x", out="y" if i == 19 else f"v{i+1}")
                             for i in range(20)])
    save("too_many_nodes", [node("Identity", f"v{i}" if i else "x", out=f"v{i+1}")
                            for i in range(300)])
    save("too_many_constants", gemm, {"w": W, "v": V} |
         {f"c{i}": np.ones(1, np.float32) for i in range(520)})
    save("double", gemm, {"w": W.astype(np.float64), "v": V})
    save("rank3", gemm, {"w": np.ones((1, 2, 2), np.float32), "v": V})
    save("huge_dim", gemm, {"w": np.ones((600, 1), np.float32), "v": V})
    save("not_finite", gemm, {"w": W, "v": np.array([1.0, np.nan], np.float32)})
    save("overflow", [node("Gemm", "x", "w", out="y", alpha=3e38)], {"w": 10 * W})
    save("same_name", gemm, {"w": W, "v": numpy_helper.from_array(V, "w")})
    save("nameless", gemm, {"w": W, "v": numpy_helper.from_array(V)})
    for change in (external, segment, twice, sparse, two_opsets, no_output_type, no_shape, sequence,
                   second_input, second_output, no_names, no_graph, nested):
        save(change.__name__, gemm, constants, change=change)
    save("ir3", gemm, constants, ir=3, opset=9, listed=True)
    save("ir14", gemm, constants, ir=14)
    save("opset26", gemm, constants, opset=26)
    save("other_opset", gemm, constants,
         change=lambda m: setattr(m.opset_import[0], "domain", "ai.onnx.ml"))
    save("input_double", gemm, constants, kind=TensorProto.DOUBLE)
    save("input_rank1", gemm, constants, inputs=(2,))
    save("input_wide", gemm, constants, inputs=("N", 600))
    save("input_open", gemm, constants, inputs=("N", "F"))
    save("input_nameless", gemm, constants,
         change=lambda m: m.graph.input[0].ClearField("name"))
    save("output_columns", gemm, constants, outputs=("N", 1))
    save("output_other", [node("Gemm", "x", "w", "v", out="z")], constants)
    for key, values in {
            "btcast.version": [None, "bad version", "v" * 70], "btcast.output": ["price"],
            "btcast.schema": [None, "12", "fedcba9876543210"],
            "btcast.features": [None, "a", "a,b,c", "a,,", "a,b b"],
            "btcast.band": [None, "x", "1", "1,", "1,x", "2,1", "nan,1"],
            "btcast.calibration": [None, "", "2", "2/", "2/0", "2/0:", "2/0:2", "2/1:0.5,1:0.6",
                                   "2/0:0.5x", "2/0:0.5;1/0:0.5", "1/0:0;2/0:0;3/0:0;4/0:0;5/0:0",
                                   "2/" + ",".join(f"{i}:0.5" for i in range(40))]}.items():
        for i, value in enumerate(values):
            meta = {k: v for k, v in META.items() if k != key}
            save(f"meta_{key[7:]}_{i}", gemm, constants,
                 meta=meta if value is None else meta | {key: value})
    save("meta_twice", gemm, constants, change=lambda m: m.metadata_props.add().CopyFrom(
        m.metadata_props[0]))
    save("meta_many", gemm, constants, meta=META | {f"k{i}": "v" for i in range(70)})
    (FOLDER / "bad_wire").write_bytes(b"\x07\x00")
    (FOLDER / "bad_varint").write_bytes(b"\xff" * 12)
    (FOLDER / "fixed").write_bytes(b"\x09" + b"\x00" * 8 + b"\x0d" + b"\x00" * 4)
    (FOLDER / "short").write_bytes(b"\x3a\x7f\x00")


main()
