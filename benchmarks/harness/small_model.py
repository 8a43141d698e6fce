"""The models that every harness runs: one of some hundred microseconds, and one that does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_ROWS = 16
_WIDTH = 256
_LAYERS = 8
# Kept well below what the newest onnx writes, so that every supported onnxruntime can read it.
_OPSET = 17
_IR_VERSION = 9


@dataclass(frozen=True)
class Subject:
    """What is measured: one call of one session, the same for every harness in this process.

    Attributes:
        name: of the model.
        path: the ONNX file, for a harness that measures in a process of its own.
        session: the open session, for a harness that calls it itself.
        feeds: its inputs.
        call: runs the session on the inputs; a C-level partial, so that nothing but the session is timed.
    """

    name: str
    path: Path
    session: Any
    feeds: dict[str, NDArray[np.float32]]
    call: Callable[[], object]


def open_subject(path: Path) -> Subject:
    """Open a model of this module on the CPU: one thread, which does not spin when it is idle."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {"x": np.random.default_rng(0).standard_normal((_ROWS, _WIDTH), dtype=np.float32)}
    return Subject(path.stem, path, session, feeds, partial(session.run, None, feeds))


def write_models(folder: Path) -> tuple[Path, ...]:
    """Write both models, ``layers.onnx`` and ``identity.onnx``, into a folder; returns their paths."""
    random = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for layer in range(_LAYERS):
        scale = np.float32(_WIDTH**-0.5)
        matrix = random.standard_normal((_WIDTH, _WIDTH), dtype=np.float32) * scale
        weights.append(numpy_helper.from_array(matrix, f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"h{layer}"]))
        nodes.append(helper.make_node("Tanh", [f"h{layer}"], [f"a{layer}"]))
        last = f"a{layer}"
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    identity = [helper.make_node("Identity", ["x"], ["y"])]
    return (
        _save(folder / "layers.onnx", nodes, weights),
        _save(folder / "identity.onnx", identity, []),
    )


def _save(path: Path, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> Path:
    inputs, outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [_ROWS, _WIDTH]) for name in ("x", "y"))
    graph = helper.make_graph(nodes, path.stem, [inputs], [outputs], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
