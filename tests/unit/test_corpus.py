from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.speech_data import shipped_bank
from voiceflow_ml.audio import read_wav
from voiceflow_ml.errors import DataError
from voiceflow_ml.files import hash_file
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn, read_rttm
from voiceflow_ml.training.simulate.bank import SpeechBank, Voice
from voiceflow_ml.training.simulate.conversation import SimulationConfig, simulate
from voiceflow_ml.training.simulate.corpus import CorpusConfig, conversation_turns, write_corpus
from voiceflow_ml.training.teaching import Teaching

BANK = shipped_bank()
CONFIG = CorpusConfig("dev", 3, 7, (1, 2), SimulationConfig(seconds=2.0))
NOISELESS = SimulationConfig(
    bridged_frames=0,
    seconds=8.0,
    speaker_weights=(0.0, 1.0, 1.0, 1.0),
    room_chance=0.0,
    telephone_chance=0.0,
    recorded_noise_chance=0.0,
    snr_db=(120.0, 120.0),
    gain_db=(0.0, 0.0),
    speeds=(1.0,),
)


def gated_bank() -> SpeechBank:
    """Three voices of tones that are switched on and off: where they sound is beyond doubt."""
    rng = np.random.default_rng(0)
    voices = []
    for name, pitch_hz in (("ann", 220.0), ("bob", 310.0), ("cid", 450.0)):
        clips = []
        for _ in range(4):
            gate = np.repeat(rng.random(24) < 0.6, 8 * FRAME_SAMPLES)
            tone = 0.3 * np.sin(2 * np.pi * pitch_hz * np.arange(gate.size) / SAMPLE_RATE_HZ)
            clips.append((32767 * gate * tone).astype(np.int16))
        voices.append(Voice(name, name, tuple(clips)))
    return SpeechBank(tuple(voices), (), "f" * 64)


GATED = gated_bank()


def quiet(_done: int, _total: int) -> None:
    """Progress nobody watches."""


def speaks(turns: list[Turn], frames: int) -> NDArray[np.bool_]:
    """bool ``[frames]``: whether anyone speaks, told from the turns alone."""
    active = np.zeros(frames, dtype=np.bool_)
    for turn in turns:
        active[round(turn.start_s * 50) : round(turn.end_s * 50)] = True
    return active


def level_db(audio: NDArray[np.float32]) -> NDArray[np.float64]:
    frames = audio.astype(np.float64).reshape(-1, FRAME_SAMPLES)
    return np.asarray(10.0 * np.log10(np.square(frames).mean(axis=1) + 1e-20))


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_before_noise_there_is_energy_where_the_turns_say_speech_and_none_elsewhere(seed: int) -> None:
    conversation = simulate(GATED, NOISELESS, (seed,))
    level = level_db(conversation.audio)
    active = speaks(conversation_turns(GATED, conversation), level.size)
    # A microphone's colour rings for a few milliseconds around an edge; the cut to length may have taken the edge away.
    edges = np.array([-1, *np.flatnonzero(np.diff(active.astype(int))), active.size - 1])
    clear = np.ones(level.size, dtype=np.bool_)
    for offset in (0, 1):
        clear[np.clip(edges + offset, 0, level.size - 1)] = False
    assert (level[active & clear] > -50.0).all()
    assert (level[~active & clear] < -60.0).all()


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_change_of_speed_moves_an_edge_by_less_than_a_frame(seed: int) -> None:
    conversation = simulate(GATED, replace(NOISELESS, speeds=(0.9, 1.1)), (seed,))
    level = level_db(conversation.audio)
    active = speaks(conversation_turns(GATED, conversation), level.size)
    # One frame with the rest of a sound and one in which the microphone's colour rings, on either side.
    for wrong in (~active & (level > -50.0), active & (level < -70.0)):
        starts, ends = np.flatnonzero(np.diff(np.concatenate([[0], wrong.astype(int), [0]]))).reshape(-1, 2).T
        assert ((ends - starts) <= 2).all()


def test_real_speech_is_far_louder_in_turns_than_between_them() -> None:
    speech, silence = [], []
    for seed in range(12):
        conversation = simulate(BANK, NOISELESS, (seed,))
        power = np.square(conversation.audio.astype(np.float64)).reshape(-1, FRAME_SAMPLES).mean(axis=1)
        active = speaks(conversation_turns(BANK, conversation), power.size)
        speech.append(power[active])
        silence.append(power[~active])
    assert np.concatenate(silence).size > 500
    assert 10 * np.log10(np.concatenate(speech).mean() / np.concatenate(silence).mean()) > 20.0


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for folder, config in (("a", CONFIG), ("b", CONFIG), ("c", replace(CONFIG, seed=8))):
        write_corpus(BANK, config, tmp_path / folder, quiet)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    assert (tmp_path / "a" / "dev-0000.wav").read_bytes() != (tmp_path / "c" / "dev-0000.wav").read_bytes()


def test_files_and_manifest_say_what_was_simulated(tmp_path: Path) -> None:
    content = json.loads(write_corpus(BANK, CONFIG, tmp_path, quiet).read_text())
    assert content["complete"] is True
    assert content["data_manifest_sha256"] == BANK.manifest_sha256
    assert content["config"]["seed"] == 7
    assert content["config"]["simulation"]["speaker_weights"] == [0.0, 1.0, 1.0]
    for entry in content["conversations"]:
        audio, rate_hz = read_wav(tmp_path / f"{entry['name']}.wav")
        assert (audio.size / rate_hz, rate_hz) == (entry["seconds"], 16_000)
        turns = read_rttm(tmp_path / f"{entry['name']}.rttm")[entry["name"]]
        assert sorted({turn.speaker for turn in turns}) == entry["speakers"]
        assert speaks(list(turns), 100).sum() * 0.02 == pytest.approx(entry["speech_seconds"])
        total_s = sum(turn.duration_s for turn in turns)
        assert total_s == pytest.approx(entry["speech_seconds"] + entry["overlap_seconds"])
        for kind in ("wav", "rttm"):
            assert hash_file(tmp_path / f"{entry['name']}.{kind}") == entry[f"{kind}_sha256"]


class StoppedError(Exception):
    """The user's interrupt."""


def test_a_stopped_run_continues_and_ends_like_one_that_was_not(tmp_path: Path) -> None:
    config = replace(CONFIG, count=25)
    made: list[int] = []

    def stop_at_22(done: int, _total: int) -> None:
        if done == 22:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_corpus(BANK, config, tmp_path / "parts", stop_at_22)
    assert json.loads((tmp_path / "parts" / "manifest.json").read_text())["complete"] is False
    kept = (tmp_path / "parts" / "dev-0003.wav").stat().st_mtime_ns
    write_corpus(BANK, config, tmp_path / "parts", lambda done, _: made.append(done))
    assert made == list(range(1, 26))
    assert (tmp_path / "parts" / "dev-0003.wav").stat().st_mtime_ns == kept
    write_corpus(BANK, config, tmp_path / "whole", quiet)
    assert (tmp_path / "parts" / "manifest.json").read_text() == (tmp_path / "whole" / "manifest.json").read_text()


def test_a_changed_or_lost_file_is_made_again(tmp_path: Path) -> None:
    manifest = write_corpus(BANK, CONFIG, tmp_path, quiet).read_text()
    (tmp_path / "dev-0001.wav").write_bytes(b"RIFF")
    (tmp_path / "dev-0002.rttm").unlink()
    assert write_corpus(BANK, CONFIG, tmp_path, quiet).read_text() == manifest
    assert read_wav(tmp_path / "dev-0001.wav")[0].size == 32_000
    assert (tmp_path / "dev-0002.rttm").exists()


def test_a_set_may_grow_but_is_never_mixed_with_another(tmp_path: Path) -> None:
    first = json.loads(write_corpus(BANK, CONFIG, tmp_path, quiet).read_text())["conversations"]
    longer = write_corpus(BANK, replace(CONFIG, count=4), tmp_path, quiet)
    assert json.loads(longer.read_text())["conversations"][:3] == first
    with pytest.raises(DataError, match="holds 4 conversations already; ask for as many"):
        write_corpus(BANK, CONFIG, tmp_path, quiet)
    for config, name in (
        (replace(CONFIG, seed=1), "seed"),
        (replace(CONFIG, split="test"), "split"),
        (replace(CONFIG, simulation=replace(CONFIG.simulation, seconds=3.0)), "seconds"),
    ):
        with pytest.raises(DataError, match=f"made with another {name}; use another folder"):
            write_corpus(BANK, config, tmp_path, quiet)
    with pytest.raises(DataError, match="another data_manifest_sha256"):
        write_corpus(replace(BANK, manifest_sha256="1" * 64), replace(CONFIG, count=4), tmp_path, quiet)


def test_files_of_an_earlier_version_are_not_continued(tmp_path: Path) -> None:
    manifest = write_corpus(BANK, CONFIG, tmp_path, quiet)
    manifest.write_text(
        manifest.read_text().replace('"version": 2', '"version": 1').replace('"teaching_sha256": "",', "")
    )
    with pytest.raises(DataError, match="made with another version; use another folder"):
        write_corpus(BANK, CONFIG, tmp_path, quiet)


def test_a_conversation_that_cannot_have_its_speakers_is_an_error_not_a_smaller_one(tmp_path: Path) -> None:
    # The groups differ, but the encoder hears one and the same voice in both.
    same = np.ones((2, 1, 1), dtype=np.float32)
    names = tuple(voice.speaker for voice in BANK.voices)
    alike = replace(BANK, teaching=Teaching("encoder", BANK.manifest_sha256, (1.0,), names, same, {}))
    with pytest.raises(DataError, match="dev-0000: only 1 voices of the dev split could be mixed, not 2"):
        write_corpus(alike, replace(CONFIG, speakers=(2, 2)), tmp_path, quiet)


@pytest.mark.parametrize("content", ["", "[]", '{"conversations": [{}]}', '{"conversations": []}'])
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json: damaged .*; delete it"):
        write_corpus(BANK, CONFIG, tmp_path, quiet)


def test_more_speakers_than_may_be_mixed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 speakers were asked for, but only 2 voices of the dev split"):
        write_corpus(BANK, replace(CONFIG, speakers=(2, 3)), tmp_path, quiet)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "at least 1 conversation, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"speakers": (3, 2)}, r"a range such as 2\.\.4, got 3\.\.2"),
        ({"simulation": SimulationConfig(seconds=0.0)}, r"lasts 0\.02 to 14400 seconds, got 0\.0"),
        ({"simulation": SimulationConfig(seconds=float("nan"))}, "got nan"),
        ({"simulation": SimulationConfig(seconds=float("inf"))}, "got inf"),
    ],
)
def test_sets_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(CONFIG, **change)  # type: ignore[arg-type]


def test_conversations_of_nobody_are_noise_with_an_empty_reference(tmp_path: Path) -> None:
    write_corpus(BANK, replace(CONFIG, count=1, speakers=(0, 0)), tmp_path, quiet)
    assert (tmp_path / "dev-0000.rttm").read_text() == ""
    assert read_wav(tmp_path / "dev-0000.wav")[0].any()
