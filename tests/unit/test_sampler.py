from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fake_service import Service, finish
from voiceflow_ml.latency import Channels, FakeCounters, Mode, Progress, Run
from voiceflow_ml.latency import SamplingPlan as Plan
from voiceflow_ml.units import NS_PER_MS, NS_PER_S

PLAN = Plan(looks=(40, 80), aimed_samples=40, span_ns=0)
PACED = replace(PLAN, mode=Mode.PACED, interval_ns=10 * NS_PER_MS)


def test_first_come_the_cold_starts_each_timed_alone() -> None:
    service, others = Service(lambda n: n), []

    def other(name: str, duration_ns: int) -> None:
        others.append((name, service.calls))
        service.clock.advance_ns(duration_ns)

    cold_calls = {"8 windows": lambda: other("8", 700), "1 window": lambda: other("1", 300)}
    run = finish(service, PLAN, cold_calls=cold_calls)
    assert [(one.inputs, one.duration_ns) for one in run.cold_starts] == [
        ("measured inputs", 1),
        ("8 windows", 700),
        ("1 window", 300),
    ]
    assert others == [("8", 1), ("1", 1)]
    assert run.warmup.pilot_ns[0] == 2


@pytest.mark.parametrize(
    ("each_ns", "pilot_calls", "taken", "steady", "first_steady"),
    [
        # Steady from the start: seen at the first chunk of 25.
        (lambda _: 1_000, 400, 25, True, 0),
        # Ever quicker until the 61st call, of which the first is the cold start.
        (lambda n: max(1_000, 62_000 - 1_000 * n), 400, 125, True, 60),
        # Ever slower: the pilot ends all the same.
        (lambda n: 1_000 * n, 400, 400, False, 0),
        (lambda n: 1_000 * n, 60, 60, False, 0),
        # Too few to tell.
        (lambda _: 1_000, 24, 24, False, 0),
        (lambda _: 1_000, 1, 1, False, 0),
    ],
)
def test_the_pilot_ends_when_the_state_is_steady(
    each_ns: Any, pilot_calls: int, taken: int, steady: bool, first_steady: int
) -> None:
    run = finish(Service(each_ns), replace(PLAN, pilot_calls=pilot_calls))
    assert (len(run.warmup.pilot_ns), run.warmup.steady, run.warmup.first_steady) == (taken, steady, first_steady)
    assert list(run.warmup.pilot_ns) == [each_ns(n) for n in range(2, taken + 2)]
    # None of it is judged.
    assert run.samples_ns.tolist() == [each_ns(n) for n in range(taken + 2, taken + 2 + 80)]


@pytest.mark.parametrize(("budget_s", "pilot"), [(60, 11), (10, 1), (4, 0), (0, 0)])
def test_a_slow_service_warms_up_for_a_fifth_of_the_time_at_most(budget_s: int, pilot: int) -> None:
    # One call a second, the cold start included: no call begins after a fifth.
    run = finish(Service(NS_PER_S), replace(PLAN, time_budget_ns=budget_s * NS_PER_S))
    assert run.warmup.pilot_ns == (NS_PER_S,) * pilot
    assert (run.warmup.steady, run.stopped_by) == (False, "time")
    assert run.samples_ns.size >= 10


def test_blocks_settle_first_and_keep_ten() -> None:
    plan = Plan(looks=(20,), aimed_samples=20, pilot_calls=3, span_ns=NS_PER_S)
    service = Service()
    run = finish(service, plan)
    # Call 1 is the cold start, 2 to 4 the pilot; then blocks of 2 settling and 10 kept calls.
    assert run.samples_ns.tolist() == [n * NS_PER_MS for n in [*range(7, 17), *range(19, 29)]]
    assert (run.settling_calls, run.block_calls, service.calls) == (4, 10, 28)
    assert run.block_durations_ns.tolist() == [sum(range(5, 17)) * NS_PER_MS, sum(range(17, 29)) * NS_PER_MS]
    assert run.block_starts_ns.tolist() == [0, run.block_durations_ns[0] + sum(service.slept_ns)]
    assert run.span_ns == run.block_starts_ns[1] + run.block_durations_ns[1]


def spread_run(seed: int, *, each_ns: int = NS_PER_MS, **options: Any) -> tuple[Run, list[int], Plan]:
    service = Service(each_ns)
    plan = Plan(looks=(2_000,), aimed_samples=2_000, seed=seed)
    return finish(service, plan, **options), service.slept_ns, plan


def test_a_run_is_spread_over_the_planned_span_by_irregular_gaps() -> None:
    run, gaps_ns, plan = spread_run(seed=1)
    assert run.span_ns == 200 * 12 * NS_PER_MS + sum(gaps_ns)
    # 199 gaps, uniform around their mean: their sum strays by a few percent.
    assert run.span_ns == pytest.approx(48 * NS_PER_S, rel=0.08)
    mean_ns = plan.gap_ns(NS_PER_MS)
    assert len(gaps_ns) == len(set(gaps_ns)) == 199
    assert 0.5 * mean_ns <= min(gaps_ns) < 0.6 * mean_ns
    assert 1.4 * mean_ns < max(gaps_ns) <= 1.5 * mean_ns


def test_the_seed_makes_the_gaps_repeatable() -> None:
    assert spread_run(seed=5)[1] == spread_run(seed=5)[1] != spread_run(seed=6)[1]
    assert spread_run(seed=5)[0].seed == 5


def test_gaps_are_counted_from_the_block_whatever_the_watcher_and_the_control_take() -> None:
    plain, slow = Service(NS_PER_MS), Service(NS_PER_MS)
    plan = Plan(looks=(100,), aimed_samples=100)

    def busy(_progress: Progress) -> None:
        slow.clock.advance_ns(5 * NS_PER_MS)

    one = finish(plain, plan)
    other = finish(slow, plan, watch=busy, control=lambda: slow.clock.advance_ns(NS_PER_MS))
    assert one.block_starts_ns.tolist() == other.block_starts_ns.tolist()
    assert sum(plain.slept_ns) - sum(slow.slept_ns) == 9 * 6 * NS_PER_MS


def test_gaps_are_laid_out_by_the_steady_calls_alone() -> None:
    service = Service(lambda n: max(1, 62 - n) * NS_PER_MS)
    plan = Plan(looks=(100,), aimed_samples=100)
    run = finish(service, plan)
    assert run.warmup.first_steady == 60
    mean_ns = plan.gap_ns(NS_PER_MS)
    assert all(0.5 * mean_ns <= gap_ns <= 1.5 * mean_ns for gap_ns in service.slept_ns)


def test_gaps_are_laid_out_by_a_call_in_the_middle_and_not_by_the_quick_ones() -> None:
    # The first call is the cold start; then four take 1 ms, and the five others of the pilot and all later ones 50 ms.
    service = Service(lambda n: (1 if n in (2, 4, 6, 8) else 50) * NS_PER_MS)
    plan = Plan(looks=(100,), aimed_samples=100, pilot_calls=9)
    assert finish(service, plan).warmup.first_steady == 0
    mean_ns = plan.gap_ns(50 * NS_PER_MS)
    assert plan.gap_ns(NS_PER_MS) < 0.5 * mean_ns
    assert all(0.5 * mean_ns <= gap_ns <= 1.5 * mean_ns for gap_ns in service.slept_ns)


@pytest.mark.parametrize(
    ("looks", "ends_at", "asked", "stopped_by", "samples"),
    [
        # The first block that reaches 35 ends at 40.
        ((35, 80, 200), 80, [40, 80], "decided", 80),
        ((40, 80), None, [40, 80], "samples", 80),
        # Looks within one block are one look.
        ((3, 5, 7, 8), None, [10], "samples", 10),
        # A decision at the last look is a decision.
        ((10,), 10, [10], "decided", 10),
    ],
)
def test_a_run_is_asked_about_at_its_looks_and_ends_when_decided(
    looks: tuple[int, ...], ends_at: int | None, asked: list[int], stopped_by: str, samples: int
) -> None:
    seen = []

    def decided(channels: Channels) -> bool:
        seen.append(channels.wall_ns.size)
        return ends_at is not None and channels.wall_ns.size >= ends_at

    run = finish(Service(1), replace(PLAN, looks=looks), decided=decided)
    assert (seen, run.stopped_by, run.samples_ns.size) == (asked, stopped_by, samples)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8, unique=True),
    st.integers(1, 17),
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from([0, 100]),
)
def test_any_plan_ends_with_whole_blocks_just_past_its_last_look(
    looks: list[int], block_calls: int, settling_calls: int, pilot_calls: int, span_ns: int
) -> None:
    service = Service(1)
    plan = Plan(
        looks=tuple(sorted(looks)),
        aimed_samples=10,
        block_calls=block_calls,
        settling_calls=settling_calls,
        pilot_calls=max(1, pilot_calls),
        span_ns=span_ns,
    )
    run = finish(service, plan)
    blocks = run.block_starts_ns.size
    assert run.samples_ns.tolist() == [1] * blocks * block_calls
    assert max(looks) <= run.samples_ns.size < max(looks) + block_calls
    assert service.calls == 1 + max(1, pilot_calls) + blocks * (block_calls + plan.settling)


def test_time_ends_a_run_and_leaves_at_least_one_block() -> None:
    plan = replace(PLAN, settling_calls=0)
    run = finish(Service(NS_PER_S), replace(plan, time_budget_ns=0))
    assert (run.stopped_by, run.samples_ns.size) == ("time", 10)
    # Cold start and warm-up take 6 s: a block that begins before 30 s is finished, none begins after.
    run = finish(Service(NS_PER_S), replace(plan, time_budget_ns=30 * NS_PER_S))
    assert (run.stopped_by, run.samples_ns.size, run.span_ns) == ("time", 30, 30 * NS_PER_S)
    # Nor does one begin when the time has just run out.
    run = finish(Service(NS_PER_S), replace(plan, time_budget_ns=26 * NS_PER_S))
    assert (run.stopped_by, run.samples_ns.size, run.span_ns) == ("time", 20, 20 * NS_PER_S)
    # A group that takes turns has a budget of its own.
    run = finish(Service(NS_PER_S), plan, time_budget_ns=0)
    assert (run.stopped_by, run.samples_ns.size) == ("time", 10)


def test_no_gap_is_slept_out_when_the_time_budget_ends_in_it() -> None:
    service = Service(1)
    plan = Plan(looks=(20,), aimed_samples=20, span_ns=100 * NS_PER_S, time_budget_ns=NS_PER_S)
    run = finish(service, plan)
    assert (run.stopped_by, run.samples_ns.size, service.slept_ns) == ("time", 10, [])


def test_the_watcher_is_told_after_each_block() -> None:
    service, told, start_ns = Service(NS_PER_MS), [], 123

    def watch(progress: Progress) -> None:
        told.append((progress.samples, progress.next_look, progress.latest().wall_ns.size))
        assert (progress.budget, progress.time_budget_ns) == (80, PLAN.time_budget_ns)
        assert progress.elapsed_ns == service.clock.now_ns() - start_ns
        service.clock.advance_ns(0)

    finish(service, PLAN, watch=watch)
    assert told == [(10 * n, 40 if n <= 4 else 80, 10 * n) for n in range(1, 9)]


def test_the_control_workload_is_timed_once_after_each_block() -> None:
    service, called = Service(NS_PER_MS), []

    def control() -> None:
        called.append(service.calls)
        service.clock.advance_ns(len(called))

    run = finish(service, replace(PLAN, pilot_calls=1), control=control)
    assert called == [2 + 10 * n for n in range(1, 9)]
    assert run.control_ns is not None
    assert run.control_ns.tolist() == list(range(1, 9))
    assert run.control_ns.dtype == np.int64
    assert set(run.samples_ns.tolist()) == {NS_PER_MS}
    assert finish(Service(1), PLAN).control_ns is None


def test_both_readings_are_offered_at_each_look_and_in_the_run() -> None:
    service, seen = Service(100, counters=FakeCounters(), waits_ns=lambda n: n % 2 * 30), []

    def decided(channels: Channels) -> bool:
        seen.append(channels.adjusted_ns)
        return False

    run = finish(service, replace(PLAN, looks=(10, 20), pilot_calls=1), decided=decided)
    assert run.channels.problem == ""
    assert [None if one is None else one.tolist() for one in seen] == [[70, 100] * 5, [70, 100] * 10]
    assert run.channels.adjusted_ns is not None
    assert run.channels.adjusted_ns.tolist() == [70, 100] * 10
    assert run.channels is run.channels


@pytest.mark.parametrize(
    ("plan", "source", "process_share", "problem"),
    [
        (PLAN, "schedstat", 1.04, ""),
        (PLAN, "schedstat", 1.06, "the process used 1.06 times"),
        (PLAN, "none", 1.0, "this system does not count"),
        (PLAN, "", 1.0, "the scheduler's counters were not read"),
        (replace(PACED, mode=Mode.OPEN_LOOP), "schedstat", 1.0, "an open-loop latency includes"),
        (PACED, "schedstat", 1.0, ""),
    ],
)
def test_why_the_adjusted_reading_does_not_count(plan: Plan, source: str, process_share: float, problem: str) -> None:
    counters = FakeCounters(source) if source else None
    told: list[Channels] = []
    service = Service(NS_PER_MS, counters=counters, process_share=process_share)
    run = finish(service, plan, watch=lambda progress: told.append(progress.latest()))
    for channels in (run.channels, told[-1]):
        assert channels.problem.startswith(problem)
        assert (channels.adjusted_ns is None, bool(channels.problem)) == (bool(problem), bool(problem))
