"""The result: who speaks when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.config import FRAME_S
from voiceflow_ml.rttm import Turn, format_rttm


@dataclass(frozen=True)
class Diarization:
    """Who speaks when in one recording.

    Attributes:
        turns: In order of their start; those of different speakers may overlap.
        seconds: Length of the recording.
    """

    turns: tuple[Turn, ...]
    seconds: float

    @property
    def speakers(self) -> tuple[str, ...]:
        """Everyone who talks, in order of the first turn."""
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns))

    def to_rttm(self, recording: str) -> str:
        """As RTTM, under a name for the recording; blanks in it become underscores."""
        return format_rttm(self.turns, "_".join(recording.split()) or "recording")


def activity_to_turns(
    active: NDArray[np.bool_], names: tuple[str, ...], *, min_gap_s: float, min_turn_s: float, first_frame: int = 0
) -> list[Turn]:
    """Runs of frames as turns: first short gaps are filled, then short turns are dropped.

    Args:
        active: bool ``[frames, speakers]``.
        names: One for each speaker.
        min_gap_s: Shorter pauses inside one speaker's turn are filled.
        min_turn_s: Shorter turns are dropped.
        first_frame: Where frame 0 lies in the recording.

    Returns:
        Turns in order of their start, then of their speaker's column.
    """
    found: list[tuple[int, int, int]] = []
    for column in range(active.shape[1]):
        found += [(first, last, column) for first, last in _runs(active[:, column], round(min_gap_s / FRAME_S))]
    least = round(min_turn_s / FRAME_S)
    return [
        Turn(names[column], (first_frame + first) * FRAME_S, (last - first) * FRAME_S)
        for first, last, column in sorted(found, key=lambda run: (run[0], run[2]))
        if last - first >= least
    ]


def _runs(column: NDArray[np.bool_], least_gap: int) -> list[tuple[int, int]]:
    """(first frame, frame behind the last) of each run, over gaps of fewer than ``least_gap`` frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], column, [False]]).astype(np.int8))).reshape(-1, 2)
    if edges.shape[0] == 0:
        return []
    wide = edges[1:, 0] - edges[:-1, 1] >= max(1, least_gap)
    starts = edges[np.concatenate([[True], wide]), 0]
    ends = edges[np.concatenate([wide, [True]]), 1]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))
