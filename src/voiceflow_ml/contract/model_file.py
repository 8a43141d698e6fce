"""Open an ``.onnx`` file that nobody vouches for: every claim in it is checked before anything is built from it."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from voiceflow_ml.contract.tensor_data import (
    check_tensor,
    external_bytes,
    external_facts,
    is_external,
    label_of,
    tensors_of,
)
from voiceflow_ml.errors import ModelFileError, quoted
from voiceflow_ml.inference.ort import LARGEST_FILE_BYTES

if TYPE_CHECKING:
    import onnx

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
    for tensor in tensors_of(model):
        check_tensor(path, tensor)
    try:
        onnx.checker.check_model(str(path) if is_external(model) else model, full_check=True)
    except Exception as error:  # the checker's errors have no common base but this
        raise ModelFileError(f"{path} is not a valid ONNX model: {quoted(error)}") from None
    return model


def external_files(path: Path) -> tuple[str, ...]:
    """Names of the files that hold tensors of a model beside its own, relative to its folder, sorted.

    Empty for a model that is one file, and where ``onnx`` is not installed, which alone can tell.

    Raises:
        ModelFileError: not an ONNX model, or a tensor whose data lies outside of the model's folder.
    """
    if find_spec("onnx") is None:
        return ()
    tensors = [tensor for tensor in tensors_of(_parse(path)) if tensor.external_data]
    for tensor in tensors:
        external_bytes(path, label_of(path, tensor), tensor)
    return tuple(sorted({external_facts(tensor)["location"] for tensor in tensors}))


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
    for file in sorted({external_facts(tensor)["location"] for tensor in tensors_of(model) if tensor.external_data}):
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
        if path.exists() and not path.is_file():
            raise ModelFileError(f"{path} is no regular file; give the path of an .onnx file")
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
        raise ModelFileError(
            f"{path} needs operators of {quoted(', '.join(unknown))}, which no runtime here brings along"
        )
    highest = onnx.defs.onnx_opset_version()
    version = versions.get("", versions.get("ai.onnx"))
    if version is None or not LOWEST_OPSET <= version <= highest:
        raise ModelFileError(f"{path} has opset {version}; {LOWEST_OPSET} to {highest} can be used: export it again")
