"""Hear a recording as a stream: the same turns as live, at the speed of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.audio_source import array_blocks, open_audio
from voiceflow_ml.diarization.config import FRAME_S, DiarizationConfig
from voiceflow_ml.diarization.offline import Progress
from voiceflow_ml.diarization.online import OnlineConfig, OnlineDiarizer
from voiceflow_ml.diarization.segmenter import Embedder, Segmenter
from voiceflow_ml.diarization.turns import Diarization
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn


def diarize_stream(
    source: str | Path | NDArray[np.floating],
    config: DiarizationConfig,
    segmenter: Segmenter,
    online: OnlineConfig | None = None,
    *,
    embedder: Embedder | None = None,
    progress: Progress = lambda _: None,
) -> Diarization:
    """Hear a recording as if it came in live, so that the cost of not knowing the future can be measured.

    Args:
        source: As for ``offline.diarize``.
        config: The settings.
        segmenter: The net.
        online: How it is heard.
        embedder: A speaker encoder instead of the net's own embeddings.
        progress: Called with the seconds of audio that are done.

    Returns:
        The turns, pieces joined.

    Raises:
        DataError: Audio that cannot be read, is empty, or holds NaN.
        ConfigError: The latency is too short for the settings.
    """
    online = online or OnlineConfig()
    diarizer = OnlineDiarizer(config, segmenter, online, embedder)
    blocks = array_blocks(source) if isinstance(source, np.ndarray) else open_audio(source).blocks()
    pieces: list[Turn] = []
    for chunk in _chunks(blocks, round(online.chunk_s * SAMPLE_RATE_HZ)):
        pieces += diarizer.push(chunk)
        progress(diarizer.seconds)
    pieces += diarizer.finish()
    return Diarization(join_pieces(pieces), diarizer.seconds)


class TurnJoiner:
    """Makes whole turns of the pieces that a stream gives; what it holds grows with the turns, not with the pieces."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._last: dict[str, int] = {}

    def add(self, pieces: Iterable[Turn]) -> None:
        """Take more pieces, in the order in which they came out."""
        for piece in pieces:
            place = self._last.get(piece.speaker)
            if place is not None and piece.start_s - self._turns[place].end_s < FRAME_S / 2:
                begun = self._turns[place]
                self._turns[place] = replace(begun, duration_s=piece.end_s - begun.start_s)
            else:
                self._last[piece.speaker] = len(self._turns)
                self._turns.append(piece)

    def turns(self) -> tuple[Turn, ...]:
        """The turns so far, in order of their start."""
        return tuple(sorted(self._turns, key=lambda turn: (turn.start_s, turn.speaker)))


def join_pieces(pieces: Iterable[Turn]) -> tuple[Turn, ...]:
    """Whole turns of the pieces that a stream gave, in order of their start."""
    joiner = TurnJoiner()
    joiner.add(pieces)
    return joiner.turns()


def _chunks(blocks: Iterable[NDArray[np.float32]], samples: int) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        edges = [*range(0, block.size, samples), block.size]
        yield from (block[first:last] for first, last in pairwise(edges))
