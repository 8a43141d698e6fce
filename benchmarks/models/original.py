"""The original design's network, built from its published shape alone: a plain residual CNN over the waveform.

Five residual blocks, 1 -> 64 -> 128 -> 256 -> 256 -> 512 channels, each halves the rate; 2.2 million parameters. It was
trained on random noise and no weights of it were published, so these are random: only its latency can be measured.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

CHANNELS = (1, 64, 128, 256, 256, 512)
_CLASSES = 7
_KERNEL = 3


class _Residual(nn.Module):
    """Two convolutions, the first of stride 2, beside a pointwise one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, _KERNEL, stride=2)
        self.second = _convolution(outputs, outputs, _KERNEL, stride=1)
        self.beside = _convolution(inputs, outputs, 1, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(features))) + self.beside(features))


class OriginalCnn(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(_Residual(*pair) for pair in pairwise(CHANNELS)),
        )
        self.classify = nn.Linear(CHANNELS[-1], _CLASSES)

    def forward(self, audio: Tensor) -> Tensor:
        """Float32 ``[batch, samples]`` -> ``[batch, samples / 32, 7]``, rounded up."""
        scores: Tensor = self.classify(self.blocks(audio.unsqueeze(1)).transpose(1, 2))
        return scores


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int) -> nn.Sequential:
    convolution = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs))
