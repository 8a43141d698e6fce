from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.targets import CPU, find_gpu
from voiceflow_ml.inference.call import Measurable
from voiceflow_ml.inference.torch_model import TorchModel, device_finding, open_torch

T4 = find_gpu("t4")


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Doubled(torch.nn.Module):
    """Two outputs in a dictionary: twice the input, and its sum."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, values: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"double": self.scale * values, "sum": values.sum()}


@pytest.mark.parametrize("boundary", ["host-to-host", "device-only"])
def test_a_module_runs_and_is_measurable(boundary: str) -> None:
    model = open_torch(Doubled(), boundary=boundary)
    assert isinstance(model, Measurable)
    values = np.array([1.0, 2.0], np.float32)
    call = model.bind(values)
    values[:] = 99
    outputs: Any = call()
    double = outputs["double"] if boundary == "device-only" else outputs[0]
    assert double.tolist() == [2.0, 4.0]
    assert not double.requires_grad
    assert model.boundary.startswith(f"{boundary}: ")
    assert model.target is CPU
    assert [finding.severity for finding in model.findings()] == [Severity.INFORMATION]
    assert model.facts() == {"runtime": f"torch {torch.__version__}", "execution": "eager", "intra-op threads": "1"}


def test_dropout_is_off() -> None:
    model = open_torch(torch.nn.Dropout(0.9))
    assert model(torch.ones(100))[0].sum().item() == 100


class Recorder(TorchModel):
    """A model on the CPU that behaves, and says so, as if its device were asynchronous."""

    def __init__(self, module: torch.nn.Module, boundary: str) -> None:
        super().__init__(module, CPU, *open_torch_arguments(boundary))
        self.events: list[str] = []
        self._function = self._noted

    def _noted(self, *values: Any) -> Any:
        self.events.append("launched")
        return self._module(*values)

    def _synchronize(self) -> None:
        self.events.append("done")


def open_torch_arguments(boundary: str) -> tuple[Any, Any, int]:
    opened = open_torch(torch.nn.Identity(), boundary=boundary)
    return opened._mode, opened._boundary, opened.threads


@pytest.mark.parametrize("boundary", ["host-to-host", "device-only"])
def test_a_call_ends_when_the_device_is_done_not_when_it_was_asked(boundary: str) -> None:
    model = Recorder(torch.nn.Identity(), boundary)
    call = model.bind(torch.ones(2))
    model.events.clear()
    call()
    assert model.events == ["launched", "done"]


def test_another_device_than_promised_is_invalid() -> None:
    assert device_finding(["cuda"], T4).severity is Severity.INFORMATION
    assert device_finding(["cpu"], T4).fact == "weights or outputs of the module are on cpu, promised is cuda-t4"
    assert device_finding(["cpu", "cuda"], T4).severity is Severity.INVALID
    assert "no device: it was not run" in device_finding([], T4).fact


def test_weights_that_were_left_elsewhere_are_found() -> None:
    module = torch.nn.Sequential(torch.nn.Identity())
    model = open_torch(module)
    model.bind(torch.ones(1))()
    module.register_buffer("left", torch.empty(1, device="meta"))
    (finding,) = model.findings()
    assert finding.severity is Severity.INVALID
    assert finding.fact.startswith("weights or outputs of the module are on meta")


def test_threads_that_somebody_changed_are_found() -> None:
    model = open_torch(torch.nn.Identity(), threads=1)
    model.bind(torch.ones(1))()
    torch.set_num_threads(2)
    finding = model.findings()[1]
    assert (finding.severity, finding.fact) == (
        Severity.INVALID,
        "torch has 2 threads now, it was opened with 1",
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "fast"}, ConfigError, "unknown mode 'fast'; valid: eager, compile, cuda-graph"),
        ({"boundary": "wall"}, ConfigError, "unknown boundary 'wall'; valid: host-to-host, device-only"),
        ({"threads": 0}, ConfigError, "threads must be at least 1, got 0"),
        ({"mode": "cuda-graph"}, ConfigError, "mode 'cuda-graph' needs a GPU target, got cpu"),
        ({"target": T4}, ModelFileError, "finds no CUDA device for cuda-t4; install a build for CUDA"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_torch(torch.nn.Identity(), **options)


def test_compiled_modules_are_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    # The compiler itself takes longer than the rest of these tests together: what is held here is that it is used.
    compiled: list[torch.nn.Module] = []

    def compile_it(module: torch.nn.Module) -> Any:
        compiled.append(module)
        return module

    monkeypatch.setattr(torch, "compile", compile_it)
    model = open_torch(torch.nn.Identity(), mode="compile")
    assert model(torch.ones(2))[0].tolist() == [1.0, 1.0]
    assert len(compiled) == 1
    assert model.facts()["execution"] == "compile"
