"""The client for code that does other things while it waits."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp

from voiceflow_ml.client import exchanges
from voiceflow_ml.client.answers import Diarized, Inferred, Reply
from voiceflow_ml.client.exchanges import Exchange, Recording
from voiceflow_ml.client.patience import IDLE_S, Patience
from voiceflow_ml.client.problems import unreachable
from voiceflow_ml.client.stream import AsyncStream
from voiceflow_ml.client.sync import TOKEN_VARIABLE
from voiceflow_ml.errors import BusyError
from voiceflow_ml.wire import Arrays

Result = TypeVar("Result")
_WHOLE_BYTES = 1 << 20
"""A body of more is sent in pieces, so that others get their turn meanwhile; aiohttp warns of what is not."""


class AsyncClient:
    """As :class:`~voiceflow_ml.client.sync.Client`, to be awaited; any number of requests at once, no limit of its own.

    On aiohttp and not on httpx: one request with a body of 192 kB cost half of the CPU there, or less, and a load
    generator shares the machine with what it measures (``benchmarks/service/client_cost.py``).

    Args:
        url: ``http://host:port``, with a path when the service lives below one.
        token: for loading and rolling back; by default what ``VOICEFLOW_ADMIN_TOKEN`` holds.
        timeout_s: longest wait for a connection, and between two parts of an answer.
        wait_when_busy_s: how long a request may be put off in all, as ``Retry-After`` asks; 0 raises at once.
        sleep: waits for seconds.

    Raises:
        ConfigError: not the address of a server.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        wait_when_busy_s: float = 0.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.url = exchanges.server_address(url)
        self._token = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
        self._timeout_s, self._wait_when_busy_s, self._sleep = timeout_s, wait_when_busy_s, sleep
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def live(self) -> bool:
        """Whether the server is alive; every method raises :class:`ClientError` when there is no answer."""
        return await self.send(exchanges.live())

    async def ready(self, model: str = "") -> bool:
        """Whether it can serve: anything, or this model."""
        return await self.send(exchanges.ready(model))

    async def server(self) -> dict[str, Any]:
        """What the server says of itself."""
        return await self.send(exchanges.server())

    async def metadata(self, model: str) -> dict[str, Any]:
        """What it says of a model: inputs, outputs, versions."""
        return await self.send(exchanges.metadata(model))

    async def infer(self, model: str, inputs: Arrays, *, version: str = "") -> Inferred:
        """Run a model on arrays by tensor name; with ``version``, that one or none."""
        return await self.send(exchanges.infer(model, inputs, version=version))

    async def diarize(self, recording: Recording, *, sample_rate_hz: int = 16_000) -> Diarized:
        """Who speaks when in a WAV or FLAC file, or in samples in [-1, 1], shape ``[n]``, at ``sample_rate_hz``."""
        return await self.send(exchanges.diarize(recording, sample_rate_hz=sample_rate_hz))

    async def load(self, model: str, *, source: str = "", canary: float = 0.0) -> dict[str, Any]:
        """Have the server load a version, by default what it was started with; returns the change. Needs the token."""
        return await self.send(exchanges.load(model, source=source, canary=canary))

    async def rollback(self) -> dict[str, Any]:
        """Have the server go back to the version before; returns the change. Needs the token."""
        return await self.send(exchanges.rollback())

    def stream(self) -> AsyncStream:
        """A live stream, to be used in ``async with``; see :class:`~voiceflow_ml.client.stream.AsyncStream`."""
        return AsyncStream(self.url, self._timeout_s)

    async def send(self, exchange: Exchange[Result]) -> Result:
        """Send any exchange, put off as often as ``Retry-After`` asks and ``wait_when_busy_s`` allows."""
        patience = Patience(self._wait_when_busy_s)
        while True:
            try:
                return exchange.read(await self.reply(exchange))
            except BusyError as error:
                delay_s = patience.delay_s(error)
                if delay_s is None:
                    raise
            await self._sleep(delay_s)

    async def reply(self, exchange: Exchange[Any]) -> Reply:
        """Send an exchange once, whatever the status; what a load generator does.

        Raises:
            UnreachableError: no answer.
        """
        headers = dict(exchange.headers)
        if exchange.is_admin and self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        url = self.url + exchange.path
        data = io.BytesIO(exchange.body) if len(exchange.body) > _WHOLE_BYTES else exchange.body
        try:
            async with self._session().request(exchange.method, url, data=data, headers=headers) as answer:
                body = await answer.read()
                lowered = {name.lower(): value for name, value in answer.headers.items()}
                return Reply(exchange.method, url, answer.status, lowered, body)
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(exchange.method, url, error, self._timeout_s) from error

    def _session(self) -> aiohttp.ClientSession:
        # Made at the first request: aiohttp wants a running loop.
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout_s, sock_read=self._timeout_s)
            # No limit: a request that waits for a connection in here would be sent late without anybody seeing it.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S)
            self._http = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._http
