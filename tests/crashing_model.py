"""Real models that end their process, or whose outputs never repeat; the contract is that of ``hanging_model``."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from tests.contract_models import NAME, save_contract
from tests.hanging_model import HARMLESS
from voiceflow_ml.contract.check import onnx_run
from voiceflow_ml.contract.from_model import stated_contract
from voiceflow_ml.contract.golden import write_golden
from voiceflow_ml.contract.model_file import read_model

CRASHES = platform.machine().lower() in ("x86_64", "amd64")
"""Other processors give a number where these raise SIGFPE."""
_LEAST = int(np.iinfo(np.int64).min)


def crashing_model(folder: Path) -> Path:
    """A model that divides the least integer by -1 when it hears silence, which ONNX Runtime does not look for.

    Returns:
        Its folder.
    """
    nodes = [
        helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Mul", ["whole", "two"], ["twice"]),
        helper.make_node("Sub", ["twice", "one"], ["divisor"]),
        helper.make_node("Div", ["least", "divisor"], ["quotient"]),
        helper.make_node("Cast", ["quotient"], ["y"], to=TensorProto.FLOAT),
    ]
    numbers = {"one": 1, "two": 2, "least": _LEAST}
    return _written(folder, nodes, [helper.make_tensor(*named) for named in _int64(numbers)], is_golden=True)


def random_model(folder: Path) -> Path:
    """A model that adds noise. Returns its folder."""
    nodes = [helper.make_node("RandomNormalLike", ["x"], ["noise"]), helper.make_node("Add", ["x", "noise"], ["y"])]
    return _written(folder, nodes, [], is_golden=False)


def _int64(numbers: dict[str, int]) -> list[tuple[str, int, list[int], list[int]]]:
    return [(name, TensorProto.INT64, [], [number]) for name, number in numbers.items()]


def _written(folder: Path, nodes: list[NodeProto], numbers: list[TensorProto], *, is_golden: bool) -> Path:
    folder.mkdir(parents=True)
    path = folder / f"{NAME}.onnx"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, NAME, ends[:1], ends[1:], numbers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    contract = replace(stated_contract(read_model(path), NAME, folder, {}), licence="MIT")
    if is_golden:
        pair = write_golden(folder, "ones", HARMLESS, onnx_run(path)(HARMLESS), {"y": 1e-5})
        contract = replace(contract, golden=(pair,))
    save_contract(path, contract)
    return folder
