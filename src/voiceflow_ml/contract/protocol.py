"""The Open Inference Protocol v2 over HTTP, as far as a black-box test of a server needs it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from voiceflow_ml.errors import AnswerError, ContractError
from voiceflow_ml.wire import JSON_LENGTH_HEADER, Arrays, infer_request, read_infer_answer

_LARGEST_ANSWER_BYTES = 256 << 20


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        status: HTTP status.
        body: all of it.
        json_bytes: length of the JSON in front of binary tensors; None when there are none.
    """

    status: int
    body: bytes
    json_bytes: int | None = None

    @property
    def document(self) -> Any:
        """The JSON part; None when it is not JSON."""
        try:
            return json.loads(self.body[: self.json_bytes])
        except (ValueError, RecursionError):
            return None


class Server:
    """A server that is asked from outside; one connection for each request, so that none outlives a reload.

    Args:
        url: ``http://host:port``, with a path when the protocol lives below one.
        token: sent as a bearer token with administrative requests; empty for none.
        timeout_s: longest wait for an answer.
    """

    def __init__(self, url: str, *, token: str = "", timeout_s: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ContractError(f"{url!r} is not the address of a server; give one such as http://127.0.0.1:8000")
        self.url = url.rstrip("/")
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._token, self._timeout_s = token, timeout_s

    def get(self, path: str) -> Answer:
        """GET a path below the server's address.

        Raises:
            ContractError: no answer.
        """
        return self._ask("GET", path, b"", {})

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """POST; errors as in :meth:`get`."""
        return self._ask("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    def admin(self, path: str) -> Answer:
        """POST an empty document with the token; errors as in :meth:`get`."""
        return self.post(path, b"{}", {"Authorization": f"Bearer {self._token}"} if self._token else {})

    def infer(self, model: str, inputs: Arrays, *, binary: bool) -> Answer:
        """Ask for an inference; errors as in :meth:`get`."""
        body, headers = infer_request(inputs, binary=binary)
        return self.post(f"/v2/models/{quote(model, safe='')}/infer", body, headers)

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        connection = self._connect(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request(method, self._prefix + path, body or None, dict(headers))
            response = connection.getresponse()
            content = response.read(_LARGEST_ANSWER_BYTES)
            length = response.getheader(JSON_LENGTH_HEADER) or ""
            return Answer(response.status, content, int(length) if length.isdecimal() else None)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise ContractError(f"{method} {self.url}{path}: no answer ({reason}); is the server up?") from None
        finally:
            connection.close()


def read_outputs(answer: Answer) -> Arrays:
    """The outputs of an inference, by name.

    Raises:
        ContractError: the answer is not one of the protocol.
    """
    try:
        return read_infer_answer(answer.body, answer.json_bytes).outputs
    except AnswerError as error:
        raise ContractError(str(error)) from None
