from __future__ import annotations

import numpy as np
import pytest

from voiceflow_ml.diarization.fbank import log_mel

KALDI_FIRST = [
    -10.3174,
    -9.6357,
    -3.8638,
    1.0703,
    -1.4034,
    -15.0709,
    -15.9424,
    -15.9424,
]
KALDI_LAST = [
    -14.1613,
    -15.9424,
    -15.9424,
    -15.9424,
    -15.9424,
    -10.3702,
    -6.8660,
    -15.9424,
]


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (48_000, 298)])
def test_only_whole_frames_count(samples: int, frames: int) -> None:
    assert log_mel(np.ones(samples, dtype=np.float32)).shape == (frames, 80)


def test_a_tone_is_where_it_belongs_and_an_offset_is_nowhere() -> None:
    audio = np.sin(2.0 * np.pi * 1_000.0 * np.arange(1_600) / 16_000).astype(np.float32)
    features = log_mel(audio)
    mel = 1127.0 * np.log1p(np.array([20.0, 1_000.0, 8_000.0]) / 700.0)
    expected = round(float((mel[1] - mel[0]) / (mel[2] - mel[0]) * 81)) - 1
    assert np.argmax(features.mean(axis=0)) == expected
    np.testing.assert_allclose(log_mel(audio + np.float32(0.3)), features, atol=1e-3)


def test_silence_is_the_floor() -> None:
    np.testing.assert_allclose(log_mel(np.zeros(1_600, dtype=np.float32)), np.log(np.finfo(np.float32).eps), rtol=1e-6)


def test_values_of_kaldi_native_fbank_1_23() -> None:
    """Its answer for the same samples, no dither: rounded, at the first frame and every tenth filter."""
    audio = (0.1 * np.sin(np.arange(1_600) ** 1.5 / 40.0)).astype(np.float32)
    np.testing.assert_allclose(log_mel(audio)[0, ::10], KALDI_FIRST, atol=2e-3)
    np.testing.assert_allclose(log_mel(audio)[-1, ::10], KALDI_LAST, atol=2e-3)
