"""Live streams over a WebSocket: audio in as it is heard, turns out as they are known."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection as SyncConnection
from websockets.sync.client import connect as sync_connect

from voiceflow_ml.client.exchanges import as_pcm16
from voiceflow_ml.client.problems import closed, refusal, unreachable
from voiceflow_ml.client.updates import SoFar, StreamUpdate
from voiceflow_ml.errors import AnswerError, ClientError
from voiceflow_ml.rttm import Turn

Chunk = NDArray[np.floating[Any]] | bytes
"""Samples in [-1, 1] at 16 kHz, shape ``[n]``; or the same as little-endian 16-bit PCM."""
STREAM_PATH = "/v1/stream"
START = '{"type": "start", "sample_rate_hz": 16000}'
END = '{"type": "end"}'
_BROKEN = 1006


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

    Attributes:
        url: of the stream.
        version: of the model that it is bound to, whatever is loaded meanwhile.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url, self._timeout_s = stream_url(url), timeout_s
        self.version = ""
        self._so_far = SoFar()
        self._socket: SyncConnection | None = None
        self._open = ExitStack()

    def __enter__(self) -> Stream:
        try:
            connection = sync_connect(self.url, open_timeout=self._timeout_s, compression=None)
            self._socket = self._open.enter_context(connection)
        except (WebSocketException, OSError) as error:
            raise _problem(self.url, error, self._timeout_s) from error
        try:
            self.version = self._ask(START).version
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._socket = None
        self._open.close()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns of which the server has told so far: whole, corrected, in order of their start."""
        return self._so_far.turns

    def feed(self, chunk: Chunk) -> tuple[Turn, ...]:
        """Send a chunk; returns the pieces of turns that came out. A name may be wrong yet; see :attr:`turns`.

        Raises:
            ClientError: the connection broke, or the server refuses the chunk.
        """
        return self._ask(as_frame(chunk)).turns

    def finish(self) -> tuple[Turn, ...]:
        """End the stream; returns all of its turns. Errors as in :meth:`feed`."""
        return self._ask(END).turns

    def _ask(self, frame: str | bytes) -> StreamUpdate:
        if self._socket is None:
            raise _not_open(self.url, "with")
        said = ""
        try:
            self._socket.send(frame)
            update = self._so_far.take(self._socket.recv(timeout=self._timeout_s), self.url)
            if update.kind != "error":
                return update
            said = update.message
            # What the error means is in the code that the stream is closed with.
            self._socket.recv(timeout=self._timeout_s)
        except (WebSocketException, OSError) as error:
            raise _problem(self.url, error, self._timeout_s, said) from error
        raise closed(self.url, _BROKEN, said)


class AsyncStream:
    """A stream to be awaited: ``follow`` an iterator of chunks, or ``send`` and ``receive``. By ``AsyncClient.stream``.

    Args:
        url: the server's address.
        timeout_s: longest wait for the connection; answers are waited for as long as it is open.

    Attributes:
        url: of the stream.
        version: of the model that it is bound to, whatever is loaded meanwhile.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url, self._timeout_s = stream_url(url), timeout_s
        self.version = ""
        self._so_far = SoFar()
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> AsyncStream:
        try:
            self._socket = await connect(self.url, open_timeout=self._timeout_s, compression=None)
        except (WebSocketException, OSError) as error:
            raise _problem(self.url, error, self._timeout_s) from error
        try:
            await self._send(START)
            self.version = (await self.receive()).version
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns of which the server has told so far, as received: whole, corrected, in order of their start."""
        return self._so_far.turns

    async def send(self, chunk: Chunk) -> None:
        """Send a chunk without waiting for what is said to it.

        Raises:
            ClientError: the connection broke.
        """
        await self._send(as_frame(chunk))

    async def receive(self) -> StreamUpdate:
        """What the server says next: once for each chunk, in their order.

        Raises:
            ClientError: the connection broke, or the server refuses the stream or a chunk.
        """
        socket, said = self._connection(), ""
        try:
            update = self._so_far.take(await socket.recv(), self.url)
            if update.kind != "error":
                return update
            said = update.message
            await socket.recv()
        except (WebSocketException, OSError) as error:
            raise _problem(self.url, error, self._timeout_s, said) from error
        raise closed(self.url, _BROKEN, said)

    async def feed(self, chunk: Chunk) -> tuple[Turn, ...]:
        """Send a chunk; returns the pieces of turns that came out, as :meth:`Stream.feed` does."""
        await self.send(chunk)
        return (await self.receive()).turns

    async def finish(self) -> tuple[Turn, ...]:
        """End the stream, once all that was said to its chunks is received; returns all of its turns."""
        await self._send(END)
        return (await self.receive()).turns

    async def follow(self, chunks: AsyncIterable[Chunk]) -> AsyncIterator[Turn]:
        """Feed all chunks; yields each piece of a turn as it comes out. :meth:`finish` then tells the rest."""
        async for chunk in chunks:
            for turn in await self.feed(chunk):
                yield turn

    async def _send(self, frame: str | bytes) -> None:
        try:
            await self._connection().send(frame)
        except (WebSocketException, OSError) as error:
            raise _problem(self.url, error, self._timeout_s) from error

    def _connection(self) -> ClientConnection:
        if self._socket is None:
            raise _not_open(self.url, "async with")
        return self._socket


def _not_open(url: str, statement: str) -> AnswerError:
    return AnswerError(f"{url}: the stream is not open; use it in a statement of {statement}", url=url)


def _problem(url: str, error: Exception, timeout_s: float, said: str = "") -> ClientError:
    if isinstance(error, InvalidStatus):
        headers = {name.lower(): value for name, value in error.response.headers.raw_items()}
        return refusal("GET", url, error.response.status_code, headers, bytes(error.response.body or b""))
    if isinstance(error, ConnectionClosed):
        code = error.rcvd.code if error.rcvd is not None else _BROKEN
        return closed(url, code, said or (error.rcvd.reason if error.rcvd is not None else "the connection broke"))
    return unreachable("GET", url, error, timeout_s)
