from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from tests.unit.fake_service import Service
from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency import (
    FakeClock,
    FakeCounters,
    Instruments,
    Mode,
    Sampler,
    SamplingPlan,
    measure,
    take_turns,
)
from voiceflow_ml.units import NS_PER_MS, NS_PER_S

PLAN = SamplingPlan(looks=(40, 80), aimed_samples=40, pilot_calls=3, span_ns=0)
SPREAD = SamplingPlan(looks=(100,), aimed_samples=100, pilot_calls=3)


class Noted(Sampler):
    """Keeps when each block was due, began and ended, in a list that it shares."""

    noted: list[tuple[Sampler, int, int, int]]
    clock: FakeClock

    def block(self) -> None:
        due_ns, began_ns = self.due_ns, self.clock.now_ns()
        super().block()
        self.noted.append((self, due_ns, began_ns, self.clock.now_ns()))


def together(
    clock: FakeClock, calls: list[Callable[[], None]], plan: SamplingPlan = SPREAD
) -> tuple[list[Sampler], list[tuple[Sampler, int, int, int]]]:
    noted: list[tuple[Sampler, int, int, int]] = []
    samplers: list[Sampler] = []
    for seed, call in enumerate(calls):
        sampler = Noted(call, replace(plan, seed=seed), Instruments(clock))
        sampler.noted, sampler.clock = noted, clock
        sampler.begin()
        samplers.append(sampler)
    return samplers, noted


def test_one_measurement_alone_sleeps_between_its_blocks() -> None:
    service = Service(NS_PER_MS)
    run = measure(service, SPREAD, clock=service.clock)
    assert (run.stopped_by, run.samples_ns.size, service.calls) == ("samples", 100, 4 + 10 * 12)
    assert len(service.slept_ns) == 9
    assert run.span_ns == 120 * NS_PER_MS + sum(service.slept_ns)
    assert run.span_ns == pytest.approx(10 * NS_PER_S, rel=0.25)


def test_contiguous_modes_never_sleep() -> None:
    for plan in (PLAN, replace(SPREAD, mode=Mode.BACK_TO_BACK)):
        service = Service(NS_PER_MS)
        run = measure(service, plan, clock=service.clock)
        assert (service.slept_ns, run.settling_calls) == ([], 0)
        assert run.span_ns == run.samples_ns.size * NS_PER_MS


def test_all_instruments_are_passed_on() -> None:
    service = Service(100, counters=FakeCounters(), waits_ns=lambda _: 40)
    told = []
    run = measure(
        service,
        PLAN,
        clock=service.clock,
        counters=service.counters,
        control=lambda: service.clock.advance_ns(7),
        decided=lambda channels: channels.adjusted_ns is not None,
        watch=lambda progress: told.append(progress.samples),
        cold_calls={"1 window": lambda: service.clock.advance_ns(9)},
    )
    assert (run.stopped_by, told) == ("decided", [10, 20, 30, 40])
    assert run.control_ns is not None
    assert set(run.control_ns.tolist()) == {7}
    assert [one.duration_ns for one in run.cold_starts] == [100, 9]
    assert run.channels.adjusted_ns is not None
    assert set(run.channels.adjusted_ns.tolist()) == {60}


def test_the_machines_clock_is_the_default() -> None:
    calls: list[int] = []
    run = measure(lambda: calls.append(1), PLAN)
    assert (run.samples_ns.size, len(calls)) == (80, 4 + 80)


def test_a_clock_that_goes_backwards_is_found_out() -> None:
    clock = FakeClock(start_ns=10**12)
    with pytest.raises(SampleError, match="the clock went backwards"):
        measure(lambda: clock.advance_ns(-1), PLAN, clock=clock)


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


def test_between_blocks_garbage_is_collected() -> None:
    service, between = Service(1), []
    measure(service, PLAN, clock=service.clock, watch=lambda _: between.append(gc.isenabled()))
    assert set(between) == {True}


def test_a_run_shares_the_memory_that_was_measured_into_and_is_read_only() -> None:
    service, seen = Service(NS_PER_MS), []
    run = measure(service, PLAN, clock=service.clock, watch=lambda progress: seen.append(progress.latest().wall_ns))
    assert np.shares_memory(run.samples_ns, seen[-1])
    assert run.samples_ns.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        run.samples_ns[0] = 1


@pytest.mark.parametrize("kind", [list, np.array])
def test_the_samples_of_any_run_are_an_array_that_cannot_be_written(kind: Callable[[list[int]], Any]) -> None:
    service, given_ns = Service(NS_PER_MS), kind([3, 1, 2])
    run = replace(measure(service, PLAN, clock=service.clock), samples_ns=given_ns)
    assert run.samples_ns.tolist() == [3, 1, 2]
    assert run.samples_ns.dtype == np.int64
    assert not run.samples_ns.flags.writeable
    # What was given is left as it was.
    given_ns[0] = 4


def test_measurements_in_turns_fill_the_gaps_of_each_other() -> None:
    clock = FakeClock()
    services = [Service(each_ns, clock=clock) for each_ns in (NS_PER_MS, 2 * NS_PER_MS, 3 * NS_PER_MS)]
    samplers, noted = together(clock, list(services))
    take_turns(samplers, clock)
    runs = [sampler.run() for sampler in samplers]
    assert [run.samples_ns.tolist() for run in runs] == [[n * NS_PER_MS] * 100 for n in (1, 2, 3)]
    # The next block is that which is due first, and begins when it is due or the one before has ended.
    for index, (sampler, due_ns, began_ns, _) in enumerate(noted):
        assert began_ns == max(due_ns, noted[index - 1][3] if index else began_ns)
        later = [next((due for one, due, _, _ in noted[index:] if one is other), due_ns) for other in samplers]
        assert due_ns == min(later)
        assert not sampler.plan.is_contiguous
    turns = [samplers.index(one) for one, _ in groupby(sampler for sampler, *_ in noted)]
    assert len(turns) > 15
    # Together they take as long as the longest alone, or little more.
    assert noted[-1][3] - noted[0][2] < 1.3 * max(run.span_ns for run in runs)


def test_a_schedule_and_a_spread_run_take_turns() -> None:
    clock = FakeClock()
    steady, paced = Service(NS_PER_MS, clock=clock), Service(NS_PER_MS, clock=clock)
    plan = SamplingPlan(looks=(50,), aimed_samples=50, mode=Mode.PACED, interval_ns=20 * NS_PER_MS)
    samplers = [Sampler(steady, SPREAD, Instruments(clock)), Sampler(paced, plan, Instruments(clock))]
    for sampler in samplers:
        sampler.begin()
    take_turns(samplers, clock)
    runs = [sampler.run() for sampler in samplers]
    assert [(run.stopped_by, run.samples_ns.size, run.late_calls) for run in runs] == [
        ("samples", 100, 0),
        ("samples", 50, 0),
    ]


def breaking(clock: FakeClock, error: BaseException) -> Callable[[], None]:
    service = Service(NS_PER_MS, clock=clock)

    def call() -> None:
        service()
        if service.calls == 30:
            raise error

    return call


def test_a_failing_call_ends_its_own_measurement_alone() -> None:
    clock, told = FakeClock(), []
    error = KeyError("from the model")
    samplers, noted = together(clock, [Service(NS_PER_MS, clock=clock), breaking(clock, error)])
    take_turns(samplers, clock, failed=lambda *what: told.append(what))
    assert told == [(samplers[1], error)]
    # Call 30 is in the third block, after the cold start and 3 pilot calls.
    assert [samplers.index(sampler) for sampler, *_ in noted].count(1) == 2
    assert samplers[0].run().samples_ns.size == 100
    assert not samplers[1].finished
    assert gc.isenabled()


def test_a_failing_call_is_raised_where_nobody_is_told() -> None:
    clock = FakeClock()
    samplers, _ = together(clock, [Service(NS_PER_MS, clock=clock), breaking(clock, KeyError("from the model"))])
    with pytest.raises(KeyError, match="from the model"):
        take_turns(samplers, clock)


def test_an_interrupt_ends_them_all() -> None:
    clock, told = FakeClock(), []
    samplers, _ = together(clock, [breaking(clock, KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        take_turns(samplers, clock, failed=lambda *what: told.append(what))
    assert told == []


def test_a_clock_that_was_put_back_keeps_nobody_waiting() -> None:
    service = Service(NS_PER_MS)
    sampler = Sampler(service, SPREAD, Instruments(service.clock))
    sampler.begin()
    sampler.block()
    service.clock.advance_ns(-3_600 * NS_PER_S)
    take_turns([sampler], service.clock)
    assert max(service.slept_ns) <= 2 * NS_PER_S


def test_finished_measurements_take_no_further_turn() -> None:
    service = Service(1)
    sampler = Sampler(service, PLAN, Instruments(service.clock))
    sampler.begin()
    take_turns([sampler], service.clock)
    calls = service.calls
    take_turns([sampler], service.clock)
    take_turns([], service.clock)
    assert service.calls == calls
