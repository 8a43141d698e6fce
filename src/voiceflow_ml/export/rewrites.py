"""The same computation written otherwise; which of them is faster is measured, never assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from voiceflow_ml.export.folded_dft import fold_dft
from voiceflow_ml.export.regions import constants, drop_unused

Rewrite = Callable[[onnx.ModelProto], onnx.ModelProto | None]
"""A new model that computes the same; None when there is nothing to rewrite."""


def conv1d_as_conv2d(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Write convolutions over ``[batch, channels, time]`` as ones over ``[batch, channels, 1, time]``.

    ONNX Runtime's blocked CPU kernels, and its fusion of convolution, addition and Relu, exist for 2-D only.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    fixed = constants(changed.graph)
    nodes: list[NodeProto] = []
    count = 0
    for node in changed.graph.node:
        weights = fixed.get(node.input[1]) if node.op_type == "Conv" else None
        if weights is None or len(weights.dims) != 3:
            nodes.append(node)
            continue
        nodes += _widened(node, changed.graph, numpy_helper.to_array(weights), f"conv2d_{count}")
        count += 1
    if not count:
        return None
    changed.graph.initializer.append(numpy_helper.from_array(np.array([2], dtype=np.int64), "conv2d_axis"))
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    drop_unused(changed.graph)
    return changed


def _widened(node: NodeProto, graph: onnx.GraphProto, weights: np.ndarray, name: str) -> list[NodeProto]:
    graph.initializer.append(numpy_helper.from_array(weights[:, :, None, :], f"{name}_weights"))
    wide = helper.make_node(
        "Conv", [f"{name}_in", f"{name}_weights", *node.input[2:]], [f"{name}_out"], name=f"{name}_wide"
    )
    for entry in node.attribute:
        wide.attribute.append(_wide_attribute(entry))
    return [
        helper.make_node("Unsqueeze", [node.input[0], "conv2d_axis"], [f"{name}_in"], name=f"{name}_up"),
        wide,
        helper.make_node("Squeeze", [f"{name}_out", "conv2d_axis"], list(node.output), name=f"{name}_down"),
    ]


def _wide_attribute(entry: onnx.AttributeProto) -> onnx.AttributeProto:
    if entry.name in ("kernel_shape", "strides", "dilations"):
        return helper.make_attribute(entry.name, [1, *entry.ints])
    if entry.name == "pads":
        first, last = entry.ints
        return helper.make_attribute(entry.name, [0, first, 0, last])
    return entry


REWRITES: Mapping[str, Rewrite] = {"folded DFT": fold_dft, "Conv1d as Conv2d": conv1d_as_conv2d}
"""What ``--tune`` tries, in this order, each on top of what was kept before."""
