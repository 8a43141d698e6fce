"""Audio of any kind as blocks of mono float32 at 16 kHz, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import DataError
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import soundfile

_BLOCK_S = 10.0
_LEAST_RATE_HZ, _MOST_RATE_HZ = 1_000, 768_000
_MOST_CHANNELS = 64


@dataclass(frozen=True)
class AudioFile:
    """An audio file that was opened once and found readable.

    Attributes:
        path: The file.
        seconds: Its length as its header says; 0 where the header does not know.
    """

    path: Path
    seconds: float

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Read the file from its start.

        Yields:
            float32 ``[samples]``, mono (channels are averaged), 16 kHz; none is empty.

        Raises:
            DataError: The file changed, is damaged, holds NaN or infinity, or holds no sample at all.
        """
        with _open(self.path) as file:
            samples = 0
            for block in resampled(mono_blocks(str(self.path), file), file.samplerate):
                samples += block.size
                if block.size:
                    yield block
        if samples == 0:
            raise DataError(f"{self.path}: holds no audio samples")


def open_audio(path: str | os.PathLike[str]) -> AudioFile:
    """Open WAV, FLAC, OGG, MP3 or whatever else libsndfile reads, at any rate, with any number of channels.

    Args:
        path: The file.

    Raises:
        DataError: It is missing, is not audio, or has a rate or a number of channels that no recording has.
    """
    file = Path(path)
    with _open(file) as opened:
        rate_hz, channels, frames = opened.samplerate, opened.channels, opened.frames
    if not _LEAST_RATE_HZ <= rate_hz <= _MOST_RATE_HZ:
        raise DataError(f"{file}: sample rate is {rate_hz} Hz; {_LEAST_RATE_HZ} to {_MOST_RATE_HZ} Hz can be read")
    if not 1 <= channels <= _MOST_CHANNELS:
        raise DataError(f"{file}: has {channels} channels; 1 to {_MOST_CHANNELS} can be read")
    if frames == 0:
        raise DataError(f"{file}: holds no audio samples")
    return AudioFile(file, max(0.0, frames / rate_hz))


def array_blocks(audio: NDArray[np.floating]) -> Iterator[NDArray[np.float32]]:
    """Samples that are in memory already, as blocks.

    Args:
        audio: Mono ``[samples]`` at 16 kHz, nominally in [-1, 1].

    Yields:
        float32 ``[samples]``.

    Raises:
        DataError: Not one-dimensional, empty, or with NaN or infinity.
    """
    if audio.ndim != 1 or audio.size == 0:
        raise DataError(f"audio must have shape [samples] with at least one sample, got {list(audio.shape)}")
    step = int(_BLOCK_S * SAMPLE_RATE_HZ)
    for first in range(0, audio.size, step):
        block = np.asarray(audio[first : first + step], dtype=np.float32)
        check_finite(block, "audio", first)
        yield block


def check_finite(block: NDArray[np.float32], name: str, first_sample: int) -> None:
    """Refuse audio that no net can judge.

    Args:
        block: Any samples; the last axis is not looked at more closely than the first.
        name: What they are of, for the message.
        first_sample: Place of the first in its recording.

    Raises:
        DataError: NaN or infinity; the message names the first place.
    """
    if not np.isfinite(block).all():
        place = first_sample + int(np.flatnonzero(~np.isfinite(block).reshape(block.shape[0], -1).all(axis=1))[0])
        raise DataError(f"{name}: holds NaN or infinity, first at sample {place}; repair or convert it first")


def _open(path: Path) -> soundfile.SoundFile:
    import soundfile  # noqa: PLC0415  (heavy, and needed here only)

    if not path.exists():
        raise DataError(f"{path}: no such audio file")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not an audio file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: is an empty file")
    try:
        return soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not an audio file that can be read ({_reason(error)}); give WAV, FLAC, OGG or MP3"
        ) from error


def mono_blocks(name: str, file: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    """Read what is open, about ten seconds at once.

    Args:
        name: What it is called in messages.
        file: The open file, at its start.

    Yields:
        float32 ``[samples]`` at the file's own rate, channels averaged.

    Raises:
        DataError: Damaged, or with NaN or infinity.
    """
    import soundfile  # noqa: PLC0415

    step = int(_BLOCK_S * file.samplerate)
    first = 0
    while True:
        try:
            block: NDArray[np.float32] = file.read(step, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
            raise DataError(f"{name}: damaged after {first / file.samplerate:.1f} s ({_reason(error)})") from error
        if block.shape[0] == 0:
            return
        check_finite(block, name, first)
        # Samples as large as numbers go have no mean: infinite, it is refused as any other infinity.
        with np.errstate(over="ignore", invalid="ignore"):
            mono = block.mean(axis=1, dtype=np.float32)
        check_finite(mono, name, first)
        first += block.shape[0]
        yield mono


def resampled(blocks: Iterable[NDArray[np.float32]], rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Blocks of mono audio at a rate as blocks at 16 kHz; as they are where that is their rate.

    Args:
        blocks: float32 ``[samples]`` each.
        rate_hz: Their rate.
    """
    if rate_hz == SAMPLE_RATE_HZ:
        yield from blocks
        return
    import soxr  # noqa: PLC0415

    resampler: Any = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error)
    return " ".join(str(text).split()).rstrip(".") or type(error).__name__
