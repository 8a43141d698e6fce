"""Work of graphs, checked by hand: the arithmetic of each expected number stands beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.utils.flop_counter import FlopCounterMode

from tests.onnx_models import save_graph, tiny_model
from voiceflow_ml.hardware.roofline import Work
from voiceflow_ml.inference.graph_work import graph_work
from voiceflow_ml.models.fast_cnn import FastCnn
from voiceflow_ml.models.shipped import shipped_model_path

F32 = 4


def floats(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def weights(name: str, *shape: int, kind: Any = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.zeros(shape, kind), name)


def value(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def test_a_product_with_a_dynamic_batch(tmp_path: Path) -> None:
    # x [5, 4] times w [4, 3]: 5 x 3 sums of 4 products, each a multiplication and an addition.
    work = graph_work(tiny_model(tmp_path / "tiny.onnx"), {"x": floats(5, 4)})
    assert work == Work({"fp32": 2 * 5 * 3 * 4}, bytes_moved=F32 * (5 * 4 + 4 * 3 + 5 * 3), counted=1)


def test_convolutions_strided_grouped_and_turned_around(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b"], ["h1"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["h1", "w2"], ["h2"], group=8),
        helper.make_node("ConvTranspose", ["h2", "w3"], ["y"], strides=[2, 2]),
    ]
    held = [weights("w1", 8, 3, 3, 3), weights("b", 8), weights("w2", 8, 1, 3, 3), weights("w3", 8, 4, 2, 2)]
    graph = helper.make_graph(nodes, "g", [value("x", ["n", 3, 16, 16])], [value("y", ["n", 4, "h", "w"])], held)
    work = graph_work(save_graph(tmp_path / "conv.onnx", graph), {"x": floats(1, 3, 16, 16)})
    assert work is not None
    first = 2 * (8 * 8 * 8) * (3 * 3 * 3)  # output 8 x 8 x 8, each a sum over 3 channels and 3 x 3
    second = 2 * (8 * 6 * 6) * (1 * 3 * 3)  # depthwise: each a sum over its own channel alone
    third = 2 * (8 * 6 * 6) * (4 * 2 * 2)  # each of 8 x 6 x 6 inputs spread over 4 channels and 2 x 2
    assert work.flops == {"fp32": first + second + third}
    held_values = 8 * 27 + 8 + 8 * 9 + 8 * 16
    assert work.bytes_moved == F32 * (3 * 256 + held_values + 4 * 12 * 12)


def test_recurrent_layers_and_a_gemm(tmp_path: Path) -> None:
    # LSTM, both directions, 10 steps, batch 2, input 6, hidden 5; then its flattened state through a transposed Gemm.
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r"], ["", "state"], hidden_size=5, direction="bidirectional"),
        helper.make_node("Flatten", ["state"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "g"], ["y"], transA=1, transB=1),
    ]
    held = [weights("w", 2, 20, 6), weights("r", 2, 20, 5), weights("g", 3, 2)]
    graph = helper.make_graph(nodes, "g", [value("x", [10, 2, 6])], [value("y", [10, 3])], held)
    work = graph_work(save_graph(tmp_path / "lstm.onnx", graph), {"x": floats(10, 2, 6)})
    assert work is not None
    recurrent = 2 * (10 * 2) * 2 * (4 * 5) * (6 + 5)  # steps x batch, directions, gates x hidden, over input and state
    gemm = 2 * (10 * 3) * 2  # flat is [2, 10]; turned around, each output is a sum of 2
    assert (work.flops, work.counted) == ({"fp32": recurrent + gemm}, 2)


def test_quantised_products_count_as_what_they_run_at(tmp_path: Path) -> None:
    scale, zero = weights("s", 1), weights("z", 1, kind=np.uint8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Transpose", ["d"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["t", "w"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", [4, 6])], [value("y", [6, 2])], [scale, zero, weights("w", 4, 2)])
    work = graph_work(save_graph(tmp_path / "q.onnx", graph), {"x": floats(4, 6)})
    assert work is not None
    assert work.flops == {"int8": 2 * 6 * 2 * 4}


def test_shapes_that_the_graph_computes_itself_are_found_by_running_it(tmp_path: Path) -> None:
    # The number of rows is the sum of x, which no static inference can know.
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["rows"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["rows", "one"], ["rows1"]),
        helper.make_node("Concat", ["rows1", "four"], ["shape"], axis=0),
        helper.make_node("Expand", ["row", "shape"], ["many"]),
        helper.make_node("MatMul", ["many", "w"], ["y"]),
    ]
    held = [
        numpy_helper.from_array(np.array([1]), "one"),
        numpy_helper.from_array(np.array([4]), "four"),
        weights("row", 1, 4),
        weights("w", 4, 2),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", ["n"])], [value("y", ["m", 2])], held)
    path = save_graph(tmp_path / "own.onnx", graph)
    work = graph_work(path, {"x": np.ones(7, np.float32)})
    assert work is not None
    assert work.flops == {"fp32": 2 * 7 * 2 * 4}
    # What cannot be run either is left out, and said: the floor stays a floor.
    unknown = graph_work(path, {"x": np.ones((7, 1), np.float32)})
    assert unknown is None or (unknown.flops, unknown.left_out) == ({}, 1)


def test_graphs_within_nodes_are_left_out_and_said(tmp_path: Path) -> None:
    body = helper.make_graph([helper.make_node("Identity", ["x"], ["b"])], "body", [], [value("b", [2])])
    node = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    inputs = [value("x", [2]), value("c", [], TensorProto.BOOL)]
    path = save_graph(tmp_path / "if.onnx", helper.make_graph([node], "g", inputs, [value("y", [2])]))
    work = graph_work(path, {"x": floats(2), "c": np.array(True)})
    assert work is not None
    assert (work.flops, work.left_out) == ({}, 1)


@pytest.mark.parametrize("samples", [16_000, 48_000])
def test_the_shipped_model_agrees_with_what_torch_counts(samples: int) -> None:
    work = graph_work(shipped_model_path(), {"audio": floats(1, samples)})
    assert work is not None
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        FastCnn().eval()(torch.zeros(1, samples))
    # torch counts the same products, before the exporter merged some of them.
    assert work.left_out == 0
    assert work.total_flops == pytest.approx(counter.get_total_flops(), rel=0.01)
    weights_alone = sum(entry.nbytes for entry in map(numpy_helper.to_array, _initializers()))
    assert weights_alone < work.bytes_moved < weights_alone + F32 * samples + 2**20


def _initializers() -> list[onnx.TensorProto]:
    return list(onnx.load(str(shipped_model_path())).graph.initializer)


def test_what_cannot_be_counted_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "no.onnx"
    path.write_text("not a model")
    assert graph_work(path, {}) is None
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert graph_work(shipped_model_path(), {"audio": floats(1, 16_000)}) is None
