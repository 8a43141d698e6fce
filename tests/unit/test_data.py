from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.speech_data import speaker_clips, write_data_dir
from voiceflow_ml.errors import DataError
from voiceflow_ml.models.signal import FRAME_SAMPLES
from voiceflow_ml.training.data import prepare as prepare_module
from voiceflow_ml.training.data.activity import active_turns, close_gaps, speech_frames, trim_to_speech
from voiceflow_ml.training.data.decode import decode, recordings, to_16_khz
from voiceflow_ml.training.data.manifest import Clip, PackageRecord, check_disjoint, read_manifest, read_record
from voiceflow_ml.training.data.prepare import prepare
from voiceflow_ml.training.data.sample import SCRIPT
from voiceflow_ml.training.data.sources import SOURCES, Source, select_sources


def speech() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    clip = speaker_clips()["asterisk-carlo"][0]
    return clip.astype(np.float32) / np.float32(32768.0)


def encoded(fmt: str, audio: np.ndarray[tuple[int, ...], np.dtype[np.float32]], rate_hz: int) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, audio, rate_hz, format=fmt)
    return stream.getvalue()


def test_silence_around_speech_is_cut_off() -> None:
    silence = np.zeros(16_000, dtype=np.float32)
    padded = np.concatenate([silence, speech(), silence])
    trimmed = trim_to_speech(padded)
    assert abs(trimmed.size - speech().size) <= 10 * FRAME_SAMPLES
    assert trim_to_speech(silence).size == 0
    assert speech_frames(silence[:100]).size == 0


def test_pauses_between_words_are_found() -> None:
    pause = np.zeros(8_000, dtype=np.float32)
    active = speech_frames(np.concatenate([speech(), pause, speech()]))
    middle = speech().size // FRAME_SAMPLES + 12
    assert not active[middle]
    assert active.mean() > 0.6


def test_only_short_gaps_are_closed() -> None:
    active = np.array([1, 0, 0, 1, 0, 0, 0, 1, 0], dtype=bool)
    assert close_gaps(active, 2).astype(int).tolist() == [1, 1, 1, 1, 0, 0, 0, 1, 0]
    assert active.sum() == 3


@pytest.mark.parametrize(("fmt", "rate_hz"), [("WAV", 44_100), ("OGG", 22_050), ("FLAC", 16_000), ("MP3", 24_000)])
def test_formats_and_rates_come_out_as_16_khz_mono(fmt: str, rate_hz: int) -> None:
    seconds = np.arange(rate_hz) / rate_hz
    tone = (0.5 * np.sin(2 * np.pi * 440.0 * seconds)).astype(np.float32)
    audio = decode(encoded(fmt, np.stack([tone, tone], axis=1), rate_hz), "soundfile")
    assert audio.ndim == 1
    assert abs(audio.size - 16_000) < 3_000
    spectrum = np.abs(np.fft.rfft(audio[2_000:10_000]))
    assert int(spectrum.argmax()) * 2 == pytest.approx(440, abs=2)


def test_eight_bit_and_empty_recordings() -> None:
    audio = decode(bytes([128] * 11_025), "pcm8-11025")
    assert audio.size == 16_000
    assert not audio.any()
    assert decode(b"", "g722").size == 0


def test_gsm_frames_are_decoded() -> None:
    stream = io.BytesIO()
    soundfile.write(stream, speech()[::2], 8_000, format="RAW", subtype="GSM610")
    audio = decode(stream.getvalue(), "gsm")
    assert abs(audio.size - speech().size) < 1_000


def test_garbage_is_one_sentence() -> None:
    with pytest.raises(DataError, match="recording cannot be decoded"):
        decode(b"not audio at all", "soundfile")


def test_g722_without_ffmpeg_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DataError, match="apt-get install ffmpeg"):
        decode(b"\x00" * 100, "g722")


def test_resampling_keeps_the_length_in_seconds() -> None:
    assert to_16_khz(np.zeros(11_025, dtype=np.float32), 11_025).size == 16_000


def test_the_games_members_are_listed(tmp_path: Path) -> None:
    table = 15 + 2 * 21
    header = b"QTBLCEM10\0\0\0" + b"\x01" + struct.pack(">H", 2)
    entries = b"".join(
        name.ljust(12, b"\0") + bytes([1]) + struct.pack(">II", offset, 3)
        for name, offset in ((b"020001P2.SB", table), (b"PICTURE.PCX", table + 3))
    )
    (tmp_path / "queen.1c").write_bytes(header + entries + b"abcdef")
    source = select_sources(("flight-of-the-amazon-queen",))[0]
    assert list(recordings(source, tmp_path)) == [("020001P2.SB", b"abc")]
    (tmp_path / "queen.1c").write_bytes(b"PK")
    with pytest.raises(DataError, match="should start with QTBL"):
        list(recordings(source, tmp_path))


def make_package(root: Path, name: str) -> Path:
    """A real .deb with real speech in the layout of klettres."""
    for number, clip in enumerate(speaker_clips()["asterisk-carlo"]):
        path = root / f"usr/share/klettres/it/alpha/{number}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip, 16_000, format="OGG")
    (root / "usr/share/klettres/it/alpha/empty.ogg").write_bytes(b"")
    control = root / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(f"Package: {name}\nVersion: 1.2\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n")
    archive = root.parent / f"{name}_1.2_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(archive)], check=True, capture_output=True)
    return archive


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_prepare_unpacks_labels_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_package(tmp_path / "pkg", "klettres-data")
    data_dir = tmp_path / "data"
    (data_dir / "archives").mkdir(parents=True)
    archive.rename(data_dir / "archives" / archive.name)
    lines: list[str] = []
    sources = select_sources(("klettres-data",))
    manifest = prepare(data_dir, sources, lines.append)
    records, digest = read_manifest(data_dir)
    (record,) = records
    assert (record.package, record.version, record.licence, record.skipped) == ("klettres-data", "1.2", "GPL-2+", 1)
    assert {clip.speaker for clip in record.clips} == {"klettres-it"}
    assert {clip.split for clip in record.clips} == {"train"}
    assert "4 clips" in lines[-1]
    assert json.loads(manifest.read_text())["speakers"]["klettres-it"]["clips"] == 4
    assert not list(data_dir.rglob("*.part"))

    def refuse(*_: object) -> None:
        raise AssertionError("a prepared package must not be prepared again")

    monkeypatch.setattr(prepare_module, "prepare_package", refuse)
    prepare(data_dir, sources, lines.append)
    assert read_manifest(data_dir)[1] == digest


def test_a_missing_package_tool_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="apt-get is missing: speech comes as Debian packages"):
        prepare(tmp_path / "data", (SOURCES[0],), lambda _: None)


def test_a_package_that_cannot_be_fetched_gives_the_tools_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "apt-get"
    tool.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(DataError, match=r"apt-get download .* failed: E: Unable to locate package"):
        prepare(tmp_path / "data", (SOURCES[0],), lambda _: None)


def test_unknown_packages_are_refused_with_the_list() -> None:
    with pytest.raises(DataError, match="unknown speech package 'x'; known are: asterisk-core-sounds-en-g722"):
        select_sources(("x",))
    assert select_sources(()) == SOURCES


def test_no_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="voiceflow data prepare --out"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 99}', '{"version": 1, "packages": [{}]}'])
def test_damaged_manifests_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_damaged_records_are_refused(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    (data_dir / "shards" / "shipped.json").write_text("{")
    with pytest.raises(DataError, match="delete it and prepare the data again"):
        read_record(data_dir, "shipped")
    assert read_record(data_dir, "none") is None


def test_a_speaker_in_two_splits_is_refused() -> None:
    def record(split: str) -> PackageRecord:
        clip = Clip("a", "ann", "ann", split, 0, 1, "")  # type: ignore[arg-type]
        return PackageRecord("p", "1", "", "", "", "", 0, (clip,))

    check_disjoint((record("train"), record("train")))
    with pytest.raises(DataError, match="'ann' is in both train and test"):
        check_disjoint((record("train"), record("test")))


def test_every_shipped_clip_is_of_a_licence_that_allows_it() -> None:
    licences: dict[str, Source] = {source.package: source for source in SOURCES}
    assert {licences[line.package].licence for line in SCRIPT} == {"CC-BY-3.0"}


def test_active_frames_become_turns() -> None:
    active = np.zeros(100, dtype=bool)
    active[:10] = active[40:90] = active[99:] = True
    turns = active_turns(active, "ann", first_frame=50)
    assert [(turn.speaker, round(turn.start_s, 6), round(turn.duration_s, 6)) for turn in turns] == [
        ("ann", 1.0, 0.2),
        ("ann", 1.8, 1.0),
        ("ann", 2.98, 0.02),
    ]
    assert active_turns(np.zeros(5, dtype=bool), "ann") == []
