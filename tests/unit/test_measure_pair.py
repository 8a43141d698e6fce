from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fake_service import Service
from voiceflow_ml.latency import FakeClock, FakeCounters, Mode, Progress, Run, SamplingPlan, measure, measure_pair
from voiceflow_ml.units import NS_PER_MS, NS_PER_S

PLAN = SamplingPlan(looks=(40, 80), aimed_samples=40, pilot_calls=3, span_ns=0)
SPREAD = SamplingPlan(looks=(100,), aimed_samples=100, pilot_calls=3)


def pair(plan: SamplingPlan, *, candidate_ns: int = 2 * NS_PER_MS) -> tuple[Run, Run, str]:
    """Both runs, and the order in which the two were called, one letter a block."""
    clock, order = FakeClock(), []
    services = {"b": Service(NS_PER_MS, clock=clock), "c": Service(candidate_ns, clock=clock)}

    def call(name: str) -> None:
        order.append(name)
        services[name]()

    first, second = measure_pair(lambda: call("b"), lambda: call("c"), plan, clock=clock)
    warmup = sum(len(run.warmup.pilot_ns) + 1 for run in (first, second))
    block = plan.block_calls + plan.settling
    return first, second, "".join(order[warmup::block])


@pytest.mark.parametrize("plan", [PLAN, SPREAD, replace(SPREAD, mode=Mode.BACK_TO_BACK)])
def test_two_versions_are_measured_in_pairs_of_blocks_in_either_order(plan: SamplingPlan) -> None:
    baseline, candidate, order = pair(plan)
    samples = plan.looks[-1]
    assert baseline.samples_ns.tolist() == [NS_PER_MS] * samples
    assert candidate.samples_ns.tolist() == [2 * NS_PER_MS] * samples
    pairs = [order[n : n + 2] for n in range(0, len(order), 2)]
    assert len(pairs) == samples // 10
    assert set(pairs) == {"bc", "cb"}
    assert (baseline.stopped_by, candidate.stopped_by) == ("samples", "samples")


def test_a_pair_begins_when_the_gaps_of_both_are_over_and_no_later() -> None:
    # The slow one has the longer gaps. They are the same where it is measured alone.
    clock = FakeClock()
    quick, slow = Service(NS_PER_MS, clock=clock), Service(100 * NS_PER_MS, clock=clock)
    runs = measure_pair(quick, slow, SPREAD, clock=clock)
    alone = Service(100 * NS_PER_MS)
    measure(alone, SPREAD, clock=alone.clock)
    calls = SPREAD.block_calls + SPREAD.settling
    first_calls = [service.began_ns[4::calls] for service in (quick, slow)]
    ends_ns = [began_ns + int(took) for began_ns, took in zip(first_calls[1], runs[1].block_durations_ns, strict=True)]
    begins_ns = [min(both) for both in zip(*first_calls, strict=True)]
    waited_ns = [begin - end for begin, end in zip(begins_ns[1:], ends_ns, strict=False)]
    assert waited_ns == alone.slept_ns


def test_the_order_of_pairs_is_drawn_from_the_seed() -> None:
    plan = replace(SPREAD, looks=(1_000,))
    assert pair(plan)[2] == pair(plan)[2]
    assert pair(plan)[2] != pair(replace(plan, seed=1))[2]
    firsts = pair(plan)[2][::2]
    assert 30 < firsts.count("b") < 70


def test_time_ends_both_of_a_pair_with_as_many_samples() -> None:
    plan = replace(SPREAD, time_budget_ns=8 * NS_PER_S, looks=(1_000,))
    baseline, candidate, order = pair(plan, candidate_ns=100 * NS_PER_MS)
    assert baseline.samples_ns.size == candidate.samples_ns.size < 1_000
    assert order.count("b") == order.count("c")
    assert (baseline.stopped_by, candidate.stopped_by) == ("time", "time")


def test_a_pair_is_watched_and_counted_like_one() -> None:
    clock, counters, told = FakeClock(), FakeCounters(), []
    service = Service(100, clock=clock, counters=counters, waits_ns=lambda _: 30)

    def watch(progress: Progress) -> None:
        told.append(progress.samples)

    runs = measure_pair(service, service, PLAN, clock=clock, counters=counters, watch=watch)
    assert told == [10 * n for n in range(1, 9)]
    for run in runs:
        assert run.channels.adjusted_ns is not None
        assert set(run.channels.adjusted_ns.tolist()) == {70}


@pytest.mark.parametrize("seed", range(4))
def test_the_first_that_is_out_of_time_ends_both(seed: int) -> None:
    # One began 4 s after the other and their blocks end 10 s apart: after one pair only one of them has used its 20 s.
    plan = replace(PLAN, looks=(1_000,), time_budget_ns=20 * NS_PER_S, seed=seed)
    clock = FakeClock()
    runs = measure_pair(Service(NS_PER_S, clock=clock), Service(NS_PER_S, clock=clock), plan, clock=clock)
    assert [(run.samples_ns.size, run.stopped_by) for run in runs] == [(10, "time"), (10, "time")]
