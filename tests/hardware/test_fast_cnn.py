"""The project's own promise: the shipped model on shipped speech, judged against sla.toml."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from voiceflow_ml.audio import read_wav
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.inference.ort import OnnxModel, open_onnx
from voiceflow_ml.models.shipped import shipped_model_path, shipped_speech_path
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ, WINDOW_SAMPLES


@pytest.fixture
def speech_window() -> Any:
    """The first window of the shipped speech: float32 ``[1, 48000]``, 3 s at 16 kHz."""
    samples, sample_rate_hz = read_wav(shipped_speech_path())
    assert sample_rate_hz == SAMPLE_RATE_HZ
    return samples[np.newaxis, :WINDOW_SAMPLES].astype(np.float32)


@pytest.fixture
def fast_cnn(target: Target) -> OnnxModel:
    """The shipped model in a session on the test's target."""
    return open_onnx(shipped_model_path(), target, threads=1)


@pytest.mark.hardware
@pytest.mark.sla("fast-cnn", stage="model-inference")
def test_fast_cnn_latency(latency: Any, fast_cnn: OnnxModel, speech_window: Any) -> None:
    latency(fast_cnn, speech_window, inputs=f"{shipped_speech_path().name}, first 3 s at 16 kHz")
