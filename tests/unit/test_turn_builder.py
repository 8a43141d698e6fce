from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from voiceflow_ml.diarization.config import FRAME_S
from voiceflow_ml.diarization.turn_builder import TurnBuilder
from voiceflow_ml.diarization.turns import activity_to_turns
from voiceflow_ml.live_turns import TurnJoiner
from voiceflow_ml.rttm import Turn

NAMES = np.array([0, 1])


def joined(pieces: list[Turn]) -> tuple[Turn, ...]:
    joiner = TurnJoiner()
    joiner.take(pieces, ())
    return joiner.turns()


def frames(turn: Turn) -> tuple[str, int, int]:
    return turn.speaker, round(turn.start_s / FRAME_S), round(turn.end_s / FRAME_S)


@given(
    arrays(np.bool_, (60, 2)),
    st.lists(st.integers(0, 12), min_size=1, max_size=12),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_frame_by_frame_gives_what_the_whole_gives(
    active: NDArray[np.bool_], steps: list[int], gap: int, least: int
) -> None:
    builder = TurnBuilder(min_gap_s=gap * FRAME_S, min_turn_s=least * FRAME_S)
    pieces, first = [], 0
    for step in [*steps, 60]:
        pieces += [turn for _, turn in builder.push(active[first : first + step], NAMES)]
        first = min(60, first + step)
    pieces += [turn for _, turn in builder.finish()]
    whole = activity_to_turns(active, ("0", "1"), min_gap_s=gap * FRAME_S, min_turn_s=least * FRAME_S)
    assert {frames(turn) for turn in joined(pieces)} == {frames(turn) for turn in whole}


@given(arrays(np.bool_, (60, 2)), st.integers(0, 6), st.integers(0, 6))
def test_nothing_is_held_for_longer_than_promised(active: NDArray[np.bool_], gap: int, least: int) -> None:
    builder = TurnBuilder(min_gap_s=gap * FRAME_S, min_turn_s=least * FRAME_S)
    whole = activity_to_turns(active, ("0", "1"), min_gap_s=gap * FRAME_S, min_turn_s=least * FRAME_S)
    out: dict[str, int] = {}
    for frame in range(60):
        for _, piece in builder.push(active[frame : frame + 1], NAMES):
            out[piece.speaker] = round(piece.end_s / FRAME_S)
        certain = frame + 1 - builder.hold_frames
        for speaker, start, end in map(frames, whole):
            if start < certain:
                assert out.get(speaker, 0) >= min(end, certain)


def test_a_name_that_is_gone_ends_its_turn() -> None:
    builder = TurnBuilder(min_gap_s=0.04, min_turn_s=0.0)
    one = np.ones((5, 1), dtype=np.bool_)
    assert [frames(turn) for _, turn in builder.push(one, np.array([7]))] == [("7", 0, 5)]
    assert [frames(turn) for _, turn in builder.push(one, np.array([8]))] == [("8", 5, 10)]
    assert builder.finish() == []
