"""Decode one recording to 16 kHz mono float32."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from voiceflow_ml.errors import DataError
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.training.data.sources import Decoder, Source

_GSM_RATE_HZ = 8_000
_ALS_RATE_HZ = 11_025


def recordings(source: Source, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every recording of an unpacked package, in the order of their names.

    Args:
        source: What to look for.
        folder: The unpacked package.

    Yields:
        The recording's path inside the package, and its encoded bytes.

    Raises:
        DataError: A container file that is not of the kind the source promises.
    """
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in source.suffixes and not path.is_symlink()
    )
    for path in files:
        if source.decoder == "queen":
            yield from _queen_members(path)
        else:
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _queen_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """The members of the game's one data file.

    Layout (big-endian): "QTBL", 8 bytes of version, 1 byte of compression, u16
    entries; each entry 12 bytes of name, u8 bundle, u32 offset, u32 size.
    """
    content = path.read_bytes()
    if content[:4] != b"QTBL":
        raise DataError(f"{path}: not a Flight of the Amazon Queen data file (it should start with QTBL)")
    entries = int.from_bytes(content[13:15], "big")
    for start in range(15, 15 + 21 * entries, 21):
        entry = content[start : start + 21]
        name = entry[:12].rstrip(b"\0").decode("ascii", errors="replace")
        offset, size = int.from_bytes(entry[13:17], "big"), int.from_bytes(entry[17:21], "big")
        if name.endswith(".SB"):
            yield name, content[offset : offset + size]


def decode(encoded: bytes, decoder: Decoder) -> NDArray[np.float32]:
    """Decode one recording.

    Args:
        encoded: Its bytes.
        decoder: How: by libsndfile, as raw G.722 (16 kHz) or GSM 06.10 (8 kHz),
            as unsigned 8-bit PCM at 11 025 Hz, or as an MP3 member of the game file.

    Returns:
        float32 ``[samples]``, mono, 16 kHz; empty for an empty recording.

    Raises:
        DataError: It cannot be decoded, or the decoder's program is missing.
    """
    if not encoded:
        return np.zeros(0, dtype=np.float32)
    if decoder == "g722":
        return _decode_g722(encoded)
    if decoder == "pcm8-11025":
        samples = np.frombuffer(encoded, dtype=np.uint8).astype(np.float32) / 128.0 - 1.0
        return to_16_khz(samples, _ALS_RATE_HZ)
    try:
        if decoder == "gsm":
            audio, rate_hz = soundfile.read(
                io.BytesIO(encoded),
                dtype="float32",
                always_2d=True,
                format="RAW",
                subtype="GSM610",
                samplerate=_GSM_RATE_HZ,
                channels=1,
            )
        else:
            audio, rate_hz = soundfile.read(io.BytesIO(encoded), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise DataError(f"recording cannot be decoded: {error}") from error
    if not np.isfinite(audio).all():
        raise DataError("the recording holds NaN or infinity")
    return to_16_khz(audio.mean(axis=1), rate_hz)


def _decode_g722(encoded: bytes) -> NDArray[np.float32]:
    program = shutil.which("ffmpeg")
    if program is None:
        raise DataError("G.722 recordings need the ffmpeg program; install it (apt-get install ffmpeg)")
    command = [program, "-v", "error", "-f", "g722", "-i", "pipe:0", "-f", "s16le", "-ar", "16000", "pipe:1"]
    done = subprocess.run(command, input=encoded, capture_output=True, check=False)
    if done.returncode != 0:
        raise DataError(f"ffmpeg could not decode a G.722 recording: {done.stderr.decode().strip()}")
    return np.frombuffer(done.stdout, dtype="<i2").astype(np.float32) / np.float32(32768.0)


def to_16_khz(audio: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Resample to 16 kHz by a polyphase filter.

    Args:
        audio: float32 ``[samples]``.
        rate_hz: Its sample rate in Hz.

    Returns:
        float32 ``[samples * 16000 / rate_hz]``, rounded up.
    """
    if rate_hz == SAMPLE_RATE_HZ:
        return audio.astype(np.float32, copy=False)
    common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    resampled = resample_poly(audio, SAMPLE_RATE_HZ // common, rate_hz // common)
    return np.asarray(resampled, dtype=np.float32)
