"""What one stream has said so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from voiceflow_ml.audio import PCM16_FULL_SCALE
from voiceflow_ml.diarization.online import OnlineConfig, OnlineDiarizer
from voiceflow_ml.live_turns import Correction, TurnJoiner
from voiceflow_ml.rttm import Turn
from voiceflow_ml.service.timed import TimedSegmenter, segmenter_of
from voiceflow_ml.service.version import LoadedVersion


class Said(NamedTuple):
    """What a stream says to a chunk.

    Attributes:
        pieces: whole turns, or pieces that continue one.
        corrections: what holds of what it said before.
    """

    pieces: list[Turn]
    corrections: list[Correction]


class Heard:
    """Diarizes one stream with one version.

    Args:
        version: what it is heard with, from its start to its end.
        online: how it is heard.
        give_way: see ``TimedSegmenter``.

    Attributes:
        net: how long the net ran.

    Raises:
        RequestError: the version does not diarize (404).
        ConfigError: the latency is too short for its settings.
    """

    def __init__(self, version: LoadedVersion, online: OnlineConfig, give_way: Callable[[], None]) -> None:
        self.net = TimedSegmenter(segmenter_of(version), give_way)
        self._diarizer = OnlineDiarizer(version.config, self.net, online)
        self._joiner = TurnJoiner()

    @property
    def seconds(self) -> float:
        """Audio heard so far."""
        return self._diarizer.seconds

    @property
    def final_s(self) -> float:
        """Up to here everything is out."""
        return self._diarizer.final_s

    def push(self, chunk: bytes) -> Said:
        """Hear more.

        Args:
            chunk: PCM16, little-endian, mono, 16 kHz.
        """
        samples = np.frombuffer(chunk, "<i2").astype(np.float32) / np.float32(PCM16_FULL_SCALE)
        return self._kept(self._diarizer.push(samples))

    def finish(self) -> Said:
        """End the stream; returns the rest."""
        return self._kept(self._diarizer.finish())

    def turns(self) -> tuple[Turn, ...]:
        """All turns that are out, whole and corrected, in order of their start."""
        return self._joiner.turns()

    def _kept(self, pieces: list[Turn]) -> Said:
        said = Said(pieces, self._diarizer.corrections())
        self._joiner.take(*said)
        return said
