"""The fixtures: ``target``, and ``latency``, whose verdict becomes the test's outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.targets import CPU, Target
from voiceflow_ml.pytest_plugin import benchmark_bridge
from voiceflow_ml.pytest_plugin.handover import Handover, describe_inputs
from voiceflow_ml.pytest_plugin.measuring import measure_alone, measure_prepared
from voiceflow_ml.pytest_plugin.state import ASSIGNMENT, MEASUREMENT, Assignment

if TYPE_CHECKING:
    from voiceflow_ml.results.measurement import Measurement


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

    def __call__(
        self,
        function: Callable[..., object] | None = None,
        *arguments: object,
        inputs: str = "",
        cold_inputs: Sequence[tuple[object, ...]] = (),
    ) -> Measurement:
        """Measure ``function(*arguments)``; without any, what the test's ``prepare`` function handed over.

        Args:
            function: what is timed. A model opened by ``voiceflow_ml.inference.ort.open_onnx`` proves where
                it runs; any other callable is measured without that proof.
            arguments: its arguments, prepared; making them is not timed.
            inputs: what they are, in a phrase for the report, such as ``"speech.wav, first 3 s"``.
            cold_inputs: arguments of other shapes; the first call with each is timed and reported apart.

        Returns:
            The measurement: samples in nanoseconds, percentiles, verdicts, findings.

        Raises:
            ConfigError: the test has measured already, or hands over nothing, or hands over twice.
        """
        assignment = self._item.stash[ASSIGNMENT]
        prepared = assignment.prepare is not None
        if prepared and (function is not None or inputs or cold_inputs):
            raise ConfigError("this test's call comes from its prepare function: write latency() without arguments")
        if function is None and not prepared:
            raise ConfigError(
                "latency() measures what prepare hands over, and this test has none: write latency(model, *inputs)"
            )
        if MEASUREMENT in self._item.stash:
            raise ConfigError("latency measures once per test: write a second test for a second measurement")
        if benchmark_bridge.explicitly_disabled(self._item.config):
            pytest.skip("nothing is measured under --benchmark-disable")
        if function is None:
            measurement = measure_prepared(self._item)
        else:
            described = describe_inputs(arguments, inputs or "as the test gave them")
            # Numbered: two of one shape are two.
            cold = {
                describe_inputs(others, f"other inputs {place}"): others
                for place, others in enumerate(cold_inputs, start=1)
            }
            measurement = measure_alone(self._item, Handover(function, arguments, described, cold_arguments=cold))
        self._item.stash[MEASUREMENT] = measurement
        benchmark_bridge.hand_over(self._benchmark, measurement.samples_ns, _extra_info(assignment, measurement))
        return measurement


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
