"""Honest runs: nothing may be held against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tests.lies.bench import CALL_NS, ROWS, Bench, alarms, on_gpu
from tests.lies.machine import kernel_files
from tests.onnx_models import tiny_model
from voiceflow_ml.hardware.evidence import Finding
from voiceflow_ml.hardware.fake_nvml import FakeGpu, FakeNvml
from voiceflow_ml.hardware.targets import Target, find_gpu
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.inference.torch_model import open_torch
from voiceflow_ml.latency import Outcome
from voiceflow_ml.latency.counters import FakeCounters
from voiceflow_ml.results.measurement import Measurement

T4, H200 = find_gpu("t4"), find_gpu("h200")


@dataclass(frozen=True)
class Honest:
    """A run that is what it says.

    Attributes:
        name: what it is.
        run: takes it, in a folder of its own.
    """

    name: str
    run: Callable[[Path], Measurement]

    def false_alarms(self, folder: Path) -> list[Finding]:
        """What is held against it; it is MET all the same, or something else is wrong."""
        measured = self.run(folder)
        assert [verdict.outcome for verdict in measured.verdicts] == [Outcome.MET], measured.findings
        return alarms(measured)


def on_cpu(bench: Bench) -> Callable[[Path], Measurement]:
    return lambda folder: bench.measure(open_onnx(tiny_model(folder / "tiny.onnx")), ROWS)


def quiet_kernel(folder: Path) -> Measurement:
    kernel_files(folder, steal=1)
    return on_cpu(Bench(kernel=folder))(folder)


def gpu(driver: FakeNvml, target: Target = T4, **environment: str) -> Callable[[Path], Measurement]:
    bench = Bench(target=target, driver=driver, environment=environment)
    return lambda folder: bench.measure(on_gpu(folder, target), ROWS)


def on_torch(folder: Path) -> Measurement:
    before = torch.get_num_threads()
    try:
        return Bench().measure(open_torch(torch.nn.Linear(4, 2), threads=1), torch.ones(8, 4))
    finally:
        torch.set_num_threads(before)


A100 = FakeGpu("NVIDIA A100-SXM4-40GB", "GPU-a100", 0x20B0, (8, 0))
HONEST = (
    Honest("a model on the CPU", on_cpu(Bench())),
    Honest("a model on the CPU, scheduler's counters read", on_cpu(Bench(counters=FakeCounters()))),
    Honest("a slow cold start and a warm-up", on_cpu(Bench(call_ns=lambda call: CALL_NS * (50 if call < 20 else 1)))),
    Honest("a rare slow call", on_cpu(Bench(call_ns=lambda call: CALL_NS * (5 if call % 400 == 399 else 1)))),
    Honest("a model on a CPU whose kernel counts, and counts nothing", quiet_kernel),
    Honest("a torch module on the CPU", on_torch),
    Honest("a T4", gpu(FakeNvml.t4())),
    Honest("an H200", gpu(FakeNvml.h200(), H200)),
    Honest("a T4 at its power cap", gpu(FakeNvml(FakeGpu(sm_mhz=[840], slowed_ns_per_read={74: 50_000_000})))),
    Honest("a T4 passed through to a virtual machine", gpu(FakeNvml(FakeGpu(virtualization_mode=1)))),
    Honest("a T4 whose driver answers nothing but its name", gpu(FakeNvml.not_supported_everywhere())),
    Honest(
        "a T4 beside an A100, chosen by UUID",
        gpu(FakeNvml(replace(A100), FakeGpu()), CUDA_VISIBLE_DEVICES=FakeGpu().uuid),
    ),
    Honest("a T4 named by its index on the bus", gpu(
        FakeNvml(replace(A100), FakeGpu()), CUDA_VISIBLE_DEVICES="1", CUDA_DEVICE_ORDER="PCI_BUS_ID"
    )),
)  # fmt: skip
