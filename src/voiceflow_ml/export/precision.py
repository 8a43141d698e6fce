"""The int8 variant of an fp32 graph."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.converters import copied, quiet
from voiceflow_ml.export.graph import INPUT_NAME
from voiceflow_ml.export.regions import (
    attribute,
    constant_ints,
    constants,
    front_end,
    op_types,
    quantisable,
)
from voiceflow_ml.export.short_names import shorten_names

_CALIBRATION_BATCH = 8


def int8_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that :func:`to_int8` computes in int8 when nothing is left out."""
    prepared = copied(model)
    pool_means(prepared.graph)
    return quantisable(prepared.graph)


def to_int8(
    model: onnx.ModelProto, calibration: NDArray[np.float32], left_out: Collection[str] = ()
) -> onnx.ModelProto:
    """Static quantisation: activations U8, weights S8 per channel, ranges from real speech.

    Args:
        model: the fp32 graph.
        calibration: float32 ``[windows, samples]`` of real speech.
        left_out: names of nodes that stay in fp32.

    Raises:
        ExportError: the graph has nothing to quantise, or cannot be quantised.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # noqa: PLC0415

    prepared = copied(model)
    pool_means(prepared.graph)
    nodes = [name for name in quantisable(prepared.graph) if name not in left_out]
    if not nodes:
        raise ExportError("the graph has no convolution or matrix product to quantise")
    with tempfile.TemporaryDirectory(prefix="voiceflow-ml-") as scratch, quiet():
        source, result = Path(scratch) / "fp32.onnx", Path(scratch) / "int8.onnx"
        onnx.save(prepared, source)
        try:
            quantize_static(
                str(source),
                str(result),
                _Calibration(calibration),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=nodes,
                op_types_to_quantize=op_types(prepared.graph, nodes),
            )
        except Exception as error:  # the quantiser raises whatever its passes raise
            raise ExportError(f"the graph cannot be quantised: {' '.join(str(error).split())[:300]}") from error
        quantised = onnx.load(result)
    del quantised.metadata_props[:]
    shorten_names(quantised.graph)
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


class _Calibration:
    """Batches of speech, in the form in which the quantiser asks for them."""

    def __init__(self, windows: NDArray[np.float32]) -> None:
        starts = range(0, len(windows), _CALIBRATION_BATCH)
        self._batches = iter([windows[start : start + _CALIBRATION_BATCH] for start in starts])

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}

    def __len__(self) -> int:
        return 1

    def set_range(self, start_index: int, end_index: int) -> None:
        """Asked for by the quantiser's interface; all batches are always taken."""


def pool_means(graph: onnx.GraphProto) -> None:
    """Write means over time as average pooling, which ONNX Runtime computes in int8.

    Over the last of four axes, the third being of size one, both are the same.
    """
    fixed, exempt, ranks = constants(graph), front_end(graph), _heights(graph)
    for node in graph.node:
        over_time = constant_ints(node, 1, fixed) in ([3], [-1])
        flat = ranks.get(node.input[0]) == 1
        if node.op_type == "ReduceMean" and over_time and flat and attribute(node, "keepdims", 1):
            if node.name in exempt:
                continue
            node.op_type = "GlobalAveragePool"
            del node.input[1:]
            del node.attribute[:]


def _heights(graph: onnx.GraphProto) -> dict[str, int]:
    """Tensor -> size of the third of its four axes, where that is known."""
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    sizes = {}
    for value in inferred.graph.value_info:
        axes = value.type.tensor_type.shape.dim
        if len(axes) == 4 and axes[2].HasField("dim_value"):
            sizes[value.name] = axes[2].dim_value
    return sizes
