"""Make jobs of models: files are read, hashed and named by what they are, so that no path of this machine travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from voiceflow_ml.contract.model_file import external_files
from voiceflow_ml.errors import DataError, ModelFileError
from voiceflow_ml.files import hash_bytes
from voiceflow_ml.inference.declared import BUILTIN
from voiceflow_ml.inference.ort import OnnxModel
from voiceflow_ml.sla.objectives import InputSpec, ModelSpec


@dataclass(frozen=True)
class Packed:
    """The files of one job.

    Attributes:
        model: name of the model file.
        files: name -> SHA-256.
        contents: SHA-256 -> bytes.
        spec: the model's table with its files named as here.
    """

    model: str
    files: Mapping[str, str]
    contents: Mapping[str, bytes]
    spec: ModelSpec | None


def pack(model: OnnxModel, spec: ModelSpec | None) -> Packed:
    """Read the files that a model, and the inputs that its table declares, are made of.

    Args:
        model: its file is read; with tensors in files of their own, those too, where ``onnx`` is installed to tell.
        spec: its table in sla.toml; None for a model without one.

    Raises:
        ModelFileError: the model file, or one of its tensors' files, is not what it was, or cannot be read.
        DataError: an input's file cannot be read.
    """
    files: dict[str, bytes] = {model.path.name: _read(model.path, ModelFileError)}
    if hash_bytes(files[model.path.name]) != model.sha256:
        raise ModelFileError(f"{model.path} was replaced after it was opened; measure a file that nobody writes to")
    for name in external_files(model.path):
        files[name] = _read(model.path.parent / name, ModelFileError)
    shipped_spec = None
    if spec is not None:
        inputs = {name: _with_source(declared, spec, files) for name, declared in spec.inputs.items()}
        shipped_spec = replace(spec, file=model.path.name, folder=Path(), inputs=inputs)
    hashes = {name: hash_bytes(content) for name, content in files.items()}
    contents = {hashes[name]: content for name, content in files.items()}
    return Packed(model.path.name, hashes, contents, shipped_spec)


def _with_source(declared: InputSpec, spec: ModelSpec, files: dict[str, bytes]) -> InputSpec:
    """The input with its file under a name of its own; what is built in is built in there too."""
    if not declared.source or declared.source.startswith(BUILTIN):
        return declared
    path = spec.folder / declared.source
    # A folder of its own for each: two inputs may come from files of one name.
    name = f"inputs/{len(files)}/{path.name}"
    files[name] = _read(path, DataError)
    return replace(declared, source=name)


def _read(path: Path, error_type: type[ModelFileError] | type[DataError]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise error_type(f"{path}: cannot be read: {error.strerror or error}") from None


def unpack(files: Mapping[str, str], contents: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a job, each only when it is what was sent.

    Args:
        files: name -> SHA-256.
        contents: SHA-256 -> bytes, as they arrived.
        folder: an empty folder.

    Raises:
        ModelFileError: a file is missing, or arrived with another content.
    """
    for name, sha256 in files.items():
        content = contents.get(sha256)
        if content is None or hash_bytes(content) != sha256:
            arrived = "did not arrive" if content is None else f"arrived as {hash_bytes(content)[:12]}..."
            raise ModelFileError(f"{name} was sent with the SHA-256 {sha256[:12]}... and {arrived}; measure again")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
