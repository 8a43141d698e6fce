"""``voiceflow doctor`` and ``voiceflow targets``, on this machine and on ones that the fake driver describes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.onnx_models import chain_model, tiny_model, two_input_model
from voiceflow_ml.cli import app
from voiceflow_ml.errors import ConfigError, ModelFileError, TargetError
from voiceflow_ml.hardware.fake_nvml import FakeNvml


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_model(Path("tiny.onnx"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def doctor(*arguments: str, driver: FakeNvml | None = None) -> Result:
    with (driver or FakeNvml.missing_driver()).installed():
        return run("doctor", *arguments)


def test_a_model_on_the_cpu_is_fit_to_be_measured() -> None:
    result = doctor("tiny.onnx", "--input=x=64x4", "--json=out.json")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "ok       placement  all 2 compute nodes ran on CPUExecutionProvider"
    assert lines[-1].startswith("A measurement for cpu here would count: ")
    assert [line.split()[1] for line in lines[1:4]] == ["clock", "physics", "file"]
    written = json.loads(Path("out.json").read_text(encoding="utf-8"))
    assert (written["target"], written["invalid"]) == ("cpu", 0)
    assert written["facts"]["model file"] == "tiny.onnx"
    assert written["findings"][0] == {
        "area": "placement",
        "severity": "information",
        "fact": "all 2 compute nodes ran on CPUExecutionProvider",
        "remedy": "",
    }


def test_without_a_gpu_every_proof_is_made_all_the_same() -> None:
    result = doctor("tiny.onnx", "--target=cuda-t4")
    assert result.exit_code == 1
    assert "INVALID  runtime  this onnxruntime has no CUDAExecutionProvider for cuda-t4" in result.output
    assert "INVALID  machine  which GPU ran cannot be told: NVML Shared Library Not Found; " in result.output
    assert "ok       physics  one inference takes at least " in result.output
    assert result.output.splitlines()[-1].startswith("A measurement for cuda-t4 here would be INVALID: 2 reasons, ")


def test_a_gpu_is_looked_at_whatever_the_runtime_can_do() -> None:
    result = doctor("tiny.onnx", "--target=cuda-t4", driver=FakeNvml.t4_at_146_mhz())
    assert result.exit_code == 1
    assert "INVALID  runtime  " in result.output
    assert "ok       machine  the GPU is a Tesla T4 (" in result.output
    assert "INVALID  machine  the clocks collapsed: SM clock 146 MHz" in result.output


def test_open_axes_get_a_likely_size_and_bound_runs_work() -> None:
    two_input_model(Path("two.onnx"))
    assert doctor("two.onnx", "--boundary=device-only").exit_code == 0


def test_the_floor_of_another_target_needs_no_such_machine() -> None:
    chain_model(Path("chain.onnx"), layers=50)
    result = doctor("chain.onnx", "--target=cuda-h200", "--input=x=4096x128")
    # 6.7 GFLOP at 494.5 TFLOP/s.
    assert "at least 13.6 us on cuda-h200 (compute bound: 6.71 GFLOP" in result.output


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("no.onnx",), ModelFileError, "does not exist"),
        (("tiny.onnx", "--target=cuda-t5"), TargetError, "unknown target 'cuda-t5'; known targets: cpu, cuda-t4"),
        (
            ("tiny.onnx", "--boundary=wall"),
            ConfigError,
            "--boundary 'wall' is unknown; valid: host-to-host",
        ),
        (("tiny.onnx", "--input=x=4x5"), ConfigError, "takes float32"),
    ],
)
def test_what_cannot_be_examined_is_one_sentence(
    arguments: tuple[str, ...], error: type[Exception], words: str
) -> None:
    result = doctor(*arguments)
    assert isinstance(result.exception, error)
    assert words in str(result.exception)


def test_a_provider_that_is_not_here_is_a_finding() -> None:
    result = doctor("tiny.onnx", "--provider=openvino")
    assert result.exit_code == 1
    assert "INVALID  runtime  this onnxruntime has no OpenVINOExecutionProvider for cpu" in result.output


def test_the_targets_are_listed_with_what_is_here() -> None:
    Path("sla.toml").write_text('version = 1\n[targets.cuda-x]\ndevice_name = "X"\ncompute_capability = "9.9"\n')
    with FakeNvml.t4().installed():
        result = run("targets")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    rows = {line.split()[0]: line for line in lines[1:-1]}
    assert list(rows)[:2] == ["cpu", "cuda-t4"]
    assert [name for name, line in rows.items() if line.endswith(" yes")] == ["cpu", "cuda-t4"]
    cells = rows["cuda-t4"].split()
    assert cells[:8] == ["cuda-t4", "Tesla", "T4", "7.5", "16", "GB", "1590", "MHz"]
    assert cells[8:] == ["8.1", "T/s", "65", "T/s", "130", "T/s", "320", "GB/s", "yes"]
    assert rows["cuda-x"].startswith("cuda-x (sla.toml:2)")
    assert lines[-1].endswith("; Tesla T4 (GPU-00000000-0000-0000-0000-000000000004)")
