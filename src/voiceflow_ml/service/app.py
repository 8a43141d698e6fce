"""All routes of the server in one application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route, WebSocketRoute

from voiceflow_ml import __version__
from voiceflow_ml.service.admin import admin_router
from voiceflow_ml.service.diarize import DiarizeEndpoint
from voiceflow_ml.service.endpoint import as_refusal
from voiceflow_ml.service.infer import InferEndpoint
from voiceflow_ml.service.openapi import describe
from voiceflow_ml.service.page import web_page
from voiceflow_ml.service.pages import page_router
from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.stream import StreamEndpoint
from voiceflow_ml.service.swaps import LoadUnderWay, NothingToChange

_INFER = "/v2/models/{model}/infer"


def build_app(parts: Parts) -> FastAPI:
    """The application.

    Args:
        parts: of the server.
    """
    # The pages that FastAPI would serve for its documents load scripts from elsewhere.
    app = FastAPI(title="voiceflow-ml", version=__version__, docs_url=None, redoc_url=None)
    infer = InferEndpoint(parts, _INFER)
    app.router.routes += [
        Route(_INFER, infer, methods=["POST"]),
        Route("/v2/models/{model}/versions/{version}/infer", infer, methods=["POST"]),
        Route("/v1/diarize", DiarizeEndpoint(parts, "/v1/diarize"), methods=["POST"]),
        WebSocketRoute("/v1/stream", StreamEndpoint(parts).serve),
    ]
    app.include_router(page_router(parts))
    app.include_router(web_page(parts))
    app.include_router(admin_router(parts))
    app.add_exception_handler(HTTPException, _answered)
    app.add_exception_handler(Exception, _answered)
    for kind in (RequestError, LoadUnderWay, NothingToChange):
        app.add_exception_handler(kind, _answered)
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(describe(app))
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return app


async def _answered(request: Request, error: Exception) -> Response:
    """Every error in the one form that all answers of this server have."""
    if isinstance(error, HTTPException):
        refusal = RequestError(error.status_code, f"{request.method} {request.url.path[:200]}: {error.detail}")
    elif isinstance(error, LoadUnderWay | NothingToChange):
        refusal = RequestError(409, str(error))
    else:
        refusal = as_refusal(error)
    headers = {name.decode(): value.decode() for name, value in refusal.headers()}
    if isinstance(error, HTTPException):
        # Which methods there are (405), for one.
        headers.update(error.headers or {})
    return Response(refusal.body(), refusal.status, headers)
