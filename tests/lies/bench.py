"""Measure something as the plugin does, on a clock moved by hand, with the machine that a test asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.onnx_models import tiny_model
from voiceflow_ml.hardware.cpu_state import CpuWatch
from voiceflow_ml.hardware.evidence import Finding, Severity, swapped_finding
from voiceflow_ml.hardware.fake_nvml import FakeNvml
from voiceflow_ml.hardware.nvml import ask_gpus
from voiceflow_ml.hardware.targets import CPU, TARGETS, Target
from voiceflow_ml.hardware.watch import MachineWatch
from voiceflow_ml.inference.call import Measurable
from voiceflow_ml.inference.floor import floor_of
from voiceflow_ml.inference.ort import OnnxModel, open_onnx
from voiceflow_ml.inference.run_findings import collect_findings
from voiceflow_ml.latency import FakeClock, Outcome, SamplingPlan, measure
from voiceflow_ml.latency.counters import FakeCounters
from voiceflow_ml.results.assemble import assemble, verdicts_on
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.sla.objectives import Measuring, Objective, Promise, Stage

LIMIT_NS = 10_000_000
CALL_NS = 4_000_000
ROWS = np.ones((256, 4), np.float32)
CUDA = "CUDAExecutionProvider"
ON_CPU = "CPUExecutionProvider"
HEALTHY = 2_000


@dataclass
class Session:
    """A session that says of itself what a test wants, in front of one that really computes.

    Attributes:
        session: the real one.
        placed: (provider, node, operator) of each node.
        providers: of the session, while it works.
        fails_after: number of calls after which it goes over to the CPU; None for never.
        fails_on: goes over to the CPU at the first input of this many rows.
    """

    session: Any
    placed: list[tuple[str, str, str]] = field(default_factory=list)
    providers: tuple[str, ...] = (CUDA, ON_CPU)
    fails_after: int | None = None
    fails_on: int | None = None
    calls: int = 0

    def run(self, names: list[str], feeds: dict[str, Any]) -> Any:
        self.calls += 1
        rows = len(next(iter(feeds.values())))
        if self.calls == self.fails_after or rows == self.fails_on:
            self.providers = (ON_CPU,)
        return self.session.run(names, feeds)

    def get_providers(self) -> list[str]:
        return list(self.providers)

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [_Group(*entry) for entry in self.placed]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


class _Group:
    """One node in a group of its own, in the shape of onnxruntime's answer."""

    def __init__(self, provider: str, name: str, operator: str) -> None:
        self.ep_name, self.name, self.op_type = provider, name, operator

    def get_nodes(self) -> list[_Group]:
        return [self]


ALL_ON_CUDA = [(CUDA, "multiply", "MatMul"), (CUDA, "clip", "Relu")]


def on_gpu(folder: Path, target: Target, **session: Any) -> OnnxModel:
    """The tiny model, in a session that says it runs on a GPU."""
    real = open_onnx(tiny_model(folder / "tiny.onnx"))
    said = Session(real._session, **{"placed": ALL_ON_CUDA, **session})
    return OnnxModel(real.path, real.sha256, target, 1, said, real.options)


@dataclass
class Bench:
    """What is measured, and on which machine.

    Attributes:
        clock: moves by :attr:`call_ns` at each call.
        target: what is promised.
        driver: the NVIDIA driver; None to leave the machine's own alone.
        environment: of the process.
        counters: the scheduler's; None to leave them out.
        call_ns: duration of the n-th call, from 0.
        during: done at each call, such as planting something.
        measuring: how it is promised.
        plan: how it is taken.
        declared_sha256: of the model file; empty when any will do.
        kernel: the kernel's files about the CPUs; None for a machine that says nothing of them.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    target: Target = CPU
    driver: FakeNvml | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    counters: FakeCounters | None = None
    call_ns: Callable[[int], int] = lambda _call: CALL_NS
    during: Callable[[int], None] = lambda _call: None
    measuring: Measuring = field(default_factory=Measuring)
    plan: SamplingPlan = field(default_factory=lambda: SamplingPlan((HEALTHY,), HEALTHY))
    declared_sha256: str = ""
    kernel: Path | None = None

    def measure(self, function: Any, *arguments: Any, cold: Mapping[str, Any] | None = None) -> Measurement:
        """Measure, prove, judge."""
        model = function if isinstance(function, Measurable) else None
        with self.driver.installed() if self.driver is not None else nullcontext():
            kernel = self.kernel or Path("no such folder")
            cpu = CpuWatch(kernel / "stat", kernel, kernel / "scaling_governor")
            watch = MachineWatch(self.target, TARGETS, ask_gpus, self.environment, cpu)
            run = measure(
                self._timed(model.bind(*arguments) if model is not None else lambda: function(*arguments)),
                self.plan,
                clock=self.clock,
                counters=self.counters,
                watch=lambda _progress: watch.after_block(),
                cold_calls={name: self._timed(function.bind(value)) for name, value in (cold or {}).items()},
            )
            promise = self._promise()
            floor = floor_of(model, arguments, self.target)
            found = collect_findings(run, self.plan, promise, self.target, model, self.declared_sha256, floor)
            found += tuple(watch.findings())
        if isinstance(model, OnnxModel):
            swapped = swapped_finding(model.path, model.sha256)
            found += (swapped,) if swapped is not None else ()
        verdicts = verdicts_on(run.channels, promise, 0.99)
        return assemble(run, verdicts, found, boundary="", inputs="", facts={})

    def _promise(self) -> Promise:
        stage = Stage.MODEL_INFERENCE
        objective = Objective("m", stage, self.target.name, 0.99, LIMIT_NS)
        return Promise("m", stage, self.target.name, (objective,), "here", self.measuring)

    def _timed(self, call: Callable[[], object]) -> Callable[[], object]:
        count = 0

        def timed() -> object:
            nonlocal count
            self.during(count)
            returned = call()
            self.clock.advance_ns(self.call_ns(count))
            if self.counters is not None:
                self.counters.advance(thread_time_ns=CALL_NS, process_time_ns=CALL_NS)
            count += 1
            return returned

        return timed


def invalid(measurement: Measurement, fact: str) -> str:
    """Expect the verdict INVALID for this fact; returns the sentence."""
    (verdict,) = measurement.verdicts
    assert verdict.outcome is Outcome.INVALID, (verdict, measurement.findings)
    assert fact in verdict.sentence
    return verdict.sentence


def caution(findings: tuple[Finding, ...], fact: str) -> str:
    """Expect exactly this caution among the findings, with a remedy; returns its sentence."""
    (found,) = [finding for finding in findings if finding.severity is Severity.CAUTION]
    assert fact in found.fact, found
    assert found.remedy
    return found.sentence


def alarms(measurement: Measurement) -> list[Finding]:
    """Cautions and reasons for INVALID of a measurement."""
    return [finding for finding in measurement.findings if finding.severity is not Severity.INFORMATION]
