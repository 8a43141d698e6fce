"""Clients that behave badly, each on a connection of its own, and how the server is to end it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.soak.bench import Bench
from benchmarks.soak.judging import TURNED_AWAY, Trouble
from benchmarks.soak.plan import SERVER
from benchmarks.soak.wire_faults import Address, body_of, connected, post
from voiceflow_ml.client.stream import END, START
from voiceflow_ml.models.shipped import MODEL_NAME
from voiceflow_ml.wire import infer_request

LEFT = "none, nobody is there"
"""The client went away."""
PATIENCE_S = 30.0
_INFER, _DIARIZE = f"/v2/models/{MODEL_NAME}/infer", "/v1/diarize"
_SLOW_HEAD = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "
_CHUNK = b"\0" * 3_200
_NEVER_READ_S = 5.0
_PIPELINED = 150


@dataclass(frozen=True)
class Fault:
    """One way to behave badly.

    Attributes:
        name: what the client does.
        commit: does it, and says what the server did: a status, a close code, or :data:`LEFT`.
        ends: what the server is to do.
    """

    name: str
    commit: Callable[[Address], Awaitable[str]]
    ends: str


def _answered(data: bytes, *, slowly: bytes = b"") -> Callable[[Address], Awaitable[str]]:
    """Send bytes as they are, further ones one by one, and read the answer's status."""

    async def commit(address: Address) -> str:
        async with connected(address) as peer:
            await peer.send(data)
            trickle = asyncio.ensure_future(peer.trickle(slowly))
            try:
                return await peer.status()
            finally:
                trickle.cancel()

    return commit


def _leaves(data: bytes, *, after_s: float = 0.0, reset: bool = True) -> Callable[[Address], Awaitable[str]]:
    """Send bytes and go away without reading."""

    async def commit(address: Address) -> str:
        async with connected(address, reset=reset, read=False) as peer:
            await peer.send(data, wait=after_s == 0)
            await asyncio.sleep(after_s)
        return LEFT

    return commit


def _streams(*frames: str | bytes) -> Callable[[Address], Awaitable[str]]:
    """Open a stream, send frames, and read to the code that it is closed with."""

    async def commit(address: Address) -> str:
        async with connected(address) as peer:
            await peer.upgrade()
            for frame in frames:
                await peer.frame(frame)
            return str(await peer.close_code(pongs=True))

    return commit


async def _deaf(address: Address) -> str:
    """Go on with a stream, and answer no ping."""
    async with connected(address) as peer:
        await peer.upgrade()
        await peer.frame(START)
        talk = asyncio.ensure_future(peer.frames_for_ever(_CHUNK))
        try:
            return str(await peer.close_code(pongs=False))
        finally:
            talk.cancel()


async def _abort(address: Address) -> str:
    """Break a stream in the middle."""
    async with connected(address, reset=True) as peer:
        await peer.upgrade()
        await peer.frame(START)
        for _ in range(5):
            await peer.frame(_CHUNK)
        await peer.read_some()
    return LEFT


def _tensor(value: float, samples: int) -> bytes:
    body, headers = infer_request({"audio": np.full((1, samples), value, np.float32)}, binary=True)
    return post(_INFER, body, headers)


def _document(content: object) -> bytes:
    return post(_INFER, json.dumps(content).encode(), {"Content-Type": "application/json"})


def faults() -> tuple[Fault, ...]:
    """All of them."""
    return (*_leaving(), *_slow(), *_oversized(), *_malformed(), *_bad_audio(), *_bad_streams())


def _leaving() -> Sequence[Fault]:
    whole = _tensor(0.0, 48_000)
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * _PIPELINED
    return (
        Fault("hangs up in the middle of its head", _leaves(whole[:40], reset=False), LEFT),
        Fault("hangs up in the middle of its body", _leaves(whole[:60_000], reset=False), LEFT),
        Fault("resets the connection in the middle of its body", _leaves(whole[:60_000]), LEFT),
        Fault("resets the connection after its request", _leaves(whole), LEFT),
        Fault("asks 150 times at once and never reads", _leaves(asked, after_s=_NEVER_READ_S), LEFT),
        Fault("breaks a stream in the middle", _abort, LEFT),
    )


def _slow() -> Sequence[Fault]:
    body = body_of(_tensor(0.0, 48_000))
    head = post(_INFER, body, {})[: -len(body)]
    return (
        Fault("sends nothing", _answered(b""), "408"),
        Fault("sends its head a byte at a time", _answered(_SLOW_HEAD, slowly=b"a" * 100), "408"),
        Fault("sends its body a byte at a time", _answered(head + body[:1_000], slowly=body), "408"),
        Fault("opens a stream and says nothing", _streams(START), "1008"),
        Fault("opens a stream and answers no ping", _deaf, "1011"),
    )


def _oversized() -> Sequence[Fault]:
    large = SERVER["max_body_bytes"] + 1
    declared = f"POST {_DIARIZE} HTTP/1.1\r\nHost: x\r\nContent-Length: {large}\r\n\r\n".encode()
    chunked = f"POST {_DIARIZE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = (b"10000\r\n" + b"\0" * 0x10000 + b"\r\n") * (large // 0x10000 + 1)
    return (
        Fault("declares a body that is too large", _answered(declared), "413"),
        Fault("sends a body that is too large without a length", _answered(chunked + chunks), "413"),
        Fault("sends tensors that are too large", _answered(_tensor(0.0, SERVER["max_tensor_bytes"] // 4 + 1)), "413"),
        Fault("sends a head that is too large", _answered(b"GET /livez HTTP/1.1\r\nX-Long: " + b"a" * 70_000), "431"),
        Fault("sends a chunk that is too large", _streams(START, b"\0" * (1 << 20) + b"\0\0"), "1009"),
    )


def _malformed() -> Sequence[Fault]:
    no_data = {"inputs": [{"name": "audio", "shape": [1, 9], "datatype": "FP32", "data": [0.0]}]}
    no_name = {"inputs": [{"name": "sound", "shape": [1, 1], "datatype": "FP32", "data": [0.0]}]}
    return (
        Fault("speaks no HTTP", _answered(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"), "400"),
        Fault("sends JSON that is cut off", _answered(post(_INFER, b'{"inputs": [{"name"', {})), "400"),
        Fault("sends fewer numbers than its shape", _answered(_document(no_data)), "400"),
        Fault("sends a tensor that the model has not", _answered(_document(no_name)), "400"),
        Fault("asks for a route that is none", _answered(b"GET /v3 HTTP/1.1\r\nHost: x\r\n\r\n"), "404"),
        Fault("asks for a version that is not served", _answered(post(f"{_VERSIONS}/9/infer", b"{}", {})), "404"),
        Fault("asks by a method that is none", _answered(b"DELETE /livez HTTP/1.1\r\nHost: x\r\n\r\n"), "405"),
    )


_VERSIONS = f"/v2/models/{MODEL_NAME}/versions"


def _bad_audio() -> Sequence[Fault]:
    raw = {"Content-Type": "audio/x-raw; format=f32le; rate=16000"}
    infinite = np.full(16_000, np.inf, "<f4").tobytes()
    return (
        Fault("sends a tensor of NaN", _answered(_tensor(float("nan"), 16_000)), "422"),
        Fault("sends infinitely loud audio", _answered(post(_DIARIZE, infinite, raw)), "422"),
        Fault("sends text for audio", _answered(post(_DIARIZE, b"<html></html>" * 100, {})), "415"),
    )


def _bad_streams() -> Sequence[Fault]:
    return (
        Fault("begins a stream with audio", _streams(_CHUNK), "1003"),
        Fault("sends half a sample", _streams(START, _CHUNK, b"123"), "1003"),
        Fault("sends more after the end", _streams(START, _CHUNK, END, _CHUNK), "1000"),
    )


async def commit_all(bench: Bench, address: Address, every_s: float) -> None:
    """Commit one fault after the other, each for itself, until the soak is over; wait for their ends."""
    those = itertools.cycle(faults())
    async with asyncio.TaskGroup() as tasks:
        async for _ in bench.ticks(every_s):
            tasks.create_task(commit(bench, address, next(those)))


async def commit(bench: Bench, address: Address, fault: Fault) -> None:
    """Commit one fault, and note how it ended."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            ended = await fault.commit(address)
    except TimeoutError:
        ended = f"nothing within {PATIENCE_S:g} s"
    except (OSError, asyncio.IncompleteReadError) as error:
        ended = f"{type(error).__name__}: {error}"
    if ended == fault.ends:
        bench.ledger.faults[fault.name] += 1
    elif ended in ("503", "1013"):
        bench.ledger.note(TURNED_AWAY, f"who {fault.name}: {ended}")
    else:
        bench.ledger.note(Trouble.FAULT, f"who {fault.name}: {ended} instead of {fault.ends}")


STOPS = "stops the server's process for a moment"


async def pauses(bench: Bench, pid: int) -> None:
    """Stop the server's process, every so often, as a machine does that is moved or swaps."""
    async for _ in bench.ticks(bench.plan.pause_every_s):
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(bench.plan.pause_s)
        finally:
            os.kill(pid, signal.SIGCONT)
        bench.ledger.faults[STOPS] += 1


def fault_ends() -> dict[str, str]:
    """What the server is to do about each fault, by the fault's name."""
    return {**{fault.name: _said(fault.ends) for fault in faults()}, STOPS: "goes on"}


def _said(ends: str) -> str:
    """A status, or a close code of a stream, with what it is."""
    return f"close code {ends}" if len(ends) == 4 else ends
