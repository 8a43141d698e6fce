"""The connections of a load generator: HTTP with nothing around it.

A generator shares the machine with what it measures, so each request that it sends is time taken from the service. One
request with a body of 192 kB costs a third of what it costs with the library that the clients stand on
(``benchmarks/service/client_cost.py``). Answers are parsed by httptools; what is left out is what a generator does
without: redirects, cookies, proxies, compression.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from types import TracebackType
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from voiceflow_ml.client.answers import Reply
from voiceflow_ml.client.exchanges import Exchange, server_address
from voiceflow_ml.client.patience import IDLE_S
from voiceflow_ml.client.problems import unreachable
from voiceflow_ml.units import NS_PER_S

_FIRST_FINAL_STATUS = 200
_LENGTHS = {"content-length", "transfer-encoding"}
_PORTS = {"http": 80, "https": 443}


class Connections:
    """As many connections to one server as requests are under way; each is used again when its answer is whole.

    To be used in ``async with``, which closes them.

    Args:
        url: ``http://host:port``, with a path when the service lives below one; https likewise.
        timeout_s: longest wait for a connection and a whole answer, from the sending.

    Raises:
        ConfigError: not the address of a server.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url, self._timeout_s = server_address(url), timeout_s
        parts = urlsplit(self._url)
        self._host, self._port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._authority, self._path = parts.netloc.rpartition("@")[2], parts.path
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[_Connection] = []
        self._sent: tuple[Exchange[Any], bytes] | None = None

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._idle:
            connection.close()

    async def reply(self, exchange: Exchange[Any]) -> Reply:
        """Send a request, whatever the status of its answer.

        Raises:
            UnreachableError: no answer.
        """
        url = self._url + exchange.path
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = self._rested() or await self._connect()
                status, headers, body = await connection.ask(self._message(exchange))
        except OSError as error:
            raise unreachable(exchange.method, url, error, self._timeout_s) from error
        finally:
            # Given up or broken off, it is never used again: the answer may still come.
            if connection is not None and connection.is_reusable:
                self._idle.append(connection)
            elif connection is not None:
                connection.close()
        return Reply(exchange.method, url, status, headers, body)

    def _rested(self) -> _Connection | None:
        """The connection that was used last; the server may be about to close those that are idle for long."""
        oldest_ns = time.perf_counter_ns() - round(IDLE_S * NS_PER_S)
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and connection.idle_since_ns >= oldest_ns:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls)
        return connection

    def _message(self, exchange: Exchange[Any]) -> bytes:
        """The request on the wire; the same one is sent again and again, so it is put together once."""
        if self._sent is None or self._sent[0] is not exchange:
            headers = {"Host": self._authority, **exchange.headers, "Content-Length": str(len(exchange.body))}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"{exchange.method} {self._path}{exchange.path} HTTP/1.1\r\n{lines}\r\n"
            self._sent = exchange, head.encode() + exchange.body
        return self._sent[1]


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, dict[str, str], bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._in_body = False
        self.idle_since_ns = 0
        self.is_reusable = False

    def ask(self, message: bytes) -> asyncio.Future[tuple[int, dict[str, str], bytes]]:
        """Send a request; status, headers (names in lower case) and body of its answer."""
        self.is_reusable = False
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._fail(ConnectionResetError("the connection was closed"))
        else:
            self._transport.write(message)
        return self._answer

    def close(self) -> None:
        """Close it, whatever is under way."""
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed: the end of an answer that did not tell its length, and else the end before its time."""
        self.is_reusable = False
        if exc is None and self._in_body and not _LENGTHS & self._headers.keys():
            self._settle()
        self._fail(exc or ConnectionResetError("the server closed the connection before its answer was whole"))

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"the answer is no HTTP: {error}"))
            self.close()

    def on_message_begin(self) -> None:
        """An answer begins."""
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header is there."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_body = True

    def on_body(self, part: bytes) -> None:
        """A part of the body is there."""
        self._body.append(part)

    def on_message_complete(self) -> None:
        """The answer is whole; one of the 100s only says that another will come."""
        self._in_body = False
        if self._parser.get_status_code() < _FIRST_FINAL_STATUS:
            return
        self.is_reusable = self._parser.should_keep_alive()
        self.idle_since_ns = time.perf_counter_ns()
        self._settle()

    def _settle(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._headers, b"".join(self._body)))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
