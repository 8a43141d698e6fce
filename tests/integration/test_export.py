from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.speech_data import TINY_RUN, shipped_bank
from voiceflow_ml.audio import read_wav
from voiceflow_ml.errors import ExportError, TrainingError
from voiceflow_ml.export import onnx as export_module
from voiceflow_ml.export.onnx import PARITY_LIMIT, ExportResult, export
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.training.checkpoint import load_checkpoint, load_model
from voiceflow_ml.training.train import train

SPEECH = read_wav(shipped_speech_path(), sample_rate_hz=16_000)[0]


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("run")
    return train(replace(TINY_RUN, steps=2), shipped_bank(), run_dir, progress=lambda _: None)


@pytest.fixture(scope="module")
def exported(checkpoint_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export(checkpoint_path, tmp_path_factory.mktemp("out"), speech=SPEECH)


def test_the_graph_equals_the_network_on_real_speech(exported: ExportResult) -> None:
    assert set(exported.parity_error) == {"powerset_logits", "embeddings"}
    assert max(exported.parity_error.values()) <= PARITY_LIMIT


def test_the_file_is_one_valid_model_with_named_dynamic_axes(exported: ExportResult) -> None:
    proto = onnx.load(exported.model_path, load_external_data=False)
    onnx.checker.check_model(proto, full_check=True)
    assert not any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in proto.graph.initializer)
    assert proto.opset_import[0].version >= 18

    def axes(value: onnx.ValueInfoProto) -> list[str | int]:
        return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]

    assert {value.name: axes(value) for value in (*proto.graph.input, *proto.graph.output)} == {
        "audio": ["batch", "samples"],
        "powerset_logits": ["batch", "frames", 7],
        "embeddings": ["batch", 3, TINY_RUN.model.embedding_dim],
    }
    assert {entry.key: entry.value for entry in proto.metadata_props}["sample_rate_hz"] == "16000"


def test_nothing_of_the_machine_is_left_in_the_file(exported: ExportResult) -> None:
    content = exported.model_path.read_bytes()
    for trace in (b"/site-packages/", b".py", str(Path.home()).encode() + b"/"):
        assert trace not in content


def test_the_card_says_what_the_file_is(exported: ExportResult) -> None:
    card = json.loads(exported.card_path.read_text(encoding="utf-8"))
    assert card["sha256"] == exported.sha256 == hashlib.sha256(exported.model_path.read_bytes()).hexdigest()
    assert card["size_bytes"] == exported.model_path.stat().st_size
    assert card["training"]["steps_done"] == 2
    assert card["training"]["config"] == replace(TINY_RUN, steps=2).to_dict()


def test_a_failed_parity_proof_leaves_no_file(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "parity", lambda *_: {"powerset_logits": float("nan")})
    with pytest.raises(ExportError, match="powerset_logits of the exported graph differs from torch by nan"):
        export(checkpoint_path, tmp_path / "out", speech=SPEECH)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_graph_with_other_weights_fails_the_proof(exported: ExportResult, checkpoint_path: Path) -> None:
    model = load_model(load_checkpoint(checkpoint_path))
    with torch.no_grad():
        model.get_parameter("classify.weight").add_(0.01)
    assert export_module.parity(model, exported.model_path, SPEECH)["powerset_logits"] > PARITY_LIMIT


def test_too_little_speech_and_missing_checkpoints_are_refused(checkpoint_path: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="at least 48000 samples of speech"):
        export(checkpoint_path, tmp_path, speech=np.zeros(100, dtype=np.float32))
    with pytest.raises(TrainingError, match="no such checkpoint"):
        export(tmp_path / "none.pt", tmp_path, speech=SPEECH)
