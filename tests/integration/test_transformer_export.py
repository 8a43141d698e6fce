from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.speech_data import TINY_TRANSFORMER, TINY_TRANSFORMER_RUN, shipped_bank
from voiceflow_ml.audio import read_wav
from voiceflow_ml.contract.check import check_model
from voiceflow_ml.export import ExportOptions, Precision, export, load_source, load_speech
from voiceflow_ml.export.parity import PARITY_LIMITS
from voiceflow_ml.models.fast_cnn import output_frames
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.models.transformer_config import Head
from voiceflow_ml.training.checkpoint import load_checkpoint, load_model
from voiceflow_ml.training.train import train

SPEECH = read_wav(shipped_speech_path(), sample_rate_hz=16_000)[0]


@pytest.mark.parametrize("head", ["lstm", "linear"])
def test_the_exported_graph_equals_the_trained_network_at_any_batch_and_length(head: Head, tmp_path: Path) -> None:
    config = replace(TINY_TRANSFORMER_RUN, steps=1, model=replace(TINY_TRANSFORMER, head=head))
    checkpoint_path = train(config, shipped_bank(), tmp_path / "run", progress=lambda _: None)
    # One head will do for half precision, whose search takes its time.
    options = ExportOptions((Precision.INT8,) if head == "lstm" else (Precision.FP16, Precision.INT8))
    result = export(load_source(checkpoint_path), tmp_path / "out", load_speech(None), options)
    portable, int8 = (result.variants[precision] for precision in (Precision.FP32, Precision.INT8))
    assert max(portable.parity.scaled_error.values()) <= PARITY_LIMITS[Precision.FP32]
    if head == "linear":
        half = result.variants[Precision.FP16]
        assert max(half.parity.scaled_error.values()) <= PARITY_LIMITS[Precision.FP16]
        assert " parts with " in half.notes[0]
    assert (portable.path.name, int8.path.name) == ("transformer.onnx", "transformer.int8.onnx")
    assert check_model(int8.path).model == "transformer"
    assert json.loads(result.record_path.read_text())["training"]["config"] == config.to_dict()
    graph = onnx.load(portable.path).graph
    assert [node.op_type for node in graph.node].count("LSTM") == (
        TINY_TRANSFORMER.head_layers if head == "lstm" else 0
    )
    session = onnxruntime.InferenceSession(portable.path, providers=["CPUExecutionProvider"])
    network = load_model(load_checkpoint(checkpoint_path))
    for batch, samples in ((1, 48_000), (3, 35_655), (2, 80_001), (1, 640)):
        audio = np.stack([SPEECH[1_000 * row : 1_000 * row + samples] for row in range(batch)])
        with torch.no_grad():
            expected = network(torch.from_numpy(audio))
        logits, embeddings = session.run(["powerset_logits", "embeddings"], {"audio": audio})
        assert logits.shape == (batch, output_frames(samples), 7)
        np.testing.assert_allclose(logits, expected[0].numpy(), atol=1e-5, rtol=0.0)
        np.testing.assert_allclose(embeddings, expected[1].numpy(), atol=1e-5, rtol=0.0)
