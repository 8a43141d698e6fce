"""The part of a contract that an ONNX file states itself, and the contract that it carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from voiceflow_ml.contract.document import from_json, read_contract, to_json
from voiceflow_ml.contract.model_file import computation_sha256, read_model
from voiceflow_ml.contract.schema import CONTRACT_FILE, METADATA_KEY, Contract, Tensor
from voiceflow_ml.errors import ContractError, ModelFileError

if TYPE_CHECKING:
    import onnx


def stated_contract(model: onnx.ModelProto, name: str, folder: Path, meanings: Mapping[str, str]) -> Contract:
    """What the graph says of itself: tensors, opsets, format and the hash of the computation.

    Args:
        model: as ``read_model`` gives it.
        name: what the model is called.
        folder: where its external data lies.
        meanings: tensor name -> what its values are.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    return Contract(
        model=name,
        # Before IR 4 the weights were listed among the inputs, too.
        inputs=_tensors((value for value in model.graph.input if value.name not in weights), meanings),
        outputs=_tensors(model.graph.output, meanings),
        opset={"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import},
        ir_version=model.ir_version,
        computation_sha256=computation_sha256(model, folder),
    )


def embed_contract(model: onnx.ModelProto, contract: Contract) -> None:
    """Put a contract into a model's metadata, in place of the one that is there."""
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key != METADATA_KEY}
    del model.metadata_props[:]
    for key, value in {**kept, METADATA_KEY: to_json(contract)}.items():
        model.metadata_props.add(key=key, value=value)


def embedded_contract(model: onnx.ModelProto, source: str) -> Contract | None:
    """The contract in a model's metadata; None when it has none.

    Raises:
        ContractError: it is there and not a contract.
    """
    texts = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
    return from_json(texts[0], f"{source}: {METADATA_KEY}") if texts else None


def contract_of(path: Path) -> Contract:
    """The contract of whatever a path names: a ``contract.json``, a folder with one, or a model that carries one.

    A model without one is taken as it states itself: enough to compare inputs and outputs.

    Raises:
        ContractError: nothing there is a contract.
        ModelFileError: a model that cannot be used.
    """
    if path.is_dir() or path.suffix == ".json":
        return read_contract(path)
    model = read_model(path)
    return embedded_contract(model, str(path)) or stated_contract(model, path.stem, path.parent, {})


def contract_for_model(path: Path, model: onnx.ModelProto) -> Contract:
    """The contract that a model is to be held to: its own, else the ``contract.json`` beside it.

    Raises:
        ContractError: it has neither, or one that cannot be read.
    """
    own = embedded_contract(model, str(path))
    if own is not None:
        return own
    beside = path.parent / CONTRACT_FILE
    if not beside.is_file():
        raise ContractError(
            f"{path} carries no contract and {beside} is not there; voiceflow export writes both, "
            "or name one with --contract"
        )
    return read_contract(beside)


def _tensors(values: Iterable[onnx.ValueInfoProto], meanings: Mapping[str, str]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(value.name, _dtype(value), _axes(value), meaning=meanings.get(value.name, "")) for value in values
    )


def _dtype(value: onnx.ValueInfoProto) -> str:
    import onnx  # noqa: PLC0415

    if not value.type.HasField("tensor_type"):
        raise ModelFileError(f"{value.name!r} is not a tensor; a contract speaks of tensors only")
    elem_type = value.type.tensor_type.elem_type
    if elem_type == onnx.TensorProto.STRING:
        return "string"
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(elem_type))
    except (KeyError, ValueError):
        raise ModelFileError(f"{value.name!r} has the unknown type {elem_type}; export the model again") from None


def _axes(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    if not value.type.tensor_type.HasField("shape"):
        raise ModelFileError(f"{value.name!r} states no shape; a contract needs at least its rank")
    return tuple(
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param for axis in value.type.tensor_type.shape.dim
    )
