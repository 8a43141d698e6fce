from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from voiceflow_ml.diarization import reconstruction
from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.local import LocalWindows
from voiceflow_ml.diarization.reconstruction import decide, mean_scores, reconstruct, window_weights
from voiceflow_ml.diarization.turns import Diarization, activity_to_turns
from voiceflow_ml.rttm import Turn, parse_rttm

CONFIG = DiarizationConfig()


def two_windows() -> LocalWindows:
    """Frames 0..3 and 2..5; local speaker 0 of the first is local speaker 2 of the second."""
    scores = np.zeros((2, 4, 3), dtype=np.float16)
    scores[0, :, 0] = [1.0, 1.0, 1.0, 0.5]
    scores[1, :, 2] = [1.0, 0.25, 0.0, 0.0]
    scores[1, :, 0] = [0.0, 0.0, 1.0, 1.0]
    talk = np.ones((2, 3), dtype=np.float32)
    return LocalWindows(np.array([0, 2]), scores, talk, talk, np.zeros((2, 3, 4), dtype=np.float16))


LABELS = np.array([[0, -1, -1], [1, -1, 0]])


def test_scores_are_averaged_over_the_windows_that_hold_a_frame() -> None:
    scores, talkers = mean_scores(two_windows(), LABELS, (0, 7), 2, CONFIG)
    np.testing.assert_allclose(scores[:, 0], [1.0, 1.0, 1.0, 0.375, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(scores[:, 1], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(talkers, [1.0, 1.0, 1.0, 0.375, 1.0, 1.0, 0.0])


def test_edges_of_windows_may_count_less() -> None:
    np.testing.assert_allclose(window_weights(5, 0.2), [0.2, 0.6, 1.0, 0.6, 0.2], rtol=1e-6)
    np.testing.assert_allclose(window_weights(4, 1.0), 1.0)
    config = replace(CONFIG, edge_weight=0.5)
    scores, _ = mean_scores(two_windows(), LABELS, (3, 4), 2, config)
    # Frame 3 is at the edge of the first window (0.5) and inside the second (0.8333).
    assert scores[0, 0] == pytest.approx((0.5 * 0.5 + 0.25 * 0.8333) / 1.3333, abs=1e-3)


def test_blocks_of_a_long_recording_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = reconstruct(two_windows(), LABELS, 7, CONFIG)
    assert whole.sum(axis=0).tolist() == [3, 2]
    monkeypatch.setattr(reconstruction, "_BLOCK_FRAMES", 2)
    np.testing.assert_array_equal(reconstruct(two_windows(), LABELS, 7, CONFIG), whole)


def test_nobody_is_nothing() -> None:
    assert reconstruct(two_windows(), np.full((2, 3), -1), 7, CONFIG).shape == (7, 0)


def test_how_many_talk_is_decided_apart_from_who() -> None:
    # Two windows that disagree on the name: the speech stays, under the likelier name.
    scores = np.array([[0.55, 0.45], [0.9, 0.7], [0.9, 0.2], [0.3, 0.1]], dtype=np.float32)
    assert decide(scores, scores.sum(axis=1), CONFIG).tolist() == [
        [True, False],
        [True, True],
        [True, False],
        [False, False],
    ]
    eager = replace(CONFIG, overlap_onset=0.05)
    assert decide(scores, scores.sum(axis=1), eager)[2].tolist() == [True, True]


@given(arrays(np.float32, (20, 4), elements=st.floats(0, 1, width=32)))
def test_never_more_than_two_at_once_and_never_without_a_score(
    scores: NDArray[np.float32],
) -> None:
    chosen = decide(scores, scores.sum(axis=1), CONFIG)
    assert chosen.sum(axis=1).max() <= 2
    assert (scores[chosen] > 0.0).all()


def runs(pattern: str, *, gap_s: float = 0.0, turn_s: float = 0.0, first_frame: int = 0) -> list[tuple[float, float]]:
    active = np.array([[mark == "#"] for mark in pattern])
    turns = activity_to_turns(active, ("ann",), min_gap_s=gap_s, min_turn_s=turn_s, first_frame=first_frame)
    return [(round(turn.start_s, 6), round(turn.end_s, 6)) for turn in turns]


def test_runs_become_turns() -> None:
    assert runs("..##.#") == [(0.04, 0.08), (0.1, 0.12)]
    assert runs("..##.#", first_frame=50) == [(1.04, 1.08), (1.1, 1.12)]
    assert runs("......") == []
    assert runs("######") == [(0.0, 0.12)]


def test_gaps_are_filled_before_short_turns_are_dropped() -> None:
    assert runs("#.#.#...#", gap_s=0.04, turn_s=0.06) == [(0.0, 0.1)]
    assert runs("#.#.#...#", gap_s=0.02, turn_s=0.04) == []
    assert runs("#...#", gap_s=0.06) == [(0.0, 0.02), (0.08, 0.1)]


def test_turns_of_several_speakers_are_in_order_of_time() -> None:
    active = np.array([[False, True], [True, True], [True, False]])
    turns = activity_to_turns(active, ("ann", "bob"), min_gap_s=0.0, min_turn_s=0.0)
    assert [turn.speaker for turn in turns] == ["bob", "ann"]


def test_rttm_of_a_diarization_and_names_of_files_with_blanks() -> None:
    found = Diarization((Turn("SPEAKER_01", 0.5, 1.0), Turn("SPEAKER_00", 2.0, 1.0)), 4.0)
    assert found.speakers == ("SPEAKER_01", "SPEAKER_00")
    assert parse_rttm(found.to_rttm("my meeting"), "x") == {"my_meeting": found.turns}
