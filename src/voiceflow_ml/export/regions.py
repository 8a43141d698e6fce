"""Parts of a graph that are found by what they compute, not by the names of layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
from onnx import NodeProto, numpy_helper

WEIGHTED = frozenset({"Conv", "MatMul", "Gemm", "LSTM", "GRU"})
"""Operators that hold most of the work."""
ELEMENTWISE = frozenset({"Add", "Mul", "Relu", "Sigmoid", "GlobalAveragePool"})
"""Operators that ONNX Runtime computes in int8 between two convolutions."""


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """The tensors that are written into a graph, by name."""
    return {tensor.name: tensor for tensor in graph.initializer}


def producers(graph: onnx.GraphProto) -> dict[str, NodeProto]:
    """Which node makes a tensor."""
    return {name: node for node in graph.node for name in node.output}


def front_end(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes that turn audio into log energies.

    All that a logarithm rests on, and what follows it up to the first operator with weights. Energies span many
    orders of magnitude, which only fp32 holds. Where nothing takes a logarithm there is no front end.
    """
    made_by = producers(graph)
    found: set[str] = set()
    stack = [node for node in graph.node if node.op_type == "Log"]
    after = {name for node in stack for name in node.output}
    while stack:
        node = stack.pop()
        if node.name not in found:
            found.add(node.name)
            stack += [made_by[name] for name in node.input if name in made_by]
    for node in graph.node:
        if node.name not in found and node.op_type not in WEIGHTED and after.intersection(node.input):
            found.add(node.name)
            after.update(node.output)
    return found


def parts(graph: onnx.GraphProto) -> dict[str, list[str]]:
    """A graph in parts: an operator with weights and what follows it up to the next one.

    The front end is in none of them, and neither is what no weights precede.

    Returns:
        Name of the part's weights (of the operator where two share them) -> names of its nodes, in the order of
        the graph.
    """
    fixed, exempt, made_by = constants(graph), front_end(graph), producers(graph)
    heads: list[str] = []
    members: dict[str, list[str]] = {}
    part_of: dict[str, str] = {}
    for node in graph.node:
        if node.name in exempt:
            continue
        if has_weights(node, fixed):
            head = node.input[1] if node.input[1] not in members else node.name
            heads.append(head)
            members[head] = []
        else:
            before = [part_of[made_by[name].name] for name in node.input if _is_in(part_of, made_by.get(name))]
            if not before:
                continue
            # Where two branches meet, the node belongs to the one that is done last.
            head = max(before, key=heads.index)
        part_of[node.name] = head
        members[head].append(node.name)
    return members


def has_weights(node: NodeProto, fixed: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether a node multiplies what it is given by what was trained, and not by another activation."""
    if node.op_type not in WEIGHTED:
        return False
    return node.op_type not in ("MatMul", "Gemm") or any(name in fixed for name in node.input[:2])


def _is_in(part_of: Mapping[str, str], node: NodeProto | None) -> bool:
    return node is not None and node.name in part_of


def quantisable(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that are to run in int8, in the order of the graph.

    Convolutions, and products with a constant matrix, outside of the front end; and what is between two of them
    and can stay in int8. Products of two activations (attention, pooling) stay in fp32, and so do squares: their
    small values matter, and int8 has none.
    """
    fixed, exempt = constants(graph), front_end(graph)
    inside: set[str] = set()
    chosen = []
    for node in graph.node:
        if node.name in exempt:
            continue
        data = [name for name in node.input if name and name not in fixed]
        weighted = node.op_type == "Conv" or (node.op_type in ("MatMul", "Gemm") and len(data) == 1)
        chained = node.op_type in ELEMENTWISE and len(set(data)) == len(node.input) and inside.issuperset(data)
        if (weighted and len(data) == 1) or chained:
            chosen.append(node.name)
            inside.update(node.output)
        elif node.op_type in ("Transpose", "Reshape", "Unsqueeze", "Squeeze", "Flatten") and inside.issuperset(
            data[:1]
        ):
            inside.update(node.output)
    return chosen


def constant_ints(node: NodeProto, position: int, fixed: dict[str, onnx.TensorProto]) -> list[int] | None:
    """Values of an input that is written into the graph; None when it is not."""
    if position >= len(node.input) or node.input[position] not in fixed:
        return None
    return [int(value) for value in numpy_helper.to_array(fixed[node.input[position]]).ravel()]


def attribute(node: NodeProto, name: str, default: int) -> int:
    """An integer attribute."""
    return next((int(entry.i) for entry in node.attribute if entry.name == name), default)


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove written tensors that no node takes."""
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def op_types(graph: onnx.GraphProto, names: Iterable[str]) -> list[str]:
    """The operators of some nodes, each once."""
    wanted = set(names)
    return sorted({node.op_type for node in graph.node if node.name in wanted})


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put every node behind those whose results it takes, as ONNX asks for; the order stays where it can."""
    made = {name for node in graph.node for name in node.output}
    known: set[str] = set()
    waiting = list(graph.node)
    ordered: list[NodeProto] = []
    while waiting:
        ready = [node for node in waiting if known.issuperset(made.intersection(node.input))]
        if not ready:
            # A circle: the checker says so better.
            ready = waiting
        ordered += ready
        known.update(name for node in ready for name in node.output)
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    del graph.node[:]
    graph.node.extend(ordered)
