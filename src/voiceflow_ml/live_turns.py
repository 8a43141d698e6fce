"""Turns that a stream tells piece by piece, and corrects: put together as they come."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from voiceflow_ml.rttm import Turn

_TOUCH_S = 0.01
"""Less lies between pieces of one turn; a frame is twice as long."""


@dataclass(frozen=True)
class Correction:
    """What now holds of a stretch of a stream; all that was said of it before no longer does.

    Attributes:
        start_s: Where it begins.
        end_s: Where it ends.
        turns: Who speaks in it, cut at its ends, in order of their start; one that begins or ends with the stretch
            continues a turn of the same speaker beside it.
    """

    start_s: float
    end_s: float
    turns: tuple[Turn, ...]


class TurnJoiner:
    """Makes whole turns of what a stream gives; what it holds grows with the turns, not with the pieces."""

    def __init__(self) -> None:
        self._turns: dict[str, list[Turn]] = {}

    def take(self, pieces: Iterable[Turn], corrections: Iterable[Correction]) -> None:
        """Take what came at once: pieces in the order in which they came out, then corrections in theirs."""
        self._add(pieces)
        for correction in corrections:
            self._correct(correction)

    def turns(self) -> tuple[Turn, ...]:
        """The turns so far, in order of their start."""
        every = (turn for turns in self._turns.values() for turn in turns)
        return tuple(sorted(every, key=lambda turn: (turn.start_s, turn.speaker)))

    def _add(self, pieces: Iterable[Turn]) -> None:
        for piece in pieces:
            turns = self._turns.setdefault(piece.speaker, [])
            if turns and piece.start_s - turns[-1].end_s < _TOUCH_S:
                turns[-1] = replace(turns[-1], duration_s=piece.end_s - turns[-1].start_s)
            else:
                turns.append(piece)

    def _correct(self, correction: Correction) -> None:
        inside: dict[str, list[Turn]] = {}
        for turn in correction.turns:
            inside.setdefault(turn.speaker, []).append(turn)
        for speaker in {*self._turns, *inside}:
            said = self._turns.pop(speaker, [])
            before = [clipped(turn, -math.inf, correction.start_s) for turn in said]
            after = [clipped(turn, correction.end_s, math.inf) for turn in said]
            self._add(turn for turn in (*before, *inside.get(speaker, ()), *after) if turn is not None)


def clipped(turn: Turn, start_s: float, end_s: float) -> Turn | None:
    """The part of a turn that lies between two times; None where there is none that is longer than 10 ms."""
    start_s, end_s = max(turn.start_s, start_s), min(turn.end_s, end_s)
    return replace(turn, start_s=start_s, duration_s=end_s - start_s) if end_s - start_s >= _TOUCH_S else None
