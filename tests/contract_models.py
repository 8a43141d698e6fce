"""A tiny model with a whole contract: ``contract.json``, the same in its metadata, and golden pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from tests.onnx_models import tiny_model
from voiceflow_ml.contract import Contract, Promise, to_json
from voiceflow_ml.contract.check import onnx_run
from voiceflow_ml.contract.from_model import embed_contract, stated_contract
from voiceflow_ml.contract.golden import write_golden
from voiceflow_ml.contract.model_file import read_model

NAME = "tiny"


def contracted_model(folder: Path, *, promised: tuple[Promise, ...] = (), shift: float = 0.0) -> Path:
    """Write ``tiny.onnx``, ``contract.json`` and ``golden/``; ``shift`` is added to the weights. Returns the model."""
    folder.mkdir(parents=True, exist_ok=True)
    path = tiny_model(folder / f"{NAME}.onnx")
    if shift:
        model = onnx.load(path)
        weights = onnx.numpy_helper.to_array(model.graph.initializer[0]) + np.float32(shift)
        model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
        onnx.save(model, path)
    model = read_model(path)
    inputs = {"x": np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)}
    golden = write_golden(folder, "ramp", inputs, onnx_run(path)(inputs), {"y": 1e-5})
    contract = replace(stated_contract(model, NAME, folder, {}), golden=(golden,), sla=promised, licence="MIT")
    save_contract(path, contract)
    return path


def save_contract(path: Path, contract: Contract) -> None:
    """Put a contract beside a model and into it."""
    model = onnx.load(path)
    embed_contract(model, contract)
    onnx.save(model, path)
    (path.parent / "contract.json").write_text(to_json(contract))
