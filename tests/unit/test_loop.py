from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency import FakeClock, Progress, Run, SamplingPlan, measure
from voiceflow_ml.units import NS_PER_MS, NS_PER_S

PLAN = SamplingPlan(looks=(40, 80), aimed_samples=40, warmup_calls=3, least_span_ns=0)


class Service:
    """A call of which the n-th takes n milliseconds (from 1), on a clock that it moves itself."""

    def __init__(self, *, each_ns: int | None = None) -> None:
        self.clock = FakeClock(start_ns=123)
        self.calls = 0
        self.slept_ns: list[int] = []
        self._each_ns = each_ns
        self.clock.sleep_ns = self._sleep_ns  # type: ignore[method-assign]

    def __call__(self) -> None:
        self.calls += 1
        self.clock.advance_ns(self.calls * NS_PER_MS if self._each_ns is None else self._each_ns)

    def _sleep_ns(self, duration_ns: int) -> None:
        self.slept_ns.append(duration_ns)
        self.clock.advance_ns(duration_ns)


def never(_samples_ns: NDArray[np.int64]) -> bool:
    return False


def test_every_call_is_accounted_for_in_order() -> None:
    service = Service()
    run = measure(service, replace(PLAN, looks=(20,)), clock=service.clock)
    # Call 1 is the cold start, 2 to 4 the warm-up; then blocks of 2 settling and 10 kept calls.
    assert run.cold_start_ns == 1 * NS_PER_MS
    assert run.warmup_ns == (2 * NS_PER_MS, 3 * NS_PER_MS, 4 * NS_PER_MS)
    kept = [*range(7, 17), *range(19, 29)]
    assert run.samples_ns.tolist() == [n * NS_PER_MS for n in kept]
    assert (run.blocks, run.settling_calls, service.calls) == (2, 4, 28)
    assert run.span_ns == sum(range(5, 29)) * NS_PER_MS
    assert run.stopped_by == "samples"


def test_samples_are_read_only_integers() -> None:
    service = Service()
    run = measure(service, PLAN, clock=service.clock)
    assert run.samples_ns.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        run.samples_ns[0] = 1


def test_a_run_without_warm_up_lays_its_span_out_by_the_cold_start() -> None:
    service = Service(each_ns=NS_PER_MS)
    plan = SamplingPlan(looks=(20,), aimed_samples=20, warmup_calls=0, least_span_ns=NS_PER_S)
    run = measure(service, plan, clock=service.clock)
    assert run.warmup_ns == ()
    assert len(service.slept_ns) == 1
    assert service.slept_ns[0] == pytest.approx(plan.gap_ns(NS_PER_MS), rel=0.5)


def test_a_decided_run_stops_at_the_look_and_is_asked_only_there() -> None:
    service, asked = Service(each_ns=1), []

    def decided(samples_ns: NDArray[np.int64]) -> bool:
        asked.append(samples_ns.size)
        return samples_ns.size >= 80

    run = measure(service, replace(PLAN, looks=(35, 80, 200)), clock=service.clock, decided=decided)
    # The first block that reaches 35 ends at 40.
    assert asked == [40, 80]
    assert (run.stopped_by, run.samples_ns.size) == ("decided", 80)


def test_an_undecided_run_stops_when_its_samples_are_spent() -> None:
    service = Service(each_ns=1)
    run = measure(service, PLAN, clock=service.clock, decided=never)
    assert (run.stopped_by, run.samples_ns.size) == ("samples", 80)


def test_looks_within_one_block_are_one_look() -> None:
    service, asked = Service(each_ns=1), []

    def decided(samples_ns: NDArray[np.int64]) -> bool:
        asked.append(samples_ns.size)
        return False

    run = measure(service, replace(PLAN, looks=(3, 5, 7, 8)), clock=service.clock, decided=decided)
    assert asked == [10]
    assert (run.stopped_by, run.samples_ns.size) == ("samples", 10)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8, unique=True),
    st.integers(1, 17),
    st.integers(0, 3),
    st.integers(0, 2),
)
def test_any_plan_ends_with_whole_blocks_just_past_its_last_look(
    looks: list[int], block_calls: int, settling_calls: int, warmup_calls: int
) -> None:
    service = Service(each_ns=1)
    plan = SamplingPlan(
        looks=tuple(sorted(looks)),
        aimed_samples=10,
        block_calls=block_calls,
        settling_calls=settling_calls,
        warmup_calls=warmup_calls,
        least_span_ns=0,
    )
    run = measure(service, plan, clock=service.clock)
    assert run.samples_ns.size == run.blocks * block_calls
    assert max(looks) <= run.samples_ns.size < max(looks) + block_calls
    assert run.samples_ns.tolist() == [1] * run.samples_ns.size
    assert service.calls == 1 + warmup_calls + run.blocks * (block_calls + settling_calls)


def test_time_ends_a_run_and_leaves_at_least_one_block() -> None:
    service = Service(each_ns=NS_PER_S)
    run = measure(service, replace(PLAN, time_budget_ns=0), clock=service.clock)
    assert (run.stopped_by, run.blocks, run.samples_ns.size) == ("time", 1, 10)
    service = Service(each_ns=NS_PER_S)
    # A block takes 12 s: one that begins before 30 s is finished, none begins after.
    run = measure(service, replace(PLAN, time_budget_ns=30 * NS_PER_S), clock=service.clock)
    assert (run.stopped_by, run.blocks, run.span_ns) == ("time", 3, 36 * NS_PER_S)


def test_no_gap_is_slept_out_when_the_time_budget_ends_in_it() -> None:
    service = Service(each_ns=1)
    plan = SamplingPlan(looks=(20,), aimed_samples=20, least_span_ns=100 * NS_PER_S, time_budget_ns=NS_PER_S)
    run = measure(service, plan, clock=service.clock)
    assert (run.stopped_by, run.blocks, service.slept_ns) == ("time", 1, [])


def spread_run(seed: int, *, each_ns: int = NS_PER_MS) -> tuple[Run, list[int], SamplingPlan]:
    service = Service(each_ns=each_ns)
    plan = SamplingPlan(looks=(2_000,), aimed_samples=2_000, seed=seed)
    return measure(service, plan, clock=service.clock), service.slept_ns, plan


def test_a_run_is_spread_over_the_planned_span_by_irregular_gaps() -> None:
    run, gaps_ns, plan = spread_run(seed=1)
    contiguous_ns = 200 * 12 * NS_PER_MS
    assert run.span_ns == contiguous_ns + sum(gaps_ns)
    # 199 gaps, uniform around their mean: their sum strays by a few percent.
    assert run.span_ns == pytest.approx(40 * NS_PER_S, rel=0.08)
    mean_ns = plan.gap_ns(NS_PER_MS)
    assert len(gaps_ns) == 199
    assert 0.5 * mean_ns <= min(gaps_ns) < 0.6 * mean_ns
    assert 1.4 * mean_ns < max(gaps_ns) <= 1.5 * mean_ns
    assert len(set(gaps_ns)) == len(gaps_ns)


def test_the_seed_makes_the_gaps_repeatable() -> None:
    assert spread_run(seed=5)[1] == spread_run(seed=5)[1] != spread_run(seed=6)[1]
    assert spread_run(seed=5)[0].seed == 5


def test_the_default_span_is_long_enough_not_to_be_cautioned() -> None:
    from voiceflow_ml.hardware.evidence import span_finding  # noqa: PLC0415

    for seed in range(20):
        assert span_finding(spread_run(seed, each_ns=1_000)[0].span_ns) is None


def test_the_watcher_is_told_after_each_block_and_outside_of_timed_regions() -> None:
    service, told = Service(each_ns=NS_PER_MS), []

    def watch(progress: Progress) -> None:
        told.append((progress.samples, progress.next_look, progress.latest.size))
        assert (progress.budget, progress.time_budget_ns) == (80, PLAN.time_budget_ns)
        assert progress.elapsed_ns == service.clock.now_ns() - start_ns
        service.clock.advance_ns(0)

    start_ns = service.clock.now_ns() + 4 * NS_PER_MS
    run = measure(service, PLAN, clock=service.clock, watch=watch)
    assert told == [(10 * n, 40 if n <= 4 else 80, 10 * n) for n in range(1, 9)]
    assert set(run.samples_ns.tolist()) == {NS_PER_MS}


def test_a_slow_watcher_costs_no_sample_anything() -> None:
    service = Service(each_ns=NS_PER_MS)
    run = measure(service, PLAN, clock=service.clock, watch=lambda _: service.clock.advance_ns(NS_PER_S))
    assert set(run.samples_ns.tolist()) == {NS_PER_MS}


@pytest.mark.parametrize("fails_at", [1, 3, 5, 12])
def test_what_the_call_raises_comes_through_and_the_collector_is_on_again(fails_at: int) -> None:
    service = Service()

    def call() -> None:
        service()
        if service.calls == fails_at:
            raise KeyError("from the model")

    assert gc.isenabled()
    with pytest.raises(KeyError, match="from the model"):
        measure(call, PLAN, clock=service.clock)
    assert gc.isenabled()


def test_the_collector_is_off_inside_blocks_on_between_them_and_as_found_afterwards() -> None:
    service, inside, between = Service(), [], []

    def call() -> None:
        service()
        if service.calls > 4:
            inside.append(gc.isenabled())

    measure(call, PLAN, clock=service.clock, watch=lambda _: between.append(gc.isenabled()))
    assert set(inside) == {False}
    assert set(between) == {True}
    assert gc.isenabled()
    gc.disable()
    try:
        measure(call, PLAN, clock=service.clock)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_machines_clock_is_the_default() -> None:
    calls = []
    run = measure(lambda: calls.append(1), PLAN)
    assert run.samples_ns.size == 80
    assert run.span_ns > 0
    assert len(calls) == 4 + 8 * 12


def test_a_clock_that_goes_backwards_is_found_out() -> None:
    clock = FakeClock(start_ns=10**12)
    with pytest.raises(SampleError, match="the clock went backwards"):
        measure(lambda: clock.advance_ns(-1), PLAN, clock=clock)


def test_a_run_keeps_a_copy_of_its_samples() -> None:
    samples_ns = np.array([1, 2, 3], dtype=np.int64)
    run = Run(samples_ns, 0, (), 0, 1, 6, "samples", 0)
    samples_ns[0] = 99
    assert run.samples_ns.tolist() == [1, 2, 3]
