"""Tensors of a model that nobody vouches for: where they stand, what they claim to be, and what is really there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from voiceflow_ml.errors import ModelFileError, quoted

if TYPE_CHECKING:
    import onnx

LARGEST_TENSOR_BYTES = 2 << 30
MOST_AXES = 64
"""As many as numpy takes; the sizes of more cannot even be multiplied in time."""


def tensors_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that is written into a model: its graph, graphs inside that, and functions."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _of_sparse(graph.sparse_initializer)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            yield from _of_sparse((attribute.sparse_tensor, *attribute.sparse_tensors))
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _of_graph(inner)


def _of_sparse(entries: Iterable[onnx.SparseTensorProto]) -> Iterator[onnx.TensorProto]:
    for sparse in entries:
        yield from (part for name in ("values", "indices") if sparse.HasField(name) for part in [getattr(sparse, name)])


def label_of(path: Path, tensor: onnx.TensorProto) -> str:
    """What messages call a tensor."""
    return f"{path}: tensor {quoted(tensor.name, 80)!r}"


def check_tensor(path: Path, tensor: onnx.TensorProto) -> None:
    """Hold what a tensor claims against what is there.

    Args:
        path: the model's file.
        tensor: a tensor of it.

    Raises:
        ModelFileError: too many axes, a negative size, an unknown type, more bytes than are taken, another number of
            bytes than its shape says, or data outside of the model's folder.
    """
    label = label_of(path, tensor)
    if len(tensor.dims) > MOST_AXES:
        raise ModelFileError(f"{label} has {len(tensor.dims)} axes; at most {MOST_AXES} are taken")
    shape = quoted(list(tensor.dims), 100)
    if any(size < 0 for size in tensor.dims):
        raise ModelFileError(f"{label} has the shape {shape}; sizes are at least 0")
    claimed = math.prod(tensor.dims) * _bits(label, tensor.data_type)
    claimed_bytes = -(-claimed // 8)
    if claimed_bytes > LARGEST_TENSOR_BYTES:
        raise ModelFileError(
            f"{label} claims {quoted(claimed_bytes, 40)} bytes by its shape {shape}; at most "
            f"{LARGEST_TENSOR_BYTES} are taken"
        )
    held = external_bytes(path, label, tensor) if tensor.external_data else _held_bytes(tensor, claimed_bytes)
    if held != claimed_bytes:
        raise ModelFileError(
            f"{label} claims {claimed_bytes} bytes by its shape {shape} and holds {held}; "
            "export or fetch the model again"
        )


def _bits(label: str, data_type: int) -> int:
    """Bits of one element; strings count as none, since their length is their own."""
    import onnx  # noqa: PLC0415

    kind = onnx.TensorProto
    if data_type == kind.STRING:
        return 0
    if data_type in (kind.INT4, kind.UINT4, kind.FLOAT4E2M1):
        return 4
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize) * 8
    except (KeyError, ValueError):
        raise ModelFileError(f"{label} has the unknown type {data_type}; export the model again") from None


def _held_bytes(tensor: onnx.TensorProto, claimed_bytes: int) -> int:
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data)
    import onnx  # noqa: PLC0415

    if tensor.data_type == onnx.TensorProto.STRING:
        return 0
    field = onnx.helper.tensor_dtype_to_field(tensor.data_type)
    elements = len(getattr(tensor, field))
    wanted = math.prod(tensor.dims)
    # Complex numbers take two entries of their field, and packed ones share one: only the right count is right.
    right = {wanted, 2 * wanted} if "COMPLEX" in onnx.TensorProto.DataType.Name(tensor.data_type) else {wanted}
    return claimed_bytes if elements in right or elements * 2 in {wanted, wanted + 1} else elements * 4


def is_external(model: onnx.ModelProto) -> bool:
    """Whether some tensor of a model has its data in another file."""
    return any(tensor.external_data for tensor in tensors_of(model))


def external_facts(tensor: onnx.TensorProto) -> dict[str, str]:
    """What a tensor says of the place of its data: ``location``, ``offset``, ``length``."""
    return {entry.key: entry.value for entry in tensor.external_data}


def external_bytes(path: Path, label: str, tensor: onnx.TensorProto) -> int:
    """Bytes of a tensor whose data lies in another file, which must be in the model's own folder."""
    facts = external_facts(tensor)
    if len(facts) < len(tensor.external_data):
        raise ModelFileError(f"{label} says twice where its data is; export the model again")
    location = PurePosixPath(facts.get("location", ""))
    where = quoted(location, 100)
    file = path.parent / location
    if not _is_inside(location, path.parent):
        raise ModelFileError(f"{label} has its data at {where!r}, outside of the model's folder")
    try:
        size = file.stat().st_size
        offset = int(facts.get("offset", 0))
        length = int(facts.get("length", size - offset))
    except OSError as error:
        raise ModelFileError(f"{label} has its data in {where}: {error.strerror or error}") from None
    except ValueError:
        raise ModelFileError(f"{label} has an offset or length that is no number: {quoted(facts)}") from None
    if not file.is_file():
        raise ModelFileError(f"{label} has its data in {where}, which is no regular file")
    if offset < 0 or length < 0 or offset + length > size:
        raise ModelFileError(f"{label} has its data at {offset} to {offset + length} of {where}, which ends at {size}")
    return length


def _is_inside(location: PurePosixPath, folder: Path) -> bool:
    """Whether a place that a model names is a file below its folder, links followed."""
    text = str(location)
    if location.is_absolute() or ".." in location.parts or "\\" in text or "\0" in text or not location.parts:
        return False
    try:
        return folder.resolve() in (folder / location).resolve().parents
    except (OSError, RuntimeError):  # a name too long, or links in a circle
        return False
