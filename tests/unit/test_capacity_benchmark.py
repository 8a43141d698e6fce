"""The machine that the benchmark makes of trials, on a server whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.capacity.fit import fit, measured_ns

from voiceflow_ml.load import Kind, LoadPlan, Trial
from voiceflow_ml.load.trial import NO_ANSWER, Shot

MS = 1_000_000
SECOND = 1_000 * MS


def trial(count: int, latency_ns: int, model_ns: int, *, status: int = 200) -> Trial:
    """So many requests in one second, all alike."""
    plan = LoadPlan(Kind.CLOSED_LOOP, connections=1, duration_ns=SECOND)
    shots = tuple(
        Shot(place * MS, place * MS, place * MS + latency_ns, status, model_ns=model_ns) for place in range(count)
    )
    return Trial(plan, shots, count, {})


@pytest.mark.parametrize(("cores", "shared"), [(1, True), (2, False)])
def test_throughput_tells_what_a_request_costs_and_a_lone_one_the_way(cores: int, shared: bool) -> None:
    # 200/s with an inference of 4 ms: 1 ms for each is not inference; a lone one takes 0.5 ms more than both.
    fitted = fit([trial(100, 5_500_000, 4 * MS)], [trial(200, 40 * MS, 4 * MS)], workers=1, cores=cores, queue=9)
    assert fitted.capacity_per_s == pytest.approx(200)
    machine = fitted.machine(0.5)
    assert machine.capacity_per_s == pytest.approx(200)
    assert machine.shares_cores is shared
    assert machine.overhead_ns == pytest.approx(1 * MS if shared else 0)
    assert fitted.way_ns == pytest.approx(0.5 * MS)
    assert machine.queue == 9


def test_a_server_that_is_faster_than_it_tells_costs_nothing_less() -> None:
    fitted = fit([trial(100, 4 * MS, 4 * MS)], [trial(400, 9 * MS, 4 * MS)], workers=1, cores=1, queue=9)
    assert (fitted.cost_ns, fitted.way_ns) == (0.0, 0.0)


def test_requests_without_an_answer_are_the_slowest() -> None:
    seen = measured_ns([trial(3, 5 * MS, MS), trial(1, MS, MS, status=503), trial(1, MS, MS, status=NO_ANSWER)])
    assert seen.tolist() == [5 * MS] * 3 + [np.inf, np.inf]


@pytest.mark.parametrize(("load", "mean_ms"), [(0.0, 4), (0.25, 5), (1.0, 8)])
def test_inferences_meet_a_busy_machine_as_often_as_it_is_busy(load: float, mean_ms: int) -> None:
    fitted = fit([trial(100, 4 * MS, 4 * MS)], [trial(125, 40 * MS, 8 * MS)], workers=1, cores=1, queue=9)
    assert fitted.machine(load).inference.mean_ns == pytest.approx(mean_ms * MS)
