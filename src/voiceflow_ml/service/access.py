"""Who may ask what: the token of administrators, the pages that may open streams, the names the server goes by."""

from __future__ import annotations

import hmac
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from voiceflow_ml.service.logs import say
from voiceflow_ml.service.receiving import Receive, Send
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.units import NS_PER_S

if TYPE_CHECKING:
    from voiceflow_ml.service.metrics import Metrics

SHORTEST_TOKEN = 16
"""Characters; random ones are then beyond guessing at any rate that a server answers."""
ANY = "*"
_TOKEN = re.compile(r"[!-~]{16,512}")
_ORIGIN = re.compile(r"https?://[a-z0-9.:_\[\]-]+")
_HOST = re.compile(r"[a-z0-9.:_\[\]-]+")
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def token_problem(token: str) -> str:
    """What is wrong with a token, without a word of it; empty when nothing is, or there is none."""
    if not token or _TOKEN.fullmatch(token):
        return ""
    return (
        f"must be at least {SHORTEST_TOKEN} visible ASCII characters, without spaces; make one with "
        "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
    )


def listed(text: str, kind: str) -> frozenset[str]:
    """The entries of a list with commas.

    Args:
        text: the list.
        kind: ``"origin"`` or ``"host"``.

    Raises:
        ValueError: an entry is none.
    """
    entries = frozenset(entry.strip().lower() for entry in text.split(",") if entry.strip())
    form, example = (_ORIGIN, "https://app.example.com") if kind == "origin" else (_HOST, "app.example.com")
    for entry in sorted(entries - {ANY}):
        if not form.fullmatch(entry):
            raise ValueError(f"{entry[:100]!r} is no {kind}; write it as {example}, with commas between, or {ANY}")
    return entries


def may_open(origin: str | None, host: str | None, allowed: frozenset[str]) -> bool:
    """Whether who opens a stream may.

    Browsers let any page open a WebSocket to any server, and say which page it is; nobody else has to.

    Args:
        origin: of the page; None where no browser asks.
        host: what the server was called.
        allowed: origins besides the server's own.
    """
    if origin is None or ANY in allowed or origin.lower() in allowed:
        return True
    return host is not None and origin.lower().partition("://")[2] == host.lower()


class AdminGate:
    """Lets only who has the token through, and notes who tried.

    Args:
        token: what is right; empty where nobody may.
        metrics: count each refusal.
        now_ns: the clock.
    """

    def __init__(self, token: str, metrics: Metrics, *, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._token, self._metrics, self._now_ns = token, metrics, now_ns
        self._said_ns: int | None = None

    def check(self, header: str, client: str) -> None:
        """Let the bearer of the token through.

        Args:
            header: ``Authorization`` of the request.
            client: address of who asks, for the log.

        Raises:
            RequestError: there is no token to be had (403), or it is not the right one (401).
        """
        try:
            check_token(header, self._token)
        except RequestError as error:
            self._metrics.turned_away(error.status)
            now_ns = self._now_ns()
            # Who guesses must not fill the disk as well: the metric counts, the log has one a second.
            if self._said_ns is None or now_ns - self._said_ns >= NS_PER_S:
                self._said_ns = now_ns
                say("administrator refused", level=logging.WARNING, status=error.status, client=client)
            raise


def check_token(header: str, token: str) -> None:
    """Let only the bearer of the token through.

    Args:
        header: ``Authorization`` of the request.
        token: what is right; empty where nobody may.

    Raises:
        RequestError: there is no token to be had (403), or it is not the right one (401).
    """
    if not token:
        raise RequestError(403, "no admin token is configured, so nothing can be changed; set VOICEFLOW_ADMIN_TOKEN")
    scheme, _, given = header.partition(" ")
    # Compared as bytes: text beyond ASCII is refused by compare_digest with an error of its own.
    right = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not right:
        raise RequestError(401, "this needs the admin token: Authorization: Bearer TOKEN")


class KnownHosts:
    """An application that answers only to its names.

    A page of somebody else whose name is made to lead to this machine (DNS rebinding) is the server's own page to a
    browser; by the name it is told apart.

    Args:
        app: the application.
        hosts: its names, with or without a port.
    """

    def __init__(self, app: App, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket of ASGI."""
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        if host in self._hosts or re.sub(r":\d+$", "", host) in self._hosts:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            body = json.dumps({"error": "this server does not go by that name; see its setting allowed_hosts"}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 421, "headers": [*headers, (b"connection", b"close")]})
            await send({"type": "http.response.body", "body": body})
