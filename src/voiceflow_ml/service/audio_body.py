"""Audio in the body of a request, as blocks of mono float32 at 16 kHz; nothing larger than a block is ever decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.audio import PCM16_FULL_SCALE
from voiceflow_ml.diarization.audio_source import check_finite, mono_blocks, resampled
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.service.refusals import RequestError

if TYPE_CHECKING:
    import soundfile

RAW_TYPE = "audio/x-raw"
RAW_FORMATS: Mapping[str, str] = {"s16le": "<i2", "f32le": "<f4"}
"""Name of a raw format -> numpy's of a sample."""
_CONTAINERS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG")
_BLOCK_S = 10
Block = NDArray[np.float32]


@dataclass(frozen=True)
class AudioLimits:
    """What a recording may be.

    Attributes:
        max_audio_s: longest, in seconds.
        max_channels: most channels.
        min_rate_hz: lowest sample rate.
        max_rate_hz: highest sample rate.
    """

    max_audio_s: float
    max_channels: int
    min_rate_hz: int
    max_rate_hz: int

    def check(self, rate_hz: int, channels: int, seconds: float) -> None:
        """Refuse what is beyond.

        Raises:
            RequestError: rate or channels (422), or length (413).
        """
        if not self.min_rate_hz <= rate_hz <= self.max_rate_hz:
            raise RequestError(
                422, f"the sample rate is {rate_hz} Hz; {self.min_rate_hz} to {self.max_rate_hz} Hz are taken"
            )
        if not 1 <= channels <= self.max_channels:
            raise RequestError(422, f"the audio has {channels} channels; 1 to {self.max_channels} are taken")
        self.check_length(seconds)

    def check_length(self, seconds: float) -> None:
        """Refuse what is longer; errors as in :meth:`check`."""
        if seconds > self.max_audio_s:
            raise RequestError(413, f"the audio is longer than {self.max_audio_s:g} s; send it in parts")


def audio_blocks(body: bytes, content_type: str, limits: AudioLimits) -> Iterator[Block]:
    """Decode a body.

    Args:
        body: WAV, FLAC or OGG; or raw samples, where the content type says so:
            ``audio/x-raw; format=s16le; rate=16000; channels=1``, or ``format=f32le``.
        content_type: of the request.
        limits: what a recording may be.

    Yields:
        float32 ``[samples]``, mono, 16 kHz; none is empty.

    Raises:
        RequestError: not audio that is taken (400, 415), or beyond the limits (413, 422).
        DataError: damaged, or with NaN or infinity.
    """
    kind = Message()
    kind["content-type"] = content_type
    if not body:
        raise RequestError(400, "the body is empty; send audio")
    if kind.get_content_type() == RAW_TYPE:
        blocks = _raw(body, _parameter(kind, "format", "s16le"), kind, limits)
    else:
        blocks = _sound(body, limits)
    samples = 0
    for block in blocks:
        samples += block.size
        # What a header says of the length is not what follows it.
        limits.check_length(samples / SAMPLE_RATE_HZ)
        if block.size:
            yield block


def _raw(body: bytes, layout: str, kind: Message, limits: AudioLimits) -> Iterator[Block]:
    if layout not in RAW_FORMATS:
        raise RequestError(415, f"raw audio has no format {layout[:40]!r}; take {' or '.join(RAW_FORMATS)}")
    rate_hz, channels = _number(kind, "rate", SAMPLE_RATE_HZ), _number(kind, "channels", 1)
    dtype = np.dtype(RAW_FORMATS[layout])
    frame_bytes = dtype.itemsize * max(1, channels)
    limits.check(rate_hz, channels, len(body) / frame_bytes / max(1, rate_hz))
    if len(body) % frame_bytes:
        raise RequestError(400, f"the body has {len(body)} bytes, which is no whole number of {layout} frames")
    frames = np.frombuffer(body, dtype).reshape(-1, channels)
    return resampled(_raw_blocks(frames, rate_hz), rate_hz)


def _raw_blocks(frames: NDArray[np.generic], rate_hz: int) -> Iterator[Block]:
    step = _BLOCK_S * rate_hz
    for first in range(0, frames.shape[0], step):
        block = frames[first : first + step].astype(np.float32)
        if frames.dtype.kind == "i":
            block /= np.float32(PCM16_FULL_SCALE)
        check_finite(block, "the audio", first)
        yield block.mean(axis=1, dtype=np.float32)


def _sound(body: bytes, limits: AudioLimits) -> Iterator[Block]:
    file = _open(body)
    limits.check(file.samplerate, file.channels, file.frames / max(1, file.samplerate))
    return resampled(mono_blocks("the audio", file), file.samplerate)


def _open(body: bytes) -> soundfile.SoundFile:
    import soundfile  # noqa: PLC0415

    try:
        file = soundfile.SoundFile(io.BytesIO(body))
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError, RuntimeError):
        raise RequestError(
            415, f"the body is not audio that can be read; send WAV, FLAC or OGG, or raw samples as {RAW_TYPE}"
        ) from None
    if file.format not in _CONTAINERS:
        raise RequestError(415, f"{file.format} is not taken; send WAV, FLAC or OGG, or raw samples as {RAW_TYPE}")
    return file


def _parameter(kind: Message, name: str, default: str) -> str:
    value = kind.get_param(name, default)
    return value if isinstance(value, str) else default


def _number(kind: Message, name: str, default: int) -> int:
    text = _parameter(kind, name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise RequestError(400, f"{name} of the content type must be a whole number, got {text[:40]!r}")
    return int(text)
