"""Which operators of an int8 graph are better left in fp32: measured in turns, one kind after the other.

Some operators gain nothing from int8 (few inputs to each output, odd layouts), and every border between the two
precisions costs a conversion. What pays depends on the processor, so nothing is left out unless leaving it out was
measured to be faster.
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

from voiceflow_ml.export.precision import int8_nodes, to_int8
from voiceflow_ml.export.regions import attribute, constants
from voiceflow_ml.export.steps import Say
from voiceflow_ml.export.tuning import Contest

_WINDOWS = 8


@dataclass(frozen=True)
class FloatPlan:
    """What an int8 graph leaves in fp32.

    Attributes:
        left_out: names of the nodes.
        notes: one sentence for each kind that was tried, with what was measured.
    """

    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> FloatPlan:
        """The inverse of :meth:`to_dict`."""
        return cls(tuple(content["left_out"]), tuple(content["notes"]))


def find_float(
    model: onnx.ModelProto, calibration: NDArray[np.float32], measure: Contest, say: Say = lambda _: None
) -> FloatPlan:
    """Try to leave one kind of operator after the other in fp32, and keep what is faster.

    Args:
        model: the fp32 graph.
        calibration: float32 ``[windows, samples]`` of real speech.
        measure: how two graphs are compared.
        say: told what is being done.

    Raises:
        ExportError: the graph cannot be quantised.
    """
    plan = FloatPlan()
    with tempfile.TemporaryDirectory(prefix="voiceflow-ml-") as folder:
        best, other = Path(folder) / "best.onnx", Path(folder) / "other.onnx"
        # For how long it takes, ranges from a few windows are as good as from all.
        few = calibration[:_WINDOWS]
        onnx.save(to_int8(model, few), best)
        groups = kinds(model)
        everything = {name for nodes in groups.values() for name in nodes}
        for kind, nodes in groups.items():
            left_out = (*plan.left_out, *nodes)
            # Without any operator in int8 it would be no int8 graph.
            if everything.issubset(left_out):
                continue
            say(f"int8: {kind} in fp32")
            onnx.save(to_int8(model, few, left_out), other)
            duel = measure(other, best, calibration[:1], say)
            verb = "left in fp32" if duel.slower else "in int8"
            plan = FloatPlan(
                left_out if duel.slower else plan.left_out,
                (*plan.notes, f"{kind}: {verb}; int8 against fp32 there: {duel.describe()}"),
            )
            if duel.slower:
                best, other = other, best
    return plan


def kinds(model: onnx.ModelProto) -> dict[str, list[str]]:
    """The operators that an int8 graph computes in int8, by what they are.

    Convolutions that read one channel each (the first one, depthwise ones) by how large they are, other
    convolutions, products with a constant matrix, and the operators between them, each kind with all its nodes.
    An operator that follows one of them alone (Relu) is of its kind: the two are one in int8.
    """
    chosen = int8_nodes(model)
    by_name = {node.name: node for node in model.graph.node}
    fixed = constants(model.graph)
    takers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    found: dict[str, list[str]] = {}
    for name in chosen:
        node = by_name[name]
        if node.op_type == "Relu":
            continue
        after = takers.get(node.output[0], [])
        follower = [after[0].name] if len(after) == 1 and after[0].op_type == "Relu" else []
        found.setdefault(_kind(node, fixed), []).extend([name, *follower])
    return found


def _kind(node: onnx.NodeProto, fixed: Mapping[str, onnx.TensorProto]) -> str:
    if node.op_type != "Conv":
        return node.op_type
    sizes: Sequence[int] = fixed[node.input[1]].dims
    if sizes[1] > 1:
        return "convolutions across channels"
    shape = "x".join(map(str, sizes[2:]))
    return f"{'depthwise' if attribute(node, 'group', 1) > 1 else 'one-channel'} convolutions of {shape} taps"
