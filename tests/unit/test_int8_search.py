"""Which kinds of operators an int8 graph leaves in fp32: those that were measured to be faster so, and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.unit.result_set import run_of
from tests.unit.test_half import WINDOWS, network
from voiceflow_ml.export.int8_search import FloatPlan, find_float, kinds
from voiceflow_ml.export.precision import int8_nodes, to_int8
from voiceflow_ml.export.tuning import Duel, judged
from voiceflow_ml.models.shipped import shipped_model_path


def duel(slower: bool) -> Duel:
    quick, slow = (run_of(np.full(400, value) + np.arange(400) % 7) for value in (1_000_000, 2_000_000))
    return judged(quick, slow) if slower else judged(slow, quick)


def plain_convolutions(path: Path) -> int:
    """Convolutions with weights of single precision."""
    graph = onnx.load(path).graph
    whole = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    return sum(node.op_type == "Conv" and node.input[1] in whole for node in graph.node)


def test_every_int8_operator_is_of_one_kind() -> None:
    model = onnx.load(shipped_model_path())
    found = kinds(model)
    assert sorted(name for names in found.values() for name in names) == sorted(
        name for name in int8_nodes(model) if name in {node.name for node in model.graph.node}
    )
    assert {"one-channel convolutions of 3x3 taps", "convolutions across channels"} < set(found)
    assert any(kind.startswith("depthwise convolutions of 1x") for kind in found)


@pytest.mark.parametrize("slower", [True, False])
def test_a_kind_stays_in_fp32_only_when_int8_is_slower(slower: bool) -> None:
    model = network(scale=0.3)
    one, across = kinds(model)
    assert (one, across) == ("one-channel convolutions of 160 taps", "convolutions across channels")
    seen: list[tuple[int, int]] = []

    def measure(first: Path, second: Path, audio: object, tell: object) -> Duel:
        seen.append((plain_convolutions(first), plain_convolutions(second)))
        return duel(slower)

    said: list[str] = []
    plan = find_float(model, WINDOWS, measure, said.append)
    # With the first kind left out, leaving out the second would leave nothing in int8.
    assert seen == ([(1, 0)] if slower else [(1, 0), (2, 0)])
    assert said == [f"int8: {kind} in fp32" for kind in (one, across)[: len(seen)]]
    assert plan.left_out == (("conv0",) if slower else ())
    assert plan.notes[0].startswith(f"{one}: {'left in fp32' if slower else 'in int8'}; int8 against fp32 there: ")
    assert [note.split(":")[0] for note in plan.notes] == [one, across][: len(seen)]
    assert FloatPlan.from_dict(plan.to_dict()) == plan


def test_what_is_left_out_keeps_its_weights(tmp_path: Path) -> None:
    onnx.save(to_int8(network(scale=0.3), WINDOWS, ("conv0", "conv2")), tmp_path / "int8.onnx")
    assert plain_convolutions(tmp_path / "int8.onnx") == 2
