"""Every setting of the diarizer, with its unit and its default."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
"""Seconds of one frame of activity."""

WINDOW_STEP_S = 2 * FRAME_S
"""A window is a whole number of these: the net computes in steps of two frames."""


class Linkage(StrEnum):
    """How far apart two clusters are, in cosine distance.

    ``AVERAGE`` takes the mean over all pairs of members, ``CENTROID`` the distance of the
    mean embeddings (Euclidean between unit vectors, converted).
    """

    AVERAGE = "average"
    CENTROID = "centroid"


@dataclass(frozen=True)
class DiarizationConfig:
    """Settings of the diarizer; cosine distances are 1 - cosine, 0 to 2.

    Attributes:
        window_s: Seconds that the net sees at once; a multiple of 0.04.
        hop_s: Seconds from one window to the next; a multiple of 0.02, at most ``window_s``.
        batch_windows: Windows given to the net at once.
        hard_scores: Windows vote with their decision; otherwise with their probability.
        speech_onset: Someone talks in a frame from this mean number of talkers on.
        overlap_onset: A second one talks from one more than this on.
        edge_weight: What the first and the last frame of a window count for against its
            middle (1: as much), where windows overlap.
        min_clean_s: A local speaker takes part in the clustering from this many seconds of
            talking alone on; the others join the nearest cluster afterwards.
        centring: Share of the recording's mean embedding that is taken away from each before they are compared.
            What all voices of a recording have in common, its room and microphone, hides what tells alike
            voices apart; without any of it, one voice's own moods would pass for people.
        linkage: How the distance of clusters is computed.
        merge_distance: Clusters closer than this are one speaker, where the number of speakers is not given.
        cannot_link_distance: Distance between two local speakers of one window, whatever their
            embeddings say. With average linkage it weighs against a merger without ruling it out.
        min_speaker_s: A cluster with less speech than this is no speaker of its own; its
            members join the others. Counts where a larger cluster exists.
        distinct_in_window: Local speakers of one window get different speakers as far as there are enough.
        refinements: How often the assignment is repeated with centroids of the last one.
        speakers: How many there are, where it is known.
        min_speakers: The fewest there may be, where any talk.
        max_speakers: The most there may be.
        most_clustered: Longer recordings cluster this many embeddings, spread evenly over
            time, and assign the others: memory grows with its square.
        min_gap_s: Shorter pauses inside one speaker's turn are filled.
        min_turn_s: Shorter turns are dropped.

    Raises:
        ConfigError: A value outside of its range; the message names it and the range.
    """

    window_s: float = 6.0
    hop_s: float = 0.5
    batch_windows: int = 16
    hard_scores: bool = False
    speech_onset: float = 0.5
    overlap_onset: float = 0.5
    edge_weight: float = 1.0
    min_clean_s: float = 0.8
    centring: float = 0.0
    linkage: Linkage = Linkage.AVERAGE
    merge_distance: float = 0.45
    cannot_link_distance: float = 2.0
    min_speaker_s: float = 1.0
    distinct_in_window: bool = True
    refinements: int = 0
    speakers: int | None = None
    min_speakers: int = 1
    max_speakers: int = 20
    most_clustered: int = 2_000
    min_gap_s: float = 0.2
    min_turn_s: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{field.name} must be a finite number, got {value}")
        _check_multiple("window_s", self.window_s, WINDOW_STEP_S)
        _check_multiple("hop_s", self.hop_s, FRAME_S)
        _check_range("hop_s", self.hop_s, FRAME_S, self.window_s)
        _check_range("edge_weight", self.edge_weight, 0.01, 1.0)
        for name in ("speech_onset", "overlap_onset", "centring"):
            _check_range(name, getattr(self, name), 0.0, 1.0)
        for name in ("merge_distance", "cannot_link_distance"):
            _check_range(name, getattr(self, name), 0.0, 2.0)
        for name in ("min_clean_s", "min_speaker_s", "min_gap_s", "min_turn_s", "refinements"):
            _check_range(name, getattr(self, name), 0.0, math.inf)
        for name in ("batch_windows", "min_speakers"):
            _check_range(name, getattr(self, name), 1, math.inf)
        _check_range("most_clustered", self.most_clustered, 2, 10_000)
        _check_range("max_speakers", self.max_speakers, self.min_speakers, math.inf)
        if self.speakers is not None:
            _check_range("speakers", self.speakers, 1, math.inf)

    @property
    def window_samples(self) -> int:
        """Samples at 16 kHz of one window."""
        return self.window_frames * FRAME_SAMPLES

    @property
    def window_frames(self) -> int:
        """Frames of one window."""
        return round(self.window_s / FRAME_S)

    @property
    def hop_frames(self) -> int:
        """Frames from one window to the next."""
        return round(self.hop_s / FRAME_S)


def changed(config: DiarizationConfig, settings: Iterable[str]) -> DiarizationConfig:
    """Settings given as text, as on a command line.

    Args:
        config: Where to start from.
        settings: ``"name=value"`` each; ``none`` where a number may be missing, ``true`` or ``false`` for switches.

    Raises:
        ConfigError: No such setting, or a value that is not of its kind or out of its range.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        kinds = {field.name: str(field.type) for field in fields(config)}
        if not equals or name not in kinds:
            raise ConfigError(f"{setting!r} is no NAME=VALUE of a setting; they are {', '.join(sorted(kinds))}")
        try:
            values[name] = _PARSERS[kinds[name]](value)
        except (ValueError, KeyError):
            raise ConfigError(f"{name} must be {kinds[name].replace('None', 'none')}, got {value!r}") from None
    return replace(config, **values)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "float": float,
    "int": int,
    "int | None": lambda value: None if value == "none" else int(value),
    "bool": lambda value: {"true": True, "false": False}[value],
    "Linkage": Linkage,
}


def _check_multiple(name: str, value: float, step: float) -> None:
    count = round(value / step)
    if count < 1 or abs(count * step - value) > 1e-6:
        raise ConfigError(f"{name} must be a multiple of {step:g} s, at least {step:g}, got {value:g}")


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ConfigError(f"{name} must be {bounds}, got {value:g}")
