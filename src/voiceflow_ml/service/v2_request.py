"""Requests of the Open Inference Protocol v2, read by the server.

The protocol: https://github.com/kserve/open-inference-protocol; tensors in binary after the JSON of a body, as in
its binary data extension. Binary tensors are views into the body: nothing is copied, and nothing goes through JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from voiceflow_ml.contract import Contract, Tensor
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.wire import DATATYPES, Arrays
from voiceflow_ml.wire import JSON_LENGTH_HEADER as JSON_LENGTH_NAME

JSON_LENGTH_HEADER = JSON_LENGTH_NAME.lower().encode()
_MOST_TENSORS = 64


@dataclass(frozen=True)
class InferRequest:
    """An inference that was asked for.

    Attributes:
        inputs: arrays by name; they fit the model.
        outputs: name -> whether its values are wanted in binary, in the order of the answer.
        request_id: repeated in the answer; empty for none.
    """

    inputs: Arrays
    outputs: Mapping[str, bool]
    request_id: str = ""


def read_infer(body: bytes, json_bytes: int | None, contract: Contract, *, most_bytes: int) -> InferRequest:
    """Read a request.

    Args:
        body: all of it.
        json_bytes: length of the JSON in front of binary tensors; None when there are none.
        contract: of the model that is asked.
        most_bytes: largest size of all tensors together.

    Raises:
        RequestError: not a request of the protocol, or inputs that do not fit the model (400, 413, 422).
    """
    document = _document(body, json_bytes)
    entries = _listed(document, "inputs")
    tensors = {tensor.name: tensor for tensor in contract.inputs}
    place = len(body) if json_bytes is None else json_bytes
    inputs: dict[str, NDArray[np.generic]] = {}
    total_bytes = 0
    for entry in entries:
        tensor = _known(tensors, entry, inputs)
        shape = _shape(tensor, entry)
        size_bytes = math.prod(shape) * np.dtype(tensor.dtype).itemsize
        total_bytes += size_bytes
        if total_bytes > most_bytes:
            raise RequestError(413, f"the inputs have more than {most_bytes} bytes; send less at once")
        inputs[tensor.name], place = _values(tensor, entry, shape, body, place)
    if place != len(body):
        raise RequestError(400, f"{len(body) - place} bytes of the body belong to no input; check binary_data_size")
    _check_whole(contract.inputs, inputs)
    _check_sizes(contract, inputs)
    return InferRequest(inputs, _outputs(document, contract), str(document.get("id") or ""))


def json_length(headers: Mapping[bytes, bytes]) -> int | None:
    """What the request says of the length of its JSON; None when it says nothing.

    Raises:
        RequestError: it is not a number (400).
    """
    text = headers.get(JSON_LENGTH_HEADER)
    if text is None:
        return None
    if not text.isdigit() or len(text) > 18:
        raise RequestError(400, "Inference-Header-Content-Length is not a number of bytes")
    return int(text)


def _document(body: bytes, json_bytes: int | None) -> dict[str, Any]:
    if json_bytes is not None and json_bytes > len(body):
        raise RequestError(400, f"the body has {len(body)} bytes, its JSON alone is said to have {json_bytes}")
    try:
        document = from_json(body if json_bytes is None else body[:json_bytes])
    except ValueError as error:
        raise RequestError(400, f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise RequestError(400, "the body is JSON and no object; it must have 'inputs'")
    return document


def _listed(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RequestError(400, f"{name!r} must be a list of objects")
    if len(entries) > _MOST_TENSORS:
        raise RequestError(400, f"{name!r} has {len(entries)} entries; at most {_MOST_TENSORS} are taken")
    return entries


def _known(tensors: Mapping[str, Tensor], entry: Mapping[str, Any], inputs: Mapping[str, object]) -> Tensor:
    name = entry.get("name")
    tensor = tensors.get(name) if isinstance(name, str) else None
    if tensor is None:
        raise RequestError(400, f"{_short(name)} is not an input; the model takes {', '.join(tensors)}")
    if tensor.name in inputs:
        raise RequestError(400, f"input {tensor.name!r} is given twice")
    wanted = DATATYPES.get(tensor.dtype)
    if entry.get("datatype") != wanted:
        raise RequestError(400, f"input {tensor.name!r} takes {wanted}, got {_short(entry.get('datatype'))}")
    return tensor


def _shape(tensor: Tensor, entry: Mapping[str, Any]) -> tuple[int, ...]:
    shape = entry.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
        raise RequestError(400, f"input {tensor.name!r} must have a 'shape': a list of sizes of at least 1")
    fits = len(shape) == len(tensor.axes) and all(
        isinstance(axis, str) or axis == size for axis, size in zip(tensor.axes, shape, strict=True)
    )
    if not fits:
        raise RequestError(400, f"input {tensor.name!r} takes {tensor.describe()}, got {_short(shape)}")
    return tuple(shape)


def _values(
    tensor: Tensor, entry: Mapping[str, Any], shape: tuple[int, ...], body: bytes, place: int
) -> tuple[NDArray[np.generic], int]:
    """The values of an input, and where those of the next one begin in the body."""
    dtype = np.dtype(tensor.dtype)
    parameters = entry.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return _from_numbers(tensor, entry.get("data"), shape, dtype), place
    wanted = math.prod(shape) * dtype.itemsize
    if size != wanted or place + wanted > len(body):
        held = min(size, len(body) - place) if isinstance(size, int) else _short(size)
        raise RequestError(400, f"input {tensor.name!r} needs {wanted} bytes for its shape, {held} are there")
    array = np.frombuffer(body, dtype, math.prod(shape), place).reshape(shape)
    # Behind JSON of any length, values may lie where the processor does not want them.
    return (array if array.flags.aligned else array.copy()), place + wanted


def _from_numbers(tensor: Tensor, data: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    try:
        if not isinstance(data, list):
            raise TypeError
        with np.errstate(over="ignore"):
            array: NDArray[np.generic] = np.array(data, dtype=dtype).reshape(shape)
    except (TypeError, ValueError, OverflowError):
        raise RequestError(
            400, f"input {tensor.name!r} needs 'data': {math.prod(shape)} numbers of {dtype}, for its shape"
        ) from None
    return array


def _check_whole(tensors: Sequence[Tensor], inputs: Mapping[str, NDArray[np.generic]]) -> None:
    for tensor in tensors:
        if tensor.name not in inputs:
            if not tensor.optional:
                raise RequestError(400, f"input {tensor.name!r} is missing")
        elif not np.isfinite(inputs[tensor.name]).all():
            raise RequestError(422, f"input {tensor.name!r} holds NaN or infinity")


def _check_sizes(contract: Contract, inputs: Mapping[str, NDArray[np.generic]]) -> None:
    sizes: dict[str, int] = {}
    for tensor in contract.inputs:
        if tensor.name not in inputs:
            continue
        for axis, size in zip(tensor.axes, inputs[tensor.name].shape, strict=True):
            if isinstance(axis, str) and axis and sizes.setdefault(axis, size) != size:
                raise RequestError(400, f"axis {axis!r} has {size} entries in {tensor.name!r}, {sizes[axis]} before")
    signal = contract.signal
    shortest = min((array.shape[-1] for array in inputs.values() if array.ndim), default=0)
    if signal is not None and shortest < signal.frame_samples:
        raise RequestError(400, f"{shortest} samples are no frame of {signal.frame_samples}; send more")


def _outputs(document: Mapping[str, Any], contract: Contract) -> Mapping[str, bool]:
    known = [tensor.name for tensor in contract.outputs]
    all_binary = _flag(document, "binary_data_output", default=False)
    asked = _listed(document, "outputs")
    if not asked:
        return dict.fromkeys(known, all_binary)
    wanted = {}
    for entry in asked:
        name = entry.get("name")
        if name not in known:
            raise RequestError(400, f"{_short(name)} is not an output; the model gives {', '.join(known)}")
        wanted[str(name)] = _flag(entry, "binary_data", default=all_binary)
    return wanted


def _flag(entry: Mapping[str, Any], name: str, *, default: bool) -> bool:
    parameters = entry.get("parameters")
    value = parameters.get(name) if isinstance(parameters, dict) else None
    return value if isinstance(value, bool) else default


def _short(value: object) -> str:
    """What a client sent, cut to what a message can carry."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
