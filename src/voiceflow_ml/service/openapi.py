"""The raw routes as OpenAPI describes them; FastAPI knows the others by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_ERROR = {
    "description": "Not done; `error` says why.",
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
        }
    },
}
_BUSY = {
    **_ERROR,
    "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to ask again."}},
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TURNS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"speaker": {"type": "string"}, "start_s": {"type": "number"}, "end_s": {"type": "number"}},
        "required": ["speaker", "start_s", "end_s"],
    },
}
_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "data": {"type": "array", "items": {}},
        "parameters": {"type": "object"},
    },
    "required": ["name", "shape", "datatype"],
}
_INFER_ANSWER = {
    "type": "object",
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "outputs": {"type": "array", "items": _TENSOR},
    },
}
_INFER_REQUEST = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": _TENSOR}},
    "required": ["inputs"],
}
_DIARIZATION = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "version": {"type": "string"},
        "duration_s": {"type": "number"},
        "speakers": {"type": "array", "items": {"type": "string"}},
        "turns": _TURNS,
    },
}
_LOAD_REQUEST = {
    "type": "object",
    "properties": {
        "parameters": {
            "type": "object",
            "properties": {
                "source": {"type": "string", "minLength": 1, "maxLength": 1_000},
                "canary": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
            },
            "additionalProperties": False,
        }
    },
}
_MODEL, _ADMIN = "/v2/models/{model}", "/v2/repository/models/{model}"
_REFUSALS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("/livez", "/readyz", "/v2/health/live", "/v2/health/ready"), (503,)),
    **dict.fromkeys((_MODEL, f"{_MODEL}/versions/{{version}}"), (404,)),
    **dict.fromkeys((f"{_MODEL}/ready", f"{_MODEL}/versions/{{version}}/ready"), (404, 503)),
    f"{_ADMIN}/load": (400, 401, 403, 404, 408, 409, 413, 415, 422, 503),
    f"{_ADMIN}/unload": (401, 403, 404, 501),
    **dict.fromkeys(("/v1/admin/rollback", "/v1/admin/promote-canary"), (401, 403, 409)),
}
"""Path -> what else than 200 is answered there, of the routes that FastAPI describes."""
_TOKEN = "bearer"  # noqa: S105 - a kind of token # nosec B105


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole document.

    Args:
        app: with all of its routes.
    """
    document: dict[str, Any] = get_openapi(title=app.title, version=app.version, routes=app.routes)
    paths = document.setdefault("paths", {})
    paths["/v1/diarize"] = {"post": _diarize()}
    for path, names in (
        ("/v2/models/{model}/infer", ("model",)),
        ("/v2/models/{model}/versions/{version}/infer", ("model", "version")),
    ):
        paths[path] = {"post": _infer(names)}
    for path, statuses in _REFUSALS.items():
        for operation in paths[path].values():
            _refusing(operation, statuses)
    paths[f"{_ADMIN}/load"]["post"]["requestBody"] = {"content": {"application/json": {"schema": _LOAD_REQUEST}}}
    document["components"] = {"securitySchemes": {_TOKEN: {"type": "http", "scheme": "bearer"}}}
    return document


def _refusing(operation: dict[str, Any], statuses: Iterable[int]) -> None:
    # FastAPI's own 422 stands for parameters of a wrong type; texts are all that there are.
    answers = {"200": operation["responses"]["200"]}
    operation["responses"] = {**answers, **{str(status): _BUSY if status == 503 else _ERROR for status in statuses}}
    if 401 in statuses:
        operation["security"] = [{_TOKEN: []}]


def _infer(names: Iterable[str]) -> dict[str, Any]:
    return {
        "tags": ["inference"],
        "summary": "Run the model on tensors; binary ones follow the JSON, which Inference-Header-Content-Length ends.",
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names],
        "requestBody": _body({"application/json": {"schema": _INFER_REQUEST}, "application/octet-stream": _BINARY}),
        "responses": _answers(
            {"application/json": {"schema": _INFER_ANSWER}, "application/octet-stream": _BINARY},
            (400, 404, 415, 422),
        ),
    }


def _diarize() -> dict[str, Any]:
    audio = ("audio/wav", "audio/flac", "audio/ogg", "audio/x-raw")
    numbers = ("speakers", "min_speakers", "max_speakers")
    queries = [{"name": name, "in": "query", "schema": {"type": "integer", "minimum": 1}} for name in numbers]
    return {
        "tags": ["diarization"],
        "summary": "Who speaks when in a recording; as JSON, or as RTTM for Accept: text/rttm.",
        "parameters": [*queries, {"name": "recording", "in": "query", "schema": {"type": "string"}}],
        "requestBody": _body(dict.fromkeys(audio, _BINARY)),
        "responses": _answers(
            {"application/json": {"schema": _DIARIZATION}, "text/rttm": {"schema": {"type": "string"}}},
            (400, 404, 406, 415, 422),
        ),
    }


def _body(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": dict(content)}


def _answers(content: Mapping[str, Any], refusals: Iterable[int]) -> dict[str, Any]:
    errors = {str(status): _ERROR for status in (*refusals, 408, 413, 500, 504)}
    return {"200": {"description": "Done.", "content": dict(content)}, **errors, "503": _BUSY}
