"""A real model that never comes back from some inputs: a loop in its graph goes on while an input is above 1000."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.contract_models import NAME, save_contract
from voiceflow_ml.contract import Golden
from voiceflow_ml.contract.check import onnx_run
from voiceflow_ml.contract.from_model import stated_contract
from voiceflow_ml.contract.golden import write_golden
from voiceflow_ml.contract.model_file import read_model

HARMLESS = {"x": np.ones((1, 4), np.float32)}
ENDLESS = {"x": np.full((1, 4), 5_000, np.float32)}


def hanging_model(folder: Path, *, above: float = 1_000.0) -> Path:
    """Write the model with its contract; it hangs when the largest input is above the bound. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.onnx"
    batch = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
            helper.make_node("Greater", ["most", "bound"], ["goes_on"]),
            helper.make_node("Loop", ["", "goes_on", "x"], ["y"], body=_endless()),
        ],
        NAME,
        [batch],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor("bound", TensorProto.FLOAT, [], [above])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    golden: tuple[Golden, ...] = ()
    if above > 1:
        golden = (write_golden(folder, "ones", HARMLESS, onnx_run(path)(HARMLESS), {"y": 1e-5}),)
    save_contract(path, replace(stated_contract(read_model(path), NAME, folder, {}), golden=golden, licence="MIT"))
    return folder


def _endless() -> onnx.GraphProto:
    """The body of the loop: it gives back what it got, and goes on if it was going on."""
    return helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still_on"]), helper.make_node("Identity", ["state"], ["next_state"])],
        "endless",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next_state", TensorProto.FLOAT, None),
        ],
    )
