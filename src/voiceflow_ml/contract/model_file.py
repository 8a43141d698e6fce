"""Open an ``.onnx`` file that nobody vouches for: every claim in it is checked before anything is built from it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from voiceflow_ml.errors import ModelFileError

if TYPE_CHECKING:
    import onnx

LARGEST_FILE_BYTES = 2 << 30
"""ONNX is protobuf, which ends at 2 GiB."""
LARGEST_TENSOR_BYTES = 2 << 30
LOWEST_OPSET = 13
"""The first with per-channel quantisation."""
KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Whose operators ONNX Runtime brings along; any other needs a library of its own."""


def read_model(path: Path) -> onnx.ModelProto:
    """Read and check a model.

    Args:
        path: the ``.onnx`` file; its external data must lie beside or below it.

    Returns:
        The model, external data not loaded.

    Raises:
        ModelFileError: missing, too large, cut off, external data outside of the folder, a tensor that claims
            another size than it has, an opset or operators that cannot be run, or a graph that is not valid.
    """
    import onnx  # noqa: PLC0415

    model = _parse(path)
    if not model.HasField("graph") or not model.graph.node:
        raise ModelFileError(f"{path} is cut off or not an ONNX model (it holds no graph); export or fetch it again")
    _check_opsets(path, model)
    for tensor in _tensors(model.graph):
        _check_tensor(path, tensor)
    try:
        onnx.checker.check_model(str(path) if _is_external(model) else model, full_check=True)
    except Exception as error:  # the checker's errors have no common base but this
        raise ModelFileError(f"{path} is not a valid ONNX model: {' '.join(str(error).split())[:300]}") from None
    return model


def external_files(path: Path) -> tuple[str, ...]:
    """Names of the files that hold tensors of a model beside its own, relative to its folder, sorted.

    Empty for a model that is one file, and where ``onnx`` is not installed, which alone can tell.

    Raises:
        ModelFileError: not an ONNX model, or a tensor whose data lies outside of the model's folder.
    """
    if find_spec("onnx") is None:
        return ()
    tensors = [tensor for tensor in _tensors(_parse(path).graph) if tensor.external_data]
    for tensor in tensors:
        _external_bytes(path, f"{path}: tensor {tensor.name!r}", tensor)
    return tuple(sorted({_external(tensor)["location"] for tensor in tensors}))


def computation_sha256(model: onnx.ModelProto, folder: Path) -> str:
    """Hash of what a model computes: graph, weights and opsets, without notes, metadata and who wrote it.

    Args:
        model: as :func:`read_model` gives it.
        folder: where its external data lies.
    """
    import onnx  # noqa: PLC0415

    bare = onnx.ModelProto()
    bare.graph.CopyFrom(model.graph)
    bare.opset_import.extend(sorted(model.opset_import, key=lambda opset: opset.domain))
    bare.functions.extend(model.functions)
    bare.graph.doc_string = ""
    del bare.graph.metadata_props[:]
    for part in (*bare.graph.node, *bare.graph.input, *bare.graph.output, *bare.graph.value_info):
        part.doc_string = ""
        del part.metadata_props[:]
    digest = hashlib.sha256(bare.SerializeToString(deterministic=True))
    for file in sorted({_external(tensor)["location"] for tensor in _tensors(model.graph) if tensor.external_data}):
        digest.update((folder / file).read_bytes())
    return digest.hexdigest()


def _parse(path: Path) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    model = onnx.ModelProto()
    try:
        model.ParseFromString(_read(path))
    except DecodeError as error:
        raise ModelFileError(f"{path} is cut off or not an ONNX model ({error}); export or fetch it again") from None
    return model


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ModelFileError(f"{path} is a folder; give the path of an .onnx file")
        size = path.stat().st_size
        if not 0 < size <= LARGEST_FILE_BYTES:
            raise ModelFileError(f"{path} has {size} bytes; an ONNX file has 1 to {LARGEST_FILE_BYTES}")
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from None


def _check_opsets(path: Path, model: onnx.ModelProto) -> None:
    import onnx  # noqa: PLC0415

    versions = {opset.domain: opset.version for opset in model.opset_import}
    unknown = sorted(set(versions) - KNOWN_DOMAINS)
    if unknown:
        raise ModelFileError(f"{path} needs operators of {', '.join(unknown)}, which no runtime here brings along")
    highest = onnx.defs.onnx_opset_version()
    version = versions.get("", versions.get("ai.onnx"))
    if version is None or not LOWEST_OPSET <= version <= highest:
        raise ModelFileError(f"{path} has opset {version}; {LOWEST_OPSET} to {highest} can be used: export it again")


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that is written into a graph or into one inside it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _tensors(inner)


def _check_tensor(path: Path, tensor: onnx.TensorProto) -> None:
    label = f"{path}: tensor {tensor.name!r}"
    if any(size < 0 for size in tensor.dims):
        raise ModelFileError(f"{label} has the shape {list(tensor.dims)}; sizes are at least 0")
    claimed = math.prod(tensor.dims) * _bits(label, tensor.data_type)
    claimed_bytes = -(-claimed // 8)
    if claimed_bytes > LARGEST_TENSOR_BYTES:
        raise ModelFileError(
            f"{label} claims {claimed_bytes} bytes by its shape {list(tensor.dims)}; at most "
            f"{LARGEST_TENSOR_BYTES} are taken"
        )
    held = _external_bytes(path, label, tensor) if tensor.external_data else _held_bytes(tensor, claimed_bytes)
    if held != claimed_bytes:
        raise ModelFileError(
            f"{label} claims {claimed_bytes} bytes by its shape {list(tensor.dims)} and holds {held}; "
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


def _is_external(model: onnx.ModelProto) -> bool:
    return any(tensor.external_data for tensor in _tensors(model.graph))


def _external(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _external_bytes(path: Path, label: str, tensor: onnx.TensorProto) -> int:
    """Bytes of a tensor whose data lies in another file, which must be in the model's own folder."""
    facts = _external(tensor)
    location = PurePosixPath(facts.get("location", ""))
    file = path.parent / location
    outside = location.is_absolute() or ".." in location.parts or "\\" in str(location) or not location.parts
    if outside or path.parent.resolve() not in file.resolve().parents:
        raise ModelFileError(f"{label} has its data at {str(location)!r}, outside of the model's folder")
    try:
        size = file.stat().st_size
        offset = int(facts.get("offset", 0))
        length = int(facts.get("length", size - offset))
    except OSError as error:
        raise ModelFileError(f"{label} has its data in {location}: {error.strerror or error}") from None
    except ValueError:
        raise ModelFileError(f"{label} has an offset or length that is no number: {facts}") from None
    if offset < 0 or length < 0 or offset + length > size:
        raise ModelFileError(
            f"{label} has its data at {offset} to {offset + length} of {location}, which ends at {size}"
        )
    return length
