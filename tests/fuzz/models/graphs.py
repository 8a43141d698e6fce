"""Graphs that lie: shapes, types, names, operators, opsets, branches and functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.fuzz.models.mutant import FILE, Change, Mutant, graph_mutant, varint, wire
from voiceflow_ml.contract.schema import METADATA_KEY

_LONG = "n" * 1_000_000
_NAMES = {
    "of a million letters": _LONG,
    "with a line break": "one\nvoiceflow: everything is fine\n",
    "with terminal codes": "\x1b[2J\x1b[31mred\x07",
    "with a NUL": "a\0b",
    "written right to left": "\u202egnp.exe",
    "empty": "",
}
_DIMS: dict[str, list[int]] = {
    "2**40": [2**40],
    "2**62 twice": [2**62, 2**62],
    "2**31 twice": [2**31, 2**31],
    "2**62 three hundred times": [2**62] * 300,
    "2**62 a hundred thousand times": [2**62] * 100_000,
    "minus one": [-1],
    "the least number": [-(2**63)],
    "zero": [0],
    "none": [],
    "one too many": [5, 3],
    "one too few": [3, 3],
    "nothing times 2**62": [0, 2**62],
    "a hundred thousand ones": [1] * 100_000,
}
_TYPES = (0, 8, 9, 14, 15, 16, 17, 21, 23, 25, 99, 2**31 - 1, -1)
_OPSETS = (0, -1, 1, 7, 12, 99, 2**31, 2**62)
_FORMATS = (0, 1, 2, 99, 2**40, -1)
_DEEP = (10, 50, 90, 120, 2_000)


def mutants() -> Iterator[Mutant]:
    """All of them, the same each time."""
    for family, changes in _FAMILIES.items():
        for name, change in changes.items():
            yield graph_mutant(f"{family}: {name}", family, change)
    for depth in _DEEP:
        yield Mutant(f"nesting: {depth} branches in each other", "nesting", _nested(depth))
        yield Mutant(f"nesting: {depth} functions that call the next", "nesting", _chained(depth))


def _weights(model: onnx.ModelProto) -> onnx.TensorProto:
    weights: onnx.TensorProto = model.graph.initializer[0]
    return weights


def _dims(sizes: list[int]) -> Change:
    def change(model: onnx.ModelProto) -> None:
        _weights(model).dims[:] = sizes

    return change


def _type(kind: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        _weights(model).data_type = kind

    return change


def _input_type(kind: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = kind

    return change


def _opset(version: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = version

    return change


def _domain(name: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import.append(helper.make_opsetid(name, 1))
        model.graph.node[0].domain = name

    return change


def _format(version: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.ir_version = version

    return change


def _set(path: str, value: Any) -> Change:
    """Set a field: ``"graph.node.0.op_type"``."""

    def change(model: onnx.ModelProto) -> None:
        *parents, last = path.split(".")
        here: Any = model
        for part in parents:
            here = here[int(part)] if part.isdigit() else getattr(here, part)
        if last.isdigit():
            here[int(last)] = value
        else:
            setattr(here, last, value)

    return change


def _clear(path: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        *parents, last = path.split(".")
        here: Any = model
        for part in parents:
            here = here[int(part)] if part.isdigit() else getattr(here, part)
        here.ClearField(last)

    return change


def _add(path: str, *made: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        here: Any = model
        for part in path.split("."):
            here = here[int(part)] if part.isdigit() else getattr(here, part)
        here.extend(made)

    return change


def _all(*changes: Change) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for each in changes:
            each(model)

    return change


def _backwards(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _values(array: np.ndarray[Any, Any], name: str = "w") -> Change:
    def change(model: onnx.ModelProto) -> None:
        _weights(model).CopyFrom(numpy_helper.from_array(array, name))

    return change


def _shape_of_input(*sizes: int | str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        shape = model.graph.input[0].type.tensor_type.shape
        del shape.dim[:]
        for size in sizes:
            shape.dim.add(**{"dim_param" if isinstance(size, str) else "dim_value": size})

    return change


def _no_tensor(kind: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        kinds = {
            "sequence": helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [1])),
            "map": helper.make_map_type_proto(1, helper.make_tensor_type_proto(1, [1])),
            "optional": helper.make_optional_type_proto(helper.make_tensor_type_proto(1, [1])),
            "sparse": helper.make_sparse_tensor_type_proto(1, [1]),
        }
        model.graph.input[0].type.CopyFrom(kinds[kind])

    return change


def _instead(op_type: str, inputs: list[str], **attributes: Any) -> Change:
    """The first node is another one; what it needs besides is a weight ``k``."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node[0].CopyFrom(helper.make_node(op_type, inputs, ["h"], "multiply", **attributes))

    return change


def _filled(op_type: str, values: list[int], inputs: list[str], **attributes: Any) -> Change:
    """Something huge made of a small weight while the model is loaded, added to the rest."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), "k"))
        model.graph.node[1].input[1] = "huge_sum"
        made = helper.make_node(op_type, inputs, ["huge"], op_type, **attributes)
        summed = helper.make_node("ReduceMax", ["huge"], ["huge_max"], "sum", keepdims=0)
        cast = helper.make_node("Cast", ["huge_max"], ["huge_sum"], "cast", to=TensorProto.FLOAT)
        nodes = [made, summed, cast, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(nodes)

    return change


def _sparse(values: list[float], indices: list[int], sizes: list[int]) -> Change:
    def change(model: onnx.ModelProto) -> None:
        entry = model.graph.sparse_initializer.add()
        entry.values.CopyFrom(numpy_helper.from_array(np.array(values, np.float32), "w"))
        entry.indices.CopyFrom(numpy_helper.from_array(np.array(indices, np.int64), "w_indices"))
        entry.dims.extend(sizes)
        del model.graph.initializer[0]

    return change


def _function(*nodes: onnx.NodeProto, name: str = "f", domain: str = "ai.onnx.ml", opset: int = 17) -> Change:
    """A function of one input and output in the place of the last node."""

    def change(model: onnx.ModelProto) -> None:
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid(domain, 1)]
        model.functions.append(helper.make_function(domain, name, ["i"], ["o"], list(nodes), opsets))
        model.opset_import.append(helper.make_opsetid(domain, 1))
        model.graph.node[-1].op_type, model.graph.node[-1].domain = name, domain

    return change


def _node(op_type: str, one: str, other: str, domain: str = "ai.onnx.ml") -> onnx.NodeProto:
    return helper.make_node(op_type, [one], [other], domain=domain)


def _two_functions(model: onnx.ModelProto) -> None:
    _function(_node("g", "i", "o"))(model)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    model.functions.append(helper.make_function("ai.onnx.ml", "g", ["i"], ["o"], [_node("f", "i", "o")], opsets))


def _branch(change: Callable[[onnx.GraphProto], None]) -> Change:
    return lambda model: change(model.graph.node[3].attribute[0].g)


def _metadata(text: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        del model.metadata_props[:]
        model.metadata_props.add(key=METADATA_KEY, value=text)

    return change


def _training(model: onnx.ModelProto) -> None:
    step = model.training_info.add()
    step.algorithm.node.append(helper.make_node("Nothing", [], ["n"]))
    step.update_binding.add(key="w", value="nowhere")


def _nested(depth: int) -> Callable[[Any], None]:
    """Branches in each other, written as bytes: protobuf's own writer would recurse."""

    def make(folder: Any) -> None:
        model = onnx.load(folder / FILE)
        inner = model.graph.node[3].attribute[0].g.SerializeToString()
        for _ in range(depth):
            branch = [wire(1, name) + wire(6, inner) + varint(20 << 3) + b"\x05" for name in (b"then_branch",)]
            other = wire(1, b"else_branch") + wire(6, wire(2, b"e")) + varint(20 << 3) + b"\x05"
            node = wire(1, b"yes") + wire(2, b"inner") + wire(4, b"If") + wire(5, branch[0]) + wire(5, other)
            inner = wire(1, node) + wire(2, b"g") + wire(12, wire(1, b"inner"))
        node = wire(1, b"yes") + wire(2, b"c") + wire(4, b"If") + wire(5, wire(1, b"then_branch") + wire(6, inner))
        del model.graph.node[3]
        whole = model.SerializeToString()
        graph = model.graph.SerializeToString() + wire(1, node)
        model.ClearField("graph")
        (folder / FILE).write_bytes(model.SerializeToString() + wire(7, graph) if whole else b"")

    return make


def _chained(depth: int) -> Callable[[Any], None]:
    def make(folder: Any) -> None:
        model = onnx.load(folder / FILE)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
        for number in range(depth):
            node = _node(f"f{number + 1}", "i", "o") if number < depth - 1 else helper.make_node("Relu", ["i"], ["o"])
            model.functions.append(helper.make_function("ai.onnx.ml", f"f{number}", ["i"], ["o"], [node], opsets))
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
        model.graph.node[-1].op_type, model.graph.node[-1].domain = "f0", "ai.onnx.ml"
        (folder / FILE).write_bytes(model.SerializeToString())

    return make


_FLOATS = np.arange(12, dtype=np.float32).reshape(4, 3)
_BAD_JSON = {
    "no JSON": "{",
    "a list": "[]",
    "a number of ten thousand digits": "1" * 10_000,
    "lists in lists": "[" * 100_000,
    "another version": '{"schema_version": 2}',
    "no fields": '{"schema_version": 1}',
    "a surrogate": '{"schema_version": 1, "model": "\\ud800"}',
    "not a number": '{"schema_version": NaN}',
}
_FAMILIES: dict[str, dict[str, Change]] = {
    "shape of a weight": {name: _dims(sizes) for name, sizes in _DIMS.items()},
    "type of a weight": {str(kind): _type(kind) for kind in _TYPES},
    "type of an input": {
        **{str(kind): _input_type(kind) for kind in _TYPES},
        **{kind: _no_tensor(kind) for kind in ("sequence", "map", "optional", "sparse")},
        "none": _clear("graph.input.0.type"),
    },
    "shape of an input": {
        "none": _clear("graph.input.0.type.tensor_type.shape"),
        "negative": _shape_of_input(-4, 4),
        "2**62": _shape_of_input(2**62, 4),
        "too many axes": _shape_of_input(1, 1, 4),
        "another size": _shape_of_input("batch", 5),
        "ten thousand axes": _shape_of_input(*[1] * 10_000),
        "an axis without size or name": _all(_clear("graph.input.0.type.tensor_type.shape.dim.0.dim_param")),
    },
    "data of a weight": {
        "none": _clear("graph.initializer.0.raw_data"),
        "twice": _all(_add("graph.initializer.0.float_data", *[1.0] * 12)),
        "in another field": _all(
            _clear("graph.initializer.0.raw_data"), _add("graph.initializer.0.int32_data", *range(12))
        ),
        "one byte more": _set("graph.initializer.0.raw_data", bytes(49)),
        "one byte less": _set("graph.initializer.0.raw_data", bytes(47)),
        "empty": _set("graph.initializer.0.raw_data", b""),
        "in segments": _all(_set("graph.initializer.0.segment.begin", 5), _set("graph.initializer.0.segment.end", 2)),
        "said to be outside": _set("graph.initializer.0.data_location", 1),
        "at a place that there is not": _set("graph.initializer.0.data_location", 0),
        "NaN": _values(_FLOATS + np.nan),
        "infinite": _values(_FLOATS + np.inf),
        "of 64 bits": _values(_FLOATS.astype(np.float64)),
        "text": _values(np.array([["a"] * 3] * 4, object)),
    },
    "names": {
        **{f"of a weight {name}": _set("graph.initializer.0.name", text) for name, text in _NAMES.items()},
        **{f"of a node's input {name}": _set("graph.node.0.input.0", text) for name, text in _NAMES.items()},
        **{f"of the output {name}": _set("graph.output.0.name", text) for name, text in _NAMES.items()},
        **{f"of an operator {name}": _set("graph.node.0.op_type", text) for name, text in _NAMES.items()},
        **{f"of the graph {name}": _set("graph.name", text) for name, text in _NAMES.items()},
        **{f"of an axis {name}": _shape_of_input(text, 4) for name, text in _NAMES.items()},
        "one weight twice": lambda model: model.graph.initializer.append(model.graph.initializer[0]),
        "one input twice": lambda model: model.graph.input.append(model.graph.input[0]),
        "one output twice": lambda model: model.graph.output.append(model.graph.output[0]),
        "one value made twice": _set("graph.node.1.output.0", "h"),
        "a weight named like a value": _set("graph.initializer.1.name", "h"),
    },
    "wiring": {
        "no nodes": _clear("graph.node"),
        "no outputs": _clear("graph.output"),
        "no inputs": _clear("graph.input"),
        "no weights": _clear("graph.initializer"),
        "no graph": _clear("graph"),
        "an input from nowhere": _set("graph.node.0.input.1", "nowhere"),
        "an output from nowhere": _set("graph.output.0.name", "nowhere"),
        "a node that feeds itself": _set("graph.node.0.input.0", "h"),
        "a circle of three": _set("graph.node.0.input.0", "y"),
        "last node first": _backwards,
        "no operator": _clear("graph.node.0.op_type"),
        "too few inputs": _all(_clear("graph.node.0.input"), _add("graph.node.0.input", "x")),
        "too many inputs": _add("graph.node.0.input", "x", "x"),
        "a hundred thousand inputs": _add("graph.node.0.input", *["x"] * 100_000),
        "too many outputs": _add("graph.node.0.output", "second"),
        "no output of a node": _clear("graph.node.0.output"),
    },
    "operators": {
        "unknown": _set("graph.node.0.op_type", "Reluctant"),
        "of a domain nobody imports": _set("graph.node.0.domain", "com.example"),
        "Python's own": _all(_domain("com.microsoft"), _set("graph.node.0.op_type", "PythonOp")),
        "a library to load": _all(_domain("com.example"), _set("graph.node.0.op_type", "../lib.so")),
        "an engine's context": _all(_domain("com.microsoft"), _instead("EPContext", ["x"], embed_mode=0)),
        "an attribute unknown": lambda model: model.graph.node[0].attribute.append(helper.make_attribute("a", 1)),
        "an attribute twice": lambda model: model.graph.node[3].attribute.append(model.graph.node[3].attribute[0]),
        "an attribute of another type": _instead("Transpose", ["x"], perm="abc"),
        "an attribute out of range": _instead("Transpose", ["x"], perm=[9, 9]),
        "an attribute without value": lambda model: model.graph.node[2].attribute[0].ClearField("t"),
        "an attribute without type": lambda model: model.graph.node[2].attribute[0].ClearField("type"),
        "an attribute from outside": lambda model: model.graph.node[0].attribute.append(
            AttributeProto(name="a", ref_attr_name="b", type=AttributeProto.INT)
        ),
        "a branch without branches": _clear("graph.node.3.attribute"),
        "axes out of range": _instead("Softmax", ["x"], axis=2**31 - 1),
        "a kernel of 2**40": _instead("MaxPool", ["x"], kernel_shape=[2**40]),
        "steps of nothing": _instead("MaxPool", ["x"], kernel_shape=[1], strides=[0]),
        "groups of nothing": _instead("Conv", ["x", "w"], group=0),
    },
    "memory": {
        "filled": _filled("ConstantOfShape", [2**40], ["k"]),
        "filled beyond 64 bits": _filled("ConstantOfShape", [2**40, 2**40], ["k"]),
        "filled less than nothing": _filled("ConstantOfShape", [-1], ["k"]),
        "expanded": _filled("Expand", [2**20, 2**20, 3], ["b", "k"]),
        "tiled": _filled("Tile", [2**40], ["b", "k"]),
        "padded": _filled("Pad", [2**40, 2**40], ["b", "k"]),
        "reshaped": _filled("Reshape", [2**40, -1], ["b", "k"]),
        "a random tensor": _filled("RandomNormal", [1], [], shape=[2**20, 2**20]),
    },
    "opset": {
        **{str(version): _opset(version) for version in _OPSETS},
        "none": _clear("opset_import"),
        "two versions": _add("opset_import", helper.make_opsetid("", 13)),
        "two names of one domain": _add("opset_import", helper.make_opsetid("ai.onnx", 99)),
        "an unknown domain": _domain("org.example"),
        **{f"a domain {name}": _domain(text) for name, text in _NAMES.items() if text},
    },
    "format": {
        **{str(version): _format(version) for version in _FORMATS},
        "none": _clear("ir_version"),
        "training": _training,
        "notes of five megabytes": _set("doc_string", _LONG * 5),
        "types that contradict": _add("graph.value_info", helper.make_tensor_value_info("h", 7, [9, 9, 9])),
        "quantisation of nothing": lambda model: (
            model.graph.quantization_annotation.add(tensor_name="nowhere").quant_parameter_tensor_names.add(
                key="SCALE_TENSOR", value="nowhere"
            )
            and None
        ),
    },
    "sparse weights": {
        "out of range": _sparse([1.0], [99], [4, 3]),
        "negative": _sparse([1.0], [-1], [4, 3]),
        "not in order": _sparse([1.0, 2.0], [5, 2], [4, 3]),
        "twice": _sparse([1.0, 2.0], [2, 2], [4, 3]),
        "more values than places": _sparse([1.0, 2.0], [2], [4, 3]),
        "2**62": _sparse([1.0], [2], [2**62, 2**62]),
        "none": _sparse([], [], []),
    },
    "functions": {
        "calls itself": _function(_node("f", "i", "o")),
        "two call each other": _two_functions,
        "calls what there is not": _function(_node("g", "i", "o")),
        "makes nothing": _function(),
        "without a name": _function(_node("Relu", "i", "o", ""), name=""),
        "of another opset": _function(_node("Relu", "i", "o", ""), opset=99),
        "of a domain nobody imports": _function(_node("Relu", "i", "o", "org.example")),
        "named like an operator": _function(_node("Relu", "i", "o", ""), name="Relu", domain=""),
    },
    "branches": {
        "without nodes": _branch(lambda graph: graph.ClearField("node")),
        "without outputs": _branch(lambda graph: graph.ClearField("output")),
        "of another type": _branch(lambda graph: graph.output[0].type.tensor_type.__setattr__("elem_type", 7)),
        "that read what comes later": _branch(lambda graph: graph.node[0].input.__setitem__(0, "y")),
        "that overwrite a value": _branch(lambda graph: graph.node[0].output.__setitem__(0, "s")),
        "with a weight that lies": _branch(
            lambda graph: graph.initializer.append(TensorProto(name="v", data_type=1, dims=[2**40], raw_data=b"1234"))
        ),
    },
    "contract inside": {name: _metadata(text) for name, text in _BAD_JSON.items()},
}
