"""The shipped model on what is no conversation: never a crash, and no speakers out of nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from voiceflow_ml.audio import read_wav
from voiceflow_ml.diarization.diarizer import Diarizer, open_diarizer
from voiceflow_ml.diarization.online import OnlineConfig
from voiceflow_ml.diarization.turns import Diarization
from voiceflow_ml.models.shipped import shipped_speech_path

RATE_HZ = 16_000


@pytest.fixture(name="diarizer", scope="module", params=["offline", "streaming"])
def _diarizer(request: pytest.FixtureRequest) -> Diarizer:
    return open_diarizer(online=OnlineConfig() if request.param == "streaming" else None)


@pytest.fixture(name="speech", scope="module")
def _speech() -> NDArray[np.float32]:
    return read_wav(shipped_speech_path())[0]


def spoken_s(found: Diarization) -> float:
    for turn in found.turns:
        assert 0.0 <= turn.start_s < turn.end_s <= found.seconds + 0.04
    return sum(turn.duration_s for turn in found.turns)


def noise(level: float, seconds: float) -> NDArray[np.float32]:
    return (level * np.random.default_rng(0).standard_normal(int(seconds * RATE_HZ))).astype(np.float32)


def music() -> NDArray[np.float32]:
    """Twelve plucked chords, a second each, with harmonics."""
    time_s = np.arange(RATE_HZ) / RATE_HZ
    chords = [(220, 277, 330), (196, 247, 294), (262, 330, 392), (175, 220, 262)] * 3
    tones = [
        sum(np.sin(2 * np.pi * hz * harmonic * time_s) / harmonic for hz in chord for harmonic in range(1, 5))
        for chord in chords
    ]
    return np.concatenate([0.1 * np.exp(-2.0 * time_s) * tone for tone in tones]).astype(np.float32)


@pytest.mark.parametrize(
    "audio",
    [np.zeros(160_000, dtype=np.float32), noise(1e-4, 10.0), noise(0.05, 10.0), np.full(48_000, 0.5, dtype=np.float32)],
    ids=["silence", "a quiet room", "loud noise", "an offset"],
)
def test_where_nobody_speaks_nobody_is_found(diarizer: Diarizer, audio: NDArray[np.float32]) -> None:
    assert diarizer(audio).turns == ()


def test_music_is_not_a_crowd(diarizer: Diarizer) -> None:
    found = diarizer(music())
    spoken_s(found)
    assert len(found.speakers) <= 2
    assert len(found.turns) <= 12


@pytest.mark.parametrize("samples", [1, 319, 1_600, 8_000])
def test_a_moment_of_audio_is_no_crash(diarizer: Diarizer, speech: NDArray[np.float32], samples: int) -> None:
    found = diarizer(speech[20_000 : 20_000 + samples])
    assert spoken_s(found) <= found.seconds + 0.04


def test_one_speaker_is_one(diarizer: Diarizer, speech: NDArray[np.float32]) -> None:
    # The first turn of the shipped exchange, by itself.
    found = diarizer(speech[: round(2.2 * RATE_HZ)])
    assert len(found.speakers) == 1
    assert spoken_s(found) > 1.2


@pytest.mark.parametrize("gain", [30.0, 1e-2])
def test_speech_that_is_clipped_or_faint_is_still_speech(
    diarizer: Diarizer, speech: NDArray[np.float32], gain: float
) -> None:
    found = diarizer(np.clip(gain * speech, -1.0, 1.0))
    assert spoken_s(found) > 9.0
