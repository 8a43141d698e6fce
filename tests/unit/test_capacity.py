"""The simulated queue against what is known in closed form, and the plans that stand on it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from voiceflow_ml.capacity import Machine, declared_durations, forecast, plan_machines, sampled_durations
from voiceflow_ml.capacity.durations import Durations
from voiceflow_ml.capacity.simulation import through_loop, through_workers
from voiceflow_ml.errors import ConfigError, SampleError

MS = 1_000_000
REPLICATIONS, REQUESTS = 20, 10_000
# Two-sided 99.9 % of Student's t with 19 degrees of freedom.
T_999 = 3.883


class Exponential(Durations):
    """Exponential service, for the queues that have a closed form."""

    def __init__(self, mean_ns: float) -> None:
        super().__init__(np.empty(0), mean_ns, 0.0, "exponential")

    def draw_ns(self, generator: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return generator.exponential(self.median_ns, count)


def erlang_c(workers: int, offered: float) -> float:
    """Probability that a request waits in M/M/c with ``offered`` = arrival rate x mean service (Erlang 1917)."""
    blocked = erlang_b(workers, offered)
    share = offered / workers
    return blocked / (1 - share * (1 - blocked))


def erlang_b(workers: int, offered: float) -> float:
    """Probability that a request is refused in M/M/c/c, by the usual recursion."""
    blocked = 1.0
    for servers in range(1, workers + 1):
        blocked = offered * blocked / (servers + offered * blocked)
    return blocked


def simulated(
    load: float, workers: int, queue: int, mean_ns: float = 1.0, *, exponential: bool = True
) -> tuple[list[float], list[float], list[float]]:
    """Mean wait, share that waits and share that is refused, of each replication; service takes 1 on average."""
    waits, waiting, refused = [], [], []
    for seed in range(REPLICATIONS):
        generator = np.random.default_rng(seed)
        count = REQUESTS + 2_000
        arrivals = np.cumsum(generator.exponential(mean_ns / (load * workers), count))
        service = generator.exponential(mean_ns, count) if exponential else np.full(count, mean_ns)
        done = through_workers(arrivals, service, workers, queue)
        wait = (done - arrivals - service)[2_000:]
        served = wait[np.isfinite(wait)]
        waits.append(float(served.mean()))
        waiting.append(float((served > 1e-9).mean()))
        refused.append(float(np.isinf(wait).mean()))
    return waits, waiting, refused


def holds(values: list[float], expected: float) -> bool:
    """Whether a true value lies in the 99.9 % interval of the replications' mean."""
    half = T_999 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return abs(float(np.mean(values)) - expected) <= half


@pytest.mark.parametrize(("workers", "load"), [(1, 0.5), (2, 0.7), (4, 0.8)])
def test_poisson_arrivals_and_exponential_service_wait_as_erlang_says(workers: int, load: float) -> None:
    waits, waiting, refused = simulated(load, workers, queue=10**9)
    chance = erlang_c(workers, load * workers)
    assert holds(waiting, chance)
    assert holds(waits, chance / (workers * (1 - load)))
    assert set(refused) == {0.0}


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_a_service_that_never_varies_waits_as_pollaczek_and_khinchine_say(load: float) -> None:
    waits, _, _ = simulated(load, 1, queue=10**9, exponential=False)
    assert holds(waits, load / (2 * (1 - load)))


def test_the_tests_above_can_fail() -> None:
    """Exponential service waits twice as long as a fixed one."""
    waits, _, _ = simulated(0.6, 1, queue=10**9)
    assert not holds(waits, 0.6 / (2 * (1 - 0.6)))


@pytest.mark.parametrize(("workers", "load"), [(1, 0.9), (3, 1.2)])
def test_without_a_queue_as_many_are_refused_as_erlang_says(workers: int, load: float) -> None:
    _, waiting, refused = simulated(load, workers, queue=0)
    assert set(waiting) == {0.0}
    assert holds(refused, erlang_b(workers, load * workers))


def test_a_bounded_queue_refuses_as_the_birth_and_death_chain_says() -> None:
    load, room = 0.95, 1 + 5
    _, _, refused = simulated(load, 1, queue=5)
    assert holds(refused, (1 - load) * load**room / (1 - load ** (room + 1)))


def test_the_loop_is_a_queue_of_one_server() -> None:
    arrivals = np.array([0.0, 1.0, 1.5, 9.0])
    assert through_loop(arrivals, 2.0).tolist() == [2.0, 4.0, 6.0, 11.0]
    generator = np.random.default_rng(0)
    arrivals = np.cumsum(generator.exponential(1.0, 500))
    by_events = through_workers(arrivals, np.full(500, 0.8), 1, 10**9)
    assert np.allclose(through_loop(arrivals, 0.8), by_events)


def test_requests_are_served_in_order_by_whoever_is_free() -> None:
    arrivals = np.array([0.0, 1.0, 2.0, 3.0, 3.5])
    service = np.array([10.0, 3.0, 1.0, 1.0, 1.0])
    assert through_workers(arrivals, service, 2, 1).tolist() == [10.0, 4.0, 5.0, math.inf, math.inf]


@pytest.mark.parametrize("shared", [True, False])
def test_a_loop_without_a_core_of_its_own_takes_capacity(shared: bool) -> None:
    inference = declared_durations(4 * MS)
    machine = Machine(2, inference, overhead_ns=1 * MS, cores=2 if shared else 3)
    assert machine.shares_cores is shared
    assert machine.capacity_per_s == pytest.approx(400 if shared else 500)
    seen = forecast(machine, 200)
    assert seen.percentiles_ns[0.5].value == pytest.approx(5 * MS, rel=0.25)
    assert seen.busy == pytest.approx(200 / machine.capacity_per_s if shared else 0.4, rel=0.02)


def test_gpus_share_no_core_and_a_slow_loop_limits_them() -> None:
    assert Machine(4, declared_durations(1 * MS), overhead_ns=0.5 * MS).capacity_per_s == pytest.approx(2_000)
    assert not Machine(4, declared_durations(1 * MS)).shares_cores


def test_a_forecast_is_the_same_for_the_same_seed_and_grows_with_the_load() -> None:
    machine = Machine(2, declared_durations(4 * MS, 6 * MS), cores=2)
    first, again, other = forecast(machine, 300), forecast(machine, 300), forecast(machine, 300, seed=1)
    assert first == again
    assert first != other
    p99_ns = [forecast(machine, machine.capacity_per_s * load).percentiles_ns[0.99].value for load in (0.3, 0.8)]
    assert p99_ns == sorted(p99_ns)
    assert first.percentiles_ns[0.99].value < first.percentiles_ns[0.99].high


def test_a_refused_request_is_one_without_end() -> None:
    seen = forecast(Machine(1, declared_durations(10 * MS), queue=0), 50)
    assert seen.refused == pytest.approx(erlang_b(1, 0.5), abs=0.02)
    assert math.isinf(seen.percentiles_ns[0.99].value)
    assert seen.percentiles_ns[0.5].value == pytest.approx(10 * MS)


def test_samples_are_drawn_as_they_are() -> None:
    drawn = sampled_durations([3, 5, 9], "three").draw_ns(np.random.default_rng(0), 1_000)
    assert set(drawn.tolist()) == {3.0, 5.0, 9.0}


def test_a_declared_distribution_has_the_median_and_the_p99_that_it_was_given() -> None:
    drawn = declared_durations(4 * MS, 10 * MS).draw_ns(np.random.default_rng(0), 200_000)
    assert np.quantile(drawn, 0.5) == pytest.approx(4 * MS, rel=0.01)
    assert np.quantile(drawn, 0.99) == pytest.approx(10 * MS, rel=0.02)
    assert declared_durations(4 * MS, 10 * MS).mean_ns == pytest.approx(drawn.mean(), rel=0.01)


def test_a_plan_is_the_fewest_machines_that_keep_the_limit() -> None:
    machine = Machine(2, declared_durations(4 * MS, 6 * MS), overhead_ns=0.5 * MS, cores=2)
    plan = plan_machines(machine, 1_000, 20 * MS)
    assert plan.machines is not None
    kept = {row.machines: row.keeps for row in plan.rows}
    assert kept[plan.machines]
    assert kept[plan.machines + 1]
    assert not kept.get(plan.machines - 1, False)
    assert list(kept) == sorted(kept)
    # Twice the rate takes no more than twice the machines, and no fewer than before.
    twice = plan_machines(machine, 2_000, 20 * MS)
    assert twice.machines is not None
    assert plan.machines <= twice.machines <= 2 * plan.machines


def test_no_number_of_machines_makes_an_inference_faster() -> None:
    plan = plan_machines(Machine(2, declared_durations(4 * MS, 6 * MS)), 100, 5 * MS)
    assert plan.machines is None
    assert not any(row.keeps for row in plan.rows)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"queue": -1}, "queue must be at least 0, got -1"),
        ({"overhead_ns": math.nan}, "overhead must be a duration from 0 on, got nan ns"),
        ({"cores": 1}, "2 workers on 1 cores would take turns"),
    ],
)
def test_a_machine_that_makes_no_sense_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        replace(Machine(2, declared_durations(1 * MS)), **change)


def test_unfit_rates_limits_and_durations_are_refused() -> None:
    machine = Machine(1, declared_durations(1 * MS))
    for rate in (0, -1, math.nan, math.inf):
        with pytest.raises(ConfigError, match="a rate must be a number of requests in a second above 0"):
            forecast(machine, rate)
    with pytest.raises(ConfigError, match="a limit must be a duration above 0"):
        plan_machines(machine, 1, 0)
    with pytest.raises(ConfigError, match="at most 10000 are tried"):
        plan_machines(machine, 1e12, 1 * MS)
    with pytest.raises(SampleError, match="quantile"):
        plan_machines(machine, 1, 1 * MS, 1.0)
    with pytest.raises(SampleError, match="does not go with a median"):
        declared_durations(2 * MS, 1 * MS)
    with pytest.raises(SampleError, match="no samples"):
        sampled_durations([], "nothing")
