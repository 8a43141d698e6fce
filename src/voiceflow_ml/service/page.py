"""The web page at ``/``: its files as they are, under a policy that runs nothing but them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources

from fastapi import APIRouter, Response

from voiceflow_ml.service.parts import Parts

STAGE, STATISTIC = "end-to-end", "P99"
DEFAULT_LIMIT_MS = 100
"""End-to-end limit that the page shows where the contract promises none: what this service is made for."""
FILES = {
    "": "index.html",
    "page.js": "page.js",
    "page.css": "page.css",
    "latency.js": "latency.js",
    "stream.js": "stream.js",
    "timeline.js": "timeline.js",
    "turns.js": "turns.js",
    "versions.js": "versions.js",
    "worklet.js": "worklet.js",
}
"""Path below ``/`` -> file."""
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), display-capture=(), usb=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    # After an upgrade of the server no browser may mix files of two releases.
    "Cache-Control": "no-cache",
}


ON_EVERY_ANSWER = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of the whole server: nobody guesses the kind of an answer, or puts it into a page of his own."""


def web_page(parts: Parts) -> APIRouter:
    """The routes.

    Args:
        parts: of the server.
    """
    router = APIRouter(include_in_schema=False)
    for path, name in FILES.items():
        router.add_api_route(f"/{path}", _sender(name), methods=["GET"])

    @router.get("/page.json")
    async def facts() -> dict[str, str | float]:
        """What the page has to know before it can ask."""
        with parts.slot.route() as lease:
            limits = [
                promise.limit_ns / 1e6
                for promise in lease.version.contract.sla
                if (promise.stage, promise.statistic) == (STAGE, STATISTIC)
            ]
            return {"model": lease.version.model, "limit_ms": min(limits, default=DEFAULT_LIMIT_MS)}

    return router


def _sender(name: str) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        kind = _TYPES[name[name.rindex(".") :]]
        return Response(_content(name), media_type=f"{kind}; charset=utf-8", headers=HEADERS)

    return send


@cache
def _content(name: str) -> bytes:
    return (resources.files("voiceflow_ml") / "service" / "page_files" / name).read_bytes()
