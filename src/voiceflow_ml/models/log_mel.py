"""Log-mel features as part of the network: a fixed strided convolution, nothing in it is trained."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from voiceflow_ml.models.signal import SAMPLE_RATE_HZ

MEL_HOP = 160
"""Samples between two spectra: 10 ms."""

_MEL_WINDOW = 400
_LOG_FLOOR = 1e-6


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
        edge = (_MEL_WINDOW - MEL_HOP) // 2
        signal = nn.functional.pad(audio[:, None, None, :], (edge, edge))
        spectrum = nn.functional.conv2d(signal, self.dft, stride=(1, MEL_HOP))
        bins = _MEL_WINDOW // 2 + 1
        power = spectrum[:, :bins].square() + spectrum[:, bins:].square()
        log_mel = torch.log(nn.functional.conv2d(power, self.mel) + _LOG_FLOOR)
        log_mel = log_mel - log_mel.mean(dim=3, keepdim=True)
        return log_mel.transpose(1, 2)
