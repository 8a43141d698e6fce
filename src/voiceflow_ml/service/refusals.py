"""A request that is answered with an error, and how the error reads on the wire."""

from __future__ import annotations

import json

from voiceflow_ml.errors import VoiceflowError

Headers = list[tuple[bytes, bytes]]


class RequestError(VoiceflowError):
    """A request that is not done, and why.

    Attributes:
        status: HTTP status.
        retry_after_s: whole seconds after which to ask again; None where asking again does not help.
        hang_up: whether the connection ends with the answer, because what is left of the body is not read.
    """

    def __init__(self, status: int, sentence: str, *, retry_after_s: int | None = None, hang_up: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after_s = retry_after_s
        self.hang_up = hang_up

    def headers(self) -> Headers:
        """What stands above the answer."""
        found: Headers = [(b"content-type", b"application/json")]
        if self.retry_after_s is not None:
            found.append((b"retry-after", str(self.retry_after_s).encode()))
        if self.hang_up:
            found.append((b"connection", b"close"))
        if self.status == 401:
            found.append((b"www-authenticate", b"Bearer"))
        return found

    def body(self) -> bytes:
        """The answer, as the inference protocol words errors."""
        return json.dumps({"error": str(self)}).encode()


class ClientGoneError(VoiceflowError):
    """The client hung up before its request was whole; nobody is left to answer."""
