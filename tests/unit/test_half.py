"""Half precision where it keeps the answers: what is left alone, and what a search puts back."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from voiceflow_ml.audio import read_wav
from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.graph import OUTPUT_NAMES
from voiceflow_ml.export.half import to_fp16, undo_round_trips
from voiceflow_ml.export.half_search import AIMED_ERROR, HalfPlan, find_half
from voiceflow_ml.export.regions import front_end, parts
from voiceflow_ml.models.shipped import shipped_model_path, shipped_speech_path

Float = NDArray[np.float32]
SPEECH = read_wav(shipped_speech_path(), sample_rate_hz=16_000)[0]
WINDOWS = SPEECH[: 4 * 16_000].reshape(4, 16_000)


def run(model: onnx.ModelProto, audio: Float = WINDOWS) -> list[Float]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(list(OUTPUT_NAMES), {"audio": audio}))


def network(scale: float, convolutions: int = 3) -> onnx.ModelProto:
    """Convolutions in a row, the last one's outputs times ``scale``, and small embeddings of the one before."""
    random = np.random.default_rng(0)
    nodes = [helper.make_node("Unsqueeze", ["audio", "axis"], ["x0"], "up")]
    weights: dict[str, NDArray[np.generic]] = {"axis": np.array([1]), "mean_axis": np.array([2])}
    for number in range(convolutions):
        last = number == convolutions - 1
        shape = (8, 1, 160) if number == 0 else (8, 8, 3)
        weights[f"w{number}"] = random.normal(size=shape).astype(np.float32) * (scale if last else 0.3)
        stride = [160] if number == 0 else [1]
        nodes.append(
            helper.make_node("Conv", [f"x{number}", f"w{number}"], [f"c{number}"], f"conv{number}", strides=stride)
        )
        nodes.append(helper.make_node("Tanh", [f"c{number}"], [f"x{number + 1}"], f"tanh{number}"))
    nodes.append(helper.make_node("Identity", [f"c{convolutions - 1}"], [OUTPUT_NAMES[0]], "logits"))
    nodes.append(helper.make_node("ReduceMean", ["x1", "mean_axis"], [OUTPUT_NAMES[1]], "pool"))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 3) for name in OUTPUT_NAMES],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_with_every_part_in_fp32_nothing_is_rounded() -> None:
    model = onnx.load(shipped_model_path())
    same = to_fp16(model, parts(model.graph))
    assert "Cast" not in {node.op_type for node in same.graph.node}
    for wanted, given in zip(run(model), run(same), strict=True):
        np.testing.assert_allclose(given, wanted, atol=2e-5)


def test_the_front_end_hears_the_audio_as_it_is() -> None:
    model = onnx.load(shipped_model_path())
    half = to_fp16(model)
    exempt = front_end(model.graph)
    rounded = {node.output[0] for node in half.graph.node if node.op_type == "Cast"}
    inside = [node for node in half.graph.node if node.name in exempt]
    assert len(inside) == len(exempt)
    assert not rounded.intersection(name for node in inside for name in node.input)
    assert [output.name for output in half.graph.output] == list(OUTPUT_NAMES)


def test_a_value_that_is_taken_in_both_precisions_keeps_both() -> None:
    def cast(source: str, target: str, kind: int) -> onnx.NodeProto:
        return helper.make_node("Cast", [source], [target], f"to_{target}", to=kind)

    nodes = [
        cast("x", "x16", TensorProto.FLOAT16),
        cast("x16", "x32", TensorProto.FLOAT),
        helper.make_node("Relu", ["x32"], ["y"], "single"),
        helper.make_node("Relu", ["x16"], ["z"], "half"),
        cast("y", "y16", TensorProto.FLOAT16),
        cast("y16", "out", TensorProto.FLOAT),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "out")]
    halves = helper.make_tensor_value_info("z", TensorProto.FLOAT16, [1])
    graph = helper.make_graph(nodes, "g", values[:1], [values[1], halves])
    undo_round_trips(graph)
    assert {node.name: (list(node.input), list(node.output)) for node in graph.node} == {
        "to_x16": (["x"], ["x16"]),
        "single": (["x"], ["out"]),
        "half": (["x16"], ["z"]),
    }


def test_parts_hold_every_operator_with_weights_once() -> None:
    graph = onnx.load(shipped_model_path()).graph
    found = parts(graph)
    nodes = [name for members in found.values() for name in members]
    assert len(nodes) == len(set(nodes))
    assert not set(nodes) & front_end(graph)
    convolutions = {node.name for node in graph.node if node.op_type == "Conv"} - front_end(graph)
    assert convolutions <= {members[0] for members in found.values()}


def test_where_all_can_be_half_nothing_is_searched() -> None:
    said: list[str] = []
    plan = find_half(network(scale=0.05), WINDOWS, said.append)
    assert (plan.whole, plan.parts, plan.measured, said) == ((), 3, (), [])
    assert plan.half_percent == pytest.approx(100.0)
    assert plan.error == plan.error_of_all <= AIMED_ERROR


def test_the_dearest_parts_stay_in_fp32_and_no_more() -> None:
    model = network(scale=0.2, convolutions=4)
    said: list[str] = []
    plan = find_half(model, WINDOWS, said.append)
    assert (plan.whole, plan.parts) == (("w1",), 4)
    assert plan.error <= AIMED_ERROR < plan.error_of_all
    assert 50.0 < plan.half_percent < 100.0
    assert plan.measured[0].name == "w1"
    assert sum(part.work_percent for part in plan.measured) == pytest.approx(100.0)
    assert said == [f"fp16: part {number} of 4 alone" for number in (1, 2, 3, 4)]
    wanted, given = run(model), run(to_fp16(model, plan.whole))
    scale = max(1.0, float(np.sqrt(np.square(wanted[0]).mean())))
    assert float(np.abs(given[0] - wanted[0]).max()) / scale == pytest.approx(plan.error, rel=0.2)
    assert HalfPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan.describe().startswith("3 of 4 parts with ")
    assert plan.describe().endswith(f"; in fp32: w1 ({plan.measured[0].error:.1e} alone)")


def test_where_no_part_can_be_half_each_is_named_with_what_it_costs() -> None:
    with pytest.raises(ExportError, match=r"no part of the graph can be in half precision; .* w0 \d\.\de-0\d"):
        find_half(network(scale=3.0, convolutions=1), WINDOWS)


def test_weights_that_half_precision_cannot_hold_are_the_dearest() -> None:
    with pytest.raises(ExportError, match=r"each alone is off by: w3 \d\.\de\+"):
        find_half(network(scale=1e5, convolutions=4), WINDOWS)
