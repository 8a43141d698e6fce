"""The layers that the Fast CNN is built of, all over ``[batch, channels, 1, time]``.

They are written as 2-D convolutions because ONNX Runtime's blocked CPU kernels and its
Conv+Add+Relu fusion exist for 2-D only.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: tuple[int, int] = (1, 1),
    *,
    stride: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> nn.Sequential:
    """Convolution with same padding, then batch norm (folded into it at export).

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Taps over frequency and time, odd.
        stride: Over frequency and time.
        groups: Groups of channels that do not see each other.
    """
    padding = (kernel[0] // 2, kernel[1] // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Stem(nn.Module):
    """Log-mel at 10 ms -> features at 40 ms, by depthwise-separable convolutions.

    Args:
        mels: Mel bands, a multiple of 8.
        channels: Channels at the end of the 2-D part.
        width: Channels of the result.
    """

    def __init__(self, mels: int, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_norm(1, channels // 2, (3, 3), stride=(2, 2)),
            nn.ReLU(),
            conv_norm(channels // 2, channels // 2, (3, 3), stride=(2, 2), groups=channels // 2),
            conv_norm(channels // 2, channels),
            nn.ReLU(),
            conv_norm(channels, channels, (3, 3), stride=(2, 1), groups=channels),
            conv_norm(channels, channels),
            nn.ReLU(),
        )
        self.project = conv_norm(channels * mels // 8, width)

    def forward(self, log_mel: Tensor) -> Tensor:
        """``[batch, 1, mels, time]`` -> ``[batch, width, 1, ceil(time / 4)]``."""
        features = self.layers(log_mel).flatten(1, 2).unsqueeze(2)
        return torch.relu(self.project(features))


class DepthwiseTime(nn.Conv2d):
    """Depthwise convolution over time with same padding, no bias.

    While it trains on a CPU it is one product with a band matrix for each channel: at the few dozen steps of a
    window that and its gradients take a fraction of the time of the convolution's, a quarter of a training step.

    Args:
        channels: In and out.
        kernel: Taps, odd.
        dilation: Steps between two taps.
    """

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        padding = (0, kernel // 2 * dilation)
        super().__init__(
            channels, channels, (1, kernel), padding=padding, dilation=(1, dilation), groups=channels, bias=False
        )

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, channels, 1, time]`` -> the same shape."""
        if not self.training or features.device.type != "cpu":
            return super().forward(features)
        channels, time = features.shape[1], features.shape[3]
        taps = _taps(time, self.kernel_size[1], self.dilation[1]).to(self.weight.dtype)
        bands = (self.weight.view(channels, -1) @ taps.flatten(1)).view(channels, time, time)
        return torch.bmm(features.squeeze(2).transpose(0, 1), bands).transpose(0, 1).unsqueeze(2)


@cache
def _taps(time: int, kernel: int, dilation: int) -> Tensor:
    """Which step of the input each tap gives to which of the output, 0 or 1: ``[kernel, time, time]``."""
    offsets = (torch.arange(kernel) - kernel // 2) * dilation
    steps = torch.arange(time)
    return (steps[None, :, None] == steps[None, None, :] + offsets[:, None, None]).float()


class TemporalBlock(nn.Module):
    """Residual block: widen, depthwise convolution over time, squeeze-excitation, narrow.

    Args:
        width: Channels in and out.
        expansion: Channels inside, as a multiple of ``width``.
        kernel: Taps of the depthwise convolution, odd.
        dilation: Steps between two taps.
    """

    def __init__(self, width: int, expansion: int, kernel: int, dilation: int) -> None:
        super().__init__()
        inside = width * expansion
        self.widen = conv_norm(width, inside)
        self.depthwise = nn.Sequential(DepthwiseTime(inside, kernel, dilation), nn.BatchNorm2d(inside))
        self.squeeze = nn.Conv2d(inside, inside // 8, 1)
        self.excite = nn.Conv2d(inside // 8, inside, 1)
        self.narrow = conv_norm(inside, width)

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, width, 1, time]`` -> the same shape."""
        inside = torch.relu(self.depthwise(torch.relu(self.widen(features))))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(inside.mean(dim=3, keepdim=True)))))
        return torch.relu(features + self.narrow(inside * gate))


class TimeAttention(nn.Module):
    """Residual self-attention over time: what lets a voice that comes back be known again.

    Args:
        width: Channels in and out, a multiple of ``heads``.
        heads: Attention heads.
    """

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.project = conv_norm(width, 3 * width)
        self.mix = conv_norm(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """``[batch, width, 1, time]`` -> the same shape."""
        batch, width, _, time = features.shape
        each = width // self.heads
        query, key, value = self.project(features).view(batch, 3, self.heads, each, time).unbind(1)
        weights = torch.softmax(query.transpose(2, 3) @ key * each**-0.5, dim=3)
        mixed = (value @ weights.transpose(2, 3)).reshape(batch, width, 1, time)
        return torch.relu(features + self.mix(mixed))


def temporal_stack(
    width: int, blocks: int, *, expansion: int, kernel: int, attention_after: tuple[int, ...] = ()
) -> nn.Sequential:
    """Temporal blocks whose dilations cycle through 1, 2, 4, with attention in between.

    Args:
        width: Channels in and out.
        blocks: How many temporal blocks.
        expansion: As in ``TemporalBlock``.
        kernel: As in ``TemporalBlock``.
        attention_after: Numbers of the blocks, from 1, that attention follows.
    """
    layers: list[nn.Module] = []
    for number in range(blocks):
        layers.append(TemporalBlock(width, expansion, kernel, 2 ** (number % 3)))
        if number + 1 in attention_after:
            layers.append(TimeAttention(width))
    return nn.Sequential(*layers)
