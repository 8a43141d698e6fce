"""Graphs that compute the same: written otherwise, quantised where it is safe, read by what they compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from voiceflow_ml.errors import ConfigError, ExportError
from voiceflow_ml.export.folded_dft import fold_dft
from voiceflow_ml.export.half import to_fp16
from voiceflow_ml.export.options import Precision, parse_precisions
from voiceflow_ml.export.precision import to_int8
from voiceflow_ml.export.regions import front_end, quantisable, sort_nodes
from voiceflow_ml.export.rewrites import conv1d_as_conv2d
from voiceflow_ml.models.shipped import shipped_model_path

Float = NDArray[np.float32]
RANDOM = np.random.default_rng(0)


def model_of(nodes: list[onnx.NodeProto], weights: dict[str, Float], rank: int = 2) -> onnx.ModelProto:
    axes: list[str | int | None] = ["batch", *([1] * (rank - 2)), "samples"]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, audio: Float) -> Float:
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: Float = session.run(None, {"audio": audio})[0]
    return result


def dft_model(length: int, hop: int, pads: tuple[int, int], window: Float | None = None) -> onnx.ModelProto:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    angle = 2 * np.pi / length * np.outer(np.arange(length // 2 + 1), np.arange(length))
    kernels = np.concatenate([np.cos(angle), np.sin(angle)]) * (hann if window is None else window)
    node = helper.make_node(
        "Conv", ["audio", "k"], ["y"], "dft", strides=[1, hop], pads=[0, pads[0], 0, pads[1]], kernel_shape=[1, length]
    )
    return model_of([node], {"k": kernels[:, None, None, :].astype(np.float32)}, rank=4)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from([(400, 160), (512, 160), (400, 100), (64, 64), (128, 48), (16, 3)]),
    pads=st.tuples(st.integers(0, 130), st.integers(0, 130)),
    extra=st.integers(0, 700),
    batch=st.integers(1, 3),
)
def test_a_folded_dft_gives_what_the_convolution_gives(
    shape: tuple[int, int], pads: tuple[int, int], extra: int, batch: int
) -> None:
    model = dft_model(*shape, pads)
    folded = fold_dft(model)
    assert folded is not None
    audio = RANDOM.normal(size=(batch, 1, 1, shape[0] + extra)).astype(np.float32)
    wanted = run(model, audio)
    np.testing.assert_allclose(run(folded, audio), wanted, atol=2e-6 * shape[0], rtol=0)
    assert "Conv" not in {node.op_type for node in folded.graph.node}


def test_a_folded_dft_takes_a_quarter_of_the_products() -> None:
    folded = fold_dft(dft_model(400, 160, (120, 120)))
    assert folded is not None
    weights = {tensor.name: tensor for tensor in folded.graph.initializer}
    products = sum(int(np.prod(weights[node.input[0]].dims)) for node in folded.graph.node if node.op_type == "MatMul")
    assert products == pytest.approx(402 * 400 / 4, rel=0.01)


@pytest.mark.parametrize(
    "window",
    [np.arange(400, dtype=np.float32), np.ones(400, dtype=np.float32)],
    ids=["not even", "not nothing at its edge"],
)
def test_other_windows_and_other_convolutions_are_left_alone(window: Float) -> None:
    assert fold_dft(dft_model(400, 160, (0, 0), window)) is None
    kernels = RANDOM.normal(size=(402, 1, 1, 400)).astype(np.float32)
    assert fold_dft(model_of([helper.make_node("Conv", ["audio", "k"], ["y"], "c")], {"k": kernels}, 4)) is None


def test_the_dft_of_the_shipped_model_is_found() -> None:
    assert fold_dft(onnx.load(shipped_model_path())) is not None


def conv1d_model() -> onnx.ModelProto:
    weights = {
        "k": RANDOM.normal(size=(6, 1, 5)).astype(np.float32),
        "b": RANDOM.normal(size=6).astype(np.float32),
        "d": RANDOM.normal(size=(6, 1, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["audio", "k", "b"], ["h"], "one", strides=[2], pads=[2, 1], kernel_shape=[5]),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "d"], ["y"], "two", dilations=[2], group=6),
    ]
    return model_of(nodes, weights, rank=3)


def test_conv1d_as_conv2d_computes_the_same() -> None:
    model = conv1d_model()
    wide = conv1d_as_conv2d(model)
    assert wide is not None
    audio = RANDOM.normal(size=(2, 1, 101)).astype(np.float32)
    np.testing.assert_allclose(run(wide, audio), run(model, audio), atol=1e-5)
    assert all(len(tensor.dims) != 3 for tensor in wide.graph.initializer)
    assert conv1d_as_conv2d(wide) is None
    assert conv1d_as_conv2d(onnx.load(shipped_model_path())) is None


def test_the_front_end_is_what_a_logarithm_rests_on() -> None:
    graph = onnx.load(shipped_model_path()).graph
    exempt = [node for node in graph.node if node.name in front_end(graph)]
    assert {"dft", "mel"} == {node.input[1].split(".")[-1] for node in exempt if node.op_type == "Conv"}
    assert front_end(conv1d_model().graph) == set()
    chosen = {node.name: node for node in graph.node if node.name in quantisable(graph)}
    convolutions = {node.name for node in graph.node if node.op_type == "Conv"}
    assert len(convolutions) == 76
    assert {name for name, node in chosen.items() if node.op_type == "Conv"} == convolutions - front_end(graph)
    assert not set(chosen) & front_end(graph)


def square_model() -> onnx.ModelProto:
    """Convolution, then its own square, its product with itself moved, and a product of two activations."""
    nodes = [
        helper.make_node("Unsqueeze", ["audio", "axis"], ["x"], "up"),
        helper.make_node("Conv", ["x", "k"], ["c"], "conv", pads=[1, 1]),
        helper.make_node("Mul", ["c", "c"], ["s"], "square"),
        helper.make_node("Transpose", ["c"], ["t"], "turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["t", "c"], ["m"], "attend"),
        helper.make_node("MatMul", ["t", "w"], ["l"], "linear"),
        helper.make_node("Sigmoid", ["c"], ["g"], "gate"),
        helper.make_node("Mul", ["c", "g"], ["p"], "gated"),
        helper.make_node("ReduceSum", ["p"], ["y"], "sum"),
    ]
    weights = {"k": RANDOM.normal(size=(4, 1, 3)).astype(np.float32), "w": np.eye(4, dtype=np.float32)}
    model = model_of(nodes, weights)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "axis"))
    return model


def test_products_of_activations_and_squares_stay_in_fp32() -> None:
    assert quantisable(square_model().graph) == ["conv", "linear", "gate", "gated"]


def test_a_graph_without_weights_cannot_be_quantised() -> None:
    model = model_of([helper.make_node("Relu", ["audio"], ["y"], "relu")], {})
    with pytest.raises(ExportError, match="no convolution or matrix product to quantise"):
        to_int8(model, np.zeros((1, 100), dtype=np.float32))


def test_half_precision_keeps_the_front_end_whole(tmp_path: Path) -> None:
    half = to_fp16(onnx.load(shipped_model_path()))
    onnx.checker.check_model(half, full_check=True)
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert {kinds[name] for name in ("log_mel.dft", "log_mel.mel")} == {TensorProto.FLOAT}
    assert sum(kind == TensorProto.FLOAT16 for kind in kinds.values()) > 50
    onnx.save(half, tmp_path / "half.onnx")
    assert (tmp_path / "half.onnx").stat().st_size < 0.65 * shipped_model_path().stat().st_size


def test_precisions_are_read_and_dynamic_int8_is_refused_with_the_reason() -> None:
    assert parse_precisions("int8") == (Precision.FP32, Precision.INT8)
    assert parse_precisions(" INT8, fp16,") == (Precision.FP32, Precision.FP16, Precision.INT8)
    with pytest.raises(ConfigError, match="unknown precision 'bf16'; the precisions are: fp32, fp16, int8"):
        parse_precisions("bf16")
    with pytest.raises(ConfigError, match="slower than fp32 after; int8 is quantised statically here"):
        parse_precisions("dynamic")


def test_nodes_are_put_behind_what_they_take() -> None:
    model = conv1d_model()
    wanted = [node.name for node in model.graph.node]
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    sort_nodes(model.graph)
    assert [node.name for node in model.graph.node] == wanted
