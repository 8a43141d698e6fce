"""HTTP connections that end when a client is too slow with its head, sends too long a head, or has one too many.

The server framework bounds none of the three, nor how long the rest of a body may take that was answered already.
"""

from __future__ import annotations

import asyncio
import json
from asyncio.events import TimerHandle
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD_BYTES = 64 << 10


class BoundedProtocol(HttpToolsProtocol):
    """One connection; subclasses set the bounds, see :func:`bounded_protocol`."""

    head_timeout_s = 10.0
    body_timeout_s = 60.0
    most_connections = 1_024
    most_per_client = 0
    _timer: TimerHandle | None = None
    _in_head = True
    _head_bytes = 0
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._refuse(503, f"{self.most_connections} connections are open already; try again later")
        elif self.most_per_client and self._of_this_client() > self.most_per_client:
            self._refuse(503, f"{self.most_per_client} connections of your address are open already; try again later")
        else:
            self._start_timer()

    def _of_this_client(self) -> int:
        address = self.client[0] if self.client else ""
        others = (getattr(other, "client", None) for other in self.connections)
        return sum(other is not None and other[0] == address for other in others)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and hold the head to its bounds."""
        if self._refused:
            return
        super().data_received(data)
        if not self._in_head:
            self._watch_rest()
            return
        self._head_bytes += len(data)
        if self._head_bytes > LONGEST_HEAD_BYTES:
            self._refuse(431, f"the head of the request is longer than {LONGEST_HEAD_BYTES} bytes")
        elif self._timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._stop_timer()
        super().on_message_complete()

    def _watch_rest(self) -> None:
        """An answer is out and its request is not whole: what still comes is dropped, but not for ever."""
        if self._timer is None and self.cycle is not None and self.cycle.response_complete and self.cycle.more_body:
            self._timer = self.loop.call_later(self.body_timeout_s, self._give_up)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.head_timeout_s, self._late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(408, f"the head of the request was not there within {self.head_timeout_s:g} s")

    def _give_up(self) -> None:
        self._refused = True
        self._stop_timer()
        self.transport.close()

    def _refuse(self, status: int, sentence: str) -> None:
        self._refused = True
        self._stop_timer()
        if self.transport.is_closing():
            return
        # An answer to an earlier request may be on its way: nothing is written into it.
        if self.cycle is None or self.cycle.response_complete:
            body = json.dumps({"error": sentence}).encode()
            retry = "retry-after: 1\r\n" if status == 503 else ""
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n{retry}connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()


def bounded_protocol(
    *, head_timeout_s: float, body_timeout_s: float, most_connections: int, most_per_client: int
) -> type[BoundedProtocol]:
    """The protocol with bounds.

    Args:
        head_timeout_s: longest time for the head of a request.
        body_timeout_s: longest time for what is left of a body after its answer.
        most_connections: connections at once.
        most_per_client: the same from one address; 0 for no bound.
    """
    bounds = {
        "head_timeout_s": head_timeout_s,
        "body_timeout_s": body_timeout_s,
        "most_connections": most_connections,
        "most_per_client": most_per_client,
    }
    return type("BoundedProtocol", (BoundedProtocol,), bounds)
