"""What every raw endpoint does: read the body, answer or refuse, measure; nothing of a framework is in between."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voiceflow_ml.errors import DataError, VoiceflowError
from voiceflow_ml.service.logs import say
from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.receiving import Receive, Send, Share, read_body, while_connected
from voiceflow_ml.service.refusals import ClientGoneError, Headers, RequestError
from voiceflow_ml.service.swaps import NothingServed
from voiceflow_ml.service.work import HungError

QUICK_BYTES = 1 << 20
"""A recording of more is long work."""


@dataclass(frozen=True)
class Request:
    """A request whose body is whole.

    Attributes:
        headers: by name in small letters; the last of a name counts.
        query: of the address, not decoded.
        path: the parts of the path that the route names.
        body: all of it.
    """

    headers: Mapping[bytes, bytes]
    query: bytes
    path: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """An answer of the model.

    Attributes:
        body: all of it.
        model: who gave it.
        version: and of which version.
        queue_ns: time it waited for a thread.
        inference_ns: time that the model ran.
        headers: content type and the like.
    """

    body: bytes
    model: str
    version: str
    queue_ns: int
    inference_ns: int
    headers: Headers = field(default_factory=list)


class Endpoint(ABC):
    """A raw ASGI endpoint.

    Args:
        parts: of the server.
        route: what it is called in the metrics.
    """

    def __init__(self, parts: Parts, route: str) -> None:
        self.parts, self._route = parts, route

    @abstractmethod
    async def answer(self, request: Request) -> Answer:
        """Answer a request.

        Raises:
            RequestError: it is not done.
        """

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request of ASGI."""
        begun_ns = time.perf_counter_ns()
        status = 200
        try:
            # By the head alone: at the worst of an overload no time is spent on bodies that nobody will look at.
            self.parts.pool.check_room(self.parts.wait_ns)
            with self.parts.buffers.share() as share:
                given, received_ns = await self._given(scope, receive, share)
            total_ns = time.perf_counter_ns() - received_ns
            await _respond(send, 200, [*given.headers, *_timing(given, total_ns)], given.body)
            self.parts.metrics.observe(
                given.model,
                given.version,
                queue_ns=given.queue_ns,
                inference_ns=given.inference_ns,
                total_ns=time.perf_counter_ns() - received_ns,
            )
        except ClientGoneError:
            status = 499
        except Exception as error:  # whatever it is, the client gets an answer and the server goes on
            refusal = as_refusal(error)
            status = refusal.status
            await _respond(send, status, refusal.headers(), refusal.body())
        self.parts.metrics.count(self._route, status)
        if self.parts.settings.access_log:
            elapsed_ns = time.perf_counter_ns() - begun_ns
            say("request", route=self._route, status=status, milliseconds=round(elapsed_ns / 1e6, 3))

    async def _given(self, scope: dict[str, Any], receive: Receive, share: Share) -> tuple[Answer, int]:
        """The answer, and when the last byte of its request was there."""
        headers, settings = dict(scope["headers"]), self.parts.settings
        body = await read_body(
            receive, headers, share, most_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s
        )
        # How long a client takes to send is its own affair: the server's time begins with the last byte.
        received_ns = time.perf_counter_ns()
        work = self.answer(Request(headers, scope["query_string"], scope.get("path_params", {}), body))
        # Quick work that begins at once is over before anybody could take it back.
        watched = self.parts.pool.depth > 0 or len(body) > QUICK_BYTES
        return await (while_connected(receive, work) if watched else work), received_ns


def as_refusal(error: Exception) -> RequestError:
    """Any error as what the client is told; of what went wrong inside it is told nothing, the log has it."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, DataError):
        return RequestError(422, str(error))
    if isinstance(error, NothingServed):
        return RequestError(503, str(error), retry_after_s=1)
    if isinstance(error, HungError):
        return RequestError(504, str(error))
    known = isinstance(error, VoiceflowError)
    say("request failed", level=logging.ERROR, error=None if known else error, reason=str(error))
    what = "the model could not be run on this request" if known else "something went wrong inside the server"
    return RequestError(500, f"{what}; its log says more")


async def _respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _timing(given: Answer, total_ns: int) -> Headers:
    stages = (("queue", given.queue_ns), ("inference", given.inference_ns), ("total", total_ns))
    # Milliseconds, to the nanosecond; browsers show it: https://www.w3.org/TR/server-timing/
    timing = ", ".join(f"{name};dur={elapsed_ns / 1e6:.6f}" for name, elapsed_ns in stages)
    return [
        (b"server-timing", timing.encode()),
        (b"voiceflow-model", given.model.encode()),
        (b"voiceflow-version", given.version.encode()),
    ]
