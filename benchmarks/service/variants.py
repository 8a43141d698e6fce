"""Versions of the shipped model that can be told apart by their answers: same contract, other numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from voiceflow_ml.contract import Contract, to_json
from voiceflow_ml.contract.check import onnx_run
from voiceflow_ml.contract.document import from_json
from voiceflow_ml.contract.from_model import embed_contract
from voiceflow_ml.contract.golden import write_golden
from voiceflow_ml.contract.model_file import computation_sha256
from voiceflow_ml.contract.schema import CONTRACT_FILE, METADATA_KEY
from voiceflow_ml.models.powerset import CLASS_SPEAKERS
from voiceflow_ml.models.shipped import MODEL_NAME, shipped_model_path

WINDOW_SAMPLES = 48_000


def write_variant(folder: Path, number: int, *, seconds: float = 1.0, nobody: float = 0.0) -> Path:
    """Write a release of the shipped model whose logits are shifted by ``number`` / 1000, and return its folder.

    Args:
        folder: a new folder.
        number: tells the versions apart; 0 computes what the shipped model does.
        seconds: length of its golden input.
        nobody: added to the logit of the class in which nobody speaks, so that its turns are others, too.
    """
    folder.mkdir(parents=True)
    path = folder / f"{MODEL_NAME}.onnx"
    model = onnx.load(shipped_model_path())
    _shift(model, number / 1_000, nobody)
    onnx.save(model, path)
    audio = 0.05 * np.random.default_rng(0).standard_normal((1, round(seconds * 16_000))).astype(np.float32)
    inputs = {"audio": audio.astype(np.float32)}
    golden = write_golden(
        folder, "noise", inputs, onnx_run(path)(inputs), {"powerset_logits": 1e-4, "embeddings": 1e-4}
    )
    stated = replace(_contract(model), golden=(golden,), computation_sha256=computation_sha256(model, folder))
    embed_contract(model, stated)
    onnx.save(model, path)
    (folder / CONTRACT_FILE).write_text(to_json(stated), encoding="utf-8")
    return folder


def _contract(model: onnx.ModelProto) -> Contract:
    text = next(entry.value for entry in model.metadata_props if entry.key == METADATA_KEY)
    return from_json(text, MODEL_NAME)


def _shift(model: onnx.ModelProto, shift: float, nobody: float) -> None:
    """Add a number to every logit, and another one to the first class, in a node of its own at the end."""
    shifts = np.full(len(CLASS_SPEAKERS), shift, np.float32)
    shifts[CLASS_SPEAKERS.index(())] += np.float32(nobody)
    graph = model.graph
    for node in graph.node:
        for place, name in enumerate(node.output):
            if name == "powerset_logits":
                node.output[place] = "powerset_logits_before"
        for place, name in enumerate(node.input):
            if name == "powerset_logits":
                node.input[place] = "powerset_logits_before"
    graph.initializer.append(numpy_helper.from_array(shifts, "variant_shift"))
    graph.node.append(onnx.helper.make_node("Add", ["powerset_logits_before", "variant_shift"], ["powerset_logits"]))
