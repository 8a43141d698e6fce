"""The client for code that waits for its answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from voiceflow_ml.client import exchanges
from voiceflow_ml.client.answers import Diarized, Inferred, Reply
from voiceflow_ml.client.exchanges import Exchange, Recording
from voiceflow_ml.client.patience import IDLE_S, Patience
from voiceflow_ml.client.problems import unreachable
from voiceflow_ml.client.stream import Stream
from voiceflow_ml.errors import BusyError
from voiceflow_ml.wire import Arrays

Result = TypeVar("Result")
TOKEN_VARIABLE = "VOICEFLOW_ADMIN_TOKEN"  # noqa: S105 - the name of a variable # nosec B105


class Client:
    """A service, asked one thing after the other; connections stay open between requests. Close it, or use ``with``.

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
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url = exchanges.server_address(url)
        self._token = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
        self._timeout_s, self._wait_when_busy_s, self._sleep = timeout_s, wait_when_busy_s, sleep
        self._http = httpx.Client(timeout=timeout_s, limits=httpx.Limits(keepalive_expiry=IDLE_S))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def live(self) -> bool:
        """Whether the server is alive; every method raises :class:`ClientError` when there is no answer."""
        return self.send(exchanges.live())

    def ready(self, model: str = "") -> bool:
        """Whether it can serve: anything, or this model."""
        return self.send(exchanges.ready(model))

    def server(self) -> dict[str, Any]:
        """What the server says of itself."""
        return self.send(exchanges.server())

    def metadata(self, model: str) -> dict[str, Any]:
        """What it says of a model: inputs, outputs, versions."""
        return self.send(exchanges.metadata(model))

    def infer(self, model: str, inputs: Arrays, *, version: str = "") -> Inferred:
        """Run a model on arrays by tensor name; with ``version``, that one or none."""
        return self.send(exchanges.infer(model, inputs, version=version))

    def diarize(self, recording: Recording, *, sample_rate_hz: int = 16_000) -> Diarized:
        """Who speaks when in a WAV or FLAC file, or in samples in [-1, 1], shape ``[n]``, at ``sample_rate_hz``."""
        return self.send(exchanges.diarize(recording, sample_rate_hz=sample_rate_hz))

    def load(self, model: str, *, source: str = "", canary: float = 0.0) -> dict[str, Any]:
        """Have the server load a version, by default what it was started with; returns the change. Needs the token."""
        return self.send(exchanges.load(model, source=source, canary=canary))

    def rollback(self) -> dict[str, Any]:
        """Have the server go back to the version before; returns the change. Needs the token."""
        return self.send(exchanges.rollback())

    def stream(self) -> Stream:
        """A live stream, to be used in ``with``; see :class:`~voiceflow_ml.client.stream.Stream`."""
        return Stream(self.url, self._timeout_s)

    def send(self, exchange: Exchange[Result]) -> Result:
        """Send any exchange, put off as often as ``Retry-After`` asks and ``wait_when_busy_s`` allows."""
        patience = Patience(self._wait_when_busy_s)
        while True:
            try:
                return exchange.read(self._reply(exchange))
            except BusyError as error:
                delay_s = patience.delay_s(error)
                if delay_s is None:
                    raise
            self._sleep(delay_s)

    def _reply(self, exchange: Exchange[Any]) -> Reply:
        headers = dict(exchange.headers)
        if exchange.is_admin and self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        url = self.url + exchange.path
        try:
            answer = self._http.request(exchange.method, url, content=exchange.body or None, headers=headers)
        except httpx.HTTPError as error:
            raise unreachable(exchange.method, url, error, self._timeout_s) from error
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(exchange.method, url, answer.status_code, lowered, answer.content)
