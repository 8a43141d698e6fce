"""Read and write WAV files with nothing but numpy and the standard library.

Only 16-bit integer PCM is understood: it is what the shipped speech is stored
in, and what the main job needs without any audio library.
"""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import DataError
from voiceflow_ml.files import atomic_path

PCM16_FULL_SCALE = 32768.0
"""The magnitude that 1.0 stands for in a 16-bit sample."""

_PCM16_BYTES = 2


def read_wav(path: str | os.PathLike[str], *, sample_rate_hz: int | None = None) -> tuple[NDArray[np.float32], int]:
    """Read a 16-bit PCM WAV file as mono.

    Args:
        path: The file.
        sample_rate_hz: The rate the caller needs, in Hz; ``None`` takes any.

    Returns:
        The samples, float32 of shape ``[samples]`` in [-1, 1] (channels are
        averaged), and the sample rate in Hz.

    Raises:
        DataError: The file is missing, is not a WAV file, is not 16-bit PCM,
            holds no samples, or has another rate than ``sample_rate_hz``.
    """
    file = Path(path)
    raw, channels, width_bytes, rate_hz = _read_frames(file)
    if width_bytes != _PCM16_BYTES:
        raise DataError(f"{file}: {8 * width_bytes}-bit samples; only 16-bit PCM WAV is read here, so convert it first")
    if sample_rate_hz is not None and rate_hz != sample_rate_hz:
        raise DataError(f"{file}: sample rate is {rate_hz} Hz, but {sample_rate_hz} Hz is needed; resample it first")
    # A file cut off in the middle of a frame keeps the whole frames before the cut.
    frame_bytes = _PCM16_BYTES * channels
    raw = raw[: len(raw) - len(raw) % frame_bytes]
    if not raw:
        raise DataError(f"{file}: the WAV file holds no samples")
    frames = np.frombuffer(raw, dtype="<i2").reshape(-1, channels)
    mono = frames.astype(np.float32).mean(axis=1, dtype=np.float32) / np.float32(PCM16_FULL_SCALE)
    return mono.astype(np.float32, copy=False), rate_hz


def _read_frames(file: Path) -> tuple[bytes, int, int, int]:
    """The raw frames of a WAV file with its channels, bytes per sample and rate in Hz."""
    try:
        with file.open("rb") as stream, wave.open(stream) as reader:
            return (
                reader.readframes(reader.getnframes()),
                reader.getnchannels(),
                reader.getsampwidth(),
                reader.getframerate(),
            )
    except FileNotFoundError:
        raise DataError(f"{file}: no such audio file") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error
    except wave.Error as error:
        # The standard reader refuses every format tag but integer PCM, e.g. "unknown format: 3" for float.
        if "unknown format" in str(error):
            raise DataError(
                f"{file}: not integer PCM ({error}); only 16-bit PCM WAV is read here, so convert it first"
            ) from error
        raise DataError(f"{file}: not a WAV file ({error})") from error
    except (EOFError, ZeroDivisionError, RuntimeError) as error:
        raise DataError(f"{file}: not a WAV file (its header is cut off or damaged)") from error


def write_wav(path: str | os.PathLike[str], audio: NDArray[np.floating], sample_rate_hz: int) -> None:
    """Write mono audio as 16-bit PCM, atomically: the file is there whole or not at all.

    Args:
        path: The file; its folder is made when missing. An existing file is replaced.
        audio: Samples of shape ``[samples]``, nominally in [-1, 1]; what lies
            outside is clipped.
        sample_rate_hz: Sample rate in Hz, at least 1.

    Raises:
        DataError: ``audio`` is not one-dimensional, is empty, or holds NaN or
            infinity; the rate is not positive; or the file cannot be written.
    """
    file = Path(path)
    if audio.ndim != 1 or audio.size == 0:
        raise DataError(f"{file}: audio to write must have shape [samples], got {list(audio.shape)}")
    if not np.isfinite(audio).all():
        raise DataError(f"{file}: audio to write holds NaN or infinite samples")
    if sample_rate_hz < 1:
        raise DataError(f"{file}: sample rate must be at least 1 Hz, got {sample_rate_hz}")
    scaled = np.rint(audio.astype(np.float64) * PCM16_FULL_SCALE)
    pcm = np.clip(scaled, -PCM16_FULL_SCALE, PCM16_FULL_SCALE - 1).astype("<i2")
    try:
        with atomic_path(file) as temporary, wave.open(str(temporary), "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(_PCM16_BYTES)
            writer.setframerate(sample_rate_hz)
            writer.writeframes(pcm.tobytes())
    except OSError as error:
        raise DataError(f"{file}: cannot be written: {error.strerror or error}") from error
