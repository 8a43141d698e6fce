"""Audio in the body of a request: the containers, raw samples, and every limit."""

from __future__ import annotations

import contextlib
import io
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiceflow_ml.errors import DataError
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.service.audio_body import AudioLimits, audio_blocks
from voiceflow_ml.service.refusals import RequestError

LIMITS = AudioLimits(max_audio_s=30.0, max_channels=2, min_rate_hz=8_000, max_rate_hz=48_000)
TONE = (0.5 * np.sin(np.arange(16_000) * 0.05)).astype(np.float32)


def decoded(body: bytes, content_type: str = "audio/wav", limits: AudioLimits = LIMITS) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *audio_blocks(body, content_type, limits)])


def refused(body: bytes, content_type: str = "audio/wav", limits: AudioLimits = LIMITS) -> tuple[int, str]:
    with pytest.raises(RequestError) as error:
        decoded(body, content_type, limits)
    return error.value.status, str(error.value)


def file(kind: str, audio: NDArray[np.float32] = TONE, rate_hz: int = 16_000, subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, audio, rate_hz, format=kind, subtype=subtype)
    return stream.getvalue()


@pytest.mark.parametrize(("kind", "off"), [("WAV", 1e-4), ("FLAC", 1e-4), ("OGG", 0.1)])
def test_containers_are_told_by_what_is_in_them(kind: str, off: float) -> None:
    for content_type in ("audio/wav", "", "application/octet-stream"):
        np.testing.assert_allclose(decoded(file(kind), content_type), TONE, atol=off)


def test_the_shipped_speech_comes_as_it_is() -> None:
    body = shipped_speech_path().read_bytes()
    with wave.open(str(shipped_speech_path())) as reader:
        frames = reader.getnframes()
    assert decoded(body).shape == (frames,)


def test_channels_are_mixed_and_rates_are_brought_to_16_khz() -> None:
    stereo = np.stack([TONE, -TONE], axis=1)
    assert np.abs(decoded(file("WAV", stereo))).max() < 1e-3
    low = decoded(file("WAV", TONE[:8_000], rate_hz=8_000))
    assert low.shape == (16_000,)


@pytest.mark.parametrize("layout", ["s16le", "f32le"])
def test_raw_samples_are_read_as_the_content_type_says(layout: str) -> None:
    raw = TONE.tobytes() if layout == "f32le" else np.rint(TONE * 32_768).astype("<i2").tobytes()
    np.testing.assert_allclose(decoded(raw, f"audio/x-raw; format={layout}; rate=16000; channels=1"), TONE, atol=1e-4)
    np.testing.assert_allclose(decoded(raw, f'audio/x-raw; format="{layout}"'), TONE, atol=1e-4)
    halves = decoded(raw, f"audio/x-raw; format={layout}; rate=32000")
    assert halves.shape == (8_000,)
    assert decoded(raw, f"audio/x-raw; format={layout}; channels=2").shape == (8_000,)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        (b"", "audio/wav", 400, "empty"),
        (b"hello, this is no audio", "audio/wav", 415, "send WAV, FLAC or OGG"),
        (b"RIFF" + b"\0" * 100, "audio/wav", 415, "not audio"),
        (b"12", "audio/x-raw; format=mulaw", 415, "no format 'mulaw'; take s16le or f32le"),
        (b"123", "audio/x-raw", 400, "3 bytes, which is no whole number of s16le frames"),
        (b"12", "audio/x-raw; rate=fast", 400, "rate of the content type must be a whole number, got 'fast'"),
        (b"12", "audio/x-raw; rate=-5", 400, "whole number"),
        (b"12", "audio/x-raw; rate=9999999999", 400, "whole number"),
        (b"12", "audio/x-raw; rate=4000", 422, "8000 to 48000 Hz are taken"),
        (b"12", "audio/x-raw; rate=0", 422, "sample rate is 0 Hz"),
        (b"12", "audio/x-raw; channels=3", 422, "3 channels; 1 to 2 are taken"),
        (b"12", "audio/x-raw; channels=0", 422, "0 channels"),
        (b"\0" * 32 * 31_000, "audio/x-raw", 413, "longer than 30 s; send it in parts"),
    ],
)
def test_what_is_not_taken_is_one_sentence(body: bytes, content_type: str, status: int, words: str) -> None:
    found, sentence = refused(body, content_type)
    assert found == status
    assert words in sentence


def test_wrong_rates_channels_and_lengths_of_files_are_refused() -> None:
    assert refused(file("WAV", rate_hz=96_000)) == (422, "the sample rate is 96000 Hz; 8000 to 48000 Hz are taken")
    assert refused(file("WAV", np.zeros((100, 3), np.float32)))[0] == 422
    assert refused(file("WAV", np.zeros(31 * 16_000, np.float32)))[0] == 413
    assert refused(file("AIFF"))[0] == 415


def test_a_file_that_is_longer_than_its_header_says_is_still_bounded() -> None:
    silence = file("FLAC", np.zeros(40 * 16_000, np.float32))
    # STREAMINFO: the last 36 bits in front of the MD5 are the number of samples; 0 is "not known".
    unknown = silence[:21] + bytes([silence[21] & 0xF0]) + b"\0\0\0\0" + silence[26:]
    with pytest.raises((RequestError, DataError)):
        decoded(unknown)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(value: float) -> None:
    broken = TONE.copy()
    broken[100] = value
    for body, kind in ((broken.tobytes(), "audio/x-raw; format=f32le"), (file("WAV", broken, subtype="FLOAT"), "")):
        with pytest.raises(DataError, match="the audio: holds NaN or infinity, first at sample 100"):
            decoded(body, kind)


@given(st.binary(max_size=200), st.text(max_size=40))
def test_no_bytes_and_no_content_type_do_anything_else_than_be_refused(body: bytes, content_type: str) -> None:
    with pytest.raises((RequestError, DataError)):
        decoded(body, content_type)


@given(st.data())
def test_files_that_were_damaged_on_the_way_are_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(file(data.draw(st.sampled_from(["WAV", "FLAC"])), TONE[:2_000]))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, min(len(body) - 1, 120)))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RequestError, DataError):
        assert np.isfinite(decoded(bytes(body))).all()


def test_messages_name_no_place_of_this_machine(tmp_path: Path) -> None:
    assert str(tmp_path.anchor) not in refused(b"hello")[1].replace("audio/x-raw", "")
