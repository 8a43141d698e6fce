"""Read the body of a request: within its size, within its time, and within what all requests may hold together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any, TypeVar

from voiceflow_ml.service.refusals import ClientGoneError, RequestError

Result = TypeVar("Result")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
BURST_BYTES = 8 << 20
"""Bodies that are held at once: so many are worth the work of giving their memory back."""


class Buffers:
    """How many bytes of bodies are held at this moment, of all requests together.

    Args:
        most_bytes: what they may not exceed.
        on_ebb: called when none is held any more after a burst.
    """

    def __init__(self, most_bytes: int, *, on_ebb: Callable[[], object] = lambda: None) -> None:
        self.most_bytes, self.held_bytes = most_bytes, 0
        self._on_ebb, self._peak_bytes = on_ebb, 0

    def share(self) -> Share:
        """A share for one request; a context manager that gives back what it took."""
        return Share(self)

    def change(self, by_bytes: int) -> None:
        """Count what a share took, or gave back."""
        self.held_bytes += by_bytes
        self._peak_bytes = max(self._peak_bytes, self.held_bytes)
        if not self.held_bytes and self._peak_bytes >= BURST_BYTES:
            self._peak_bytes = 0
            self._on_ebb()


class Share:
    """What one request holds; see :class:`Buffers`."""

    __slots__ = ("_buffers", "_held_bytes")

    def __init__(self, buffers: Buffers) -> None:
        self._buffers, self._held_bytes = buffers, 0

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._buffers.change(-self._held_bytes)

    def take(self, size_bytes: int) -> None:
        """Hold more.

        Raises:
            RequestError: all requests together would hold too much (503).
        """
        if self._buffers.held_bytes + size_bytes > self._buffers.most_bytes:
            raise RequestError(
                503, "too many bodies are being received; ask again later", retry_after_s=1, hang_up=True
            )
        self._buffers.change(size_bytes)
        self._held_bytes += size_bytes


def declared_bytes(headers: Mapping[bytes, bytes], most_bytes: int) -> None:
    """Refuse by its own word a body that is too large, before a byte of it is read.

    Raises:
        RequestError: too large (413), or encoded in a way that is not taken (415).
    """
    length = headers.get(b"content-length", b"0")
    # The HTTP parser lets digits through and nothing else; more of them than this are no length of ours.
    if len(length) > 18 or int(length) > most_bytes:
        raise _too_large(most_bytes)
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise RequestError(415, "the body has a Content-Encoding; send it as it is", hang_up=True)


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], share: Share, *, most_bytes: int, timeout_s: float
) -> bytes:
    """Read a whole body.

    Args:
        receive: of ASGI.
        headers: of the request, names in small letters.
        share: what it counts against.
        most_bytes: its largest size.
        timeout_s: longest time from here to its last byte.

    Raises:
        RequestError: too large (413), too slow (408), encoded (415), or too much with the others' (503).
        ClientGoneError: the client hung up.
    """
    declared_bytes(headers, most_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive, share, most_bytes)
    except TimeoutError:
        raise RequestError(
            408, f"the body was not there within {timeout_s:g} s; send it faster", hang_up=True
        ) from None


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for work, but only as long as somebody waits for its result.

    Args:
        receive: of ASGI, after the whole body.
        work: cancelled when the client hangs up.

    Raises:
        ClientGoneError: the client hung up.
    """
    doing, gone = asyncio.ensure_future(work), asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait((doing, gone), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientGoneError("the client hung up while its request waited")
        return doing.result()
    finally:
        doing.cancel()
        gone.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _read(receive: Receive, share: Share, most_bytes: int) -> bytes:
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client hung up in the middle of its request")
        part: bytes = message.get("body", b"")
        size_bytes += len(part)
        if size_bytes > most_bytes:
            raise _too_large(most_bytes)
        share.take(len(part))
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most_bytes: int) -> RequestError:
    return RequestError(413, f"the body is larger than {most_bytes} bytes; send less at once", hang_up=True)
