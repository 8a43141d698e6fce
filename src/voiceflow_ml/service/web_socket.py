"""WebSockets that end when a client sends what costs the server more than the client.

The server framework bounds the bytes of a message. It bounds neither the fragments that a message comes in, which cost
memory even when they are empty, nor the messages that one packet brings, nor the pongs for who never reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from websockets.frames import Frame

MOST_FRAGMENTS = 64
MOST_WAITING = 4_096
_POLICY = 1008


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One connection that has become a WebSocket."""

    def handle_cont(self, event: Frame) -> None:
        """Take another fragment of a message."""
        if self.close_sent:
            return
        if len(self.frames) >= MOST_FRAGMENTS:
            self._fail(f"a message comes in at most {MOST_FRAGMENTS} fragments")
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Put a whole message where the stream waits for it."""
        if self.queue.qsize() >= MOST_WAITING:
            self._fail(f"more than {MOST_WAITING} messages wait")
            return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping, unless the answers before it are not read."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    def _fail(self, reason: str) -> None:
        self.frames = []
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(_POLICY, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": _POLICY, "reason": reason})
        self.transport.close()
