"""Where OpenVINO really ran a graph, and where it did not: the real provider, the real record of placement."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_models import chain_model, save_graph, tiny_model
from voiceflow_ml.cli import main
from voiceflow_ml.errors import ModelFileError
from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.runtime import Boundary, RuntimeOptions
from voiceflow_ml.hardware.software import ort_builds
from voiceflow_ml.hardware.targets import CPU, find_gpu
from voiceflow_ml.inference.ort import OnnxModel, open_onnx
from voiceflow_ml.inference.placement import profiled_placement
from voiceflow_ml.models.shipped import shipped_model_path

OPENVINO = "OpenVINOExecutionProvider"
ON_OPENVINO = RuntimeOptions(provider="openvino")


def opened(path: Path, options: RuntimeOptions = ON_OPENVINO) -> OnnxModel:
    return open_onnx(path, CPU, options=options)


def test_the_environment_has_the_third_build_of_onnxruntime_alone() -> None:
    assert list(ort_builds()) == ["onnxruntime-openvino"]
    assert OPENVINO in onnxruntime.get_available_providers()


def test_a_graph_that_openvino_takes_whole_ran_there(tmp_path: Path) -> None:
    model = opened(chain_model(tmp_path / "chain.onnx", layers=4))
    ran = model(np.ones((2, 128), np.float32))[0]
    np.testing.assert_allclose(ran, np.ones((2, 128)), rtol=1e-3)
    (finding,) = model.findings()
    assert finding.severity is Severity.INFORMATION
    assert finding.fact == f"all 4 compute nodes ran on {OPENVINO}"
    facts = model.facts()
    assert facts["execution providers"].startswith(OPENVINO)
    assert "device_type = CPU" in facts[f"options of {OPENVINO}"]


def test_the_shipped_model_runs_there_and_agrees_with_the_cpu() -> None:
    audio = np.random.default_rng(0).standard_normal((1, 48_000)).astype(np.float32) / 10
    there, here = opened(shipped_model_path()), open_onnx(shipped_model_path())
    assert [finding.severity for finding in there.findings()] == [Severity.INFORMATION]
    for one, other in zip(there(audio), here(audio), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-2)


def mixed_model(path: Path) -> Path:
    """Write a model: a product that OpenVINO takes, and a Hardmax, which it leaves to onnxruntime's CPU provider."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"], "multiply"),
            helper.make_node("Hardmax", ["h"], ["y"], "choose"),
        ],
        "mixed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "w")],
    )
    return save_graph(path, graph)


def test_a_node_that_openvino_leaves_to_the_cpu_is_named(tmp_path: Path) -> None:
    model = opened(mixed_model(tmp_path / "mixed.onnx"))
    # It computes, and the session lists the provider first: only the record of placement tells.
    assert model(np.ones((2, 4), np.float32))[0].tolist() == [[0, 0, 1]] * 2
    assert model.facts()["execution providers"].startswith(OPENVINO)
    (finding,) = model.findings()
    assert finding.severity is Severity.INVALID
    assert finding.fact == "1 of 2 nodes ran on CPUExecutionProvider: choose"


def test_a_profile_tells_the_same_to_releases_that_record_no_placement(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(
        str(mixed_model(tmp_path / "mixed.onnx")), options, providers=[(OPENVINO, {"device_type": "CPU"})]
    )
    session.run(None, {"x": np.ones((2, 4), np.float32)})
    placed = profiled_placement(Path(session.end_profiling()))
    assert ("CPUExecutionProvider", "choose", "Hardmax") in placed
    assert any(provider == OPENVINO for provider, _, _ in placed)


def test_doctor_says_where_it_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = mixed_model(tmp_path / "mixed.onnx")
    for model, code in ((chain_model(tmp_path / "chain.onnx", layers=2), 0), (path, 1)):
        with mock.patch.object(sys, "argv", ["voiceflow", "doctor", str(model), "--provider=openvino"]):
            with pytest.raises(SystemExit) as stopped:
                main()
            assert stopped.value.code == code
    printed = capsys.readouterr().out
    assert "ok       placement  all 2 compute nodes ran on OpenVINOExecutionProvider" in printed
    assert "INVALID  placement  1 of 2 nodes ran on CPUExecutionProvider: choose; " in printed


def test_bound_inputs_and_outputs_are_another_boundary(tmp_path: Path) -> None:
    model = opened(
        chain_model(tmp_path / "chain.onnx", layers=2), RuntimeOptions("openvino", boundary=Boundary.DEVICE_ONLY)
    )
    assert model.boundary.startswith("device-only: ")
    assert model(np.ones((2, 128), np.float32))[0].shape == (2, 128)


def test_a_gpu_target_is_refused_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="this onnxruntime has no CUDAExecutionProvider for cuda-t4"):
        open_onnx(tiny_model(tmp_path / "tiny.onnx"), find_gpu("t4"))
