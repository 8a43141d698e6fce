"""``POST /v2/models/{model}/infer``: tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Mapping

from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.service.endpoint import Answer, Endpoint, Request
from voiceflow_ml.service.infer_work import InferWork
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.v2_request import JSON_LENGTH_HEADER, json_length
from voiceflow_ml.service.version import LoadedVersion

ROUTE_KEY_HEADER = b"voiceflow-key"
"""Who asks: while a new version is tried on a share of the requests, one key stays on one version."""


class InferEndpoint(Endpoint):
    """Answers inferences; everything but the socket is done in the thread that runs the model."""

    async def answer(self, request: Request) -> Answer:
        """Answer one; errors as in ``Endpoint``."""
        json_bytes = json_length(request.headers)
        with self.parts.slot.route(route_key(request)) as lease:
            version = lease.version
            check_served(version, request.path)
            work = InferWork(version, request.body, json_bytes, self.parts.settings.max_tensor_bytes)
            try:
                done = await self.parts.pool.submit(work, wait_ns=self.parts.wait_ns)
            except RequestError:
                raise
            except VoiceflowError:
                self.parts.slot.report(lease, error=True, elapsed_ns=0)
                raise
            found = done.value
            self.parts.slot.report(lease, error=False, elapsed_ns=found.inference_ns)
        headers = [(b"content-type", b"application/json")]
        if found.json_bytes is not None:
            length = str(found.json_bytes).encode()
            headers = [(b"content-type", b"application/octet-stream"), (JSON_LENGTH_HEADER, length)]
        return Answer(found.body, version.model, version.version, done.queue_ns, found.inference_ns, headers)


def route_key(request: Request) -> str | None:
    """Who asks; None for anybody."""
    key = request.headers.get(ROUTE_KEY_HEADER)
    return None if key is None else key.decode("latin-1")


def check_served(version: LoadedVersion, path: Mapping[str, str]) -> None:
    """Refuse what is about another model or version.

    Args:
        version: the one that was routed to.
        path: the parts of the address that name ``model`` and ``version``, where it does.

    Raises:
        RequestError: it is not served (404).
    """
    model, asked = path.get("model", version.model), path.get("version", version.version)
    if model != version.model:
        raise RequestError(404, f"no model {model[:100]!r} is served; {version.model!r} is")
    if asked != version.version:
        raise RequestError(404, f"version {asked[:100]!r} is not served; {version.version!r} is")
