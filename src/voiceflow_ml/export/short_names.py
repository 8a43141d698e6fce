"""Short names inside a graph: quantisation writes each of its thousands of tensors' names out several times."""

from __future__ import annotations

import onnx


def shorten_names(graph: onnx.GraphProto) -> None:
    """Number all tensors and nodes that no caller sees; inputs and outputs keep their names."""
    kept = {value.name for value in (*graph.input, *graph.output)} | {""}
    short: dict[str, str] = {}

    def renamed(name: str) -> str:
        return name if name in kept else short.setdefault(name, f"t{len(short)}")

    for tensor in graph.initializer:
        tensor.name = renamed(tensor.name)
    for number, node in enumerate(graph.node):
        node.name = f"n{number}"
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                names[position] = renamed(name)
    # What the checker infers by itself need not be written out.
    del graph.value_info[:]
