"""Tiny ONNX models, made on the spot: no test needs a model file that it did not write itself."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Kept well below what the newest onnx writes, so that every supported onnxruntime can read it.
_OPSET = 17
_IR_VERSION = 9


def tiny_model(path: Path) -> Path:
    """Write a model: float32 ``x`` [batch, 4] -> ``y`` [batch, 3] by MatMul and Relu. Returns the path."""
    weights = np.arange(12, dtype=np.float32).reshape(4, 3) / 10 - 0.5
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"], "multiply"), helper.make_node("Relu", ["h"], ["y"], "clip")],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    return save_graph(path, graph)


def two_input_model(path: Path, *, second: int = TensorProto.INT64) -> Path:
    """Write a model: float32 ``audio`` [1, samples] and ``second`` ``length`` [1] pass through. Returns the path."""
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["audio"], ["louder"], "clip"),
            helper.make_node("Identity", ["length"], ["same"], "pass"),
        ],
        "two-inputs",
        [
            helper.make_tensor_value_info("audio", TensorProto.FLOAT, [1, "samples"]),
            helper.make_tensor_value_info("length", second, [1]),
        ],
        [
            helper.make_tensor_value_info("louder", TensorProto.FLOAT, [1, "samples"]),
            helper.make_tensor_value_info("same", second, [1]),
        ],
    )
    return save_graph(path, graph)


def chain_model(path: Path, *, layers: int, width: int = 128) -> Path:
    """Write a model: float32 ``x`` [batch, width] through ``layers`` MatMuls, its time about proportional to them."""
    weights = np.eye(width, dtype=np.float32)
    names = ["x", *(f"h{layer}" for layer in range(1, layers)), "y"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", [a, "w"], [b], f"multiply {b}") for a, b in itertools.pairwise(names)],
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])],
        [numpy_helper.from_array(weights, "w")],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_graph(path, graph)


def save_graph(path: Path, graph: onnx.GraphProto) -> Path:
    """Check a graph, write it as a model file and return its path."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def endless_model(path: Path) -> Path:
    """Write a model: float32 ``x`` [batch, 4] -> ``y``, a loop of 2**63 - 1 rounds. Returns the path."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still_go_on"], "still"),
            helper.make_node("Relu", ["before"], ["after"], "round"),
        ],
        "round",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, ["batch", 4]),
        ],
        [
            helper.make_tensor_value_info("still_go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, ["batch", 4]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "true", "x"], ["y"], "loop", body=body)],
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [
            numpy_helper.from_array(np.array(2**63 - 1, dtype=np.int64), "rounds"),
            numpy_helper.from_array(np.array(True), "true"),
        ],
    )
    return save_graph(path, graph)
