from __future__ import annotations

import struct
import tempfile
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voiceflow_ml.audio import read_wav, write_wav
from voiceflow_ml.errors import DataError


def write_raw(path: Path, frames: bytes, *, channels: int = 1, width: int = 2, rate_hz: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate_hz)
        writer.writeframes(frames)
    return path


def test_what_is_written_is_read_back_to_half_a_step(tmp_path: Path) -> None:
    audio = np.sin(np.arange(1_600) / 7.0).astype(np.float32) * 0.9
    write_wav(tmp_path / "a.wav", audio, 16_000)
    back, rate_hz = read_wav(tmp_path / "a.wav", sample_rate_hz=16_000)
    assert rate_hz == 16_000
    assert back.dtype == np.float32
    assert back.shape == audio.shape
    assert float(np.abs(back - audio).max()) <= 0.5 / 32768.0 + 1e-7


@given(arrays(np.int16, st.integers(1, 400)))
def test_every_16_bit_sample_survives_a_round_trip(pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        write_wav(path, pcm.astype(np.float32) / np.float32(32768.0), 8_000)
        back, _ = read_wav(path)
    np.testing.assert_array_equal(np.rint(back * 32768.0).astype(np.int64), pcm)


def test_stereo_is_averaged(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "s.wav", struct.pack("<4h", 16384, 0, -16384, -16384), channels=2)
    audio, _ = read_wav(path)
    np.testing.assert_array_equal(audio, np.array([0.25, -0.5], dtype=np.float32))


def test_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.array([2.0, -2.0]), 16_000)
    audio, _ = read_wav(tmp_path / "a.wav")
    np.testing.assert_array_equal(audio, np.array([32767 / 32768, -1.0], dtype=np.float32))


def test_wrong_rate_names_both_rates(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a.wav", b"\0\0" * 10, rate_hz=8_000)
    with pytest.raises(DataError, match=r"a\.wav: sample rate is 8000 Hz, but 16000 Hz is needed"):
        read_wav(path, sample_rate_hz=16_000)


def test_eight_bit_is_refused(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a.wav", b"\x80" * 10, width=1)
    with pytest.raises(DataError, match="8-bit samples; only 16-bit PCM WAV"):
        read_wav(path)


def test_float_wav_is_refused_as_not_pcm(tmp_path: Path) -> None:
    data = struct.pack("<4f", 0.0, 0.1, 0.2, 0.3)
    fmt = struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    path = tmp_path / "f.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    with pytest.raises(DataError, match="not integer PCM"):
        read_wav(path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"ID3\x04 some mp3 bytes that go on", b"RIFF\x10\0\0\0WAVEfmt "])
def test_not_a_wav(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.wav: not a WAV file"):
        read_wav(path)


def test_no_samples(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no samples"):
        read_wav(write_raw(tmp_path / "a.wav", b""))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such audio file"):
        read_wav(tmp_path / "none.wav")


def test_a_folder_is_not_audio(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_wav(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_one_way(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        path.write_bytes(b"RIFF\xff\0\0\0WAVE" + content)
        try:
            audio, _ = read_wav(path)
        except DataError:
            return
    assert audio.ndim == 1


@pytest.mark.parametrize(
    ("audio", "rate_hz", "reason"),
    [
        (np.zeros((2, 3)), 16_000, r"must have shape \[samples\], got \[2, 3\]"),
        (np.zeros(0), 16_000, r"got \[0\]"),
        (np.array([0.0, np.nan]), 16_000, "NaN or infinite"),
        (np.zeros(3), 0, "at least 1 Hz"),
    ],
)
def test_unfit_audio_is_not_written(
    tmp_path: Path, audio: np.ndarray[tuple[int, ...], np.dtype[np.float64]], rate_hz: int, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        write_wav(tmp_path / "a.wav", audio, rate_hz)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(4), 16_000)
    before = (tmp_path / "a.wav").read_bytes()

    def refuse(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(DataError, match="cannot be written: No space left"):
        write_wav(tmp_path / "a.wav", np.ones(4), 16_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == before


def test_writing_where_no_folder_can_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="cannot be written"):
        write_wav(tmp_path / "file" / "a.wav", np.zeros(4), 16_000)
