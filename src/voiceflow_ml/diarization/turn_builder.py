"""Turns out of frames that come a few at a time, each piece given out as soon as it is certain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.config import FRAME_S
from voiceflow_ml.rttm import Turn


@dataclass
class _Run:
    """Speech of one speaker that goes on, or may: [first, last) in frames, given out up to ``given``."""

    first: int
    last: int
    given: int


class TurnBuilder:
    """Does frame by frame what ``activity_to_turns`` does for whole recordings.

    A frame is certain once ``hold_frames`` more are known: its pause is filled or not, its turn long enough or not.

    Args:
        min_gap_s: Shorter pauses inside one speaker's turn are filled.
        min_turn_s: Shorter turns are dropped.
    """

    def __init__(self, *, min_gap_s: float, min_turn_s: float) -> None:
        self._gap = max(1, round(min_gap_s / FRAME_S))
        self._least = round(min_turn_s / FRAME_S)
        self._runs: dict[int, _Run] = {}
        self._frame = 0

    @property
    def hold_frames(self) -> int:
        """How many frames behind a frame must be known before it is certain, at most."""
        # Just before a turn is long enough, a pause may begin that is just short enough to belong to it.
        return self._gap + self._least

    def push(self, active: NDArray[np.bool_], names: NDArray[np.int64]) -> list[tuple[int, Turn]]:
        """Take the next frames.

        Args:
            active: bool ``[frames, speakers]``.
            names: int64 ``[speakers]``: whose column each is; another call may have others.

        Returns:
            (name, piece) of what is certain now; the speaker of the turn is its number as text. A piece that
            begins where the one before of the same speaker ended continues its turn.
        """
        first, pieces = self._frame, []
        self._frame += active.shape[0]
        for column, name in enumerate(names.tolist()):
            edges = np.flatnonzero(np.diff(np.concatenate([[False], active[:, column], [False]]).astype(np.int8)))
            for start, end in (edges.reshape(-1, 2) + first).tolist():
                pieces += self._extend(name, start, end)
        for name in list(self._runs):
            run = self._runs[name]
            if self._frame - run.last >= self._gap:
                pieces += self._close(name)
            elif run.last - run.first >= self._least:
                pieces += self._give(name, run)
        return pieces

    def finish(self) -> list[tuple[int, Turn]]:
        """Give out what is left."""
        return [piece for name in list(self._runs) for piece in self._close(name)]

    def _extend(self, name: int, start: int, end: int) -> list[tuple[int, Turn]]:
        run = self._runs.get(name)
        if run is not None and start - run.last < self._gap:
            run.last = end
            return []
        closed = self._close(name) if run is not None else []
        self._runs[name] = _Run(start, end, start)
        return closed

    def _close(self, name: int) -> list[tuple[int, Turn]]:
        run = self._runs.pop(name)
        return self._give(name, run) if run.last - run.first >= self._least else []

    def _give(self, name: int, run: _Run) -> list[tuple[int, Turn]]:
        if run.last == run.given:
            return []
        piece = Turn(str(name), run.given * FRAME_S, (run.last - run.given) * FRAME_S)
        run.given = run.last
        return [(name, piece)]
