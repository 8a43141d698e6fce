from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.speech_data import write_data_dir
from voiceflow_ml.errors import DataError
from voiceflow_ml.training.data.manifest import read_manifest
from voiceflow_ml.training.data.teach import teach
from voiceflow_ml.training.data.voices import Heard, foreign_clips, label_means, mean_voice, merged_labels
from voiceflow_ml.training.simulate.bank import load_bank
from voiceflow_ml.training.simulate.clips import clip_windows
from voiceflow_ml.training.simulate.conversation import SimulationConfig
from voiceflow_ml.training.simulate.windows import ABSENT, Windows, join
from voiceflow_ml.training.teaching import TEACHING_NAME, Teaching, read_teaching, unit, write_teaching

DIM = 16


def heard(voices: dict[str, NDArray[np.float64]], clips: int = 12, package: str = "p") -> Heard:
    """``clips`` of each voice, scattered a little around its direction."""
    rng = np.random.default_rng(1)
    rows = [unit(at + 0.1 * rng.standard_normal((clips, DIM))) for at in voices.values()]
    names = tuple(name for name in voices for _ in range(clips))
    return Heard(np.concatenate(rows), np.full(len(names), 2.0), names, ((package, "train"),) * len(names))


def axis(number: int) -> NDArray[np.float64]:
    row: NDArray[np.float64] = np.eye(DIM)[number]
    return row


def test_labels_that_are_one_voice_share_the_first_name() -> None:
    found = merged_labels(heard({"b": axis(0), "a": axis(1), "c": axis(0), "d": axis(2)}))
    assert found == {"c": "b"}


def test_a_chain_of_look_alikes_does_not_make_its_ends_one() -> None:
    middle = axis(0) + axis(1)
    ends = {"x": axis(0) + 0.35 * axis(1), "y": middle / np.sqrt(2), "z": 0.35 * axis(0) + axis(1)}
    found = merged_labels(heard(ends))
    assert not {"x", "z"} <= {*found, *found.values()} or found.get("z") != "x"


def test_labels_of_two_packages_or_splits_are_never_merged() -> None:
    one, other = heard({"a": axis(0)}), heard({"b": axis(0)}, package="q")
    both = Heard(
        np.concatenate([one.embeddings, other.embeddings]),
        np.concatenate([one.seconds, other.seconds]),
        one.speakers + other.speakers,
        one.places + other.places,
    )
    assert merged_labels(both) == {}


def test_a_clip_of_someone_else_is_found_unless_it_is_too_short_to_judge() -> None:
    clips = heard({"a": axis(0), "b": axis(1)})
    wrong = clips.embeddings.copy()
    wrong[[0, 1]] = unit(axis(1))
    seconds = clips.seconds.copy()
    seconds[1] = 0.8
    found = foreign_clips(replace(clips, embeddings=wrong, seconds=seconds), mean_voice(clips))
    assert np.flatnonzero(found).tolist() == [0]


def test_the_mean_of_a_label_leaves_its_least_typical_third_out() -> None:
    clips = heard({"a": axis(0)})
    clips.embeddings[:3] = unit(axis(5))
    assert float(label_means(clips)["a"] @ axis(0)) > 0.95


def test_the_mean_voice_counts_every_label_once() -> None:
    many, few = heard({"a": axis(0)}, clips=40), heard({"b": axis(1)}, clips=2)
    both = Heard(
        np.concatenate([many.embeddings, few.embeddings]),
        np.concatenate([many.seconds, few.seconds]),
        many.speakers + few.speakers,
        many.places + few.places,
    )
    mean = mean_voice(both)
    assert abs(mean[0] - mean[1]) < 0.1


def spectral_encoder(audio: NDArray[np.float32]) -> NDArray[np.floating]:
    """The mean spectrum in bands: deterministic, and different for the two shipped voices."""
    power = np.abs(np.fft.rfft(audio, 32_000)[: 16_000 // DIM * DIM]) ** 2
    return unit(np.log(power.reshape(DIM, -1).mean(axis=1) + 1e-6))


def test_teaching_places_every_voice_at_every_speed_and_training_reads_it(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    lines: list[str] = []
    path = teach(data_dir, spectral_encoder, "spectral", (0.9, 1.0), lines.append)
    assert path.name == TEACHING_NAME
    bank = load_bank(data_dir, "train")
    assert bank.teaching is not None
    assert bank.teaching.encoder == "spectral"
    assert bank.teaching.targets.shape == (len(bank.voices), 2, DIM)
    np.testing.assert_allclose(np.linalg.norm(bank.teaching.targets, axis=2), 1.0, rtol=1e-5)
    for voice in bank.voices:
        assert voice.targets.shape == (len(voice.clips), DIM)
        np.testing.assert_allclose(np.linalg.norm(voice.targets, axis=1), 1.0, atol=2e-3)
    assert lines[0] == f"shipped: hearing {len(read_manifest(data_dir)[0][0].clips)} clips"
    assert lines[-1] == f"voices: {len(bank.voices)}/{len(bank.voices)} heard at 2 speeds"


def test_teaching_again_hears_no_clip_twice_and_says_the_same(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    teach(data_dir, spectral_encoder, "spectral", (1.0,), lambda _: None)
    first = load_bank(data_dir, "train").teaching
    lines: list[str] = []
    teach(data_dir, spectral_encoder, "spectral", (1.0,), lines.append)
    second = load_bank(data_dir, "train").teaching
    assert not any("hearing" in line for line in lines)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.targets, second.targets)


def test_relabelled_clips_go_to_their_new_speaker_or_to_nobody(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    records, digest = read_manifest(data_dir)
    first, second = (voice.speaker for voice in load_bank(data_dir, "train").voices)
    names = [clip.name for clip in records[0].clips if clip.speaker == second]
    relabelled: dict[str, dict[str, str | None]] = {"shipped": dict.fromkeys(names, first)}
    dropped = next(clip.name for clip in records[0].clips if clip.speaker == first)
    relabelled["shipped"][dropped] = None
    write_teaching(data_dir, Teaching("t", digest, (1.0,), (), np.zeros((0, 1, 2), dtype=np.float32), relabelled))
    (only,) = load_bank(data_dir, "train").voices
    assert only.speaker == first
    assert len(only.clips) == len(records[0].clips) - 1


def test_a_voice_without_a_target_is_like_nobody_but_itself() -> None:
    targets = np.array([[[1.0, 0.0]], [[0.6, 0.8]]], dtype=np.float32)
    teaching = Teaching("t", "", (1.0,), ("a", "b"), targets, {})
    expected = np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.0], [0.6, 0.0, 1.0]])
    np.testing.assert_allclose(teaching.similarity(("b", "x", "a")), expected, atol=1e-6)


def test_damaged_or_foreign_teaching_is_named(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    _, digest = read_manifest(data_dir)
    assert read_teaching(data_dir, digest) is None
    path = write_teaching(data_dir, Teaching("t", "other", (1.0,), (), np.zeros((0, 1, 2), dtype=np.float32), {}))
    with pytest.raises(DataError, match="other speech data; delete it and run: voiceflow data teach"):
        load_bank(data_dir, "train")
    for content in (b"", b"PK\x03\x04 no zip"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"teaching\.npz: damaged"):
            load_bank(data_dir, "train")


def test_a_clip_at_another_speed_moves_as_its_voice_moves(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    teach(data_dir, spectral_encoder, "spectral", (0.9, 1.0), lambda _: None)
    bank = load_bank(data_dir, "train")
    assert bank.teaching is not None
    own, moved = bank.teaching.target_rows((bank.voices[0].speaker,))[0, [1, 0]]
    np.testing.assert_allclose(bank.at_speed(0, own, 0), moved, atol=1e-5)
    np.testing.assert_allclose(bank.at_speed(0, own, 1), own, atol=1e-5)
    assert not bank.at_speed(0, np.zeros_like(own), 0).any()
    with pytest.raises(DataError, match="run: voiceflow data teach"):
        replace(bank, teaching=None).at_speed(0, own, 0)


def test_windows_of_clips_hold_one_voice_and_what_the_teacher_heard_in_it(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    teach(data_dir, spectral_encoder, "spectral", (0.9, 1.0), lambda _: None)
    bank = load_bank(data_dir, "train")
    config = SimulationConfig(speeds=(0.9, 1.0))
    first, again = (clip_windows(bank, config, np.random.default_rng(4), 48_000, 6) for _ in range(2))
    np.testing.assert_array_equal(first.audio, again.audio)
    assert first.audio.shape == (6, 48_000)
    assert float(np.abs(first.audio).max()) <= 1.0
    assert first.activity[:, :, 0].any(axis=1).all()
    assert not first.activity[:, :, 1:].any()
    assert (first.identities[:, 1:] == ABSENT).all()
    assert first.identities[:, 0].max() < len(bank.voices) * 2
    assert first.targets is not None
    np.testing.assert_allclose(np.linalg.norm(first.targets[:, 0], axis=1), 1.0, atol=1e-3)
    assert not first.targets[:, 1:].any()


def test_joined_windows_without_a_clip_of_their_own_have_targets_of_zeros() -> None:
    plain = Windows(
        np.zeros((2, 640), dtype=np.float32), np.zeros((2, 2, 3), dtype=np.bool_), np.zeros((2, 3), dtype=np.int64)
    )
    taught = replace(plain, targets=np.ones((2, 3, 4), dtype=np.float32))
    both = join(plain, taught)
    assert both.targets is not None
    assert both.targets.sum(axis=(1, 2)).tolist() == [0, 0, 12, 12]
    assert join(plain, plain).targets is None
