"""What a broken model is: a good release, one thing wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.contract_models import NAME, save_contract
from tests.onnx_models import save_graph
from voiceflow_ml.contract import Contract
from voiceflow_ml.contract.from_model import stated_contract
from voiceflow_ml.contract.golden import write_golden
from voiceflow_ml.contract.model_file import read_model

FILE = f"{NAME}.onnx"
OUTSIDE = "outside"
"""Folder beside that of the model, with a file that no model may read."""
SECRET = "secret.bin"
SEED = 20_261_129
Change = Callable[[onnx.ModelProto], None]


@dataclass(frozen=True)
class Mutant:
    """One broken model.

    Attributes:
        name: what is wrong, unique.
        kind: the family that it belongs to.
        make: breaks the good release in a folder; the model is ``tiny.onnx`` there.
    """

    name: str
    kind: str
    make: Callable[[Path], None]


def good_release(folder: Path) -> None:
    """Write a model with a branch, a constant and two weights, its contract and a golden pair, and the secret beside.

    float32 ``x`` [batch, 4] -> ``y`` [batch, 3]: MatMul, Add, a branch on a constant, Relu.
    """
    folder.mkdir(parents=True)
    beside = folder.parent / OUTSIDE
    beside.mkdir(exist_ok=True)
    (beside / SECRET).write_bytes(np.arange(12, dtype=np.float32).tobytes())
    path = save_graph(folder / FILE, _graph())
    feeds = {"x": np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)}
    weights = {entry.name: numpy_helper.to_array(entry) for entry in _graph().initializer}
    outputs = {"y": np.maximum(feeds["x"] @ weights["w"] + weights["b"], 0)}
    golden = write_golden(folder, "ramp", feeds, outputs, {"y": 1e-5})
    stated = stated_contract(read_model(path), NAME, folder, {})
    save_contract(path, Contract(**{**vars(stated), "golden": (golden,), "licence": "MIT"}))


def _graph() -> onnx.GraphProto:
    shape = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])]
    result = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])]
    inner = [helper.make_tensor_value_info("inner", TensorProto.FLOAT, ["batch", 3])]
    branch = helper.make_graph([helper.make_node("Identity", ["s"], ["inner"], "pass")], "branch", [], inner)
    yes = helper.make_node("Constant", [], ["yes"], "always", value=numpy_helper.from_array(np.array(True)))
    return helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"], "multiply"),
            helper.make_node("Add", ["h", "b"], ["s"], "shift"),
            yes,
            helper.make_node("If", ["yes"], ["c"], "choose", then_branch=branch, else_branch=branch),
            helper.make_node("Relu", ["c"], ["y"], "clip"),
        ],
        NAME,
        shape,
        result,
        [
            numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3) / 10 - 0.5, "w"),
            numpy_helper.from_array(np.array([0.1, 0.2, -0.3], np.float32), "b"),
        ],
    )


def graph_mutant(name: str, kind: str, change: Change) -> Mutant:
    """A mutant whose model is parsed, changed and written again."""

    def make(folder: Path) -> None:
        model = onnx.load(folder / FILE, load_external_data=False)
        change(model)
        (folder / FILE).write_bytes(model.SerializeToString())

    return Mutant(name, kind, make)


def bytes_mutant(name: str, kind: str, change: Callable[[bytes], bytes]) -> Mutant:
    """A mutant whose file is changed as bytes."""

    def make(folder: Path) -> None:
        (folder / FILE).write_bytes(change((folder / FILE).read_bytes()))

    return Mutant(name, kind, make)


def wire(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
