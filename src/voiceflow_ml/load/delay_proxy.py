"""A TCP proxy that plays a network: everything passes through, later, by a seeded schedule, and in order.

What it does not play: loss, bandwidth, and the handshake of a new connection (keep connections open, as the clients
here do). Its own cost, a copy each way, adds to what is measured through it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlsplit

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.load.delays import DelayProfile, WireSchedule

MOST_WAITING_BYTES = 4 << 20
"""On the wire in one direction; a sender that is further ahead has to wait."""
Arrival = Callable[[int], int]


class _Lane:
    """One direction of one connection: data, and when it arrives.

    Args:
        arrival: when data arrives that is sent now.
        source: is told to stop sending while too much is on the wire.
    """

    def __init__(self, arrival: Arrival, source: asyncio.Transport) -> None:
        self._arrival, self._source = arrival, source
        self._sink: asyncio.Transport | None = None
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def open(self, sink: asyncio.Transport) -> None:
        """Let data out from now on."""
        self._sink = sink
        self._deliver()

    def put(self, data: bytes) -> None:
        """Take data in; nothing at all stands for the end of it."""
        self._waiting.append((self._arrival(time.monotonic_ns()), data))
        self._waiting_bytes += len(data)
        if self._waiting_bytes > MOST_WAITING_BYTES and self._source.is_reading():
            self._source.pause_reading()
        if self._timer is None and self._sink is not None:
            self._deliver()

    def close(self) -> None:
        """Drop what is still on the wire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()

    def _deliver(self) -> None:
        self._timer = None
        while self._waiting and self._waiting[0][0] <= time.monotonic_ns():
            self._let_out(self._waiting.popleft()[1])
        if self._waiting:
            # One timer for all that waits: timers of equal times fire in any order, a queue does not.
            self._timer = asyncio.get_running_loop().call_at(self._waiting[0][0] / 1e9, self._deliver)

    def _let_out(self, data: bytes) -> None:
        self._waiting_bytes -= len(data)
        sink = self._sink
        if sink is None or sink.is_closing():
            return
        if data:
            sink.write(data)
        elif sink.can_write_eof():
            sink.write_eof()
        if self._waiting_bytes <= MOST_WAITING_BYTES // 2 and not self._source.is_closing():
            self._source.resume_reading()


class _Upstream(asyncio.Protocol):
    """The connection to the service."""

    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._caller.connected(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._caller.answered(data)

    def eof_received(self) -> bool:
        self._caller.answered(b"")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._caller.upstream_lost(exc)


class _Caller(asyncio.Protocol):
    """The connection of a client, and what belongs to it."""

    def __init__(self, host: str, port: int, schedule: WireSchedule, callers: set[_Caller]) -> None:
        self._host, self._port, self._schedule, self._callers = host, port, schedule, callers
        self._transport: asyncio.Transport | None = None
        self._upstream: asyncio.Transport | None = None
        self._up: _Lane | None = None
        self._down: _Lane | None = None
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._up = _Lane(self._schedule.up, self._transport)
        self._callers.add(self)
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Upstream(self), self._host, self._port)
        except OSError:
            # As a network does when nobody listens there: the client's connection breaks.
            self.abort()

    def connected(self, upstream: asyncio.Transport) -> None:
        """The service has taken the connection."""
        self._upstream = upstream
        if self._transport is None or self._up is None or self._transport.is_closing():
            upstream.abort()
            return
        self._down = _Lane(self._schedule.down, upstream)
        self._down.open(self._transport)
        self._up.open(upstream)

    def data_received(self, data: bytes) -> None:
        if self._up is not None:
            self._up.put(data)

    def eof_received(self) -> bool:
        self.data_received(b"")
        return True

    def answered(self, data: bytes) -> None:
        """The service sent something, or nothing more."""
        if self._down is not None:
            self._down.put(data)

    def upstream_lost(self, error: Exception | None) -> None:
        """The service's end is gone; what it sent before still arrives."""
        if error is not None:
            self.abort()
        elif self._down is not None and self._transport is not None:
            self._down.put(b"")

    def connection_lost(self, _exc: Exception | None) -> None:
        self._callers.discard(self)
        for lane in (self._up, self._down):
            if lane is not None:
                lane.close()
        if self._upstream is not None:
            self._upstream.abort()

    def abort(self) -> None:
        """Break the connection at both ends."""
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def delay_proxy(url: str, profile: DelayProfile, *, seed: int = 0) -> AsyncIterator[str]:
    """Play a network in front of a service, in the running event loop.

    Args:
        url: the service's address, ``http://host:port``; a WebSocket of it passes as well.
        profile: the delays.
        seed: of the delays; the n-th connection draws its own from it.

    Yields:
        The address to use instead.

    Raises:
        ConfigError: an address without a host, or one of https, which cannot be passed on under another name.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(
            f"{url!r} cannot be put behind a played network; give an address such as http://127.0.0.1:8000"
        )
    host, port = parts.hostname, parts.port or 80
    callers: set[_Caller] = set()
    connections = 0

    def new_caller() -> _Caller:
        nonlocal connections
        connections += 1
        return _Caller(host, port, WireSchedule(profile, seed + connections), callers)

    server = await asyncio.get_running_loop().create_server(new_caller, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{parts.path}"
    finally:
        server.close()
        for caller in list(callers):
            caller.abort()
