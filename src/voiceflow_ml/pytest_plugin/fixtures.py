"""The fixtures: ``target``, and ``latency``, whose verdict becomes the test's outcome."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.targets import CPU, Target
from voiceflow_ml.pytest_plugin import benchmark_bridge
from voiceflow_ml.pytest_plugin.state import ASSIGNMENT, MEASUREMENT, SETTINGS, STARTED_AT, Assignment

if TYPE_CHECKING:
    from voiceflow_ml.hardware.evidence import Finding
    from voiceflow_ml.latency import Run, SamplingPlan
    from voiceflow_ml.pytest_plugin.options import Settings
    from voiceflow_ml.results.record import Measurement


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Target:
    """The hardware target that this test runs on: its parameter, or the CPU."""
    selected = getattr(request, "param", CPU)
    if not isinstance(selected, Target):
        raise ConfigError(f"the target fixture is set by the hardware marker, not to {selected!r}")
    return selected


@pytest.fixture
def latency(request: pytest.FixtureRequest, benchmark: object) -> Latency:
    """Measure a call and judge it against the test's promise: ``latency(model, *inputs)``.

    The verdict belongs to the test: it fails by itself, with one sentence, when the promise is broken.
    """
    benchmark_bridge.claim(benchmark)
    if ASSIGNMENT not in request.node.stash:
        pytest.fail("latency needs the hardware and sla markers on its test: there is nothing to judge", pytrace=False)
    return Latency(request.node, benchmark)


class Latency:
    """What the ``latency`` fixture gives: call it once with what is to be measured."""

    def __init__(self, item: pytest.Item, benchmark: object) -> None:
        self._item = item
        self._benchmark = benchmark

    def __call__(self, function: Callable[..., object], *arguments: object, inputs: str = "") -> Measurement:
        """Measure ``function(*arguments)``.

        Args:
            function: what is timed. A model opened by ``voiceflow_ml.inference.ort.open_onnx`` proves where
                it runs; any other callable is measured without that proof.
            arguments: its arguments, prepared; making them is not timed.
            inputs: what they are, in a phrase for the report, such as ``"speech.wav, first 3 s"``.

        Returns:
            The measurement: samples in nanoseconds, percentiles, verdicts, findings.

        Raises:
            ConfigError: the test has measured already.
        """
        shapes = ", ".join(_describe_input(value) for value in arguments) or "none"
        return self.measure(function, *arguments, inputs=f"{inputs or 'as the test gave them'}: {shapes}")

    def measure(
        self, function: Callable[..., object], *arguments: object, inputs: str, declared_sha256: str = ""
    ) -> Measurement:
        """Measure as :meth:`__call__` does, with a description of the inputs and the model hash promised."""
        assignment = self._item.stash[ASSIGNMENT]
        if MEASUREMENT in self._item.stash:
            raise ConfigError("latency measures once per test: write a second test for a second measurement")
        if benchmark_bridge.explicitly_disabled(self._item.config):
            pytest.skip("nothing is measured under --benchmark-disable")
        self._item.stash[STARTED_AT] = datetime.now(UTC).isoformat(timespec="seconds")
        measurement = _measure(self._item, assignment, function, arguments, inputs, declared_sha256)
        self._item.stash[MEASUREMENT] = measurement
        benchmark_bridge.hand_over(self._benchmark, measurement.samples_ns, _extra_info(assignment, measurement))
        return measurement


def _measure(
    item: pytest.Item,
    assignment: Assignment,
    function: Callable[..., object],
    arguments: tuple[object, ...],
    inputs: str,
    declared_sha256: str,
) -> Measurement:
    """Take the samples under the device lock, judge them, collect the evidence."""
    from voiceflow_ml.hardware.evidence import cpu_wait_finding  # noqa: PLC0415
    from voiceflow_ml.hardware.probe import CpuWait  # noqa: PLC0415
    from voiceflow_ml.inference.call import UNSTATED_BOUNDARY, Measurable  # noqa: PLC0415
    from voiceflow_ml.latency import measure  # noqa: PLC0415
    from voiceflow_ml.pytest_plugin.device_lock import device_lock  # noqa: PLC0415
    from voiceflow_ml.pytest_plugin.live import LiveLine  # noqa: PLC0415
    from voiceflow_ml.results.assemble import assemble, decision, verdicts_on  # noqa: PLC0415

    settings, promise = item.config.stash[SETTINGS], assignment.promise
    plan = sampling_plan(assignment, settings)
    model = function if isinstance(function, Measurable) else None
    call = model.bind(*arguments) if model is not None else (lambda: function(*arguments))
    live = LiveLine(item.config, promise.label)
    with live, device_lock("cuda" if assignment.target.is_cuda else "cpu", live.say):
        live.begin(f"warming up, {settings.time_budget_ns / 1e9:.0f} s left")
        cpu_wait = CpuWait()
        run = measure(
            call,
            plan,
            decided=decision(promise.objectives, plan, settings.confidence),
            watch=live.watcher(lambda now: verdicts_on(now, promise.objectives, plan, settings.confidence)),
        )
        waited = cpu_wait_finding(*cpu_wait.growth_ns())
    return assemble(
        run,
        verdicts_on(run.samples_ns, promise.objectives, plan, settings.confidence),
        (*collect_findings(run, model, assignment.target, declared_sha256), waited),
        boundary=model.boundary if model is not None else UNSTATED_BOUNDARY,
        inputs=inputs,
        facts=model.facts() if model is not None else {},
    )


def sampling_plan(assignment: Assignment, settings: Settings) -> SamplingPlan:
    """The plan for an assignment under the settings of this run."""
    from voiceflow_ml.latency import SamplingPlan  # noqa: PLC0415
    from voiceflow_ml.latency.plan import fewest_for_met, planned_looks  # noqa: PLC0415

    quantiles = [objective.quantile for objective in assignment.promise.objectives]
    return SamplingPlan(
        looks=planned_looks(quantiles),
        aimed_samples=max(fewest_for_met(quantile) for quantile in quantiles),
        least_span_ns=settings.least_span_ns,
        time_budget_ns=settings.time_budget_ns,
    )


def collect_findings(run: Run, model: Any, target: Target, declared_sha256: str) -> tuple[Finding, ...]:
    """All that is known about where and how a run was taken."""
    from voiceflow_ml.hardware.evidence import (  # noqa: PLC0415
        hash_finding,
        span_finding,
        timer_finding,
    )
    from voiceflow_ml.hardware.probe import clock_step_ns  # noqa: PLC0415
    from voiceflow_ml.inference.call import opaque_finding  # noqa: PLC0415
    from voiceflow_ml.latency import percentile  # noqa: PLC0415

    findings: list[Finding | None] = [timer_finding(clock_step_ns(), percentile(run.samples_ns, 0.5))]
    if model is None:
        findings.append(opaque_finding(target))
    else:
        if model.target != target:
            findings.append(_wrong_target_finding(model.target, target))
        findings += model.findings()
        findings.append(hash_finding(declared_sha256, model.facts().get("model SHA-256", "")))
    findings.append(span_finding(run.span_ns))
    return tuple(finding for finding in findings if finding is not None)


def _wrong_target_finding(opened: Target, promised: Target) -> Finding:
    from voiceflow_ml.hardware.evidence import Finding, Severity  # noqa: PLC0415

    fact = f"the model was opened on {opened.name}, the promise is about {promised.name}"
    return Finding(Severity.INVALID, fact, "open it on the target fixture's value")


def _describe_input(value: object) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return f"{dtype} {list(shape)}" if shape is not None else type(value).__name__


def _extra_info(assignment: Assignment, measurement: Measurement) -> dict[str, object]:
    """What pytest-benchmark's JSON says beside the samples."""
    return {
        "label": assignment.promise.label,
        "verdicts": [
            {
                "statistic": objective.statistic,
                "outcome": str(verdict.outcome),
                "limit_ns": verdict.limit_ns,
                "measured_ns": verdict.measured_ns,
                "sentence": verdict.sentence,
            }
            for objective, verdict in zip(assignment.promise.objectives, measurement.verdicts, strict=True)
        ],
    }
