"""A Triton Inference Server model repository: the way out when one machine is not enough.

Layout and ``config.pbtxt``: https://github.com/triton-inference-server/server, docs/user_guide/model_repository.md
and model_configuration.md.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from voiceflow_ml.contract.check import check_model
from voiceflow_ml.contract.schema import Contract, Tensor
from voiceflow_ml.errors import ConfigError, ExportError, quoted
from voiceflow_ml.files import atomic_path, write_text_atomic

_TYPES = {
    "bool": "TYPE_BOOL",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "uint8": "TYPE_UINT8",
}
KINDS = ("cpu", "gpu")


@dataclass(frozen=True)
class TritonOptions:
    """How Triton is to run the model.

    Attributes:
        version: number of the version's folder, from 1.
        kind: ``"cpu"`` or ``"gpu"``.
        instances: copies of the model on each device.
        largest_batch: above 0, Triton joins requests along the first axis up to this many rows.
    """

    version: int = 1
    kind: str = "cpu"
    instances: int = 1
    largest_batch: int = 0

    def __post_init__(self) -> None:
        for name, least in (("version", 1), ("instances", 1), ("largest_batch", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.kind not in KINDS:
            raise ConfigError(f"unknown kind {self.kind!r}; Triton runs a model on: {', '.join(KINDS)}")


def export_triton(model: Path, repository: Path, options: TritonOptions | None = None) -> Path:
    """Add a model to a Triton repository; its contract goes along.

    Args:
        model: an ``.onnx`` file that keeps its contract.
        repository: folder of the repository, made when missing.
        options: how it is to be run.

    Returns:
        The model's folder in the repository.

    Raises:
        ContractError, ModelFileError: the model is unfit, or breaks its contract.
        ExportError: that version is there already, or a type that Triton does not have.
    """
    options = options or TritonOptions()
    contract = check_model(model)
    if PurePosixPath(contract.model).parts != (contract.model,) or contract.model == "..":
        raise ExportError(f"{quoted(contract.model, 80)!r} is no name of a folder in {repository}; export it under one")
    config = config_pbtxt(contract, options)
    folder = repository / contract.model
    target = folder / str(options.version) / "model.onnx"
    if target.exists():
        raise ExportError(f"{target} is there already; Triton tells versions by their number, so take another")
    write_text_atomic(folder / "config.pbtxt", config)
    with atomic_path(target) as temporary:
        shutil.copyfile(model, temporary)
    return folder


def config_pbtxt(contract: Contract, options: TritonOptions) -> str:
    """The model's configuration in protobuf's text form.

    Raises:
        ExportError: a type that Triton does not have, or batching of a model whose first axes are fixed.
    """
    batched = options.largest_batch > 0
    lines = [
        f"name: {_text(contract.model)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {options.largest_batch}",
        *_tensors("input", contract.inputs, batched=batched),
        *_tensors("output", contract.outputs, batched=batched),
        f"instance_group [ {{ count: {options.instances} kind: KIND_{options.kind.upper()} }} ]",
    ]
    if batched:
        lines.append("dynamic_batching { }")
    if options.kind == "cpu":
        # One thread for each instance, as every promise of this package is measured.
        lines.append('parameters { key: "intra_op_thread_count" value: { string_value: "1" } }')
    return "\n".join(lines) + "\n"


def _tensors(kind: str, tensors: Sequence[Tensor], *, batched: bool) -> list[str]:
    return [f"{kind} [ {', '.join(_tensor(tensor, batched=batched) for tensor in tensors)} ]"]


def _text(text: str) -> str:
    """A text of protobuf's text form; its escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _tensor(tensor: Tensor, *, batched: bool) -> str:
    if tensor.dtype not in _TYPES:
        raise ExportError(f"{tensor.name!r} is {tensor.dtype}, which Triton has no type for")
    if batched and (not tensor.axes or isinstance(tensor.axes[0], int)):
        raise ExportError(f"the first axis of {tensor.name!r} is fixed, so Triton cannot join requests along it")
    axes = tensor.axes[1:] if batched else tensor.axes
    sizes = ", ".join(str(axis if isinstance(axis, int) else -1) for axis in axes)
    return f"{{ name: {_text(tensor.name)} data_type: {_TYPES[tensor.dtype]} dims: [ {sizes} ] }}"
