"""Count what one inference of an ONNX graph has to do: operations by precision, and bytes that must move.

Shapes come from ONNX's own inference; where a graph computes its shapes, from one run of it with the values laid
open. What an operator costs is arithmetic from its definition in the ONNX operator documentation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from voiceflow_ml.hardware.roofline import Work

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

# ONNX element types -> the precision that products of them run at.
_PRECISIONS = {"FLOAT": "fp32", "FLOAT16": "fp16", "BFLOAT16": "bf16", "INT8": "int8", "UINT8": "int8"}
_LAYOUT_ONLY = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_RECURRENT_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_HIDING = frozenset({"If", "Loop", "Scan"})


def graph_work(path: Path, inputs: Mapping[str, Any]) -> Work | None:
    """Count the work of one inference.

    Args:
        path: the ONNX file.
        inputs: model input name -> the array that it is measured with.

    Returns:
        The work, or None when the ``onnx`` package is not installed or does not read the file.
    """
    try:
        import onnx  # noqa: PLC0415
    except ImportError:
        return None
    if not path.is_file():
        # A pipe or a device is not waited for.
        return None
    try:
        # Weights kept beside the file are counted by their shapes, and not read.
        model = onnx.load(str(path), load_external_data=False)
        kinds, shapes = _values_of(onnx, model, path, inputs)
        return _count(onnx, model.graph, kinds, shapes, inputs)
    except Exception:
        return None


def node_work(path: Path, inputs: Mapping[str, Any]) -> dict[str, int]:
    """Operations of each node that holds products, by its name, for one inference.

    Args:
        path: the ONNX file.
        inputs: model input name -> an array of the size to count for.
    """
    import onnx  # noqa: PLC0415

    model = onnx.load(str(path), load_external_data=False)
    _, shapes = _values_of(onnx, model, path, inputs)
    products = [node for node in model.graph.node if node.op_type in _COSTS]
    return {node.name: _cost(onnx, node, shapes) or 0 for node in products}


def _count(onnx: Any, graph: Any, kinds: Mapping[str, int], shapes: Shapes, inputs: Mapping[str, Any]) -> Work:
    flops: Counter[str] = Counter()
    counted = left_out = 0
    origin = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type in _HIDING:
            left_out += 1
        if node.op_type not in _COSTS:
            continue
        precision = _PRECISIONS.get(onnx.TensorProto.DataType.Name(_product_kind(node, kinds, origin)))
        cost = _cost(onnx, node, shapes)
        if cost is None or precision is None:
            left_out += 1
            continue
        flops[precision] += cost
        counted += 1
    weights = sum(_initializer_bytes(onnx, entry) for entry in graph.initializer)
    outputs = sum(
        math.prod(shapes[value.name]) * _size_of(onnx, kinds.get(value.name, 0))
        for value in graph.output
        if value.name in shapes
    )
    return Work(dict(flops), weights + sum(int(array.nbytes) for array in inputs.values()) + outputs, counted, left_out)


class _Sizes(NamedTuple):
    """What the cost of an operator depends on: shapes of its inputs and of its first output, and attributes."""

    ins: Sequence[Shape]
    out: Shape
    attributes: Mapping[str, Any]


def _cost(onnx: Any, node: Any, shapes: Shapes) -> int | None:
    """Operations of a node, or None where its shapes are not known."""
    attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    try:
        ins = [shapes[name] if name else () for name in node.input]
        # A recurrent layer may leave its first output out; the shapes of its inputs are enough.
        out = shapes.get(node.output[0], ()) if node.op_type in _RECURRENT_GATES else shapes[node.output[0]]
        return _COSTS[node.op_type](_Sizes(ins, out, attributes))
    except (KeyError, IndexError):
        return None


def _conv(sizes: _Sizes, weight: int = 1) -> int:
    # Weights [out, in / groups, kernel...]: each output value is a sum over the last of them.
    return 2 * math.prod(sizes.out) * math.prod(sizes.ins[weight][1:])


def _conv_transpose(sizes: _Sizes) -> int:
    # Weights [in, out / groups, kernel...]: each input value is spread over the last of them.
    return 2 * math.prod(sizes.ins[0]) * math.prod(sizes.ins[1][1:])


def _qlinear_conv(sizes: _Sizes) -> int:
    return _conv(sizes, weight=3)


def _matmul(sizes: _Sizes) -> int:
    return 2 * math.prod(sizes.out) * sizes.ins[0][-1]


def _gemm(sizes: _Sizes) -> int:
    return 2 * math.prod(sizes.out) * sizes.ins[0][0 if sizes.attributes.get("transA") else 1]


def _recurrent(gates: int) -> Callable[[_Sizes], int]:
    def cost(sizes: _Sizes) -> int:
        # X [steps, batch, input], W [directions, gates x hidden, input], R [directions, gates x hidden, hidden].
        steps_times_batch = sizes.ins[0][0] * sizes.ins[0][1]
        directions, _, input_size = sizes.ins[1]
        hidden = sizes.ins[2][2]
        return 2 * steps_times_batch * directions * gates * hidden * (input_size + hidden)

    return cost


_COSTS: dict[str, Callable[[_Sizes], int]] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "ConvTranspose": _conv_transpose,
    "FusedConv": _conv,
    "FusedMatMul": _matmul,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _matmul,
    **{name: _recurrent(gates) for name, gates in _RECURRENT_GATES.items()},
}


def _product_kind(node: Any, kinds: Mapping[str, int], origin: Mapping[str, Any]) -> int:
    """Element type that a product is computed in: before a dequantisation, which runtimes fuse into the product."""
    name = node.input[0]
    while name in origin and origin[name].op_type in _LAYOUT_ONLY:
        name = origin[name].input[0]
    if name in origin and origin[name].op_type == "DequantizeLinear":
        name = origin[name].input[0]
        return kinds.get(name, 0)
    return kinds.get(node.input[0], 0)


def _values_of(
    onnx: Any, model: Any, path: Path, inputs: Mapping[str, Any]
) -> tuple[Mapping[str, int], dict[str, Shape]]:
    """Element type and shape of each value of the graph, as far as they can be told."""
    for value in model.graph.input:
        if value.name in inputs:
            sizes = value.type.tensor_type.shape
            del sizes.dim[:]
            for size in inputs[value.name].shape:
                sizes.dim.add().dim_value = size
    # What the exporter wrote down is for any size.
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    shapes = {value.name: shape for value in values if (shape := _shape(value)) is not None}
    for entry in model.graph.initializer:
        kinds[entry.name], shapes[entry.name] = entry.data_type, tuple(entry.dims)
    missing = _unknown(model.graph, kinds, shapes)
    if missing:
        shapes.update(_shapes_by_running(onnx, path, missing, inputs))
    return kinds, shapes


def _shape(value: Any) -> Shape | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(size.HasField("dim_value") for size in tensor.shape.dim):
        return None
    return tuple(size.dim_value for size in tensor.shape.dim)


def _unknown(graph: Any, kinds: Mapping[str, int], shapes: Shapes) -> list[str]:
    """Values around products, and outputs, whose shapes are not known."""
    around = [name for node in graph.node if node.op_type in _COSTS for name in (*node.input, node.output[0]) if name]
    names = dict.fromkeys([*around, *(value.name for value in graph.output)])
    return [name for name in names if name not in shapes and kinds.get(name)]


def _shapes_by_running(onnx: Any, path: Path, names: list[str], inputs: Mapping[str, Any]) -> dict[str, Shape]:
    """Run the graph once on the CPU with these values as outputs; nothing where it cannot."""
    import onnxruntime as ort  # noqa: PLC0415

    model = onnx.load(str(path))
    outputs = {value.name for value in model.graph.output}
    # Without types: the runtime infers them.
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        values = session.run(names, dict(inputs))
    except Exception:
        return {}
    return {name: tuple(value.shape) for name, value in zip(names, values, strict=True)}


def _initializer_bytes(onnx: Any, entry: Any) -> int:
    return int(math.prod(entry.dims)) * _size_of(onnx, entry.data_type)


def _size_of(onnx: Any, kind: int) -> int:
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
    except (KeyError, ValueError, TypeError):
        return 0
