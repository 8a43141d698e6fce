"""Answers of the Open Inference Protocol v2, written by the server; requests are in ``v2_request``."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from voiceflow_ml.contract import Tensor
from voiceflow_ml.service.v2_request import InferRequest
from voiceflow_ml.wire import DATATYPES, Arrays


def write_infer(request: InferRequest, outputs: Arrays, *, model: str, version: str) -> tuple[bytes, int | None]:
    """Write an answer.

    Args:
        request: what was asked.
        outputs: of the model, by name.
        model: its name.
        version: its version.

    Returns:
        The body, and the length of the JSON in front of binary tensors; None when there are none.
    """
    entries: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, binary in request.outputs.items():
        array = outputs[name]
        entry: dict[str, Any] = {"name": name, "datatype": DATATYPES[str(array.dtype)], "shape": list(array.shape)}
        if binary:
            blobs.append(array.tobytes())
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            entry["data"] = array.ravel().tolist()
        entries.append(entry)
    document: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": entries}
    if request.request_id:
        document["id"] = request.request_id
    encoded = to_json(document, inf_nan_mode="constants")
    return (b"".join((encoded, *blobs)), len(encoded)) if blobs else (encoded, None)


def tensor_metadata(tensor: Tensor) -> dict[str, Any]:
    """A tensor as the protocol's metadata describes it; a dynamic axis is -1."""
    shape = [axis if isinstance(axis, int) else -1 for axis in tensor.axes]
    return {"name": tensor.name, "datatype": DATATYPES.get(tensor.dtype, tensor.dtype), "shape": shape}
