"""``--gpu``: what is asked for is there, or the run says in one line that it is not."""

from __future__ import annotations

import pytest

from tests.integration.plugin_project import OBJECTIVE, Project, one_line_with, table
from voiceflow_ml.hardware import probe
from voiceflow_ml.hardware.gpu import Gpu, GpuProbe

NO_GPU = GpuProbe((), problem="NVML Shared Library Not Found")
T4 = GpuProbe((Gpu("GPU-0", "Tesla T4", (7, 5), 16 * 2**30),))
L4_AND_T4 = GpuProbe((Gpu("GPU-1", "NVIDIA L4", (8, 9), 24 * 2**30), *T4.gpus))

TINY_TEST = """
@pytest.mark.hardware
@pytest.mark.sla("tiny")
def test_tiny(latency, target):
    import numpy as np
    from voiceflow_ml.inference.ort import open_onnx
    latency(open_onnx(Path("tiny.onnx"), target), np.ones((4096, 4), np.float32))
"""


@pytest.fixture
def tiny(project: Project) -> Project:
    """A project that promises one model on the CPU and on a T4, and tests it."""
    project.promise("cpu", "cuda-t4")
    project.write_test(TINY_TEST)
    return project


def pretend(monkeypatch: pytest.MonkeyPatch, found: GpuProbe) -> None:
    """Have the driver answer this. The real binding behind a fake driver is tested with the probe itself."""
    monkeypatch.setattr(probe, "probe_gpus", lambda: found)


@pytest.mark.parametrize("arguments", [[], ["sla.toml"], ["-n", "2"], ["-q", "-m", "hardware and cuda"]])
def test_an_absent_gpu_is_an_error_in_one_line(
    tiny: Project, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    pretend(monkeypatch, NO_GPU)
    result = tiny.run("--gpu=t4", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert one_line_with(result.stderr.str(), "T4") == (
        "ERROR: --gpu=t4 asks for 'Tesla T4', found: no NVIDIA GPU (NVML Shared Library Not Found); "
        "run on a machine that has one, or drop --gpu=t4"
    )
    assert "Traceback" not in result.stderr.str()
    assert result.stdout.str().strip() == ""
    assert not tiny.reports.exists()


@pytest.mark.skipif(bool(probe.probe_gpus().gpus), reason="this machine has a GPU")
def test_this_machine_without_gpus_says_so_by_itself(tiny: Project) -> None:
    result = tiny.run_apart("--gpu=t4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = one_line_with(result.stderr.str(), "T4")
    assert line.startswith("ERROR: --gpu=t4 asks for 'Tesla T4', found: no NVIDIA GPU (")


def test_an_absent_gpu_does_not_keep_its_tests_from_being_listed(
    tiny: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, NO_GPU)
    result = tiny.run("--collect-only", "-q", "--gpu=t4", "-m", "cuda")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["test_it.py::test_tiny[[]cuda-t4[]]"])


def test_another_gpu_is_named_with_its_identity(tiny: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, T4)
    result = tiny.run("--gpu=l4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "asks for 'NVIDIA L4', found: Tesla T4 (GPU-0); run on" in one_line_with(result.stderr.str(), "L4")


def test_an_unknown_gpu_is_a_usage_error_that_lists_the_known_ones(tiny: Project) -> None:
    result = tiny.run("--gpu=t5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert one_line_with(result.stderr.str(), "t5") == (
        "ERROR: --gpu: unknown GPU 't5'; known GPUs: t4, l4, a10g, a100, h100, h200, v100, rtx-4090; or auto"
    )


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--sla-confidence=1", "'1' is not a confidence: write a number from 0.5 to below 1, such as 0.99"),
        ("--sla-confidence=high", "'high' is not a confidence: *"),
        ("--sla-time-budget=60", "'60' has no unit: write a number and a unit, such as \"10ms\" *"),
        ("--sla-span=-1s", "'-1s' is negative: a duration must be positive; *; or 0s for no gaps"),
    ],
)
def test_a_wrong_option_value_is_a_usage_error(project: Project, option: str, sentence: str) -> None:
    result = project.run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"pytest*: error: argument {option.partition('=')[0]}: {sentence}"])


def test_an_unknown_required_target_is_a_usage_error_that_lists_the_known_ones(project: Project) -> None:
    result = project.run("--require-targets=cpu,tpu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = one_line_with(result.stderr.str(), "tpu")
    assert line.startswith("ERROR: --require-targets: unknown target 'tpu'; known targets: cpu, cuda-t4, ")


L40S = """
[targets.cuda-l40s]
device_name = "NVIDIA L40S"
compute_capability = "8.9"
"""


def test_a_target_that_sla_toml_states_can_be_asked_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write_sla(L40S, OBJECTIVE.format(target="cuda-l40s", limit="10s"))
    project.write_test("""
@pytest.mark.hardware(targets=["cuda-l40s"])
def test_where(target):
    print("ran on", target.name, target.device_name)
""")
    pretend(monkeypatch, GpuProbe((Gpu("GPU-0", "NVIDIA L40S", (8, 9), None),)))
    for option in ("--gpu=l40s", "--gpu=auto"):
        result = project.run("-rP", "--strict-markers", "-m", "cuda_l40s", option, "test_it.py")
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["ran on cuda-l40s NVIDIA L40S"])
    assert project.run("--collect-only", "-q", "sla.toml").ret == pytest.ExitCode.OK
    pretend(monkeypatch, NO_GPU)
    line = one_line_with(project.run("--gpu=l40s").stderr.str(), "L40S")
    assert line.startswith("ERROR: --gpu=l40s asks for 'NVIDIA L40S', found: no NVIDIA GPU")


@pytest.mark.parametrize("arguments", [[], ["--gpu=auto"]])
def test_without_a_gpu_the_cpu_is_measured_and_the_rest_is_shown_as_not_run(
    tiny: Project, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    pretend(monkeypatch, NO_GPU)
    result = tiny.run("-rs", *arguments)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * cuda-t4 was not asked for: add --gpu=t4"])
    lines = table(result)
    assert lines[0].startswith("MET           tiny · model-inference · cpu ")
    assert lines[1].startswith("NOT RUN       tiny · model-inference · cuda-t4  P99 <= 10 s  cuda-t4 was not asked for")
    assert lines[2] == "1 NOT RUN, 1 MET"
    banner = tiny.report().partition("## ")[0]
    assert "1 of 2" in banner
    assert "tiny · model-inference · cuda-t4" in banner


@pytest.mark.parametrize("option", ["--gpu=t4", "--gpu=T4", "--gpu=cuda-t4", "--gpu=auto"])
def test_a_present_gpu_is_selected(tiny: Project, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    pretend(monkeypatch, L4_AND_T4)
    tiny.write_test("""
@pytest.mark.hardware(targets=["cpu", "cuda-t4", "cuda-a100"])
def test_where(target):
    print("ran on", target.name)
""")
    result = tiny.run("-rP", option)
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["ran on cpu", "ran on cuda-t4"])


@pytest.mark.skipif(bool(probe.probe_gpus().gpus), reason="this machine has a GPU")
def test_a_model_that_cannot_be_opened_on_the_gpu_is_an_error_not_a_fallback(
    tiny: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, T4)
    result = tiny.run("--gpu=t4")
    result.assert_outcomes(passed=1, failed=1)
    assert table(result)[1].startswith(
        "ERROR         tiny · model-inference · cuda-t4  P99 <= 10 s  this onnxruntime has no"
    )


def test_a_callable_on_a_gpu_target_proves_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, T4)
    project.write_test("""
@pytest.mark.hardware(targets=["cuda-t4"])
@met
def test_opaque(latency):
    latency(work)
""")
    result = project.run("--gpu=t4", "--require-targets=cuda-t4")
    result.assert_outcomes(failed=1)
    sentence = "nothing proves that the measured callable ran on cuda-t4; open the model with"
    result.stdout.fnmatch_lines(
        [
            f"INVALID: {sentence} *",
            f"INVALID * {sentence} *",
            "ERROR: --require-targets: cuda-t4 has no verdict in this run",
        ]
    )


def test_a_model_opened_on_another_target_than_promised_is_invalid(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, T4)
    project.promise("cuda-t4")
    project.write_test(TINY_TEST.replace(", target), np", "), np"))
    result = project.run("--gpu=t4")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INVALID: the model was opened on cpu, the promise is about cuda-t4; *"])
