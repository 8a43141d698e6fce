"""Log mel filter bank energies as Kaldi computes them, which is what pretrained speaker encoders were trained on.

Povey et al., "The Kaldi Speech Recognition Toolkit", ASRU 2011; frames of 25 ms every 10 ms, offset removed,
pre-emphasis 0.97, Povey's window (Hann to the power of 0.85), power spectrum of 512 points, triangular mel filters
from 20 Hz to half the sample rate, natural logarithm. No dither: the same audio gives the same features.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.models.signal import SAMPLE_RATE_HZ

HOP_SAMPLES = 160
_FRAME_SAMPLES, _FFT = 400, 512
_PRE_EMPHASIS = 0.97
_LOW_HZ = 20.0


def log_mel(audio: NDArray[np.float32], mels: int = 80) -> NDArray[np.float32]:
    """Features of whole frames only.

    Args:
        audio: float32 ``[samples]`` in [-1, 1] at 16 kHz.
        mels: Filters.

    Returns:
        float32 ``[frames, mels]``, ``frames = 1 + (samples - 400) // 160``; none for fewer than 400 samples.
    """
    if audio.size < _FRAME_SAMPLES:
        return np.zeros((0, mels), dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(audio.astype(np.float64), _FRAME_SAMPLES)[::HOP_SAMPLES]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    window = np.hanning(_FRAME_SAMPLES) ** 0.85
    power = np.square(np.abs(np.fft.rfft((frames - _PRE_EMPHASIS * before) * window, n=_FFT)))
    energies = power[:, : _FFT // 2] @ _filters(mels)
    return np.log(np.maximum(energies, np.finfo(np.float32).eps)).astype(np.float32)


@lru_cache(maxsize=2)
def _filters(mels: int) -> NDArray[np.float64]:
    """``[256, mels]``: triangles that are even on the mel scale; the bin at half the sample rate is left out."""
    bins = _mel(np.arange(_FFT // 2) * SAMPLE_RATE_HZ / _FFT)
    edges = np.linspace(_mel(np.array(_LOW_HZ)), _mel(np.array(SAMPLE_RATE_HZ / 2)), mels + 2)
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    triangles: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return triangles


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    scale: NDArray[np.float64] = 1127.0 * np.log1p(hz / 700.0)
    return scale
