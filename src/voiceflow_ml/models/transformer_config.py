"""Shape of the sophisticated model; nothing heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from voiceflow_ml.errors import ConfigError

CONV_KERNELS = (10, 3, 3, 3, 3, 2, 2)
CONV_STRIDES = (5, 2, 2, 2, 2, 2, 2)
"""Of every wav2vec2 encoder: together one frame each 320 samples, seen through 400."""

Head = Literal["lstm", "linear"]


@dataclass(frozen=True)
class EncoderShape:
    """What distinguishes one wav2vec2 encoder from another; the defaults are wav2vec2-base.

    Attributes:
        conv_channels: Channels of the seven convolutions over the waveform.
        conv_norm: ``group`` normalises the first convolution over time, ``layer`` each over its channels.
        conv_bias: Whether those convolutions have biases.
        width: Channels of the transformer layers.
        layers: How many.
        heads: Attention heads of a layer; divides ``width``.
        feed_forward: Width inside a layer's feed-forward part.
        position_taps: Taps of the convolution that tells positions.
        position_groups: Its groups; divides ``width``.
        norm_first: Whether a layer normalises before its parts and not behind them.
    """

    conv_channels: tuple[int, ...] = (512,) * 7
    conv_norm: Literal["group", "layer"] = "group"
    conv_bias: bool = False
    width: int = 768
    layers: int = 12
    heads: int = 12
    feed_forward: int = 3072
    position_taps: int = 128
    position_groups: int = 16
    norm_first: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "conv_channels", tuple(self.conv_channels))
        if len(self.conv_channels) != len(CONV_KERNELS):
            raise ConfigError(f"conv_channels needs {len(CONV_KERNELS)} numbers, got {len(self.conv_channels)}")
        for name, parts in (("heads", self.heads), ("position_groups", self.position_groups)):
            if parts < 1 or self.width % parts:
                raise ConfigError(f"{name} must divide the width of {self.width}, got {parts}")


SMALL_ENCODER = EncoderShape(
    conv_channels=(32, 32, 64, 64, 96, 96, 128),
    conv_norm="layer",
    width=128,
    layers=3,
    heads=4,
    feed_forward=512,
    position_taps=32,
    position_groups=8,
)
"""An encoder that a CPU trains from nothing within minutes."""


@dataclass(frozen=True)
class TransformerConfig:
    """The sophisticated model.

    Attributes:
        encoder: Shape of the encoder.
        pretrained: Where its weights come from: a name on the model hub, or a folder; empty for random ones.
        freeze_convolutions: Whether the convolutions over the waveform keep their weights in training.
        dropout: Chance that a value is dropped in training, everywhere but in the convolutions.
        head: ``lstm`` or ``linear``.
        head_width: Channels of the head; cells of each direction of the LSTM.
        head_layers: Layers of the LSTM.
        embedding_dim: Size of a speaker embedding.
    """

    encoder: EncoderShape = field(default_factory=EncoderShape)
    pretrained: str = ""
    freeze_convolutions: bool = False
    dropout: float = 0.1
    head: Head = "lstm"
    head_width: int = 128
    head_layers: int = 2
    embedding_dim: int = 192

    def __post_init__(self) -> None:
        if self.head not in ("lstm", "linear"):
            raise ConfigError(f"head must be lstm or linear, got {self.head!r}")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout must be at least 0 and below 1, got {self.dropout}")
