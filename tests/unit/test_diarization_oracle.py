"""Given a perfect net, the rest must make next to no error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import OracleSegmenter, Talk, converse
from voiceflow_ml.diarization.config import DiarizationConfig, Linkage
from voiceflow_ml.diarization.offline import diarize
from voiceflow_ml.diarization.scoring import Errors, Rules, score
from voiceflow_ml.diarization.turns import Diarization

EXACT = DiarizationConfig(window_s=3.0, min_gap_s=0.0, min_turn_s=0.0, min_clean_s=0.4)


def run(talk: Talk, config: DiarizationConfig, *, noise: float = 0.0) -> tuple[Errors, Diarization]:
    found = diarize(talk.audio(), config, OracleSegmenter(talk, noise=noise))
    return score(talk.turns, found.turns, talk.seconds, Rules()), found


def der(errors: Errors) -> float:
    assert errors.der is not None
    return errors.der


@pytest.mark.parametrize("linkage", list(Linkage))
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(("window_s", "hop_s"), [(3.0, 0.5), (6.0, 1.0), (2.04, 0.34), (3.0, 3.0)])
def test_perfect_windows_give_the_reference(window_s: float, hop_s: float, hard: bool, linkage: Linkage) -> None:
    talk = converse(1, speakers=3, seconds=40.0)
    config = replace(EXACT, window_s=window_s, hop_s=hop_s, hard_scores=hard, linkage=linkage)
    errors, found = run(talk, config)
    assert der(errors) < 0.005
    assert len(found.speakers) == 3


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(0.1, 45.0))
def test_any_conversation_is_given_back(seed: int, speakers: int, seconds: float) -> None:
    talk = converse(seed, speakers=speakers, seconds=round(seconds, 2))
    errors, _ = run(talk, replace(EXACT, min_speaker_s=0.0, min_clean_s=0.2))
    assert errors.false_alarm_s < 0.01
    # Whoever never talks alone for 0.2 s is nobody of their own; a window has room for three.
    assert errors.missed_s + errors.confused_s < 0.03 * errors.reference_s + 1.2


@pytest.mark.parametrize(("linkage", "merge_distance"), [(Linkage.AVERAGE, 0.6), (Linkage.CENTROID, 0.4)])
def test_noisy_voices_are_averaged(linkage: Linkage, merge_distance: float) -> None:
    talk = converse(2, speakers=4, seconds=90.0)
    errors, found = run(talk, replace(EXACT, linkage=linkage, merge_distance=merge_distance), noise=0.6)
    assert len(found.speakers) == 4
    assert der(errors) < 0.03


def test_the_default_gap_and_turn_lengths_cost_little() -> None:
    talk = converse(3, speakers=3, seconds=60.0)
    errors, _ = run(talk, DiarizationConfig())
    assert der(errors) < 0.03


def test_a_number_of_speakers_that_is_given_is_kept() -> None:
    talk = converse(4, speakers=4, seconds=90.0)
    for wanted in (1, 2, 3, 4):
        assert len(run(talk, replace(EXACT, speakers=wanted))[1].speakers) == wanted
    assert len(run(talk, replace(EXACT, max_speakers=2))[1].speakers) == 2
    assert len(run(talk, replace(EXACT, merge_distance=2.0, min_speakers=4))[1].speakers) == 4


def test_speakers_are_named_in_order_of_their_first_turn() -> None:
    _, found = run(converse(5, speakers=3, seconds=60.0), EXACT)
    assert found.speakers == ("SPEAKER_00", "SPEAKER_01", "SPEAKER_02")
    assert [turn.start_s for turn in found.turns] == sorted(turn.start_s for turn in found.turns)


def test_the_same_audio_gives_the_same_turns_whatever_the_batch() -> None:
    talk = converse(6, speakers=3, seconds=30.0)
    results = [run(talk, replace(EXACT, batch_windows=size))[1].turns for size in (1, 7, 64)]
    assert results[0] == results[1] == results[2]


def test_where_nobody_talks_there_are_no_turns() -> None:
    silent = Talk(np.zeros((500, 2), dtype=np.bool_), np.eye(2, 8))
    assert diarize(silent.audio(), EXACT, OracleSegmenter(silent)) == Diarization((), 10.0)
