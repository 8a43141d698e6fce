"""Diarization error rate with its parts, counted by pyannote.metrics.

DER = (missed + false alarm + confused speech) / reference speech, with the best one-to-one
assignment of names, over the whole recording (Fiscus et al., "The Rich Transcription 2006
Spring Meeting Recognition Evaluation"). Overlapped speech counts once for each speaker in it
unless it is left out, and what was left out is stated beside every number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.rttm import Turn

if TYPE_CHECKING:
    from pyannote.core import Annotation


@dataclass(frozen=True)
class Rules:
    """What is scored.

    Attributes:
        collar_s: Seconds left out around every edge of a reference turn, half of it on either side.
        skip_overlap: Leave out where the reference has more than one speaker.
    """

    collar_s: float = 0.0
    skip_overlap: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.collar_s < 10.0:
            raise ConfigError(f"collar must be from 0 to 10 s, got {self.collar_s:g}")

    def __str__(self) -> str:
        """In words, for people."""
        collar = f"collar {self.collar_s:g} s" if self.collar_s else "no collar"
        return f"{collar}, overlap {'left out' if self.skip_overlap else 'scored'}"


@dataclass(frozen=True)
class Errors:
    """Speech in seconds, a second of two speakers counted twice.

    Attributes:
        reference_s: What should be found.
        missed_s: Not found.
        false_alarm_s: Found where there is none.
        confused_s: Given to the wrong speaker.
    """

    reference_s: float
    missed_s: float
    false_alarm_s: float
    confused_s: float

    @property
    def der(self) -> float | None:
        """The error rate; ``None`` where there is no reference speech to divide by."""
        wrong = self.missed_s + self.false_alarm_s + self.confused_s
        return wrong / self.reference_s if self.reference_s > 0.0 else None

    def __add__(self, other: Errors) -> Errors:
        """Both recordings together."""
        return Errors(
            self.reference_s + other.reference_s,
            self.missed_s + other.missed_s,
            self.false_alarm_s + other.false_alarm_s,
            self.confused_s + other.confused_s,
        )


def score(reference: Iterable[Turn], hypothesis: Iterable[Turn], seconds: float, rules: Rules) -> Errors:
    """Compare two diarizations of one recording.

    Args:
        reference: Who speaks when in truth; turns of one speaker that overlap count once.
        hypothesis: What was found.
        seconds: Length of the recording: all of it is scored, and no more.
        rules: What is left out.

    Returns:
        The seconds of each kind of error.
    """
    from pyannote.core import Segment, Timeline  # noqa: PLC0415  (heavy)
    from pyannote.metrics.diarization import DiarizationErrorRate  # noqa: PLC0415

    metric = DiarizationErrorRate(collar=rules.collar_s, skip_overlap=rules.skip_overlap)
    parts: dict[str, Any] = metric(
        _annotation(reference), _annotation(hypothesis), uem=Timeline([Segment(0.0, seconds)]), detailed=True
    )
    return Errors(
        *(float(parts[name]) for name in ("total", "missed detection", "false alarm", "confusion")),
    )


def _annotation(turns: Iterable[Turn]) -> Annotation:
    from pyannote.core import Annotation, Segment  # noqa: PLC0415

    annotation = Annotation()
    for track, turn in enumerate(turns):
        annotation[Segment(turn.start_s, turn.end_s), track] = turn.speaker
    return annotation.support()
