"""Fast CNN: raw audio in, who-talks-when and speaker embeddings out, in a few milliseconds on one core.

``log-mel (a fixed strided convolution) -> depthwise-separable 2-D stem down to
40 ms -> residual depthwise temporal blocks with squeeze-excitation -> powerset
logits at 20 ms, and embeddings pooled over each local speaker's frames``

All layers are written as 2-D convolutions over ``[batch, channels, 1, time]``:
ONNX Runtime's blocked CPU kernels and its Conv+Add+Relu fusion exist for 2-D only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voiceflow_ml.models.powerset import CLASSES, LOCAL_SPEAKERS, class_activity
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ

_MEL_HOP = 160
_MEL_WINDOW = 400
_LOG_FLOOR = 1e-6


@dataclass(frozen=True)
class FastCnnConfig:
    """Shape of the network.

    Attributes:
        mels: Mel bands between 20 Hz and 7.6 kHz; a multiple of 8.
        stem_channels: Channels at the end of the 2-D stem.
        width: Channels of the temporal trunk.
        expansion: Width of the inside of a temporal block, as a multiple of ``width``.
        blocks: Temporal blocks; their dilations cycle through 1, 2, 4.
        kernel: Taps of a block's depthwise convolution, odd, at 40 ms each.
        embedding_dim: Size of a speaker embedding.
    """

    mels: int = 64
    stem_channels: int = 64
    width: int = 192
    expansion: int = 2
    blocks: int = 8
    kernel: int = 11
    embedding_dim: int = 192


def mel_filters(mels: int, *, low_hz: float = 20.0, high_hz: float = 7_600.0) -> Tensor:
    """Triangular filters, evenly spaced on the mel scale of O'Shaughnessy (2595 log10(1 + f/700)).

    Args:
        mels: How many bands.
        low_hz: Lower edge of the first, in Hz.
        high_hz: Upper edge of the last, in Hz.

    Returns:
        float32 ``[mels, 201]``, over the bins of a 400-point DFT at 16 kHz.
    """
    low, high = (2595.0 * math.log10(1.0 + hz / 700.0) for hz in (low_hz, high_hz))
    edges = 700.0 * (10.0 ** (torch.linspace(low, high, mels + 2, dtype=torch.float64) / 2595.0) - 1.0)
    bins_hz = torch.arange(_MEL_WINDOW // 2 + 1, dtype=torch.float64) * SAMPLE_RATE_HZ / _MEL_WINDOW
    rising = (bins_hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins_hz) / (edges[2:] - edges[1:-1])[:, None]
    # The lowest bands are narrower than one bin; dividing by the sum keeps their gain even.
    filters = torch.minimum(rising, falling).clamp_min(0.0)
    nearest = (bins_hz[None, :] - edges[1:-1, None]).abs().argmin(dim=1)
    filters[torch.arange(mels), nearest] += (filters.sum(dim=1) == 0).to(filters.dtype)
    return (filters / filters.sum(dim=1, keepdim=True)).float()


class LogMel(nn.Module):
    """Log-mel spectrogram every 10 ms, its mean over the window removed; nothing in it is trained."""

    dft: Tensor
    mel: Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        bins = _MEL_WINDOW // 2 + 1
        angle = 2.0 * math.pi / _MEL_WINDOW * torch.outer(torch.arange(bins), torch.arange(_MEL_WINDOW)).double()
        window = torch.hann_window(_MEL_WINDOW, dtype=torch.float64)
        dft = torch.cat([torch.cos(angle), torch.sin(angle)]) * window
        self.register_buffer("dft", dft.float().view(2 * bins, 1, 1, _MEL_WINDOW), persistent=False)
        self.register_buffer("mel", mel_filters(mels).view(mels, bins, 1, 1), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """``[batch, samples]`` -> ``[batch, 1, mels, samples // 160]``, natural log of mel energies."""
        edge = (_MEL_WINDOW - _MEL_HOP) // 2
        signal = nn.functional.pad(audio[:, None, None, :], (edge, edge))
        spectrum = nn.functional.conv2d(signal, self.dft, stride=(1, _MEL_HOP))
        bins = _MEL_WINDOW // 2 + 1
        power = spectrum[:, :bins].square() + spectrum[:, bins:].square()
        log_mel = torch.log(nn.functional.conv2d(power, self.mel) + _LOG_FLOOR)
        log_mel = log_mel - log_mel.mean(dim=3, keepdim=True)
        return log_mel.transpose(1, 2)


def _conv(
    inputs: int,
    outputs: int,
    kernel: tuple[int, int] = (1, 1),
    *,
    stride: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> nn.Sequential:
    """Convolution with same padding, then batch norm (folded into it at export)."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Stem(nn.Module):
    """Log-mel at 10 ms -> trunk features at 40 ms."""

    def __init__(self, config: FastCnnConfig) -> None:
        super().__init__()
        channels = config.stem_channels
        self.layers = nn.Sequential(
            _conv(1, channels // 2, (3, 3), stride=(2, 2)),
            nn.ReLU(),
            _conv(channels // 2, channels // 2, (3, 3), stride=(2, 2), groups=channels // 2),
            _conv(channels // 2, channels),
            nn.ReLU(),
            _conv(channels, channels, (3, 3), stride=(2, 1), groups=channels),
            _conv(channels, channels),
            nn.ReLU(),
        )
        self.project = _conv(channels * config.mels // 8, config.width)

    def forward(self, log_mel: Tensor) -> Tensor:
        """``[batch, 1, mels, time]`` -> ``[batch, width, 1, ceil(time / 4)]``."""
        features = self.layers(log_mel).flatten(1, 2).unsqueeze(2)
        return torch.relu(self.project(features))


class TemporalBlock(nn.Module):
    """Residual block: widen, depthwise convolution over time, squeeze-excitation, narrow."""

    def __init__(self, config: FastCnnConfig, dilation: int) -> None:
        super().__init__()
        inside = config.width * config.expansion
        self.widen = _conv(config.width, inside)
        reach = (config.kernel - 1) // 2 * dilation
        self.depthwise = nn.Sequential(
            nn.Conv2d(
                inside,
                inside,
                (1, config.kernel),
                padding=(0, reach),
                dilation=(1, dilation),
                groups=inside,
                bias=False,
            ),
            nn.BatchNorm2d(inside),
        )
        self.squeeze = nn.Conv2d(inside, inside // 8, 1)
        self.excite = nn.Conv2d(inside // 8, inside, 1)
        self.narrow = _conv(inside, config.width)

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, width, 1, time]`` -> the same shape."""
        inside = torch.relu(self.depthwise(torch.relu(self.widen(features))))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(inside.mean(dim=3, keepdim=True)))))
        return torch.relu(features + self.narrow(inside * gate))


class FastCnn(nn.Module):
    """The network; see the module's docstring for its shape."""

    activity_of_class: Tensor

    def __init__(self, config: FastCnnConfig | None = None) -> None:
        super().__init__()
        self.config = config or FastCnnConfig()
        width = self.config.width
        self.log_mel = LogMel(self.config.mels)
        self.stem = Stem(self.config)
        self.trunk = nn.Sequential(*(TemporalBlock(self.config, 2 ** (i % 3)) for i in range(self.config.blocks)))
        # Two output frames of 20 ms for each trunk frame of 40 ms.
        self.split_frames = nn.Conv2d(width, width, 1)
        self.classify = nn.Conv2d(width // 2, CLASSES, 1)
        self.voice = nn.Sequential(_conv(width, width), nn.ReLU(), TemporalBlock(self.config, 1))
        self.embed = nn.Linear(2 * width, self.config.embedding_dim)
        self.register_buffer("activity_of_class", torch.from_numpy(class_activity()), persistent=False)

    def forward(self, audio: Tensor, activity: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Segment and embed.

        Args:
            audio: float32 ``[batch, samples]`` in [-1, 1] at 16 kHz, at least 640 samples.
            activity: float32 ``[batch, frames, 3]``: pool embeddings over this instead of
                the model's own activity (training knows the true one).

        Returns:
            ``powerset_logits`` ``[batch, frames, 7]`` (classes as in ``powerset``), with
            ``frames = 2 * ceil(floor(samples / 160) / 4)`` of 20 ms each, and ``embeddings``
            ``[batch, 3, embedding_dim]``, of length one, one per local speaker
            (meaningless for a speaker who does not talk in the window).
        """
        trunk = self.trunk(self.stem(self.log_mel(audio)))
        batch, width, time = trunk.shape[0], self.config.width, trunk.shape[3]
        frames = torch.relu(self.split_frames(trunk))
        frames = frames.view(batch, width // 2, 2, time).transpose(2, 3).reshape(batch, width // 2, 1, 2 * time)
        logits = self.classify(frames).squeeze(2).transpose(1, 2)
        if activity is None:
            activity = torch.softmax(logits, dim=2) @ self.activity_of_class
        return logits, self._embeddings(self.voice(trunk).squeeze(2), activity)

    def _embeddings(self, voice: Tensor, activity: Tensor) -> Tensor:
        """Weighted mean and deviation of ``voice`` ``[batch, width, time]`` per speaker, projected."""
        batch, frames = activity.shape[0], activity.shape[1]
        coarse = activity.view(batch, frames // 2, 2, LOCAL_SPEAKERS).mean(dim=2)
        # A frame counts for a speaker by its share of the talk: overlap says little about either voice.
        weights = coarse.square() / (coarse.sum(dim=2, keepdim=True) + 1e-4)
        weights = weights / (weights.sum(dim=1, keepdim=True) + 1e-4)
        mean = voice @ weights
        variance = voice.square() @ weights - mean.square()
        pooled = torch.cat([mean, torch.sqrt(variance.clamp_min(0.0) + 1e-5)], dim=1).transpose(1, 2)
        embeddings: Tensor = self.embed(pooled)
        return embeddings / torch.sqrt(embeddings.square().sum(dim=2, keepdim=True) + 1e-8)


def parameter_count(model: nn.Module) -> int:
    """Trained parameters of a network (buffers such as the DFT are not counted)."""
    return sum(parameter.numel() for parameter in model.parameters())


def output_frames(samples: int) -> int:
    """How many 20 ms output frames ``samples`` input samples give."""
    return 2 * -(-(samples // _MEL_HOP) // 4)
