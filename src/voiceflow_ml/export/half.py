"""The fp16 variant of an fp32 graph: half precision in the parts that are named, single precision in the others."""

from __future__ import annotations

from collections.abc import Collection

import onnx
from onnx import NodeProto, TensorProto

from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.converters import copied, quiet
from voiceflow_ml.export.regions import attribute, parts, producers, sort_nodes

_FP32_OPERATORS = ("Sqrt", "Pow", "ReduceMean", "ReduceSum", "Div", "Softmax", "Clip", "LayerNormalization")
"""Small differences of large numbers, which half precision rounds away."""


def to_fp16(model: onnx.ModelProto, whole: Collection[str] = ()) -> onnx.ModelProto:
    """Half precision outside of the front end, of statistics, and of some parts; inputs and outputs stay fp32.

    Args:
        model: the fp32 graph.
        whole: names of the parts (``regions.parts``) that stay in fp32.

    Raises:
        ExportError: the graph cannot be converted.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    halved = {name for head, nodes in parts(model.graph).items() if head not in whole for name in nodes}
    try:
        with quiet():
            converted: onnx.ModelProto = convert_float_to_float16(
                copied(model),
                keep_io_types=True,
                node_block_list=[node.name for node in model.graph.node if node.name not in halved],
                op_block_list=list(_FP32_OPERATORS),
            )
    except Exception as error:  # the converter raises whatever its passes raise
        raise ExportError(f"the graph cannot be converted to fp16: {error}") from error
    undo_round_trips(converted.graph)
    # The converter puts its casts of the inputs behind the nodes that take them.
    sort_nodes(converted.graph)
    # It notes half precision for tensors that it left alone; what the checker infers is right.
    del converted.graph.value_info[:]
    onnx.checker.check_model(converted, full_check=True)
    return converted


def undo_round_trips(graph: onnx.GraphProto) -> None:
    """Leave fp32 values that fp32 nodes take as they are.

    The converter makes all values half precision, and those that an fp32 node takes or gives single again, just
    for it: the audio before the front end, every value between two nodes of it, and the outputs lose half of their
    digits for nothing. Weights of fp32 nodes it leaves as they are, behind a cast that does nothing.
    """
    made_by, given = producers(graph), {value.name for value in graph.output}
    whole = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    origin = {
        node.output[0]: made_by[node.input[0]].input[0]
        for node in graph.node
        if _casts_to(node, TensorProto.FLOAT) and _casts_to(made_by.get(node.input[0]), TensorProto.FLOAT16)
    }
    origin |= {
        node.output[0]: node.input[0]
        for node in graph.node
        if _casts_to(node, TensorProto.FLOAT) and node.input[0] in whole
    }
    # An output keeps its name, so what it was rounded from takes it; an input that is given out has its own.
    renamed = {origin[name]: name for name in given if origin.get(name) in made_by}
    for node in graph.node:
        for position, name in enumerate(node.input):
            before = origin.get(name, name)
            node.input[position] = renamed.get(before, before)
        for position, name in enumerate(node.output):
            if name in renamed.values():
                node.output[position] = f"{name}_rounded"
            node.output[position] = renamed.get(name, node.output[position])
    _drop_untaken_casts(graph)


def _drop_untaken_casts(graph: onnx.GraphProto) -> None:
    given = {value.name for value in graph.output}
    while True:
        taken = {name for node in graph.node for name in node.input} | given
        untaken = [node for node in graph.node if node.op_type == "Cast" and not taken.intersection(node.output)]
        if not untaken:
            return
        for node in untaken:
            graph.node.remove(node)


def _casts_to(node: NodeProto | None, kind: int) -> bool:
    return node is not None and node.op_type == "Cast" and attribute(node, "to", 0) == kind
