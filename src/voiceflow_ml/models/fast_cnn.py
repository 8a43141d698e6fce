"""Fast CNN: raw audio in, who-talks-when and speaker embeddings out, in a few milliseconds on one core.

``log-mel (a fixed strided convolution)`` feeds two branches that share nothing that is trained:

* segmentation: ``depthwise-separable 2-D stem down to 40 ms -> residual temporal blocks with
  squeeze-excitation, two light attention layers -> powerset logits at 20 ms``;
* voice: ``a stem and temporal blocks of its own -> mean and deviation over each local speaker's
  frames -> one embedding per local speaker``.

What tells two voices apart in a window is not what names a voice across windows: a common trunk
was measured to make worse embeddings than two small ones.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voiceflow_ml.models.blocks import Stem, conv_norm, temporal_stack
from voiceflow_ml.models.log_mel import MEL_HOP, LogMel
from voiceflow_ml.models.pooling import pool_speakers, to_length_one
from voiceflow_ml.models.powerset import CLASSES, LOCAL_SPEAKERS, class_activity


@dataclass(frozen=True)
class FastCnnConfig:
    """Shape of the network.

    Attributes:
        mels: Mel bands between 20 Hz and 7.6 kHz; a multiple of 8.
        stem_channels: Channels at the end of each branch's 2-D stem.
        width: Channels of the segmentation branch; a multiple of 8.
        blocks: Temporal blocks of the segmentation branch.
        attention_after: Which of them, counted from 1, attention follows.
        voice_width: Channels of the voice branch.
        voice_blocks: Temporal blocks of the voice branch.
        voice_channels: Channels that are pooled over a speaker's frames.
        expansion: Width of the inside of a temporal block, as a multiple of its width.
        kernel: Taps of a block's depthwise convolution, odd, at 40 ms each.
        embedding_dim: Size of a speaker embedding.
    """

    mels: int = 64
    stem_channels: int = 64
    width: int = 160
    blocks: int = 6
    attention_after: tuple[int, ...] = (3, 6)
    voice_width: int = 160
    voice_blocks: int = 5
    voice_channels: int = 384
    expansion: int = 2
    kernel: int = 11
    embedding_dim: int = 192


class FastCnn(nn.Module):
    """The network; see the module's docstring for its shape."""

    activity_of_class: Tensor

    def __init__(self, config: FastCnnConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or FastCnnConfig()
        self.log_mel = LogMel(config.mels)
        self.stem = Stem(config.mels, config.stem_channels, config.width)
        self.trunk = temporal_stack(
            config.width,
            config.blocks,
            expansion=config.expansion,
            kernel=config.kernel,
            attention_after=config.attention_after,
        )
        # Two output frames of 20 ms for each trunk frame of 40 ms.
        self.split_frames = nn.Conv2d(config.width, config.width, 1)
        self.classify = nn.Conv2d(config.width // 2, CLASSES, 1)
        self.voice_stem = Stem(config.mels, config.stem_channels, config.voice_width)
        self.voice = nn.Sequential(
            temporal_stack(config.voice_width, config.voice_blocks, expansion=config.expansion, kernel=config.kernel),
            conv_norm(config.voice_width, config.voice_channels),
            nn.ReLU(),
        )
        self.embed = nn.Linear(2 * config.voice_channels, config.embedding_dim)
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
        with self._full_precision(audio.device):
            log_mel = self.log_mel(audio)
        logits = self._segment(log_mel)
        if activity is None:
            activity = torch.softmax(logits, dim=2) @ self.activity_of_class
        return logits, self._voices(log_mel, activity)

    def embed_voices(self, audio: Tensor, activity: Tensor) -> Tensor:
        """The voice branch by itself, for training it while segmentation rests.

        Args:
            audio: As in ``forward``.
            activity: float32 ``[batch, frames, 3]``.

        Returns:
            ``embeddings`` as in ``forward``.
        """
        with self._full_precision(audio.device):
            log_mel = self.log_mel(audio)
        return self._voices(log_mel, activity)

    def segment(self, audio: Tensor) -> Tensor:
        """Segmentation by itself, for training it while the voice branch rests.

        Args:
            audio: As in ``forward``.

        Returns:
            ``powerset_logits`` as in ``forward``.
        """
        with self._full_precision(audio.device):
            log_mel = self.log_mel(audio)
        return self._segment(log_mel)

    def take_segmentation(self, other: FastCnn) -> None:
        """Have another network's segmentation branch in the place of one's own.

        Args:
            other: Of the same shape.
        """
        for name in ("stem", "trunk", "split_frames", "classify"):
            getattr(self, name).load_state_dict(getattr(other, name).state_dict())

    def segmentation_parameters(self) -> list[nn.Parameter]:
        """The weights of the segmentation branch."""
        voice = {id(weight) for weight in self.voice_parameters()}
        return [weight for weight in self.parameters() if id(weight) not in voice]

    def voice_parameters(self) -> list[nn.Parameter]:
        """The weights of the voice branch."""
        return [*self.voice_stem.parameters(), *self.voice.parameters(), *self.embed.parameters()]

    def _voices(self, log_mel: Tensor, activity: Tensor) -> Tensor:
        voice = self.voice(self.voice_stem(log_mel)).squeeze(2)
        with self._full_precision(log_mel.device):
            # What autocast left in half precision comes back to that of the features.
            return self._embeddings(voice.to(log_mel.dtype), activity.to(log_mel.dtype))

    def _full_precision(self, device: torch.device) -> contextlib.AbstractContextManager[object]:
        """Half precision off: it would drown quiet bins and small deviations in the rounding of large ones."""
        # In evaluation there is no autocast to switch off, and the exporter need not see it.
        return torch.autocast(device.type, enabled=False) if self.training else contextlib.nullcontext()

    def _segment(self, log_mel: Tensor) -> Tensor:
        trunk = self.trunk(self.stem(log_mel))
        batch, width, time = trunk.shape[0], self.config.width, trunk.shape[3]
        frames = torch.relu(self.split_frames(trunk))
        frames = frames.view(batch, width // 2, 2, time).transpose(2, 3).reshape(batch, width // 2, 1, 2 * time)
        logits: Tensor = self.classify(frames).squeeze(2).transpose(1, 2)
        return logits

    def _embeddings(self, voice: Tensor, activity: Tensor) -> Tensor:
        """Weighted mean and deviation of ``voice`` ``[batch, channels, time]`` per speaker, projected."""
        batch, frames = activity.shape[0], activity.shape[1]
        coarse = activity.view(batch, frames // 2, 2, LOCAL_SPEAKERS).mean(dim=2)
        return to_length_one(self.embed(pool_speakers(voice, coarse)))


def parameter_count(model: nn.Module) -> int:
    """Trained parameters of a network (buffers such as the DFT are not counted)."""
    return sum(parameter.numel() for parameter in model.parameters())


def output_frames(samples: int) -> int:
    """How many 20 ms output frames ``samples`` input samples give."""
    return 2 * -(-(samples // MEL_HOP) // 4)
