"""Live streams over a WebSocket: audio in as it is heard, turns out as they are known."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection as SyncConnection
from websockets.sync.client import connect as sync_connect

from voiceflow_ml.client.answers import read_turns
from voiceflow_ml.client.exchanges import as_pcm16
from voiceflow_ml.client.problems import refusal, unreachable
from voiceflow_ml.errors import AnswerError, ClientError, DataError
from voiceflow_ml.rttm import Turn

Chunk = NDArray[np.floating[Any]] | bytes
"""Samples in [-1, 1] at 16 kHz, shape ``[n]``; or the same as little-endian 16-bit PCM."""
STREAM_PATH = "/v1/stream"
END = '{"end": true}'


@dataclass(frozen=True)
class StreamUpdate:
    """What the server said to one chunk, or to the end of a stream.

    Attributes:
        turns: those that became known.
        final: whether no other will.
        version: of the model that this stream is bound to; empty when the server does not say.
    """

    turns: tuple[Turn, ...]
    final: bool
    version: str


def read_update(frame: str | bytes, url: str) -> StreamUpdate:
    """One frame of the server.

    Raises:
        AnswerError: the server reports an error, or the frame is none of the protocol.
    """
    try:
        document = json.loads(frame)
        if "error" in document:
            raise AnswerError(f"{url}: the stream ended: {document['error']}", url=url)
        return StreamUpdate(
            read_turns(document.get("turns", ())),
            bool(document.get("final", False)),
            str(document.get("model_version", "")),
        )
    except (DataError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise AnswerError(f"{url}: a frame of the stream cannot be read: {error!r}", url=url) from None


def as_frame(chunk: Chunk) -> bytes:
    """A chunk as it is sent."""
    return chunk if isinstance(chunk, bytes) else as_pcm16(chunk)


def stream_url(url: str) -> str:
    """The WebSocket's address of a server."""
    return f"ws{url.removeprefix('http')}{STREAM_PATH}"


class Stream:
    """A stream for code that waits: ``feed`` chunks, then ``finish``. Made by ``Client.stream``.

    Args:
        url: the server's address.
        timeout_s: longest wait for the connection and for each answer.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url, self._timeout_s = stream_url(url), timeout_s
        self.version = ""
        self._socket: SyncConnection | None = None
        self._open = ExitStack()

    def __enter__(self) -> Stream:
        try:
            connection = sync_connect(self.url, open_timeout=self._timeout_s, compression=None)
            self._socket = self._open.enter_context(connection)
            self.version = self._receive().version
        except (WebSocketException, OSError) as error:
            self.__exit__()
            raise _problem(self.url, error, self._timeout_s) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._socket = None
        self._open.close()

    def feed(self, chunk: Chunk) -> tuple[Turn, ...]:
        """Send a chunk; returns the turns that it made known.

        Raises:
            ClientError: the connection broke, or the server refuses the chunk.
        """
        return self._ask(as_frame(chunk)).turns

    def finish(self) -> tuple[Turn, ...]:
        """End the stream; returns the last turns. Errors as in :meth:`feed`."""
        update = self._ask(END)
        turns = update.turns
        while not update.final:
            update = self._receive()
            turns += update.turns
        return turns

    def _ask(self, frame: str | bytes) -> StreamUpdate:
        try:
            self._connection().send(frame)
            return self._receive()
        except (WebSocketException, OSError) as error:
            raise _problem(self.url, error, self._timeout_s) from error

    def _receive(self) -> StreamUpdate:
        return read_update(self._connection().recv(timeout=self._timeout_s), self.url)

    def _connection(self) -> SyncConnection:
        if self._socket is None:
            raise AnswerError(f"{self.url}: the stream is not open; use it in a with statement", url=self.url)
        return self._socket


class AsyncStream:
    """A stream to be awaited: ``follow`` an iterator of chunks, or ``send`` and ``receive``. By ``AsyncClient.stream``.

    Args:
        url: the server's address.
        timeout_s: longest wait for the connection; answers are waited for as long as it is open.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url, self._timeout_s = stream_url(url), timeout_s
        self.version = ""
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> AsyncStream:
        try:
            self._socket = await connect(self.url, open_timeout=self._timeout_s, compression=None)
        except (WebSocketException, OSError) as error:
            raise _problem(self.url, error, self._timeout_s) from error
        self.version = (await self.receive()).version
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def send(self, chunk: Chunk) -> None:
        """Send a chunk without waiting for what is said to it.

        Raises:
            ClientError: the connection broke.
        """
        await self._send(as_frame(chunk))

    async def receive(self) -> StreamUpdate:
        """What the server says next: once for each chunk, in their order.

        Raises:
            ClientError: the connection broke, or the server refuses the stream.
        """
        try:
            return read_update(await self._connection().recv(), self.url)
        except (WebSocketException, OSError) as error:
            raise _problem(self.url, error, self._timeout_s) from error

    async def feed(self, chunk: Chunk) -> tuple[Turn, ...]:
        """Send a chunk; returns the turns that it made known."""
        await self.send(chunk)
        return (await self.receive()).turns

    async def finish(self) -> tuple[Turn, ...]:
        """End the stream, once all that was said to its chunks is received; returns the last turns."""
        await self._send(END)
        update = await self.receive()
        turns = update.turns
        while not update.final:
            update = await self.receive()
            turns += update.turns
        return turns

    async def follow(self, chunks: AsyncIterable[Chunk]) -> AsyncIterator[Turn]:
        """Feed all chunks and finish; yields each turn when it is known."""
        async for chunk in chunks:
            for turn in await self.feed(chunk):
                yield turn
        for turn in await self.finish():
            yield turn

    async def _send(self, frame: str | bytes) -> None:
        try:
            await self._connection().send(frame)
        except (WebSocketException, OSError) as error:
            raise _problem(self.url, error, self._timeout_s) from error

    def _connection(self) -> ClientConnection:
        if self._socket is None:
            raise AnswerError(f"{self.url}: the stream is not open; use it in an async with statement", url=self.url)
        return self._socket


def _problem(url: str, error: Exception, timeout_s: float) -> ClientError:
    if isinstance(error, InvalidStatus):
        headers = {name.lower(): value for name, value in error.response.headers.raw_items()}
        return refusal("GET", url, error.response.status_code, headers, bytes(error.response.body or b""))
    if isinstance(error, ConnectionClosed):
        close = error.rcvd
        why = f"{close.code} {close.reason}".strip() if close is not None else "the connection broke"
        return AnswerError(f"{url}: the server ended the stream ({why}); open another", url=url)
    return unreachable("GET", url, error, timeout_s)
