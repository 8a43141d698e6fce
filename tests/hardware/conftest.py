"""What the hardware tests feed the shipped model with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from voiceflow_ml.audio import read_wav
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ, WINDOW_SAMPLES


@pytest.fixture
def speech_window() -> Any:
    """The first window of the shipped speech: float32 ``[1, 48000]``, 3 s at 16 kHz."""
    samples, sample_rate_hz = read_wav(shipped_speech_path())
    assert sample_rate_hz == SAMPLE_RATE_HZ
    return samples[np.newaxis, :WINDOW_SAMPLES].astype(np.float32)


@pytest.fixture
def speech_phrase() -> str:
    """What the window is, for the report."""
    return f"{shipped_speech_path().name}, first 3 s at 16 kHz"
