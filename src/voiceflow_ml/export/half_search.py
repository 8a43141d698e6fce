"""Which parts of a network can be in half precision: measured on real speech, not guessed.

Rounding errors of parts add up like independent ones, roughly in quadrature. So the parts are measured one by one,
ordered by what each costs (its error squared) for what it gains (its share of the products), and as few as will do
are put back into single precision, the dearest first; how many is found by bisection, each time by running the
graph.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from voiceflow_ml.contract.check import open_session
from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.graph import INPUT_NAME, OUTPUT_NAMES
from voiceflow_ml.export.half import to_fp16
from voiceflow_ml.export.options import Precision
from voiceflow_ml.export.parity import PARITY_LIMITS, scaled_error
from voiceflow_ml.export.regions import parts
from voiceflow_ml.export.steps import Say
from voiceflow_ml.inference.graph_work import node_work

AIMED_ERROR = 0.5 * PARITY_LIMITS[Precision.FP16]
"""Half of what is allowed: the worst of many windows is worse than the worst of those that are searched on."""
_WINDOWS_PER_PART = 16
_BATCH = 8
_SHOWN = 8

Outputs = list[NDArray[np.floating]]


@dataclass(frozen=True)
class PartError:
    """One part, alone in half precision.

    Attributes:
        name: of its weights.
        error: largest difference of an output to the fp32 graph, over the larger of 1 and its root mean square.
        work_percent: its share of the graph's products.
    """

    name: str
    error: float
    work_percent: float


@dataclass(frozen=True)
class HalfPlan:
    """What half precision is used for.

    Attributes:
        whole: parts that stay in fp32, the dearest first.
        parts: how many parts there are.
        half_percent: share of the graph's products in half precision; the front end counts as fp32.
        error: largest scaled difference to the fp32 graph over the windows searched on.
        error_of_all: the same with every part in half precision.
        measured: every part alone, the dearest first; empty when all can be in half precision.
    """

    whole: tuple[str, ...]
    parts: int
    half_percent: float
    error: float
    error_of_all: float
    measured: tuple[PartError, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> HalfPlan:
        """The inverse of :meth:`to_dict`."""
        measured = tuple(PartError(**entry) for entry in content["measured"])
        return cls(**{**content, "whole": tuple(content["whole"]), "measured": measured})

    def describe(self) -> str:
        """What was found, in one sentence."""
        head = (
            f"{self.parts - len(self.whole)} of {self.parts} parts with {self.half_percent:.0f} % of the products are "
            f"in half precision; largest scaled difference to fp32 {self.error:.2g}, with all parts "
            f"{self.error_of_all:.2g}"
        )
        if not self.whole:
            return head
        alone = {entry.name: entry.error for entry in self.measured}
        shown = ", ".join(f"{name} ({alone[name]:.1e} alone)" for name in self.whole[:_SHOWN])
        more = len(self.whole) - _SHOWN
        return f"{head}; in fp32: {shown}{f' and {more} more' if more > 0 else ''}"


def find_half(model: onnx.ModelProto, windows: NDArray[np.float32], say: Say = lambda _: None) -> HalfPlan:
    """Find the parts that can be in half precision.

    Args:
        model: the fp32 graph.
        windows: float32 ``[windows, samples]`` of real speech.
        say: told what is being done.

    Raises:
        ExportError: no part can be; the message names what each part would cost.
    """
    names = list(parts(model.graph))
    work = _work(model, windows[:1])
    total = sum(work.values())
    wanted = _run(model, windows)
    of_all = _error(model, (), windows, wanted)
    if of_all <= AIMED_ERROR:
        return HalfPlan((), len(names), _percent(sum(work[name] for name in names), total), of_all, of_all)
    measured = []
    few, wanted_few = windows[:_WINDOWS_PER_PART], [array[:_WINDOWS_PER_PART] for array in wanted]
    for number, name in enumerate(names):
        say(f"fp16: part {number + 1} of {len(names)} alone")
        error = _error(model, [other for other in names if other != name], few, wanted_few)
        measured.append(PartError(name, error, _percent(work[name], total)))
    measured.sort(key=lambda part: part.error**2 / max(part.work_percent, 1e-9), reverse=True)
    order = [part.name for part in measured]
    count, error = _fewest(model, order, windows, wanted)
    if count == len(order):
        tried = ", ".join(f"{part.name} {part.error:.1e}" for part in measured)
        raise ExportError(f"no part of the graph can be in half precision; each alone is off by: {tried}")
    kept = sum(work[name] for name in order[count:])
    return HalfPlan(tuple(order[:count]), len(names), _percent(kept, total), error, of_all, tuple(measured))


def _fewest(
    model: onnx.ModelProto, order: Sequence[str], windows: NDArray[np.float32], wanted: Outputs
) -> tuple[int, float]:
    """How many parts, from the front of ``order``, must be in fp32, and the error that is left."""
    fails, passes, error = 0, len(order), 0.0
    while passes - fails > 1:
        count = (fails + passes) // 2
        found = _error(model, order[:count], windows, wanted)
        if found <= AIMED_ERROR:
            passes, error = count, found
        else:
            fails = count
    return passes, error


def _work(model: onnx.ModelProto, window: NDArray[np.float32]) -> dict[str, int]:
    """Part, or "" for what is in none -> its operations for one window."""
    part_of = {node: head for head, nodes in parts(model.graph).items() for node in nodes}
    work = dict.fromkeys([*part_of.values(), ""], 0)
    with tempfile.TemporaryDirectory(prefix="voiceflow-ml-") as folder:
        path = Path(folder) / "fp32.onnx"
        onnx.save(model, path)
        for node, operations in node_work(path, {INPUT_NAME: window}).items():
            work[part_of.get(node, "")] += operations
    return work


def _percent(share: int, total: int) -> float:
    return 100.0 * share / total if total else 0.0


def _error(model: onnx.ModelProto, whole: Sequence[str], windows: NDArray[np.float32], wanted: Outputs) -> float:
    given = _run(to_fp16(model, whole), windows)
    errors = [scaled_error(one, other) for one, other in zip(wanted, given, strict=True)]
    # What half precision cannot hold becomes infinite, and a difference of infinities is no number.
    return float(np.nan_to_num(max(errors, key=lambda error: np.nan_to_num(error, nan=np.inf)), nan=np.inf))


def _run(model: onnx.ModelProto, windows: NDArray[np.float32]) -> Outputs:
    with tempfile.TemporaryDirectory(prefix="voiceflow-ml-") as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        session = open_session(path)
        batches = [
            session.run(list(OUTPUT_NAMES), {INPUT_NAME: windows[first : first + _BATCH]})
            for first in range(0, len(windows), _BATCH)
        ]
    return [np.concatenate(arrays) for arrays in zip(*batches, strict=True)]
