from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_models import save_graph, tiny_model, two_input_model
from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.files import hash_file
from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.targets import CPU, find_target
from voiceflow_ml.inference.call import Measurable
from voiceflow_ml.inference.ort import InputInfo, open_onnx
from voiceflow_ml.inference.ort_session import Optimising, make_session
from voiceflow_ml.inference.placement import placement_finding

T4 = find_target("cuda-t4")
CUDA, ON_CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])


@pytest.fixture(name="tiny")
def _tiny(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny.onnx")


def test_a_model_runs_and_is_measurable(tiny: Path) -> None:
    model = open_onnx(tiny)
    assert isinstance(model, Measurable)
    values = np.array([[1, 2, 3, 4], [-1, 0, 0, 1]], dtype=np.float32)
    weights = np.arange(12, dtype=np.float32).reshape(4, 3) / 10 - 0.5
    (output,) = model(values)
    np.testing.assert_allclose(output, np.maximum(values @ weights, 0), rtol=1e-5)
    again: Any = model.bind(values)()
    np.testing.assert_array_equal(output, again[0])
    assert model.target is CPU
    assert model.boundary.startswith("host-to-host: one session.run")


def test_an_optimised_graph_that_was_saved_gives_the_same_to_the_bit(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["one", "two"], ["three"]), helper.make_node("Mul", ["x", "three"], ["y"])]
    numbers = [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in (("one", 0.1), ("two", 0.2))]
    path, saved = tmp_path / "model.onnx", tmp_path / "saved.onnx"
    save_graph(path, helper.make_graph(nodes, "sum", [X], [Y], numbers))
    feeds = {"x": np.array([1.1, -7.3], np.float32)}
    (first,), (again,) = (
        make_session(file, CPU, threads=1, spinning=False, optimising=how).run(None, feeds)
        for file, how in ((path, Optimising(save_as=saved)), (saved, Optimising(is_done=True)))
    )
    np.testing.assert_array_equal(first, again)
    # The sum was worked out before.
    assert [node.op_type for node in onnx.load(saved).graph.node] == ["Mul"]


def test_inputs_are_described(tmp_path: Path) -> None:
    audio, length = open_onnx(two_input_model(tmp_path / "two.onnx")).inputs
    assert audio == InputInfo("audio", np.dtype(np.float32), (1, "samples"))
    assert length == InputInfo("length", np.dtype(np.int64), (1,))


def test_facts_say_what_ran(tiny: Path) -> None:
    facts = open_onnx(tiny, threads=2).facts()
    assert facts == {
        "model file": "tiny.onnx",
        "model SHA-256": hashlib.sha256(tiny.read_bytes()).hexdigest(),
        "runtime": f"onnxruntime {onnxruntime.__version__}",
        "execution providers": ON_CPU,
        "intra-op threads": "2",
        "inter-op threads": "1",
        "thread spinning": "off",
    }
    assert hash_file(tiny) == facts["model SHA-256"]


def test_inputs_are_fixed_when_they_are_bound(tiny: Path) -> None:
    values = np.ones((1, 4), dtype=np.float32)
    call = open_onnx(tiny).bind(values)
    before: Any = call()
    values[:] = -1e9
    after: Any = call()
    np.testing.assert_array_equal(before[0], after[0])


def test_an_array_in_any_memory_layout_is_taken(tiny: Path) -> None:
    model = open_onnx(tiny)
    values = np.arange(8, dtype=np.float32).reshape(4, 2).T
    np.testing.assert_array_equal(model(values)[0], model(values.copy())[0])


def test_a_scalar_input_stays_a_scalar(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "scalar",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    (output,) = open_onnx(save_graph(tmp_path / "scalar.onnx", graph))(np.float32(3))
    assert (output.shape, float(output)) == ((), 3.0)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], r"tiny\.onnx takes 1 input \(x\), got 0"),
        ([np.ones((1, 4), np.float32)] * 2, r"tiny\.onnx takes 1 input \(x\), got 2"),
        ([np.ones((1, 4))], r"tiny\.onnx: input 'x' takes float32 \[batch, 4\], got float64 \[1, 4\]"),
        ([np.ones((1, 5), np.float32)], r"input 'x' takes float32 \[batch, 4\], got float32 \[1, 5\]"),
        ([np.ones(4, np.float32)], r"input 'x' takes float32 \[batch, 4\], got float32 \[4\]"),
        (["text"], r"input 'x' takes float32 \[batch, 4\], got <U4 \[\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_anything_runs(tiny: Path, inputs: list[Any], message: str) -> None:
    model = open_onnx(tiny)
    with pytest.raises(ConfigError, match=message):
        model.bind(*inputs)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ModelFileError) as caught:
        open_onnx(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}/", "")


def test_files_that_are_no_models(tmp_path: Path, tiny: Path) -> None:
    assert refusal(tmp_path / "no.onnx") == "model file no.onnx does not exist; give the path of an .onnx file"
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    assert refusal(folder) == "model file folder.onnx is a folder; give the path of an .onnx file"
    other = tmp_path / "other.onnx"
    other.write_bytes(b"")
    assert refusal(other) == "model file other.onnx is empty; export it again"
    damaged = "model file other.onnx is not an ONNX model that can be loaded: Protobuf parsing failed"
    other.write_text("this is not a model at all")
    assert refusal(other) == damaged
    whole = tiny.read_bytes()
    for size in (1, 10, len(whole) // 2, len(whole) - 1):
        other.write_bytes(whole[:size])
        assert refusal(other).startswith("model file other.onnx is not an ONNX model that can be loaded: ")


def test_models_that_this_runtime_cannot_run(tmp_path: Path) -> None:
    unknown = helper.make_graph([helper.make_node("Nonsense", ["x"], ["y"], domain="my.domain")], "g", [X], [Y])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my.domain", 1)]
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(unknown, opset_imports=opsets, ir_version=9), str(path))
    assert "my.domain:Nonsense(-1) is not a registered function/op" in refusal(path)
    future = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [X], [Y])
    onnx.save(helper.make_model(future, opset_imports=[helper.make_opsetid("", 999)], ir_version=9), str(path))
    message = refusal(path)
    assert "Opset 999" in message
    # Where in its own source the runtime found out, and in which C++ function, helps nobody.
    assert not re.search(r"\.(h|cc):\d+|std::", message)


def test_weights_that_were_left_behind(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones((2, 2), dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [X], [Y], [weights])
    path = tmp_path / "model.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    open_onnx(path)
    (tmp_path / "weights.bin").unlink()
    assert refusal(path).startswith("model file model.onnx is not an ONNX model that can be loaded: ")


def test_an_input_type_that_no_array_can_fill(tmp_path: Path) -> None:
    text = [helper.make_tensor_value_info(name, TensorProto.STRING, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", text[:1], text[1:])
    path = save_graph(tmp_path / "text.onnx", graph)
    assert refusal(path) == "text.onnx: input 'x' has the unsupported type tensor(string)"


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_counted_from_one(tiny: Path, threads: int) -> None:
    with pytest.raises(ConfigError, match=f"threads must be at least 1, got {threads}"):
        open_onnx(tiny, threads=threads)


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this build of onnxruntime has CUDA")
def test_a_cpu_build_refuses_a_gpu_target_instead_of_falling_back(tiny: Path) -> None:
    available = ", ".join(onnxruntime.get_available_providers())
    assert refusal(tiny, target=T4) == (
        f"this onnxruntime has no CUDAExecutionProvider for cuda-t4 (it has: {available}); "
        'put the GPU build in its place: pip uninstall onnxruntime, then pip install "voiceflow-ml[gpu]"'
    )


def test_placement_is_read_from_the_session_itself(tiny: Path) -> None:
    (finding,) = open_onnx(tiny).findings()
    assert (finding.severity, finding.sentence) == (
        Severity.INFORMATION,
        "all 2 compute nodes ran on CPUExecutionProvider",
    )


def test_the_recorded_placement_names_every_node(tiny: Path) -> None:
    groups = open_onnx(tiny)._session.get_provider_graph_assignment_info()
    placed = {(group.ep_name, node.name, node.op_type) for group in groups for node in group.get_nodes()}
    assert placed == {(ON_CPU, "multiply", "MatMul"), (ON_CPU, "clip", "Relu")}
    # The same graph promised for a T4 is found out from the same record.
    finding = placement_finding(sorted(placed), T4)
    assert finding.severity is Severity.INVALID
    assert finding.fact == "2 of 2 nodes ran on CPUExecutionProvider: clip (+1)"


def test_a_graph_that_computes_nothing_proves_nothing(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["y"], value=numpy_helper.from_array(np.ones(2, np.float32)))
    path = save_graph(tmp_path / "constant.onnx", helper.make_graph([constant], "g", [X], [Y]))
    (finding,) = open_onnx(path).findings()
    assert finding.severity is Severity.INVALID
    assert finding.fact.startswith("the runtime recorded no node: the graph computes nothing, or")


PLUGIN = "CudaPluginExecutionProvider"
PLACEMENTS: list[tuple[list[tuple[str, str, str]], Severity, str]] = [
    ([(CUDA, "a", "Conv"), (CUDA, "b", "Relu")], Severity.INFORMATION, f"all 2 compute nodes ran on {CUDA}"),
    ([(CUDA, "a", "Conv")], Severity.INFORMATION, f"the only compute node ran on {CUDA}"),
    ([(PLUGIN, "a", "Conv"), (PLUGIN, "b", "Relu")], Severity.INFORMATION, f"all 2 compute nodes ran on {CUDA}"),
    (
        [(CUDA, "a", "Conv"), (CUDA, "b", "Relu"), (ON_CPU, "s", "Shape")],
        Severity.INFORMATION,
        f"all 2 compute nodes ran on {CUDA} (1 shape operator on the CPU, as the runtime intends)",
    ),
    (
        [(CUDA, "a", "Conv"), (ON_CPU, "/enc/b", "Relu"), (ON_CPU, "c", "Add"), (ON_CPU, "s", "Shape")],
        Severity.INVALID,
        f"2 of 4 nodes ran on {ON_CPU}: /enc/b (+1)",
    ),
    ([(CUDA, "a", "Conv"), (ON_CPU, "", "Relu")], Severity.INVALID, f"1 of 2 nodes ran on {ON_CPU}: Relu"),
    (
        [("TensorrtExecutionProvider", "a", "Conv"), (ON_CPU, "b", "Relu")],
        Severity.INVALID,
        f"2 of 2 nodes ran on TensorrtExecutionProvider and {ON_CPU}: a (+1)",
    ),
    (
        [(CUDA, "a", "Conv"), (CUDA, "m", "MemcpyToHost"), (CUDA, "n", "MemcpyFromHost")],
        Severity.INVALID,
        "2 copies between host and device inside the graph",
    ),
    ([(ON_CPU, "s", "Shape")], Severity.INVALID, f"no node ran on {CUDA}: the graph only asks for shapes"),
    ([], Severity.INVALID, "the runtime recorded no node: the graph computes nothing, or onnxruntime is older"),
]


@pytest.mark.parametrize(("placed", "severity", "fact"), PLACEMENTS)
def test_placement_on_a_gpu(placed: list[tuple[str, str, str]], severity: Severity, fact: str) -> None:
    finding = placement_finding(placed, T4)
    assert finding.severity is severity
    assert finding.fact.startswith(fact)
    assert bool(finding.remedy) == (severity is Severity.INVALID)
