"""Any audio file is read right, in bounded memory, or refused in one sentence."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiceflow_ml.diarization.audio_source import array_blocks, open_audio
from voiceflow_ml.errors import DataError
from voiceflow_ml.models.shipped import shipped_speech_path


def tone(rate_hz: int, seconds: float = 1.0, hz: float = 440.0) -> NDArray[np.float64]:
    return 0.5 * np.sin(2.0 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)


def read(path: Path) -> NDArray[np.float32]:
    return np.concatenate(list(open_audio(path).blocks()))


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_U8"),
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.wav", "ULAW"),
        ("a.flac", "PCM_16"),
        ("a.ogg", "VORBIS"),
        ("a.mp3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_formats_and_rates_give_the_same_tone(tmp_path: Path, name: str, subtype: str, rate_hz: int) -> None:
    soundfile.write(tmp_path / name, tone(rate_hz), rate_hz, subtype=subtype)
    audio = read(tmp_path / name)
    assert audio.dtype == np.float32
    assert abs(audio.size - 16_000) < 1_200  # an encoder may pad its last block
    middle = audio[4_000:12_000].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert abs(int(np.argmax(spectrum)) * 2.0 - 440.0) <= 2.0
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2.0), rel=0.03)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left = tone(16_000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, np.zeros_like(left), left / 2], axis=1), 16_000, "FLOAT")
    np.testing.assert_allclose(read(tmp_path / "a.wav"), left / 2, atol=1e-6)


def test_long_files_come_in_blocks_and_joined_blocks_have_no_seam(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(44_100, 31.0), 44_100, subtype="FLOAT")
    blocks = list(open_audio(tmp_path / "a.wav").blocks())
    assert len(blocks) > 3
    assert max(block.size for block in blocks) <= 170_000
    audio = np.concatenate(blocks)
    assert audio.size == 31 * 16_000
    np.testing.assert_allclose(audio[1_000:-1_000], tone(16_000, 31.0)[1_000:-1_000], atol=2e-3)


def test_the_length_is_known_before_reading() -> None:
    assert open_audio(shipped_speech_path()).seconds == pytest.approx(15.54, abs=0.01)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is an empty file"),
        (b"who speaks when", "not an audio file that can be read"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "not an audio file that can be read"),
        (b"fLaC" + b"\1" * 60, "not an audio file that can be read"),
        (b"OggS" + b"\0" * 60, "not an audio file that can be read"),
    ],
)
def test_what_is_not_audio_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.wav: {reason}"):
        open_audio(path)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such audio file"):
        open_audio(tmp_path / "none.wav")
    with pytest.raises(DataError, match="is a folder"):
        open_audio(tmp_path)
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16_000)
    with pytest.raises(DataError, match="holds no audio samples"):
        open_audio(tmp_path / "a.wav")
    soundfile.write(tmp_path / "slow.wav", np.zeros(10), 500)
    with pytest.raises(DataError, match="sample rate is 500 Hz; 1000 to 768000 Hz can be read"):
        open_audio(tmp_path / "slow.wav")


def wav_bytes(channels: int) -> bytes:
    """A header by hand: no library writes one that says it has no channels."""
    data = b"\0\0" * 100
    fmt = b"\1\0" + channels.to_bytes(2, "little") + (16_000).to_bytes(4, "little") + (32_000).to_bytes(4, "little")
    fmt += b"\2\0\x10\0"
    body = b"WAVEfmt " + len(fmt).to_bytes(4, "little") + fmt + b"data" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


@pytest.mark.parametrize("channels", [0, 1_025])
def test_impossible_channels_are_refused(tmp_path: Path, channels: int) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(channels))
    with pytest.raises(DataError, match=r"a\.wav: "):
        open_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_named_by_their_place(tmp_path: Path, bad: float) -> None:
    audio = tone(16_000, 12.0)
    audio[170_000] = bad
    soundfile.write(tmp_path / "a.wav", audio, 16_000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"a\.wav: holds NaN or infinity, first at sample 170000"):
        read(tmp_path / "a.wav")
    with pytest.raises(DataError, match="audio: holds NaN or infinity, first at sample 170000"):
        list(array_blocks(audio))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_a_file_that_was_cut_off_gives_what_is_left_or_one_error(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    soundfile.write(path, np.random.default_rng(0).standard_normal(48_000) * 0.1, 16_000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    try:
        audio = read(path)
    except DataError as error:
        assert name in str(error)  # noqa: PT017
        return
    assert 0 < audio.size <= 48_000


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        path.write_bytes(content if len(content) % 2 else b"RIFF\xff\0\0\0WAVE" + content)
        try:
            audio = read(path)
        except DataError:
            return
    assert audio.ndim == 1


@pytest.mark.parametrize("shape", [(0,), (2, 100), (0, 3)])
def test_samples_in_memory_must_be_one_row(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"must have shape \[samples\]"):
        list(array_blocks(np.zeros(shape)))
