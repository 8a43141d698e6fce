"""Named training runs: what a command starts with before its options change it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from voiceflow_ml.models.architectures import find_architecture
from voiceflow_ml.models.fast_cnn import FastCnnConfig
from voiceflow_ml.models.signal import WINDOW_SAMPLES
from voiceflow_ml.models.transformer_config import SMALL_ENCODER, EncoderShape, Head, TransformerConfig
from voiceflow_ml.training.config import TrainConfig

Preset = Literal["small", "full"]
_SHORT_WINDOWS = (19_200, 25_600, WINDOW_SAMPLES)
"""1.2 s, as the diarizer cuts them, 1.6 s, and 3 s, so that longer ones stay known."""

_PRETRAINED_RATE = 0.05
"""Learning rate of a pretrained encoder, as a multiple of what is new around it."""


_SMALL = TrainConfig(
    steps=400,
    conversations_per_step=6,
    window_samples=(WINDOW_SAMPLES,),
    warmup_steps=30,
    validate_every=50,
    validate_conversations=10,
    patience=5,
)
_FAST_CNN: dict[Preset, TrainConfig] = {
    # The shipped model's. Its data never repeats, so the schedule of the learning rate ends it, not patience.
    "full": TrainConfig(),
    "small": replace(
        _SMALL,
        model=FastCnnConfig(width=96, blocks=4, attention_after=(), voice_width=96, voice_blocks=2, voice_channels=192),
    ),
}
_TRANSFORMER: dict[Preset, tuple[TrainConfig, TransformerConfig]] = {
    "full": (
        TrainConfig(
            steps=20_000,
            conversations_per_step=16,
            learning_rate=5e-4,
            warmup_steps=1_000,
            validate_every=500,
            patience=10,
            save_every=250,
        ),
        TransformerConfig(),
    ),
    "small": (
        replace(_SMALL, learning_rate=1e-3),
        TransformerConfig(encoder=SMALL_ENCODER, dropout=0.0, head_width=64, head_layers=1),
    ),
}


def fast_cnn_run(name: Preset) -> TrainConfig:
    """A named run of the Fast CNN.

    Args:
        name: ``small`` takes minutes on a CPU; ``full`` is what a GPU, or a CPU with hours, is for.
    """
    return _FAST_CNN[name]


def plain_run(architecture: str, name: Preset) -> TrainConfig:
    """A named run of a network that has no options of its own.

    Args:
        architecture: Its name; one without runs of its own has those of the Fast CNN, with its default shape.
        name: As for the Fast CNN.

    Raises:
        ConfigError: Nobody knows the architecture.
    """
    if architecture == "fast-cnn":
        return fast_cnn_run(name)
    run = TrainConfig() if name == "full" else _SMALL
    return replace(run, model=find_architecture(architecture).configure())


def segmentation_run(start: TrainConfig, start_sha256: str) -> TrainConfig:
    """The run that follows a Fast CNN's: its segmentation alone, on longer and more crowded windows.

    Real meetings have more overlap than turns laid one after another, voices that are far and near, and
    decisions that need more than six seconds. And they have one microphone, so that nobody can be told by its colour.

    Args:
        start: The configuration of the run whose weights it begins with.
        start_sha256: Hash of that run's checkpoint.
    """
    crowded = replace(
        start.simulation,
        seconds=10.0,
        overlap_chance=0.5,
        voice_gain_db=(-8.0, 8.0),
        alike=6.0,
        twin_chance=0.1,
        one_microphone_chance=0.85,
    )
    return replace(
        start,
        steps=6_000,
        conversations_per_step=12,
        window_samples=(80_000, 160_000),
        clips_per_step=0,
        meeting_share=0.15,
        branch="segmentation",
        start_sha256=start_sha256,
        learning_rate=1.5e-3,
        simulation=crowded,
    )


def voices_run(start: TrainConfig, start_sha256: str) -> TrainConfig:
    """The run that follows a Fast CNN's: its voice branch alone, clip by clip as the teacher hears.

    Args:
        start: The configuration of the run whose weights it begins with.
        start_sha256: Hash of that run's checkpoint.
    """
    return replace(
        start,
        steps=1_600,
        conversations_per_step=4,
        clips_per_step=40,
        meeting_share=0.0,
        branch="voice",
        start_sha256=start_sha256,
        learning_rate=1e-3,
        speaker_weight=1.0,
    )


def short_segmentation_run(start: TrainConfig, start_sha256: str) -> TrainConfig:
    """Segmentation alone, on windows as short as the diarizer's.

    Half of its conversations have one microphone, so that nobody can be told by its colour, and alike voices
    meet more often: what tells people apart in one real recording.

    Args:
        start: The configuration of the run whose weights it begins with.
        start_sha256: Hash of that run's file.
    """
    harder = replace(start.simulation, overlap_chance=0.4, alike=3.0, twin_chance=0.05, one_microphone_chance=0.5)
    return replace(
        segmentation_run(start, start_sha256),
        steps=1_900,
        conversations_per_step=15,
        window_samples=_SHORT_WINDOWS,
        meeting_share=0.06,
        learning_rate=1e-3,
        simulation=harder,
    )


def short_voices_run(start: TrainConfig, start_sha256: str) -> TrainConfig:
    """The voice branch alone, on windows as short as the diarizer's; the teacher has heard whole clips.

    Args:
        start: The configuration of the run whose weights it begins with.
        start_sha256: Hash of that run's file.
    """
    return replace(
        voices_run(start, start_sha256),
        steps=2_500,
        window_samples=_SHORT_WINDOWS,
        clips_per_step=60,
        teacher_weight=16.0,
    )


def transformer_run(
    name: Preset, *, head: Head = "lstm", pretrained: str = "", shape: EncoderShape | None = None
) -> TrainConfig:
    """A named run of the transformer.

    Args:
        name: As for the Fast CNN.
        head: What follows the encoder.
        pretrained: Where the encoder's weights come from; empty for random ones. A pretrained
            encoder's convolutions stay as they are, and its layers learn slowly.
        shape: The encoder's, where it is not the preset's.
    """
    config, model = _TRANSFORMER[name]
    model = replace(model, head=head, encoder=shape or model.encoder)
    if not pretrained:
        return replace(config, model=model)
    model = replace(model, pretrained=pretrained, freeze_convolutions=True)
    return replace(config, model=model, encoder_rate=_PRETRAINED_RATE)
