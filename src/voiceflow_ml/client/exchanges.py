"""The requests that a service takes, as values; how they are sent is the clients' business."""

from __future__ import annotations

import io
import json
import os
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.client.answers import (
    Diarized,
    Inferred,
    Reply,
    read_diarized,
    read_health,
    read_inferred,
    read_object,
)
from voiceflow_ml.errors import ConfigError, DataError
from voiceflow_ml.wire import Arrays, infer_request

Result = TypeVar("Result")
Recording = str | os.PathLike[str] | NDArray[np.floating[Any]]
"""A WAV or FLAC file, or samples in [-1, 1], shape ``[n]``."""
_JSON = {"Content-Type": "application/json"}
_BINARY = {"Content-Type": "application/octet-stream"}
_FILE_TYPES = {".wav": "audio/wav", ".flac": "audio/flac"}


@dataclass(frozen=True)
class Exchange(Generic[Result]):
    """One request, and how its answer is read.

    Attributes:
        method: of HTTP.
        path: below the server's address, with its query.
        read: makes the result of the answer, or raises a :class:`ClientError`.
        body: of the request.
        headers: of the request.
        is_admin: whether it needs the token.
    """

    method: str
    path: str
    read: Callable[[Reply], Result]
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_admin: bool = False


def server_address(url: str) -> str:
    """An address without its last slash.

    Raises:
        ConfigError: not the address of a server.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is not the address of a server; give one such as http://127.0.0.1:8000")
    return url.rstrip("/")


def live() -> Exchange[bool]:
    """Is the server alive?"""
    return Exchange("GET", "/v2/health/live", read_health)


def ready(model: str = "") -> Exchange[bool]:
    """Can it serve: anything at all, or this model?"""
    return Exchange("GET", f"{_model_path(model)}/ready" if model else "/v2/health/ready", read_health)


def server() -> Exchange[dict[str, Any]]:
    """Name, version and extensions of the server."""
    return Exchange("GET", "/v2", read_object)


def metadata(model: str) -> Exchange[dict[str, Any]]:
    """Inputs, outputs, versions of a model."""
    return Exchange("GET", _model_path(model), read_object)


def infer(model: str, inputs: Arrays, *, version: str = "") -> Exchange[Inferred]:
    """An inference with raw tensors both ways.

    Args:
        model: its name.
        inputs: arrays by tensor name.
        version: the only version that may answer; empty for the one that is served.
    """
    body, headers = infer_request(inputs, binary=True)
    path = f"{_model_path(model)}{f'/versions/{quote(version, safe=str())}' if version else ''}/infer"
    return Exchange("POST", path, read_inferred, body, {**_BINARY, **headers})


def diarize(recording: Recording, *, sample_rate_hz: int = 16_000) -> Exchange[Diarized]:
    """Who speaks when in a recording.

    Args:
        recording: a WAV or FLAC file, sent as it is; or samples in [-1, 1], shape ``[n]``, sent as 16-bit PCM.
        sample_rate_hz: of samples; a file says its own.

    Raises:
        DataError: a file that cannot be read or of another kind, or samples of another shape.
    """
    if isinstance(recording, np.ndarray):
        body, kind = as_wav(recording, sample_rate_hz), "audio/wav"
    else:
        body, kind = _file(Path(recording))
    return Exchange("POST", "/v1/diarize", read_diarized, body, {"Content-Type": kind, "Accept": "application/json"})


def load(model: str, *, source: str = "", canary: float = 0.0) -> Exchange[dict[str, Any]]:
    """Have the server load a version.

    Args:
        model: its name.
        source: a version, a channel or a folder; what the server was started with when empty.
        canary: the share of requests that try it first, from 0 to below 1; 0 gives it all of them.
    """
    wishes = {"source": source, "canary": canary}
    document = {"parameters": {name: value for name, value in wishes.items() if value}}
    path = f"/v2/repository/models/{quote(model, safe='')}/load"
    return Exchange("POST", path, read_object, json.dumps(document).encode(), _JSON, is_admin=True)


def rollback() -> Exchange[dict[str, Any]]:
    """Have the server go back to the version that it served before."""
    return Exchange("POST", "/v1/admin/rollback", read_object, b"{}", _JSON, is_admin=True)


def as_pcm16(samples: NDArray[np.floating[Any]]) -> bytes:
    """Samples in [-1, 1], shape ``[n]``, as little-endian 16-bit PCM; what is beyond is clipped.

    Raises:
        DataError: another shape, or a sample that is no number.
    """
    if samples.ndim != 1:
        raise DataError(f"a recording must have the shape [samples], got {list(samples.shape)}; mix it down to mono")
    if not np.all(np.isfinite(samples)):
        raise DataError("a recording must be of finite samples, got NaN or infinity; see where it was made")
    pcm: NDArray[np.int16] = np.clip(np.rint(samples * 32_767.0), -32_768, 32_767).astype("<i2")
    return pcm.tobytes()


def as_wav(samples: NDArray[np.floating[Any]], sample_rate_hz: int) -> bytes:
    """Samples in [-1, 1], shape ``[n]``, as a mono WAV file of 16-bit PCM; errors as in :func:`as_pcm16`."""
    frames = as_pcm16(samples)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate_hz)
        writer.writeframes(frames)
    return file.getvalue()


def _file(path: Path) -> tuple[bytes, str]:
    kind = _FILE_TYPES.get(path.suffix.lower())
    if kind is None:
        raise DataError(f"{path}: a recording must be a .wav or .flac file; convert it, or give its samples")
    try:
        return path.read_bytes(), kind
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; give another file") from None


def _model_path(model: str) -> str:
    return f"/v2/models/{quote(model, safe='')}"
