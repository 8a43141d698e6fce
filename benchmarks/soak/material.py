"""What a soak sends, the two versions that answer it, and bad versions that must not."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from benchmarks.service.variants import write_variant
from voiceflow_ml.audio import PCM16_FULL_SCALE, read_wav
from voiceflow_ml.client.answers import Reply, accepted, read_inferred
from voiceflow_ml.client.exchanges import Exchange, as_pcm16, as_wav, infer
from voiceflow_ml.contract.schema import CONTRACT_FILE
from voiceflow_ml.models.shipped import MODEL_NAME, shipped_speech_path
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn
from voiceflow_ml.wire import infer_request

NOBODY_LOGIT = 2.0
"""Added in the second version: its turns are shorter, so a stream or a recording tells the versions apart, too."""
LONG_S = 40.0
"""A recording of more than a megabyte, which waits in a queue of its own."""
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Ask:
    """One kind of request.

    Attributes:
        name: what is asked; begins with ``infer`` or ``diarize``.
        exchange: the request.
        samples: its audio as the server hears it, float32 ``[n]``.
        weight: its share of the requests, beside the others.
    """

    name: str
    exchange: Exchange[Reply]
    samples: Samples
    weight: float


@dataclass(frozen=True)
class Bad:
    """A version that must be refused.

    Attributes:
        source: its folder.
        code: of the refusal.
    """

    source: str
    code: str


def speech(seconds: float, *, begin_s: float = 0.0) -> Samples:
    """The shipped speech as a server hears it from 16-bit PCM, said over and over."""
    samples, _ = read_wav(shipped_speech_path())
    pcm = np.frombuffer(as_pcm16(samples), "<i2").astype(np.float32) / np.float32(PCM16_FULL_SCALE)
    count = round(seconds * SAMPLE_RATE_HZ)
    return np.resize(np.roll(pcm, -round(begin_s * SAMPLE_RATE_HZ)), count)


def asks() -> tuple[Ask, ...]:
    """All kinds of requests."""
    tensors = [_binary(3.0, 0.0, 0.25), _binary(3.0, 5.0, 0.2), _binary(1.0, 2.0, 0.1), _binary(0.2, 7.0, 0.1)]
    recordings = [_recording(3.0, 0.1), _recording(5.0, 0.06), _recording(15.0, 0.02), _recording(LONG_S, 0.004)]
    return (*tensors, _as_json(0.5, 0.06), _as_json(1.0, 0.06), *recordings)


def _binary(seconds: float, begin_s: float, weight: float) -> Ask:
    samples = speech(seconds, begin_s=begin_s)
    sent = infer(MODEL_NAME, {"audio": samples[np.newaxis]})
    exchange = Exchange(sent.method, sent.path, accepted, sent.body, sent.headers)
    return Ask(f"infer, {seconds:g} s from {begin_s:g} s, binary", exchange, samples, weight)


def _as_json(seconds: float, weight: float) -> Ask:
    samples = speech(seconds)
    body, _ = infer_request({"audio": samples[np.newaxis]}, binary=False)
    path = f"/v2/models/{MODEL_NAME}/infer"
    exchange = Exchange("POST", path, accepted, body, {"Content-Type": "application/json"})
    return Ask(f"infer, {seconds:g} s, JSON", exchange, samples, weight)


def _recording(seconds: float, weight: float) -> Ask:
    samples = speech(seconds)
    headers = {"Content-Type": "audio/wav"}
    exchange = Exchange("POST", "/v1/diarize", accepted, as_wav(samples, SAMPLE_RATE_HZ), headers)
    return Ask(f"diarize, {seconds:g} s", exchange, samples, weight)


def stream_name(place: int) -> str:
    """What the streams of one speech are called."""
    return f"stream {place + 1}"


def stream_speech(seconds: float, count: int) -> list[Samples]:
    """What streams hear: each begins at another place of the shipped speech."""
    return [speech(seconds, begin_s=4.0 * place) for place in range(count)]


def fingerprint_of(reply: Reply) -> str:
    """Hash of what an answer says, without the names of model and version; of tensors the same in binary and JSON.

    Raises:
        ClientError: it is none.
    """
    if reply.url.endswith("/infer"):
        outputs = read_inferred(reply).outputs
        parts = [name.encode() + str(array.shape).encode() + array.tobytes() for name, array in sorted(outputs.items())]
        return _hash(b"".join(parts))
    document = accepted(reply).document
    if not isinstance(document, dict):
        raise reply.unreadable("is no JSON object")
    document = {name: value for name, value in document.items() if name not in ("model", "version")}
    return _hash(json.dumps(document, sort_keys=True).encode())


def stream_fingerprint(updates: Sequence[Sequence[Turn]]) -> str:
    """Hash of what was said to each chunk, and to the end."""
    return _hash(json.dumps([turn_rows(turns) for turns in updates]).encode())


def turn_rows(turns: Sequence[Turn]) -> list[tuple[str, float, float]]:
    """Speaker, start and end of each, to the millisecond as the server sends them."""
    return [(turn.speaker, round(turn.start_s, 3), round(turn.end_s, 3)) for turn in turns]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def write_versions(folder: Path) -> tuple[str, str]:
    """Two versions whose tensors, turns and streams differ."""
    one = write_variant(folder / "version-1", 1)
    return str(one), str(write_variant(folder / "version-2", 2, nobody=NOBODY_LOGIT))


def write_bad_versions(folder: Path, good: str) -> tuple[Bad, ...]:
    """Versions that a load must refuse, each with one thing wrong."""
    model = f"{MODEL_NAME}.onnx"
    changes: dict[str, tuple[str, Callable[[Path], Any]]] = {
        "cut off": ("unreadable-file", lambda path: _cut(path / model)),
        "no model": ("unreadable-file", lambda path: (path / model).write_bytes(b"<html>504</html>")),
        "no contract": ("no-contract", lambda path: (path / CONTRACT_FILE).unlink()),
        "NaN": ("not-finite", lambda path: _reshift(path / model, np.nan)),
        "other weights": ("golden-mismatch", lambda path: _reshift(path / model, 0.5)),
    }
    found = []
    for name, (code, change) in changes.items():
        target = folder / f"bad {name}"
        shutil.copytree(good, target)
        change(target)
        found.append(Bad(str(target), code))
    return (*found, Bad(str(folder / "nothing"), "not-found"))


def _cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _reshift(path: Path, value: float) -> None:
    model = onnx.load(path)
    shift = next(tensor for tensor in model.graph.initializer if tensor.name == "variant_shift")
    changed = numpy_helper.to_array(shift) + np.float32(value)
    shift.CopyFrom(numpy_helper.from_array(changed, "variant_shift"))
    onnx.save(model, path)
