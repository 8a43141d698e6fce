"""Modes in which calls are due at given times."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.fake_service import Service, finish
from voiceflow_ml.latency import FakeClock, Instruments, Mode, Sampler
from voiceflow_ml.latency import SamplingPlan as Plan
from voiceflow_ml.units import NS_PER_MS, NS_PER_S

PACED = Plan(looks=(40, 80), aimed_samples=40, pilot_calls=1, mode=Mode.PACED, interval_ns=10 * NS_PER_MS)


def test_paced_calls_begin_at_each_interval() -> None:
    service = Service(2 * NS_PER_MS, clock=FakeClock())
    run = finish(service, replace(PACED))
    # The schedule begins after the cold start and the pilot, at 4 ms.
    assert service.began_ns[2:] == [(4 + 10 * n) * NS_PER_MS for n in range(80)]
    assert (run.late_calls, run.settling_calls, run.interval_ns, run.mode) == (0, 0, 10 * NS_PER_MS, Mode.PACED)


def test_between_blocks_a_schedule_stands_still() -> None:
    # The 12th call, the last of the first block, takes 25 ms: the next is then 15 ms behind, the one after 7 ms.
    service = Service(lambda n: (25 if n == 12 else 2) * NS_PER_MS, clock=FakeClock())
    plan = replace(PACED, looks=(30,))
    run = finish(service, plan, watch=lambda _: service.clock.advance_ns(NS_PER_S))
    began_ms = [(began_ns - service.began_ns[2]) // NS_PER_MS for began_ns in service.began_ns[2:]]
    assert began_ms[:10] == [10 * n for n in range(10)]
    assert began_ms[10:13] == [1_115, 1_117, 1_120]
    # The last call of the second block is due at 1 190: ends at 1 192, and 8 ms are left to the next.
    assert began_ms[19:22] == [1_190, 2_200, 2_210]
    assert run.late_calls == 2


def test_a_schedule_begins_with_its_first_block_however_long_others_took_before() -> None:
    for mode in (Mode.PACED, Mode.OPEN_LOOP):
        service = Service(2, clock=FakeClock())
        sampler = Sampler(service, replace(PACED, mode=mode), Instruments(service.clock))
        sampler.begin()
        service.clock.advance_ns(3_600 * NS_PER_S)
        sampler.block()
        run = sampler.run()
        assert run.samples_ns[0] == 2
        assert run.late_calls == 0


def arrivals_ns(plan: Plan, calls: int) -> list[int]:
    """The first block's arrivals after its start, drawn as documented: exponential steps of the seed."""
    generator, due_ns = random.Random(plan.seed), [0]
    for _ in range(calls):
        due_ns.append(due_ns[-1] + round(generator.expovariate(1 / plan.interval_ns)))
    return due_ns[:calls]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_open_loop_latency_counts_the_queue_from_the_intended_send_time(seed: int) -> None:
    plan = replace(PACED, mode=Mode.OPEN_LOOP, looks=(50,), block_calls=50, seed=seed)
    service = Service(lambda n: (45 if n % 9 == 0 else 4) * NS_PER_MS)
    run = finish(service, plan)
    free_ns, expected = 0, []
    for call, due_ns in enumerate(arrivals_ns(plan, 50), start=3):
        free_ns = max(free_ns, due_ns) + (45 if call % 9 == 0 else 4) * NS_PER_MS
        expected.append(free_ns - due_ns)
    assert run.samples_ns.tolist() == expected
    assert max(expected) > 45 * NS_PER_MS
    assert run.late_calls == sum(one not in (4 * NS_PER_MS, 45 * NS_PER_MS) for one in expected)


def test_open_loop_arrivals_are_poisson() -> None:
    plan = replace(PACED, mode=Mode.OPEN_LOOP, looks=(4_000,), time_budget_ns=10**15)
    service = Service(0)
    finish(service, plan)
    steps = np.diff(service.began_ns[1:]) / plan.interval_ns
    assert np.mean(steps) == pytest.approx(1, abs=0.06)
    assert np.std(steps) == pytest.approx(1, abs=0.1)
    assert np.mean(steps > 1) == pytest.approx(np.exp(-1), abs=0.04)
    assert service.began_ns == spread_again(plan)


def spread_again(plan: Plan) -> list[int]:
    service = Service(0)
    finish(service, plan)
    return service.began_ns
