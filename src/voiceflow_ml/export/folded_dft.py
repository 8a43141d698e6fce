"""A windowed DFT that is written as a convolution, with a quarter of its multiplications.

A log-mel front end in a graph is a convolution whose kernels are ``w[n] cos(2 pi k n / N)`` and
``w[n] sin(2 pi k n / N)``: every frame costs ``2 (N/2 + 1) N`` multiplications. The window and the cosine are even
about ``N/2`` and the sine is odd, so the samples are added to, and subtracted from, their mirror images first,
which halves the products; the cosine's and the sine's own symmetry about ``N/4`` (with a sign that alternates with
``k``) halves them again. The two folds are those of the fast Fourier transform by decimation in frequency (Gentleman
and Sande, 1966), written with operators that every runtime has. The result differs by rounding only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from voiceflow_ml.export.regions import constants, drop_unused

_CLOSE = 1e-5
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class _Dft:
    """A convolution that is a DFT: its node, its length, its hop and its window."""

    node: NodeProto
    length: int
    hop: int
    window: Doubles


def fold_dft(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Write the DFT of a front end with folded inputs.

    Args:
        model: the graph.

    Returns:
        The new graph; None when there is no such convolution in it.
    """
    found = _find(model.graph)
    if found is None:
        return None
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    nodes: list[NodeProto] = []
    for node in changed.graph.node:
        nodes += _folded(changed.graph, found) if node.name == found.node.name else [node]
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    drop_unused(changed.graph)
    return changed


def _find(graph: onnx.GraphProto) -> _Dft | None:
    fixed = constants(graph)
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 2 and node.input[1] in fixed:
            found = _recognised(node, numpy_helper.to_array(fixed[node.input[1]]))
            if found is not None:
                return found
    return None


def _recognised(node: NodeProto, weights: NDArray[np.float32]) -> _Dft | None:
    """Whether a convolution's kernels are those of a DFT with a window that is even."""
    if weights.ndim != 4 or weights.shape[1:3] != (1, 1) or weights.shape[3] % 4:
        return None
    length = weights.shape[3]
    kernels, window = weights[:, 0, 0, :].astype(np.float64), weights[0, 0, 0, :].astype(np.float64)
    attributes = {entry.name: list(entry.ints) for entry in node.attribute}
    hop = attributes.get("strides", [1, 1])[-1]
    even = np.abs(window[1:] - window[:0:-1]).max() < _CLOSE and abs(window[0]) < _CLOSE
    if len(kernels) != length + 2 or hop > length or not even:
        return None
    angle = 2.0 * np.pi / length * np.outer(np.arange(length // 2 + 1), np.arange(length))
    wanted = np.concatenate([np.cos(angle), np.sin(angle)]) * window
    return _Dft(node, length, hop, window) if np.abs(kernels - wanted).max() < _CLOSE else None


def _folded(graph: onnx.GraphProto, dft: _Dft) -> list[NodeProto]:
    """Nodes that give what the convolution gave: ``[batch, N + 2, 1, frames]``."""
    write = _Writer(graph)
    half, quarter = dft.length // 2, dft.length // 4
    frames = _frames(write, dft)
    window = write.constant("window", dft.window[1:half, None].astype(np.float32))
    ahead, behind = write.rows(frames, 1, half), write.mirrored(frames, dft.length - 1, half)
    even, odd = (write.node("Mul", [write.node(sign, [ahead, behind]), window]) for sign in ("Add", "Sub"))
    # The window is nothing at sample 0, so the mirror image of the middle sample adds nothing to it.
    middle = write.node(
        "Mul", [write.rows(frames, half, half + 1), write.constant("peak", dft.window[half, None, None])]
    )
    ends = {"Add": middle, "Sub": write.node("Neg", [middle])}
    parts = []
    for sign, values, wave in (
        ("Add", even, np.cos),
        ("Sub", even, np.cos),
        ("Sub", odd, np.sin),
        ("Add", odd, np.sin),
    ):
        ahead, behind = write.rows(values, 0, quarter - 1), write.mirrored(values, half - 2, quarter - 1)
        rows, samples = [write.node(sign, [ahead, behind])], list(range(1, quarter))
        if wave is np.cos:
            rows, samples = [ends[sign], *rows], [0, *samples]
        if sign == "Add":
            # A quarter of the way the other sign's wave is nothing.
            rows, samples = [*rows, write.rows(values, quarter - 1, quarter)], [*samples, quarter]
        bins = np.arange(0 if (sign == "Add") == (wave is np.cos) else 1, half + 1, 2)
        matrix = wave(2.0 * np.pi / dft.length * np.outer(bins, samples))
        folded = write.node("Concat", rows, axis=1) if len(rows) > 1 else rows[0]
        parts.append(
            (
                bins + (0 if wave is np.cos else half + 1),
                write.node("MatMul", [write.constant("waves", matrix), folded]),
            )
        )
    joined = write.node("Concat", [part for _, part in parts], axis=1)
    order = write.constant("order", np.argsort(np.concatenate([bins for bins, _ in parts])))
    ordered = write.node("Gather", [joined, order], axis=1)
    write.node("Unsqueeze", [ordered, write.constant("height", np.array([2]))], output=dft.node.output[0])
    return write.nodes


def _frames(write: _Writer, dft: _Dft) -> str:
    """The frames of the signal as columns, ``[batch, N, frames]``: whole hops, side by side."""
    hops = -(-dft.length // dft.hop)
    pads = next((list(entry.ints) for entry in dft.node.attribute if entry.name == "pads"), [0, 0, 0, 0])
    # With zeros up to whole hops behind, the frames are as many as the convolution has.
    behind = pads[3] + hops * dft.hop - dft.length
    padded = write.node(
        "Pad", [dft.node.input[0], write.constant("pads", np.array([0, 0, 0, pads[1], 0, 0, 0, behind]))]
    )
    hop = write.constant("hop", np.array([dft.hop]))
    whole = write.node("Mul", [write.node("Div", [write.node("Shape", [padded], start=3), hop]), hop])
    zero, last = write.constant("zero", np.array([0])), write.constant("last", np.array([3]))
    used = write.node("Slice", [padded, zero, whole, last])
    blocks = write.node("Reshape", [used, write.constant("blocks", np.array([0, -1, dft.hop]))])
    columns = write.node("Transpose", [blocks], perm=[0, 2, 1])
    parts = [write.columns(columns, number, number + 1 - hops) for number in range(hops)]
    parts[-1] = write.rows(parts[-1], 0, dft.length - (hops - 1) * dft.hop)
    return write.node("Concat", parts, axis=1)


class _Writer:
    """Makes nodes and constants with names that nothing else has."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: list[NodeProto] = []
        self._graph = graph

    def node(self, operator: str, inputs: list[str], *, output: str = "", **attributes: Any) -> str:
        name = f"folded_dft_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output or f"{name}_out"], name=name, **attributes))
        return str(self.nodes[-1].output[0])

    def constant(self, what: str, values: NDArray[np.generic]) -> str:
        name = f"folded_dft_{what}_{len(self._graph.initializer)}"
        kept = values if values.dtype.kind == "i" else values.astype(np.float32)
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(kept), name))
        return name

    def rows(self, tensor: str, start: int, stop: int) -> str:
        """Rows ``start`` to ``stop`` of ``[batch, rows, columns]``."""
        return self._slice(tensor, start, stop, axis=1, step=1)

    def mirrored(self, tensor: str, start: int, stop: int) -> str:
        """Rows from ``start`` down to, and without, ``stop``."""
        return self._slice(tensor, start, stop, axis=1, step=-1)

    def columns(self, tensor: str, start: int, stop: int) -> str:
        """Columns from ``start`` to as many before the end as ``stop`` is below nothing."""
        return self._slice(tensor, start, stop or np.iinfo(np.int64).max, axis=2, step=1)

    def _slice(self, tensor: str, start: int, stop: int, *, axis: int, step: int) -> str:
        facts = (
            self.constant(f"slice{position}", np.array([value]))
            for position, value in enumerate((start, stop, axis, step))
        )
        return self.node("Slice", [tensor, *facts])
