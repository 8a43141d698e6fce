from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.speech_data import TINY_TRANSFORMER
from voiceflow_ml.audio import read_wav
from voiceflow_ml.models.fast_cnn import output_frames
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.models.transformer import Transformer
from voiceflow_ml.models.transformer_config import Head

SPEECH = read_wav(shipped_speech_path(), sample_rate_hz=16_000)[0]


def to_onnx(model: Transformer, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (torch.zeros(2, 48_000),),
            dynamo=True,
            opset_version=20,
            input_names=["audio"],
            output_names=["powerset_logits", "embeddings"],
            dynamic_shapes={"audio": {0: "batch", 1: "samples"}},
            verbose=False,
        )
    assert program is not None
    program.save(path)


@pytest.mark.parametrize("head", ["lstm", "linear"])
def test_the_exported_graph_equals_the_network_at_any_batch_and_length(head: Head, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Transformer(replace(TINY_TRANSFORMER, head=head)).eval()
    path = tmp_path / "model.onnx"
    to_onnx(model, path)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("LSTM") == (TINY_TRANSFORMER.head_layers if head == "lstm" else 0)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, samples in ((1, 48_000), (3, 35_655), (2, 80_001), (1, 640)):
        audio = np.stack([SPEECH[1_000 * row : 1_000 * row + samples] for row in range(batch)])
        with torch.no_grad():
            expected = model(torch.from_numpy(audio))
        logits, embeddings = session.run(["powerset_logits", "embeddings"], {"audio": audio})
        assert logits.shape == (batch, output_frames(samples), 7)
        np.testing.assert_allclose(logits, expected[0].numpy(), atol=1e-5, rtol=0.0)
        np.testing.assert_allclose(embeddings, expected[1].numpy(), atol=1e-5, rtol=0.0)
