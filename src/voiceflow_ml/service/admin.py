"""Changing the served version from outside: for who has the token, and for nobody where there is none."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from voiceflow_ml.service.access import AdminGate
from voiceflow_ml.service.infer import check_served
from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.receiving import read_body
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.swaps import LoadRefused

_MOST_BYTES = 64 << 10
_TIMEOUT_S = 10.0
_LONGEST_SOURCE = 1_000


def admin_router(parts: Parts) -> APIRouter:
    """The routes.

    Args:
        parts: of the server.
    """
    gate = AdminGate(parts.settings.admin_token.get_secret_value(), parts.metrics)

    async def authorised(request: Request) -> None:
        gate.check(request.headers.get("authorization", ""), request.client.host if request.client else "")

    router = APIRouter(tags=["administration"])
    guarded = [Depends(authorised)]

    @router.post("/v2/repository/index")
    async def index() -> list[dict[str, str]]:
        """What is there, and in which state."""
        status = parts.slot.status()
        return [{"name": status.model, "version": status.version, "state": "READY", "reason": ""}]

    @router.post("/v2/repository/models/{model}/load", dependencies=guarded)
    async def load(model: str, request: Request) -> JSONResponse:
        """Load a version and serve it; the one in use stays when the new one is unfit."""
        _check_model(parts, model)
        return await _load(parts, await _wish(parts, request))

    @router.post("/v2/repository/models/{model}/unload", dependencies=guarded)
    async def unload(model: str) -> None:
        """Not done: this server serves one model for as long as it runs."""
        _check_model(parts, model)
        raise RequestError(501, f"{model} is all that this server serves; stop the server instead of unloading it")

    @router.post("/v1/admin/rollback", dependencies=guarded)
    async def rollback() -> dict[str, Any]:
        """Serve the version before again, at once; a canary is dropped."""
        return parts.slot.rollback().to_json()

    @router.post("/v1/admin/promote-canary", dependencies=guarded)
    async def promote_canary() -> dict[str, Any]:
        """Let the version that is tried on a share of the requests serve all of them."""
        return parts.slot.promote_canary().to_json()

    return router


async def _wish(parts: Parts, request: Request) -> dict[str, Any]:
    """The parameters of a load; ``{}`` for none."""
    headers = dict(request.headers.raw)
    with parts.buffers.share() as share:
        body = await read_body(request.receive, headers, share, most_bytes=_MOST_BYTES, timeout_s=_TIMEOUT_S)
    try:
        document = json.loads(body or b"{}")
        parameters = document.get("parameters", {})
        unknown = sorted(set(parameters) - {"source", "canary"})
    except (ValueError, RecursionError, AttributeError, TypeError):
        raise RequestError(400, 'the body must be a JSON object, such as {"parameters": {"source": "1.4.0"}}') from None
    if unknown:
        raise RequestError(400, f"{str(unknown[0])[:100]!r} is no parameter of a load; take source or canary")
    return dict(parameters)


async def _load(parts: Parts, wish: dict[str, Any]) -> JSONResponse:
    source, share = wish.get("source", parts.source), wish.get("canary", 0.0)
    if not isinstance(source, str) or not source.isprintable() or not 0 < len(source) <= _LONGEST_SOURCE:
        raise RequestError(400, "source must be a line of text: a version, a channel or a folder")
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 <= share < 1.0:
        raise RequestError(400, "canary must be a share of the requests, from 0 to below 1")
    work = partial(parts.slot.load, source, canary=float(share))
    try:
        record = await asyncio.get_running_loop().run_in_executor(None, work)
    except LoadRefused as error:
        content = {"error": str(error), "code": str(error.code), "served": parts.slot.status().version}
        return JSONResponse(content, 422)
    return JSONResponse(record.to_json())


def _check_model(parts: Parts, model: str) -> None:
    with parts.slot.route() as lease:
        check_served(lease.version, {"model": model})
