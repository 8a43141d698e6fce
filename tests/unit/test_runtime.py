"""How a model is run: provider, options, boundary, spinning; and that a session is what it was asked to be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.onnx_models import tiny_model
from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.hardware.evidence import Severity, shapes_finding, swapped_finding
from voiceflow_ml.hardware.fake_nvml import FakeGpu, FakeNvml
from voiceflow_ml.hardware.gpu import GpuProbe
from voiceflow_ml.hardware.nvml import ask_gpus
from voiceflow_ml.hardware.runtime import PROVIDERS, Boundary, RuntimeOptions, with_provider
from voiceflow_ml.hardware.targets import CPU, TARGETS, find_gpu
from voiceflow_ml.hardware.watch import MachineWatch, restated_finding
from voiceflow_ml.inference.baseline import open_baseline
from voiceflow_ml.inference.ort import OnnxModel, open_onnx
from voiceflow_ml.inference.ort_session import asked_options
from voiceflow_ml.inference.placement import failover_finding, placement_finding, profiled_placement
from voiceflow_ml.sla.changes import loosened
from voiceflow_ml.sla.load import parse_sla

T4 = find_gpu("t4")
ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture(name="tiny")
def _tiny(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny.onnx")


def test_a_target_runs_as_it_ships_unless_a_model_says_otherwise() -> None:
    assert with_provider(T4, RuntimeOptions()) is T4
    tuned = with_provider(T4, RuntimeOptions(provider_options={"cudnn_conv_algo_search": "HEURISTIC"}))
    assert tuned.providers == T4.providers
    assert tuned.provider_options == {**T4.provider_options, "cudnn_conv_algo_search": "HEURISTIC"}


def test_tensorrt_has_cuda_behind_it_and_options_of_its_own() -> None:
    target = with_provider(T4, RuntimeOptions("tensorrt", {"trt_fp16_enable": "1"}))
    assert target.providers == ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CudaPluginExecutionProvider")
    assert target.provider_options == {"trt_fp16_enable": "1"}
    assert target.device_name == T4.device_name


def test_openvino_takes_as_many_threads_as_are_promised() -> None:
    target = with_provider(CPU, RuntimeOptions("openvino"))
    options = asked_options(target.providers[0], target, threads=2)
    assert options == {"device_type": "CPU", "num_of_threads": "2"}


@pytest.mark.parametrize(
    ("target", "provider", "sentence"),
    [
        (CPU, "cuda", "provider 'cuda' does not run on cpu; valid there: cpu, openvino"),
        (T4, "openvino", "provider 'openvino' does not run on cuda-t4; valid there: cuda, tensorrt"),
        (CPU, "gpu", "unknown provider 'gpu'; valid: cpu, cuda, tensorrt, openvino"),
    ],
)
def test_a_provider_that_does_not_go_with_the_target(target: object, provider: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_provider(target, RuntimeOptions(provider))  # type: ignore[arg-type]
    assert str(caught.value) == sentence


def test_a_build_without_the_provider_is_told_what_to_install(tiny: Path) -> None:
    with pytest.raises(ModelFileError, match="in an environment of its own: pip install onnxruntime-openvino"):
        open_onnx(tiny, options=RuntimeOptions("openvino"))


def test_bound_inputs_compute_the_same(tiny: Path) -> None:
    bound = open_onnx(tiny, options=RuntimeOptions(boundary=Boundary.DEVICE_ONLY))
    np.testing.assert_array_equal(bound(ROWS)[0], open_onnx(tiny)(ROWS)[0])
    assert bound.boundary.startswith("device-only: one bound run, from inputs in device memory")
    values = ROWS.copy()
    call = bound.bind(values)
    values[:] = -1e9
    call()


def test_spinning_is_a_fact_and_a_baseline_is_run_the_same_way(tiny: Path) -> None:
    model = open_onnx(tiny, options=RuntimeOptions(spinning=True, boundary=Boundary.DEVICE_ONLY))
    assert model.facts()["thread spinning"] == "on"
    baseline = open_baseline(str(tiny), model, Path())
    assert baseline.options == model.options
    assert baseline.boundary == model.boundary


HEAD = 'version = 1\n[models.m]\nfile = "m.onnx"\n'


def test_sla_toml_says_how_a_model_is_run() -> None:
    text = 'provider = "tensorrt"\nprovider_options = { trt_fp16_enable = true, device_id = 0 }\n'
    spec = parse_sla(HEAD + text + 'boundary = "device-only"\nspinning = true\n', Path("sla.toml")).models["m"]
    options = {"trt_fp16_enable": "1", "device_id": "0"}
    assert spec.runtime == RuntimeOptions("tensorrt", options, Boundary.DEVICE_ONLY, spinning=True)
    assert parse_sla(HEAD, Path("sla.toml")).models["m"].runtime == RuntimeOptions()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('provider = "gpu"', f"provider: unknown provider 'gpu'; valid: {', '.join(PROVIDERS)}; leave it out"),
        ('boundary = "wall"', "boundary: unknown boundary 'wall'; valid: host-to-host, device-only"),
        ("spinning = 1", "spinning: must be true or false, got 1; write, for example, spinning = true"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_sla(f"{HEAD}{line}\n", Path("sla.toml"))
    assert str(caught.value).startswith(f"sla.toml:4: models.m.{sentence}")


def test_another_way_of_running_is_measured_otherwise() -> None:
    objective = '[[objective]]\nmodel = "m"\ntarget = "cpu"\np99 = "1s"\n'
    before = parse_sla(HEAD + objective, Path("sla.toml"))
    now = parse_sla(f"{HEAD}spinning = true\n{objective}", Path("sla.toml"))
    assert loosened([before], [now]) == (
        "measured otherwise: model m: its provider, options, boundary or spinning changed",
    )
    assert loosened([now], [now]) == ()


def test_a_session_that_goes_over_to_another_provider_is_found_out() -> None:
    assert failover_finding(["A", "B"], ["A", "B"]) is None
    finding = failover_finding(["A", "B"], ["B"])
    assert finding is not None
    assert (finding.severity, finding.fact) == (Severity.INVALID, "the session went over from A, B to B during the run")


def test_a_profile_tells_where_nodes_ran(tiny: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(str(tiny), options, providers=["CPUExecutionProvider"])
    for _ in range(3):
        session.run(None, {"x": ROWS})
    placed = profiled_placement(Path(session.end_profiling()))
    assert sorted(placed) == [
        ("CPUExecutionProvider", "clip", "Relu"),
        ("CPUExecutionProvider", "multiply", "MatMul"),
    ]
    nothing = tmp_path / "nothing.json"
    nothing.write_text(json.dumps([{"cat": "Session", "name": "model_loading"}, {"cat": "Node", "name": "x"}]))
    assert profiled_placement(nothing) == []


class OldSession:
    """A session of a release that records no placement."""

    def __init__(self, session: Any) -> None:
        self.run, self.get_inputs, self.get_outputs = session.run, session.get_inputs, session.get_outputs
        self.get_providers = session.get_providers


def test_an_older_release_is_asked_through_a_profile(tiny: Path) -> None:
    now = open_onnx(tiny)
    model = OnnxModel(now.path, now.sha256, CPU, 1, OldSession(now._session), RuntimeOptions())
    assert model.findings()[0].fact.startswith("the runtime recorded no node")
    model.bind(ROWS)()
    (finding,) = model.findings()
    assert finding.fact == "all 2 compute nodes ran on CPUExecutionProvider"
    assert placement_finding(model._placed(), T4).severity is Severity.INVALID


def test_a_table_cannot_make_the_cpus_provider_run_on_a_gpu(tiny: Path) -> None:
    declared = replace(T4, providers=("CPUExecutionProvider",))
    finding = placement_finding(open_onnx(tiny)._placed(), declared)
    assert finding.severity is Severity.INVALID
    assert finding.fact.startswith("2 of 2 nodes ran on CPUExecutionProvider: ")
    assert "whose operators a provider of Tesla T4 supports" in (finding.remedy or "")


def test_a_file_is_held_to_what_was_opened(tiny: Path) -> None:
    model = open_onnx(tiny)
    assert swapped_finding(model.path, model.sha256) is None
    for change in (lambda: tiny.write_bytes(b"other"), tiny.unlink):
        change()
        finding = swapped_finding(model.path, model.sha256)
        assert finding is not None
        assert finding.severity is Severity.INVALID


def test_shapes_are_held_to_what_was_declared() -> None:
    assert shapes_finding(["a", "b"], [(1, 2), (3,)], [(1, 2), (3,)], "sla.toml:4") is None
    finding = shapes_finding(["a", "b"], [(1, 2), (3,)], [(1, 2), (1,)], "sla.toml:4")
    assert finding is not None
    assert finding.fact == "input b was measured with the shape [1], sla.toml:4 declares [3]"


def test_the_machine_is_watched_as_the_target_needs() -> None:
    def nobody_asks() -> GpuProbe:
        raise AssertionError("a CPU target asked for GPUs")

    on_cpu = MachineWatch(CPU, TARGETS, nobody_asks)
    on_cpu.after_block()
    assert {finding.severity for finding in on_cpu.findings()} <= {Severity.INFORMATION, Severity.CAUTION}
    assert set(on_cpu.facts()) == {"onnxruntime comes from"}
    with FakeNvml(FakeGpu(pids=[])).installed():
        on_gpu = MachineWatch(T4, TARGETS, ask_gpus, {})
        on_gpu.after_block()
        facts = [finding.fact for finding in on_gpu.findings()]
    assert any(fact.startswith("the GPU is a Tesla T4") for fact in facts)
    assert any(fact.startswith("SM clock 1110 MHz") for fact in facts)
    assert {"GPU UUID", "NVIDIA driver", "CUDA runtime", "cuDNN"} <= set(on_gpu.facts())
    with FakeNvml.missing_driver().installed():
        absent = MachineWatch(T4, TARGETS, ask_gpus, {})
        absent.after_block()
        assert any(finding.severity is Severity.INVALID for finding in absent.findings())
        assert "GPU" not in absent.facts()


def test_a_target_that_a_project_states_is_said_to_be_stated() -> None:
    stated = '[targets.cuda-t4]\nboost_clock_mhz = 1500\n[targets.cuda-l4]\ndevice_name = "NVIDIA L40"\n'
    new = '[targets.cuda-x]\ndevice_name = "X"\ncompute_capability = "9.9"\n'
    catalogue = parse_sla(HEAD + stated + new, Path("sla.toml")).catalogue
    assert restated_finding(T4) is None
    findings = [restated_finding(catalogue[name]) for name in ("cuda-t4", "cuda-l4", "cuda-x")]
    assert [finding.severity for finding in findings if finding is not None] == [
        Severity.INFORMATION,
        Severity.CAUTION,
        Severity.INFORMATION,
    ]
