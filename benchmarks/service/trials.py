"""Trials of one server: what is sent, and what is kept of each."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.audio import read_wav
from voiceflow_ml.client import exchanges
from voiceflow_ml.client.answers import Reply
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.hardware.targets import CPU
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.latency import percentile
from voiceflow_ml.load import Kind, LoadPlan, Trial
from voiceflow_ml.load.generator import job_of, run_apart
from voiceflow_ml.load.server_process import ServerProcess
from voiceflow_ml.load.trial import summary
from voiceflow_ml.models.shipped import MODEL_NAME, shipped_model_path, shipped_speech_path
from voiceflow_ml.models.signal import WINDOW_SAMPLES
from voiceflow_ml.units import NS_PER_S

_MODEL_CALLS = 500
Window = NDArray[np.float32]


def speech_window() -> Window:
    """The first 3 s of the shipped speech, float32 ``[1, 48000]``."""
    samples, _ = read_wav(shipped_speech_path())
    return samples[np.newaxis, :WINDOW_SAMPLES].astype(np.float32)


def speech() -> bytes:
    """The shipped speech as 16-bit PCM at 16 kHz."""
    samples, _ = read_wav(shipped_speech_path())
    return exchanges.as_pcm16(samples)


def ours() -> Exchange[Any]:
    """One window to our server."""
    return exchanges.infer(MODEL_NAME, {"audio": speech_window()})


def plain() -> Exchange[Any]:
    """The same window to the baseline."""
    body = json.dumps({"audio": speech_window().tolist()}).encode()
    headers = {"Content-Type": "application/json"}
    return Exchange("POST", "/infer", _unread, body, headers)


def _unread(reply: Reply) -> Reply:
    return reply


def baseline_process() -> ServerProcess:
    """The baseline, not started yet."""
    return ServerProcess(command=[sys.executable, "-m", "benchmarks.service.baseline"])


def trial(url: str, exchange: Exchange[Any] | bytes, kind: Kind, size: float, seconds: float, seed: int = 0) -> Trial:
    """Run one trial in a process of its own.

    Args:
        url: of the server.
        exchange: the request; of streams the speech.
        kind: open loop, closed loop or streams.
        size: requests in a second, connections or streams.
        seconds: how long requests are counted.
        seed: of the arrivals.
    """
    sizes: dict[Kind, dict[str, Any]] = {
        Kind.OPEN_LOOP: {"rate_per_s": size},
        Kind.CLOSED_LOOP: {"connections": int(size)},
        Kind.STREAMS: {"streams": int(size)},
    }
    plan = LoadPlan(kind, duration_ns=round(seconds * NS_PER_S), warmup_ns=NS_PER_S, seed=seed, **sizes[kind])
    return run_apart(job_of(url, plan, exchange))


def kept(found: Trial) -> dict[str, Any]:
    """What is written of a trial."""
    return {"valid": found.is_valid, "problems": list(found.problems), **summary(found)}


def model_p99_ns() -> int:
    """P99 of the model alone in this process, one call after the other: what a service has to begin with."""
    call = open_onnx(shipped_model_path(), CPU, threads=1).bind(speech_window())
    samples_ns = np.zeros(_MODEL_CALLS, dtype=np.int64)
    for _ in range(50):
        call()
    for place in range(_MODEL_CALLS):
        begun_ns = time.perf_counter_ns()
        call()
        samples_ns[place] = time.perf_counter_ns() - begun_ns
    return percentile(samples_ns, 0.99)
