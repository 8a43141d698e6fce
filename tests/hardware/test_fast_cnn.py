"""The project's own promise: the shipped model on shipped speech, judged against sla.toml."""

from __future__ import annotations

from typing import Any

import pytest

from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.inference.ort import OnnxModel, open_onnx
from voiceflow_ml.models.shipped import shipped_model_path


@pytest.fixture
def fast_cnn(target: Target) -> OnnxModel:
    """The shipped model in a session on the test's target."""
    return open_onnx(shipped_model_path(), target, threads=1)


@pytest.mark.hardware
@pytest.mark.sla("fast-cnn", stage="model-inference")
def test_fast_cnn_latency(latency: Any, fast_cnn: OnnxModel, speech_window: Any, speech_phrase: str) -> None:
    latency(fast_cnn, speech_window, inputs=speech_phrase)
