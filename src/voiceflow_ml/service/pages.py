"""Health, metadata and metrics: what others ask of the server itself; none of it waits for the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from voiceflow_ml import __version__
from voiceflow_ml.service.infer import check_served
from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.v2_answer import tensor_metadata

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PLATFORM = "onnxruntime_onnx"
_MODEL = "/v2/models/{model}"


def page_router(parts: Parts) -> APIRouter:
    """The routes.

    Args:
        parts: of the server.
    """
    router = APIRouter()
    _add_health(router, parts)
    _add_models(router, parts)
    return router


def _add_health(router: APIRouter, parts: Parts) -> None:
    @router.get("/livez", tags=["health"])
    @router.get("/v2/health/live", tags=["inference"])
    async def live() -> dict[str, bool]:
        """The process answers; 503 when the model hangs in every thread, which only a new start ends."""
        if parts.pool.is_lost:
            raise RequestError(503, "the model hangs in every thread; restart the server", retry_after_s=1)
        return {"live": True}

    @router.get("/readyz", tags=["health"])
    @router.get("/v2/health/ready", tags=["inference"])
    async def ready() -> dict[str, bool]:
        """It may be sent requests; 503 while the model hangs, and from the moment it begins to shut down."""
        _check_ready(parts)
        return {"ready": True}

    @router.get("/metrics", tags=["health"], response_class=Response)
    async def metrics() -> Response:
        """Metrics, for Prometheus."""
        return Response(parts.metrics.text(), media_type=_METRICS_TYPE)


def _add_models(router: APIRouter, parts: Parts) -> None:
    @router.get("/v2", tags=["inference"])
    async def server() -> dict[str, Any]:
        """Name and extensions of the server."""
        return {"name": "voiceflow-ml", "version": __version__, "extensions": ["binary_tensor_data"]}

    def is_ready(model: str, version: str | None = None) -> dict[str, Any]:
        _check_ready(parts)
        _check(parts, model, version)
        return {"name": model, "ready": True}

    def metadata(model: str, version: str | None = None) -> dict[str, Any]:
        return {**_check(parts, model, version), "swaps": [record.to_json() for record in parts.slot.history()]}

    @router.get(f"{_MODEL}/ready", tags=["inference"])
    async def model_ready(model: str) -> dict[str, Any]:
        """Whether the model is served."""
        return is_ready(model)

    @router.get(_MODEL + "/versions/{version}/ready", tags=["inference"])
    async def version_ready(model: str, version: str) -> dict[str, Any]:
        """Whether the version is served."""
        return is_ready(model, version)

    @router.get(_MODEL, tags=["inference"])
    async def model_metadata(model: str) -> dict[str, Any]:
        """Inputs and outputs of the model, what serves, and every change of it since the server began."""
        return metadata(model)

    @router.get(_MODEL + "/versions/{version}", tags=["inference"])
    async def version_metadata(model: str, version: str) -> dict[str, Any]:
        """The same, if it is this version that serves."""
        return metadata(model, version)


def _check_ready(parts: Parts) -> None:
    if parts.life.draining:
        raise RequestError(503, "the server is shutting down", retry_after_s=1)
    if parts.pool.hung:
        raise RequestError(503, f"the model hangs in {parts.pool.hung} of the threads", retry_after_s=1)


def _check(parts: Parts, model: str, version: str | None) -> Mapping[str, Any]:
    """Metadata of what is served, if it is what was asked for."""
    with parts.slot.route() as lease:
        served = lease.version
        check_served(served, {"model": model} if version is None else {"model": model, "version": version})
        return {
            "name": served.model,
            "versions": [served.version],
            "platform": _PLATFORM,
            "inputs": [tensor_metadata(tensor) for tensor in served.contract.inputs],
            "outputs": [tensor_metadata(tensor) for tensor in served.contract.outputs],
            "status": asdict(parts.slot.status()),
        }
