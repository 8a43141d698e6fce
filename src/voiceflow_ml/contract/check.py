"""Does a model keep its contract? Its file, its inputs and outputs, and its golden pairs, run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.contract.document import read_contract
from voiceflow_ml.contract.from_model import contract_for_model, stated_contract
from voiceflow_ml.contract.golden import Arrays, Run, golden_problems
from voiceflow_ml.contract.model_file import read_model
from voiceflow_ml.contract.schema import Contract
from voiceflow_ml.contract.tensors import MOST_OF_PROBLEMS, tensor_changes
from voiceflow_ml.errors import ContractError, ModelFileError, quoted

if TYPE_CHECKING:
    import onnx


def check_model(path: Path, *, contract_path: Path | None = None, golden_folder: Path | None = None) -> Contract:
    """Hold a model to a contract.

    Args:
        path: the ``.onnx`` file.
        contract_path: the contract; by default the model's own, else the ``contract.json`` beside it.
        golden_folder: where the golden files are; by default the folder of the contract, else of the model.

    Returns:
        The contract that it keeps.

    Raises:
        ModelFileError: the file cannot be used.
        ContractError: the contract cannot be read, or the model breaks it; the message names every breach.
    """
    model = read_model(path)
    contract = read_contract(contract_path) if contract_path else contract_for_model(path, model)
    problems = stated_problems(model, path, contract)
    if not problems:
        beside = contract_path if contract_path and contract_path.is_dir() else (contract_path or path).parent
        problems = golden_problems(contract, golden_folder or beside, onnx_run(path))
    if problems:
        raise ContractError(f"{path} breaks its contract: {quoted('; '.join(problems), MOST_OF_PROBLEMS)}")
    return contract


def stated_problems(model: onnx.ModelProto, path: Path, contract: Contract) -> list[str]:
    """Where a graph differs from its contract, one sentence each: nothing may, not even what a caller would take."""
    stated = stated_contract(model, contract.model, path.parent, {})
    problems = [reason for _, reason in tensor_changes(contract, stated)]
    if dict(stated.opset) != dict(contract.opset):
        problems.append(f"opset is {dict(stated.opset)}, the contract says {dict(contract.opset)}")
    if stated.ir_version != contract.ir_version:
        problems.append(f"file format (IR) is {stated.ir_version}, the contract says {contract.ir_version}")
    if not problems and stated.computation_sha256 != contract.computation_sha256:
        problems.append("graph or weights are not those of the contract (the hash of the computation differs)")
    return problems


def onnx_run(path: Path) -> Run:
    """A model on the CPU as a function from inputs by name to outputs by name.

    Raises:
        ModelFileError: ONNX Runtime is not installed or cannot load the file.
    """
    session = open_session(path)
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> Arrays:
        try:
            outputs: Mapping[str, NDArray[np.generic]] = dict(zip(names, session.run(names, dict(inputs)), strict=True))
        except Exception as error:  # ONNX Runtime's exceptions have no common base but this
            raise ModelFileError(f"{path} cannot be run: {quoted(error)}") from None
        return outputs

    return run


def open_session(path: Path) -> Any:
    """An ONNX Runtime session on one CPU thread.

    Raises:
        ModelFileError: as :func:`onnx_run`.
    """
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError:
        raise ModelFileError('onnxruntime is not installed: pip install "voiceflow-ml[cpu]"') from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base but this
        raise ModelFileError(f"{path}: ONNX Runtime cannot load it: {quoted(error)}") from None
