"""What a model promises to who calls it: read it, check it, compare it, test a server against it.

Importing this package is cheap; ``onnx`` and ``onnxruntime`` are imported by the functions that need them.
"""

from __future__ import annotations

from voiceflow_ml.contract.diff import Change, ContractDiff, diff
from voiceflow_ml.contract.document import read_contract, to_json
from voiceflow_ml.contract.schema import Contract, Golden, Promise, Signal, Tensor

__all__ = [
    "Change",
    "Contract",
    "ContractDiff",
    "Golden",
    "Promise",
    "Signal",
    "Tensor",
    "diff",
    "read_contract",
    "to_json",
]
