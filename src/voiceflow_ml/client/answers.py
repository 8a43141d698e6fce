"""What a service answers, read from bytes: the same for every way of sending."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voiceflow_ml.client.problems import refusal
from voiceflow_ml.errors import AnswerError, DataError
from voiceflow_ml.rttm import Turn
from voiceflow_ml.units import NS_PER_MS
from voiceflow_ml.wire import JSON_LENGTH_HEADER, Arrays, read_infer_answer

SERVER_TIMING_HEADER = "server-timing"
VERSION_HEADER = "voiceflow-version"
_OK = range(200, 300)


@dataclass(frozen=True)
class Reply:
    """The raw answer to one request.

    Attributes:
        method: of the request.
        url: of the request.
        status: HTTP status.
        headers: names in lower case.
        body: all of it.
    """

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON.

        Raises:
            AnswerError: it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise self.unreadable("is no JSON") from None

    def unreadable(self, problem: str) -> AnswerError:
        """An error about this answer; ``problem`` is a clause such as ``"is no JSON"``."""
        return AnswerError(
            f"{self.method} {self.url}: the answer (status {self.status}) {problem}; is this a voiceflow server?",
            url=self.url,
            status=self.status,
        )


@dataclass(frozen=True)
class ServerTiming:
    """What the server says that its part of one request took.

    Attributes:
        model_inference_ns: inputs ready to outputs ready.
        server_processing_ns: request received to response sent, less the model's inference.
        queue_ns: of the server's processing, the wait for a thread; 0 when it is not said.
    """

    model_inference_ns: int
    server_processing_ns: int
    queue_ns: int = 0


@dataclass(frozen=True)
class Inferred:
    """An inference.

    Attributes:
        model: which model answered.
        version: which version of it; empty when the server does not say.
        outputs: arrays by tensor name, read-only.
        timing: the server's share; None when it does not say.
    """

    model: str
    version: str
    outputs: Arrays
    timing: ServerTiming | None


@dataclass(frozen=True)
class Diarized:
    """Who speaks when.

    Attributes:
        turns: in order of their start.
        version: of the model; empty when the server does not say.
        timing: the server's share; None when it does not say.
    """

    turns: tuple[Turn, ...]
    version: str
    timing: ServerTiming | None


def accepted(reply: Reply) -> Reply:
    """The answer itself, when it is one.

    Raises:
        ClientError: the status is no success; its class and sentence say which.
    """
    if reply.status not in _OK:
        raise refusal(reply.method, reply.url, reply.status, reply.headers, reply.body)
    return reply


def read_timing(headers: Mapping[str, str]) -> ServerTiming | None:
    """The ``Server-Timing`` header, ``queue``, ``inference`` and ``total`` in milliseconds; None without one of ours.

    The header: https://www.w3.org/TR/server-timing/

    Args:
        headers: names in lower case.
    """
    durations_ns: dict[str, int] = {}
    for entry in headers.get(SERVER_TIMING_HEADER, "").split(","):
        name, _, parameters = entry.partition(";")
        for parameter in parameters.split(";"):
            key, _, value = parameter.partition("=")
            if key.strip() == "dur":
                durations_ns[name.strip()] = _milliseconds_as_ns(value)
    if not {"inference", "total"} <= set(durations_ns):
        return None
    inference_ns = durations_ns["inference"]
    return ServerTiming(inference_ns, max(0, durations_ns["total"] - inference_ns), durations_ns.get("queue", 0))


def _milliseconds_as_ns(text: str) -> int:
    try:
        duration_ns = round(float(text.strip().strip('"')) * NS_PER_MS)
    except (ValueError, OverflowError):
        duration_ns = -1
    if duration_ns < 0:
        raise AnswerError(f"the server's timing is no duration: {text.strip()[:50]!r}")
    return duration_ns


def read_inferred(reply: Reply) -> Inferred:
    """An inference.

    Raises:
        ClientError: refused, or not an answer of the protocol.
    """
    accepted(reply)
    length = reply.headers.get(JSON_LENGTH_HEADER.lower(), "")
    try:
        answer = read_infer_answer(reply.body, int(length) if length.isdecimal() else None)
        return Inferred(answer.model, answer.version, answer.outputs, read_timing(reply.headers))
    except AnswerError as error:
        raise reply.unreadable(f"cannot be read: {error}") from None


def read_diarized(reply: Reply) -> Diarized:
    """Speaker turns; errors as in :func:`read_inferred`."""
    document = accepted(reply).document
    try:
        turns = read_turns(document["turns"])
        return Diarized(turns, reply.headers.get(VERSION_HEADER, ""), read_timing(reply.headers))
    except (AnswerError, DataError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise reply.unreadable(f"has no turns that can be read: {error!r}") from None


def read_turns(entries: Any) -> tuple[Turn, ...]:
    """Turns from their JSON: ``speaker``, ``start_s``, and ``duration_s`` or ``end_s``.

    Raises:
        DataError, KeyError, TypeError, ValueError, OverflowError: an entry is no turn.
    """
    found = []
    for entry in entries:
        start_s = float(entry["start_s"])
        duration_s = float(entry["duration_s"]) if "duration_s" in entry else float(entry["end_s"]) - start_s
        found.append(Turn(str(entry["speaker"]), start_s, duration_s))
    return tuple(found)


def read_object(reply: Reply) -> dict[str, Any]:
    """A JSON object; errors as in :func:`read_inferred`."""
    document = accepted(reply).document
    if not isinstance(document, dict):
        raise reply.unreadable("is no JSON object")
    return document


def read_health(reply: Reply) -> bool:
    """Whether the answer says yes; 503 and other 5xx say no.

    Raises:
        ClientError: neither, such as 404.
    """
    if reply.status >= 500:
        return False
    accepted(reply)
    return True


Reader = Callable[[Reply], Any]
