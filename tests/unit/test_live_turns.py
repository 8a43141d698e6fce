from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from voiceflow_ml.live_turns import Correction, TurnJoiner, clipped
from voiceflow_ml.rttm import Turn

FRAMES, NAMES = 40, ("a", "b")
STEP_S = 0.02


def turns_of(said: NDArray[np.bool_], first: int, last: int) -> list[Turn]:
    """Turns of the frames of a stretch, ``[frames, names]``, in order of their start."""
    turns = []
    for column, name in enumerate(NAMES):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], said[first:last, column].astype(np.int8), [0]]))) + first
        turns += [Turn(name, a * STEP_S, (b - a) * STEP_S) for a, b in edges.reshape(-1, 2).tolist()]
    return sorted(turns, key=lambda turn: turn.start_s)


def near(turns: list[Turn] | tuple[Turn, ...]) -> set[tuple[str, int, int]]:
    return {(turn.speaker, round(turn.start_s / STEP_S), round(turn.end_s / STEP_S)) for turn in turns}


STRETCHES = st.lists(st.tuples(st.integers(0, FRAMES - 1), st.integers(1, FRAMES)), max_size=4)


@given(arrays(np.bool_, (FRAMES, 2)), STRETCHES, st.lists(arrays(np.bool_, (FRAMES, 2)), min_size=4, max_size=4))
def test_corrections_are_painted_over_what_was_said(
    said: NDArray[np.bool_], stretches: list[tuple[int, int]], painted: list[NDArray[np.bool_]]
) -> None:
    joiner = TurnJoiner()
    for first in range(0, FRAMES, 10):
        joiner.take(turns_of(said, first, first + 10), ())
    now = said.copy()
    for (first, length), colours in zip(stretches, painted, strict=False):
        last = min(FRAMES, first + length)
        now[first:last] = colours[first:last]
        correction = Correction(first * STEP_S, last * STEP_S, tuple(turns_of(colours, first, last)))
        joiner.take((), [correction])
    assert near(joiner.turns()) == near(turns_of(now, 0, FRAMES))


def test_a_piece_after_a_correction_continues_the_name_that_it_gave() -> None:
    joiner = TurnJoiner()
    joiner.take([Turn("a", 0.0, 2.0)], [Correction(1.0, 2.0, (Turn("b", 1.0, 1.0),))])
    joiner.take([Turn("b", 2.0, 0.5)], ())
    assert joiner.turns() == (Turn("a", 0.0, 1.0), Turn("b", 1.0, 1.5))


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [(0.0, 9.0, (1.0, 3.0)), (2.0, 3.0, (2.0, 3.0)), (2.5, 9.0, (2.5, 3.0)), (3.0, 9.0, None), (2.995, 9.0, None)],
)
def test_a_turn_is_clipped(start_s: float, end_s: float, expected: tuple[float, float] | None) -> None:
    part = clipped(Turn("a", 1.0, 2.0), start_s, end_s)
    assert (part and (part.start_s, part.end_s)) == expected
