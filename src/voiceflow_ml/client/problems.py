"""Statuses as errors, each with the server's own sentence and what to do about it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from voiceflow_ml.errors import AnswerError, BusyError, ClientError, RefusedError, UnreachableError

_BUSY = 503
_REMEDIES = {
    401: "give the server's token: token=... or VOICEFLOW_ADMIN_TOKEN",
    403: "the token is not one that may do this",
    404: "ask for a model and a path that the server has: client.server() lists them",
    408: "send the body faster, or less of it",
    409: "one change at a time: wait until the one under way is over",
    413: "send less audio at once",
    415: "send a WAV or FLAC file, or an array",
}
_LONGEST_SENTENCE = 500
_TRY_LATER = 1013
_REFUSED_CODES = (1002, 1003, 1007, 1008, 1009)


def refusal(method: str, url: str, status: int, headers: Mapping[str, str], body: bytes) -> ClientError:
    """The error that an answer without success stands for.

    Args:
        method: of the request.
        url: of the request.
        status: HTTP status, none of the 200s.
        headers: of the answer, names in lower case.
        body: of the answer.
    """
    said = f"{method} {url}: {status}, {_sentence(body)}"
    if status == _BUSY:
        retry_after_s = _retry_after_s(headers)
        when = "later" if retry_after_s is None else f"in {retry_after_s:g} s"
        remedy = f"try again {when}, or let the client do so with wait_when_busy_s"
        return BusyError(f"{said}; {remedy}", url=url, status=status, retry_after_s=retry_after_s)
    if 400 <= status < 500:
        remedy = _REMEDIES.get(status, "correct the request")
        return RefusedError(f"{said}; {remedy}", url=url, status=status)
    remedy = "its log says why" if status >= 500 else "give the address of the service itself"
    return AnswerError(f"{said}; {remedy}", url=url, status=status)


def unreachable(method: str, url: str, error: BaseException, timeout_s: float) -> UnreachableError:
    """The error that no answer at all stands for."""
    if isinstance(error, TimeoutError) or "timeout" in type(error).__name__.lower():
        text = f"no answer within {timeout_s:g} s; give a longer timeout_s, or less work at once"
    else:
        text = f"no answer ({str(error) or type(error).__name__}); is the server up?"
    return UnreachableError(f"{method} {url}: {text}", url=url)


def closed(url: str, code: int, said: str) -> ClientError:
    """The error that a stream's end before its time stands for.

    Args:
        url: of the stream.
        code: it was closed with, of RFC 6455; 1006 when the connection broke.
        said: the server's sentence; empty without one.
    """
    sentence = f"{url}: the server ended the stream ({code}), {said.rstrip('.;') or 'without a word'}"
    if code == _TRY_LATER:
        return BusyError(f"{sentence}; try again later", url=url)
    if code in _REFUSED_CODES:
        return RefusedError(f"{sentence}; correct what is sent", url=url)
    return AnswerError(f"{sentence}; open another, or see the server's log", url=url)


def _sentence(body: bytes) -> str:
    """What the server says is wrong: the text ``error`` of its JSON, or the body as it is."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    said = document.get("error") if isinstance(document, dict) else None
    text = said if isinstance(said, str) else body[: 4 * _LONGEST_SENTENCE].decode(errors="replace")
    return " ".join(text.split())[:_LONGEST_SENTENCE].rstrip(".;") or "without a word"


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``Retry-After``; None without one, or when it is a date, which no server of ours sends."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
