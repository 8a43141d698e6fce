"""Recordings of strangers: samples, or one error of ours; never a crash, a hang, or gigabytes for a header's lie."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.documents import damaged, is_one_sentence, refusal
from voiceflow_ml.audio import read_wav
from voiceflow_ml.diarization.audio_source import open_audio
from voiceflow_ml.errors import DataError
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn, format_rttm, parse_rttm
from voiceflow_ml.service.audio_body import AudioLimits, audio_blocks
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.training.data.decode import decode

LIMITS = AudioLimits(max_audio_s=30.0, max_channels=8, min_rate_hz=4_000, max_rate_hz=192_000)
SOUND = np.sin(np.arange(1_600) / 7.0).astype(np.float32)
_FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "PCM_24"),
    ("WAV", "ULAW"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("MP3", "MPEG_LAYER_III"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
]


def encoded(kind: str, subtype: str, sound: Any = SOUND, rate_hz: int = 16_000) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, sound, rate_hz, format=kind, subtype=subtype)
    return stream.getvalue()


WHOLE = [encoded(*names) for names in _FORMATS]


def wav(
    rate_hz: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    data: bytes = b"\1\0" * 320,
    said: int | None = None,
    align: int | None = None,
    riff: int | None = None,
) -> bytes:
    """A WAV file whose header says what it is told to."""
    block = (channels * bits // 8) & 0xFFFF if align is None else align
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, (rate_hz * block) & 0xFFFFFFFF, block, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data) if said is None else said)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks) + len(data) if riff is None else riff) + b"WAVE" + chunks + data


u16, u32 = (
    st.sampled_from([0, 1, 2, 3, 8, 64, 255, 1024, 2**15, 2**16 - 1]),
    st.sampled_from([0, 1, 7, 999, 4_000, 16_000, 44_100, 192_000, 2**31 - 1, 2**31, 2**32 - 1]),
)
headers = st.builds(
    wav,
    rate_hz=u32,
    channels=u16,
    bits=st.sampled_from([0, 1, 7, 8, 12, 16, 24, 32, 64, 255, 2**16 - 1]),
    tag=st.sampled_from([0, 1, 2, 3, 6, 7, 17, 49, 85, 0xFFFE, 0xFFFF]),
    data=st.binary(max_size=64) | st.just(struct.pack("<4f", 1.0, float("nan"), float("inf"), -1e38)),
    said=st.none() | u32,
    align=st.none() | u16,
    riff=st.none() | u32,
)


def hear(content: bytes, folder: Path) -> None:
    """By every way in; each ends in finite samples or in one sentence."""
    path = folder / "a.wav"
    path.write_bytes(content)
    heard: list[Any] = []
    refusals = [
        refusal(lambda: heard.append(read_wav(path)[0]), DataError),
        refusal(lambda: heard.extend(open_audio(path).blocks()), DataError),
        refusal(lambda: heard.append(decode(content, "soundfile")), DataError),
        refusal(lambda: heard.extend(audio_blocks(content, "audio/wav", LIMITS)), DataError, RequestError),
    ]
    assert all(is_one_sentence(told) for told in refusals if told), refusals
    assert sum(block.size for block in heard) < 40_000_000
    assert all(block.ndim == 1 and block.dtype == np.float32 for block in heard)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers)
@example(wav(channels=0))
@example(wav(rate_hz=0))
@example(wav(bits=0))
@example(wav(said=2**32 - 1))
@example(wav(rate_hz=2**32 - 1))
@example(wav(rate_hz=7))
@example(wav(channels=2**16 - 1, align=2))
def test_headers_that_lie(tmp_path: Path, content: bytes) -> None:
    hear(content, tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(WHOLE).flatmap(damaged))
def test_damaged_recordings(tmp_path: Path, content: bytes) -> None:
    hear(content, tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_values_that_no_net_can_judge(tmp_path: Path, value: float) -> None:
    sound = np.full(800, value, np.float32)
    hear(encoded("WAV", "FLOAT", sound), tmp_path)
    if not np.isfinite(value):
        assert "NaN or infinity" in refusal(
            lambda: list(audio_blocks(encoded("WAV", "FLOAT", sound), "", LIMITS)), DataError, RequestError
        )


@given(
    st.binary(max_size=64),
    st.sampled_from(["audio/x-raw", "audio/x-raw; format=f32le", "AUDIO/X-RAW;format=s16le"]),
    st.dictionaries(
        st.sampled_from(["rate", "channels", "format"]),
        st.sampled_from(
            ["0", "1", "8000", "-1", "99999999999", "1e3", "\u0663", "", "x" * 200, '"2"', "f32le", "1;2", "\xff"]
        ),
        max_size=3,
    ),
)
def test_raw_samples_of_any_description(body: bytes, kind: str, parameters: dict[str, str]) -> None:
    content_type = "; ".join([kind, *(f"{name}={value}" for name, value in parameters.items())])
    blocks: list[Any] = []
    told = refusal(lambda: blocks.extend(audio_blocks(body, content_type, LIMITS)), DataError, RequestError)
    assert not told or is_one_sentence(told), told
    assert all(np.isfinite(block).all() for block in blocks)


@given(st.text(max_size=80))
def test_any_content_type(content_type: str) -> None:
    told = refusal(lambda: list(audio_blocks(WHOLE[0], content_type, LIMITS)), DataError, RequestError)
    assert not told or is_one_sentence(told), told


_FIELDS = ["SPEAKER", "talk", "1", "0.5", "1.25", "<NA>", "<NA>", "ann", "<NA>", "<NA>"]
_ODD = (
    "",
    ";;",
    "nan",
    "inf",
    "-1",
    "1e309",
    "1_0",
    "0",
    "\u0663",
    "\x85",
    "\x1c",
    "a\0",
    "\x1b[2J",
    "n" * 5_000,
    "LEXEME",
)


@given(
    st.lists(st.lists(st.sampled_from([*_FIELDS, *_ODD]), max_size=11), max_size=3),
    st.integers(0, 9),
    st.sampled_from(_ODD),
)
@example([], 3, "1e309")
def test_turns_of_strangers(lines: list[list[str]], place: int, odd: str) -> None:
    fields = [*_FIELDS[:place], odd, *_FIELDS[place + 1 :]]
    text = "\n".join(" ".join(line) for line in [*lines, fields])
    read: list[dict[str, tuple[Turn, ...]]] = []
    told = refusal(lambda: read.append(parse_rttm(text, "a.rttm")), DataError)
    assert not told or (told.startswith("a.rttm, line ") and is_one_sentence(told)), told
    for recording, turns in (read[0] if read else {}).items():
        assert len(parse_rttm(format_rttm(turns, recording), "again")[recording]) == len(turns)


def test_the_rate_of_the_project_is_among_those_that_are_tried() -> None:
    assert SAMPLE_RATE_HZ == 16_000
