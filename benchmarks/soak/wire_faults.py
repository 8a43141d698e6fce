"""Bare connections: bytes as they are, and frames of a WebSocket without a library that would keep to the rules."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from voiceflow_ml.client.stream import STREAM_PATH

Address = tuple[str, int]
_TRICKLE_S = 0.2
_FRAMES_S = 0.5
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_FINAL, _MASKED = 0x80, 0x80
_SMALL, _LENGTH_16, _LENGTH_64 = 126, 126, 127


def post(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def body_of(request: bytes) -> bytes:
    """What follows the head."""
    return request.partition(b"\r\n\r\n")[2]


@asynccontextmanager
async def connected(address: Address, *, reset: bool = False, read: bool = True) -> AsyncIterator[Peer]:
    """A connection of its own.

    Args:
        address: host and port.
        reset: whether it ends with a reset instead of an orderly close.
        read: whether anything is ever read from it.
    """
    reader, writer = await asyncio.open_connection(*address)
    if not read:
        # Otherwise the event loop would read on behind the back of who never reads.
        writer.transport.pause_reading()  # type: ignore[attr-defined]
    try:
        yield Peer(reader, writer)
    finally:
        if reset:
            found: socket.socket = writer.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class Peer:
    """One side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes, *, wait: bool = True) -> None:
        """Send bytes; what the other side does not take, because it has answered already, is dropped."""
        self._writer.write(data)
        if wait:
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()

    async def trickle(self, data: bytes) -> None:
        """Send bytes one by one."""
        for place in range(len(data)):
            await asyncio.sleep(_TRICKLE_S)
            self._writer.write(data[place : place + 1])

    async def read_some(self) -> bytes:
        """What is there, at least a byte; empty at the end."""
        return await self._reader.read(65_536)

    async def status(self) -> str:
        """The status of the first answer."""
        line = await self._reader.readline()
        return line.split()[1].decode() if line.startswith(b"HTTP/1.1 ") else f"no HTTP: {line[:40]!r}"

    async def upgrade(self) -> None:
        """Make the connection a WebSocket to the streams.

        Raises:
            ConnectionError: the server does not agree.
        """
        self._writer.write(
            f"GET {STREAM_PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(f"no WebSocket: {head[:60]!r}")

    async def frame(self, payload: str | bytes) -> None:
        """Send one frame, masked with zeros as the protocol lets a client."""
        data = payload.encode() if isinstance(payload, str) else payload
        await self.send(_frame(_TEXT if isinstance(payload, str) else _BINARY, data))

    async def frames_for_ever(self, payload: bytes) -> None:
        """Send the same frame again and again."""
        while True:
            await self.frame(payload)
            await asyncio.sleep(_FRAMES_S)

    async def close_code(self, *, pongs: bool) -> int:
        """Read frames until the server closes; returns its code.

        Args:
            pongs: whether pings are answered.
        """
        while True:
            kind, payload = await self._read_frame()
            if kind == _CLOSE:
                return int.from_bytes(payload[:2], "big")
            if kind == _PING and pongs:
                await self.send(_frame(_PONG, payload))

    async def _read_frame(self) -> tuple[int, bytes]:
        first, length = await self._reader.readexactly(2)
        if length == _LENGTH_16:
            length = int.from_bytes(await self._reader.readexactly(2), "big")
        elif length == _LENGTH_64:
            length = int.from_bytes(await self._reader.readexactly(8), "big")
        return first & 0x0F, await self._reader.readexactly(length)


def _frame(kind: int, data: bytes) -> bytes:
    if len(data) < _SMALL:
        length = bytes([_MASKED | len(data)])
    elif len(data) < 1 << 16:
        length = bytes([_MASKED | _LENGTH_16]) + len(data).to_bytes(2, "big")
    else:
        length = bytes([_MASKED | _LENGTH_64]) + len(data).to_bytes(8, "big")
    return bytes([_FINAL | kind]) + length + b"\0\0\0\0" + data
