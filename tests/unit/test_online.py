from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.oracle import OracleSegmenter, Talk, converse
from voiceflow_ml.diarization.clustering import Samples, unit
from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.memory import SpeakerMemory
from voiceflow_ml.diarization.offline import diarize
from voiceflow_ml.diarization.online import OnlineConfig, OnlineDiarizer
from voiceflow_ml.diarization.scoring import Errors, Rules, score
from voiceflow_ml.diarization.streaming import diarize_stream
from voiceflow_ml.errors import ConfigError, DataError
from voiceflow_ml.rttm import Turn

CONFIG = DiarizationConfig(window_s=3.0, min_speaker_s=0.5, min_clean_s=0.4, merge_distance=0.6)


def errors_of(talk: Talk, turns: tuple[Turn, ...] | list[Turn]) -> Errors:
    return score(talk.turns, turns, talk.seconds, Rules())


def stream(talk: Talk, chunk_s: float, config: DiarizationConfig = CONFIG) -> tuple[Turn, ...]:
    return diarize_stream(talk.audio(), config, OracleSegmenter(talk), OnlineConfig(chunk_s=chunk_s)).turns


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_stream_with_a_perfect_net_is_nearly_perfect(seed: int) -> None:
    talk = converse(seed, speakers=3, seconds=90.0)
    online = errors_of(talk, stream(talk, 0.1)).der
    offline = errors_of(talk, diarize(talk.audio(), CONFIG, OracleSegmenter(talk)).turns).der
    assert online is not None
    assert offline is not None
    assert online < offline + 0.03


def test_the_size_of_chunks_changes_nothing() -> None:
    talk = converse(4, speakers=3, seconds=20.0)
    first = stream(talk, 0.1)
    assert first == stream(talk, 0.037) == stream(talk, 7.0)


def delays(talk: Talk, latency_s: float, chunk: int = 800) -> float:
    """The longest time from the end of a 20 ms frame of speech to the call that gave it out, in seconds of audio."""
    diarizer = OnlineDiarizer(CONFIG, OracleSegmenter(talk), OnlineConfig(latency_s=latency_s))
    audio = talk.audio()
    worst = 0.0
    for first in range(0, audio.size, chunk):
        for piece in diarizer.push(audio[first : first + chunk]):
            worst = max(worst, diarizer.seconds - piece.start_s)
    return worst


@pytest.mark.parametrize("latency_s", [0.8, 1.0, 2.0, 5.0])
def test_speech_comes_out_in_time(latency_s: float) -> None:
    chunk_s = 800 / 16_000
    assert delays(converse(5, speakers=2, seconds=30.0), latency_s) <= latency_s + chunk_s + 0.02


def test_a_latency_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"latency_s must be at least 0\.8 with these settings, got 0\.5"):
        OnlineDiarizer(CONFIG, OracleSegmenter(converse(1, speakers=1, seconds=1.0)), OnlineConfig(latency_s=0.5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latency_s": 0.0}, "latency_s must be above 0"),
        ({"most_remembered": 1}, "most_remembered must be from 20"),
        ({"chunk_s": 0.0}, "chunk_s must be from 0.001"),
        ({"correct_s": -1.0}, "correct_s must be from 0 to 3600"),
        ({"correct_every_s": 0.0}, "correct_every_s must be from 0.1"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OnlineConfig(**changes)  # type: ignore[arg-type]


def test_a_long_turn_comes_out_in_pieces_that_fit() -> None:
    talk = Talk(np.ones((500, 1), dtype=np.bool_), np.eye(1, 8))
    diarizer = OnlineDiarizer(CONFIG, OracleSegmenter(talk))
    pieces = [piece for part in np.array_split(talk.audio(), 50) for piece in diarizer.push(part)]
    assert len(pieces) > 10
    pieces += diarizer.finish()
    for before, after in pairwise(pieces):
        assert after.start_s == pytest.approx(before.end_s)
    assert pieces[-1].end_s == pytest.approx(10.0)
    assert {piece.speaker for piece in pieces} == {"SPEAKER_00"}


@pytest.mark.parametrize("samples", [1, 319, 1_600, 8_000, 48_000, 50_001])
def test_short_streams_are_heard_to_their_end(samples: int) -> None:
    talk = Talk(np.ones((200, 1), dtype=np.bool_), np.eye(1, 8))
    config = replace(CONFIG, min_turn_s=0.0)
    found = diarize_stream(talk.audio()[:samples], config, OracleSegmenter(talk))
    (turn,) = found.turns
    assert turn.start_s == 0.0
    assert turn.end_s == pytest.approx(samples / 16_000, abs=0.02)


def test_an_empty_stream_is_nothing_and_silence_too() -> None:
    silent = Talk(np.zeros((500, 2), dtype=np.bool_), np.eye(2, 8))
    diarizer = OnlineDiarizer(CONFIG, OracleSegmenter(silent))
    assert diarizer.push(np.zeros(0)) == []
    assert diarizer.finish() == []
    assert stream(silent, 0.1) == ()


def test_nan_is_refused_and_the_stream_goes_on() -> None:
    talk = converse(6, speakers=1, seconds=10.0)
    diarizer = OnlineDiarizer(CONFIG, OracleSegmenter(talk))
    audio = talk.audio()
    diarizer.push(audio[:1_000])
    bad = audio[1_000:2_000].copy()
    bad[7] = np.nan
    with pytest.raises(DataError, match="stream: holds NaN or infinity, first at sample 1007"):
        diarizer.push(bad)
    with pytest.raises(DataError, match=r"a chunk must have shape \[samples\], got \[2, 3\]"):
        diarizer.push(np.zeros((2, 3)))
    pieces = [*diarizer.push(audio[1_000:]), *diarizer.finish()]
    assert errors_of(talk, pieces).der == pytest.approx(0.0, abs=0.03)


def test_the_most_speakers_are_kept() -> None:
    talk = converse(7, speakers=4, seconds=60.0)
    assert len({turn.speaker for turn in stream(talk, 0.1)}) == 4
    assert len({turn.speaker for turn in stream(talk, 0.1, replace(CONFIG, speakers=2))}) <= 2


def voices(count: int, dim: int = 16) -> NDArray[np.float64]:
    return np.eye(count, dim)


def heard(memory: SpeakerMemory, who: list[int], first_window: int, noise: float = 0.2) -> dict[int, int]:
    """Hear voices, one a window; name of each voice afterwards."""
    rng = np.random.default_rng(first_window)
    all_voices = voices(8)
    embeddings = unit(all_voices[who] + noise * rng.standard_normal((len(who), 16)) / 4.0)
    samples = Samples(embeddings, first_window + np.arange(len(who)), np.ones(len(who)))
    memory.add(samples, samples.seconds @ samples.embeddings, float(samples.seconds.sum()))
    speakers, names, _ = memory.voices()
    return {voice: int(names[np.argmax(speakers @ all_voices[voice])]) for voice in set(who)}


def test_names_stay_when_others_come_and_when_the_memory_is_full() -> None:
    memory = SpeakerMemory(replace(CONFIG, min_speaker_s=0.0), 60)
    names = heard(memory, [0] * 5, 0)
    for step in range(1, 40):
        newer = heard(memory, [step % 4, (step + 1) % 4] * 4, 1_000 * step)
        for voice, name in newer.items():
            assert names.setdefault(voice, name) == name
        assert len(memory) <= 60
    assert len(set(names.values())) == 4


def test_the_weight_of_what_was_averaged_stays() -> None:
    memory = SpeakerMemory(replace(CONFIG, min_speaker_s=0.0), 20)
    for step in range(30):
        heard(memory, [0, 1, 0], 1_000 * step)
    assert memory._samples.seconds.sum() == pytest.approx(90.0)
    assert np.unique(memory._samples.windows).size == len(memory)


def test_what_voices_have_in_common_is_of_everyone_who_was_heard() -> None:
    memory = SpeakerMemory(replace(CONFIG, min_speaker_s=0.0, centring=0.5), 20)
    seconds = np.array([1.0, 3.0])
    for first in range(0, 40, 2):
        both = Samples(np.eye(2), first + np.arange(2), seconds)
        memory.add(both.take(np.array([0])), seconds @ both.embeddings, float(seconds.sum()))
    _, _, origin = memory.voices()
    np.testing.assert_allclose(origin, 0.5 * seconds / seconds.sum())


def test_what_a_stream_keeps_does_not_grow() -> None:
    talk = converse(8, speakers=3, seconds=120.0)
    diarizer = OnlineDiarizer(CONFIG, OracleSegmenter(talk), OnlineConfig(most_remembered=40))
    for part in np.array_split(talk.audio(), 60):
        diarizer.push(part)
        assert len(diarizer._pending) <= 12
        assert diarizer._audio.size <= 48_000
        assert len(diarizer._memory) <= 43


LATE = replace(CONFIG, min_speaker_s=4.0)
"""A voice is a speaker of its own so late that its first turns come out under another's name."""


@pytest.mark.parametrize("seed", [9, 10, 11])
def test_what_came_out_under_a_wrong_name_is_corrected(seed: int) -> None:
    talk = converse(seed, speakers=3, seconds=60.0)
    offline = errors_of(talk, diarize(talk.audio(), LATE, OracleSegmenter(talk)).turns).der
    first, corrected = (
        errors_of(talk, diarize_stream(talk.audio(), LATE, OracleSegmenter(talk), OnlineConfig(correct_s=back_s)).turns)
        for back_s in (0.0, 300.0)
    )
    assert first.der is not None
    assert corrected.der is not None
    assert offline is not None
    assert first.der > offline + 0.05
    assert corrected.der < offline + 0.01
    assert corrected.missed_s <= first.missed_s + 0.1


def test_the_size_of_chunks_changes_no_correction() -> None:
    talk = converse(9, speakers=3, seconds=30.0)
    first = stream(talk, 0.1, LATE)
    assert first == stream(talk, 0.37, LATE) == stream(talk, 30.0, LATE)


def test_corrections_are_of_what_is_out_and_not_too_old() -> None:
    talk = converse(10, speakers=3, seconds=60.0)
    diarizer = OnlineDiarizer(LATE, OracleSegmenter(talk), OnlineConfig(correct_s=10.0, correct_every_s=1.0))
    found = 0
    for part in np.array_split(talk.audio(), 300):
        diarizer.push(part)
        for correction in diarizer.corrections():
            assert diarizer.final_s - 10.0 - 0.01 <= correction.start_s < correction.end_s <= diarizer.final_s + 0.01
            for turn in correction.turns:
                assert correction.start_s <= turn.start_s
                assert turn.end_s <= correction.end_s + 1e-9
            found += 1
        assert diarizer._reviser is not None
        assert len(diarizer._reviser._heard) <= (10.0 + CONFIG.window_s) / CONFIG.hop_s + 2
    assert found > 0
    assert diarizer.corrections() == []


def test_a_stream_that_was_right_is_not_corrected() -> None:
    talk = converse(12, speakers=1, seconds=40.0)
    diarizer = OnlineDiarizer(CONFIG, OracleSegmenter(talk), OnlineConfig(correct_every_s=1.0))
    diarizer.push(talk.audio())
    diarizer.finish()
    assert diarizer.corrections() == []


def test_nothing_is_corrected_from_averages() -> None:
    talk = converse(9, speakers=3, seconds=60.0)
    diarizer = OnlineDiarizer(LATE, OracleSegmenter(talk), OnlineConfig(correct_every_s=60.0, most_remembered=60))
    diarizer.push(talk.audio())
    # The last look was just before anything was averaged.
    until_s = max(correction.end_s for correction in diarizer.corrections())
    assert 2.0 < until_s < 30.0
    diarizer.finish()
    assert diarizer.corrections() == []


def test_what_is_known_is_clustered_again_when_a_fiftieth_is_new() -> None:
    memory = SpeakerMemory(replace(CONFIG, min_speaker_s=0.0), 200)
    heard(memory, [0, 1] * 50, 0)
    known = memory.voices()
    heard(memory, [2], 1_000)
    assert memory.voices() is known
    names = heard(memory, [2] * 5, 2_000)
    assert memory.voices() is not known
    assert names == {2: 2}
