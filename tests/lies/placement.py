"""Lies about where a model ran, and about what it was."""

from __future__ import annotations

import time
from pathlib import Path
from unittest import mock

import numpy as np
import onnxruntime
import pytest
import torch

from tests.lies.bench import ALL_ON_CUDA, CUDA, ON_CPU, ROWS, Bench, caution, invalid, on_gpu
from tests.lies.lie import Lie
from tests.onnx_models import chain_model, tiny_model
from voiceflow_ml.errors import ModelFileError
from voiceflow_ml.hardware import software
from voiceflow_ml.hardware.fake_nvml import FakeNvml
from voiceflow_ml.hardware.targets import find_gpu
from voiceflow_ml.inference.ort import OnnxModel, open_onnx
from voiceflow_ml.inference.run_findings import inputs_finding
from voiceflow_ml.inference.torch_model import open_torch
from voiceflow_ml.latency import FakeClock
from voiceflow_ml.sla.load import parse_sla

T4 = find_gpu("t4")


def refused(folder: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        open_onnx(tiny_model(folder / "tiny.onnx"), T4)
    return str(caught.value)


def cpu_wheel(folder: Path) -> str:
    message = refused(folder)
    assert "this onnxruntime has no CUDAExecutionProvider for cuda-t4" in message
    return message


def gpu_wheel_without_libraries(folder: Path) -> str:
    # onnxruntime itself then makes a CPU session, and warns.
    with (
        mock.patch.object(onnxruntime, "get_available_providers", return_value=[CUDA, ON_CPU]),
        pytest.warns(UserWarning, match="not in available provider names"),
    ):
        message = refused(folder)
    assert "CUDAExecutionProvider is compiled in but cannot be started here" in message
    return message


def both_wheels(folder: Path) -> str:
    versions = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}
    with mock.patch.object(software, "version_of", versions.get):
        message = refused(folder)
        measurement = Bench().measure(open_onnx(tiny_model(folder / "tiny.onnx")), ROWS)
    assert "onnxruntime and onnxruntime-gpu are installed together" in message
    return caution(measurement.findings, "onnxruntime and onnxruntime-gpu are installed together")


def on_t4() -> Bench:
    return Bench(target=T4, driver=FakeNvml.t4())


def failure_during_the_run(folder: Path) -> str:
    model = on_gpu(folder, T4, fails_after=700)
    sentence = f"the session went over from {CUDA}, {ON_CPU} to {ON_CPU} during the run"
    return invalid(on_t4().measure(model, ROWS), sentence)


def fallback_for_one_shape(folder: Path) -> str:
    model = on_gpu(folder, T4, fails_on=1)
    measured = on_t4().measure(model, ROWS, cold={"x: float32 [1, 4]": ROWS[:1]})
    return invalid(measured, "the session went over from")


def heavy_nodes_on_cpu(folder: Path) -> str:
    model = on_gpu(folder, T4, placed=[(CUDA, "clip", "Relu"), (ON_CPU, "multiply", "MatMul")])
    return invalid(on_t4().measure(model, ROWS), "1 of 2 nodes ran on CPUExecutionProvider: multiply")


def memcpy_nodes(folder: Path) -> str:
    model = on_gpu(folder, T4, placed=[*ALL_ON_CUDA, (CUDA, "copy", "MemcpyToHost")])
    return invalid(on_t4().measure(model, ROWS), "1 copies between host and device inside the graph")


def opened_on_the_cpu(folder: Path) -> str:
    model = open_onnx(tiny_model(folder / "tiny.onnx"))
    return invalid(on_t4().measure(model, ROWS), "the model was opened on cpu, the promise is about cuda-t4")


def no_synchronise(folder: Path) -> str:
    # A launch returns at once, whatever it started: nothing that the callable says of itself is proof.
    started: list[float] = []
    measured = on_t4().measure(lambda: started.append(time.monotonic()))
    return invalid(measured, "nothing proves that the measured callable ran on cuda-t4")


class Cached(OnnxModel):
    """A model whose caller keeps the first output."""

    def bind(self, *inputs: object) -> object:  # type: ignore[override]
        outputs = super().bind(*inputs)()
        return lambda: outputs


def cached_output(folder: Path) -> str:
    real = open_onnx(chain_model(folder / "chain.onnx", layers=16))
    model = Cached(real.path, real.sha256, real.target, 1, real._session, real.options)
    # On a real clock: it is the time of the look-up that gives it away.
    bench = Bench(clock=RealClock(), call_ns=lambda _call: 0)
    measured = bench.measure(model, np.ones((512, 128), np.float32))
    return invalid(measured, "is faster than the hardware can be")


class RealClock(FakeClock):
    """Time passes by itself as well, so that work takes as long as it does, and sleeping costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = lambda: self._time_ns + time.perf_counter_ns()


def threads_changed(folder: Path) -> str:
    before = torch.get_num_threads()
    try:
        model = open_torch(torch.nn.Identity(), threads=1)
        bench = Bench(during=lambda call: torch.set_num_threads(2 if call > 500 else 1))
        return invalid(bench.measure(model, torch.ones(2)), "torch has 2 threads now, it was opened with 1")
    finally:
        torch.set_num_threads(before)


SMALL = 'version = 1\n[models.tiny]\nfile = "tiny.onnx"\ninputs = { x = { shape = [4096, 4] } }\n'


def smaller_inputs(folder: Path) -> str:
    model = open_onnx(tiny_model(folder / "tiny.onnx"))
    spec = parse_sla(SMALL, folder / "sla.toml").models["tiny"]
    finding = inputs_finding(spec, model, [ROWS])
    assert finding is not None
    assert inputs_finding(spec, model, [np.ones((4096, 4), np.float32)]) is None
    assert finding.severity == "invalid"
    assert "input x was measured with the shape [256, 4]" in finding.fact
    return finding.sentence.replace(f"{folder}/", "")


def swapped_file(folder: Path) -> str:
    model = open_onnx(tiny_model(folder / "tiny.onnx"))
    bench = Bench()

    def swap(call: int) -> None:
        if call == 900:
            model.path.write_bytes(b"another")

    bench.during = swap
    return invalid(bench.measure(model, ROWS), "the model file tiny.onnx was replaced or removed")


def another_file(folder: Path) -> str:
    model = open_onnx(tiny_model(folder / "tiny.onnx"))
    return invalid(Bench(declared_sha256="0" * 64).measure(model, ROWS), "declared is 000000000000...")


LIES = (
    Lie("CUDA asked for, the CPU wheel installed", "the real CPU wheel", "refused", cpu_wheel),
    Lie("GPU wheel without its libraries", "onnxruntime's own fallback", "refused", gpu_wheel_without_libraries),
    Lie("both wheels installed", "their metadata", "caution", both_wheels),
    Lie("CUDA fails during the run", "a session that goes over to the CPU", "INVALID", failure_during_the_run),
    Lie("CUDA fails for one input shape only", "a session that does so for a cold shape", "INVALID",
        fallback_for_one_shape),
    Lie("heavy nodes on the CPU", "onnxruntime's record of placement", "INVALID", heavy_nodes_on_cpu),
    Lie("Memcpy nodes in the graph", "onnxruntime's record of placement", "INVALID", memcpy_nodes),
    Lie("promised for a GPU, opened on the CPU", "a real CPU session", "INVALID", opened_on_the_cpu),
    Lie("no synchronise before the clock is read", "a callable that only launches", "INVALID", no_synchronise),
    Lie("output kept by the caller", "a real model, its first output returned again", "INVALID", cached_output),
    Lie("torch threads changed during the run", "torch.set_num_threads", "INVALID", threads_changed),
    Lie("inputs smaller than declared", "256 rows where sla.toml says 4096", "INVALID", smaller_inputs),
    Lie("model file swapped under the session", "the file overwritten mid-run", "INVALID", swapped_file),
    Lie("another model file than promised", "its SHA-256", "INVALID", another_file),
)  # fmt: skip
