from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages import exactly
from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency import Mode, SamplingPlan
from voiceflow_ml.latency.plan import fewest_for_breached, fewest_for_met, planned_looks, sample_budget
from voiceflow_ml.units import NS_PER_MS, NS_PER_S


@pytest.mark.parametrize(
    ("quantile", "breached", "met", "budget"),
    [
        (0.5, 300, 300, 2_000),
        (0.9, 300, 300, 2_000),
        (0.95, 300, 400, 2_000),
        (0.99, 500, 2_000, 10_000),
        (0.999, 5_000, 20_000, 100_000),
        (0.01, 2_000, 500, 10_000),
    ],
)
def test_how_many_samples_a_percentile_asks_for(quantile: float, breached: int, met: int, budget: int) -> None:
    assert (fewest_for_breached(quantile), fewest_for_met(quantile), sample_budget(quantile)) == (breached, met, budget)


@pytest.mark.parametrize(
    ("quantiles", "looks"),
    [
        ([0.99], (500, 650, 845, 1_098, 1_428, 1_856, 2_000, 2_413, 3_137, 4_079, 5_302, 6_893, 8_961, 10_000)),
        ([0.5], (300, 390, 507, 659, 857, 1_114, 1_448, 1_882, 2_000)),
        ([0.95], (300, 390, 400, 507, 659, 857, 1_114, 1_448, 1_882, 2_000)),
        (
            [0.5, 0.99],
            (
                300,
                390,
                500,
                507,
                659,
                857,
                1_114,
                1_448,
                1_882,
                2_000,
                2_447,
                3_181,
                4_136,
                5_376,
                6_989,
                9_086,
                10_000,
            ),
        ),
    ],
)
def test_looks_stand_where_a_verdict_becomes_possible_and_every_third_more(
    quantiles: list[float], looks: tuple[int, ...]
) -> None:
    assert planned_looks(quantiles) == looks


def test_looks_of_a_far_percentile_are_few_still() -> None:
    looks = planned_looks([0.999])
    assert (looks[0], looks[-1], 20_000 in looks, len(looks)) == (5_000, 100_000, True, 14)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=5))
def test_looks_ascend_and_hold_every_minimum_and_the_budget(quantiles: list[float]) -> None:
    looks = planned_looks(quantiles)
    assert list(looks) == sorted(set(looks))
    assert looks[-1] == max(sample_budget(q) for q in quantiles)
    assert {fewest_for_breached(q) for q in quantiles} | {fewest_for_met(q) for q in quantiles} <= set(looks)
    assert looks == planned_looks(reversed(quantiles))
    assert all(b <= 1.3 * a + 1 for a, b in pairwise(looks))


def test_looks_need_a_quantile_that_makes_sense() -> None:
    with pytest.raises(SampleError, match=exactly("a run needs at least one quantile to be judged")):
        planned_looks([])
    with pytest.raises(SampleError, match=exactly("quantile must lie strictly between 0 and 1, got 99")):
        planned_looks([99])


@pytest.mark.parametrize("looks", [(), (0,), (-1, 5), (5, 5), (10, 5)])
def test_looks_must_ascend(looks: tuple[int, ...]) -> None:
    with pytest.raises(SampleError, match=exactly(f"looks must be ascending positive sample counts, got {looks}")):
        SamplingPlan(looks=looks, aimed_samples=10)


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("aimed_samples", 0, 1),
        ("block_calls", 0, 1),
        ("pilot_calls", 0, 1),
        ("settling_calls", -1, 0),
        ("span_ns", -1, 0),
        ("time_budget_ns", -1, 0),
        ("interval_ns", -1, 0),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(name: str, value: float, least: int) -> None:
    options: dict[str, Any] = {"looks": (10,), "aimed_samples": 10, name: value}
    with pytest.raises(SampleError, match=exactly(f"{name} must be at least {least}, got {value}")):
        SamplingPlan(**options)


@pytest.mark.parametrize(
    ("mode", "interval_ns", "message"),
    [
        (Mode.PACED, 0, "mode paced needs an interval of more than nothing, got interval_ns = 0"),
        (Mode.OPEN_LOOP, 0, "mode open-loop needs an interval of more than nothing, got interval_ns = 0"),
        (Mode.STEADY, 5, "mode steady takes no interval, got interval_ns = 5"),
        (Mode.BACK_TO_BACK, 5, "mode back-to-back takes no interval, got interval_ns = 5"),
    ],
)
def test_an_interval_belongs_to_a_schedule(mode: Mode, interval_ns: int, message: str) -> None:
    with pytest.raises(SampleError, match=exactly(message)):
        SamplingPlan(looks=(10,), aimed_samples=10, mode=mode, interval_ns=interval_ns)


@pytest.mark.parametrize(
    ("mode", "span_ns", "has_schedule", "is_contiguous", "settling", "has_gaps"),
    [
        (Mode.STEADY, NS_PER_S, False, False, 2, True),
        # A steady run over a span of nothing is one block after the other.
        (Mode.STEADY, 0, False, True, 0, False),
        (Mode.BACK_TO_BACK, NS_PER_S, False, True, 0, False),
        (Mode.PACED, NS_PER_S, True, False, 0, False),
        (Mode.PACED, 0, True, False, 0, False),
        (Mode.OPEN_LOOP, NS_PER_S, True, False, 0, False),
    ],
)
def test_what_each_mode_means(
    mode: Mode, span_ns: int, has_schedule: bool, is_contiguous: bool, settling: int, has_gaps: bool
) -> None:
    interval_ns = 1_000 if mode.has_schedule else 0
    plan = SamplingPlan(looks=(300,), aimed_samples=300, mode=mode, interval_ns=interval_ns, span_ns=span_ns)
    assert (mode.has_schedule, plan.is_contiguous, plan.settling) == (has_schedule, is_contiguous, settling)
    assert (plan.gap_ns(1_000) > 0) == has_gaps


@pytest.mark.parametrize("span_ns", [None, 10 * NS_PER_S])
def test_gaps_spread_a_quick_run_over_the_least_span(span_ns: int | None) -> None:
    plan = SamplingPlan(looks=(2_000,), aimed_samples=2_000, span_ns=span_ns)
    # 200 blocks of 12 calls of 10 us are 24 ms; 199 gaps fill the rest of 10 s.
    assert plan.gap_ns(10_000) == (10 * NS_PER_S - 24 * NS_PER_MS) // 199


def test_gaps_spread_a_middling_run_twenty_times_and_no_further_than_the_most_span() -> None:
    plan = SamplingPlan(looks=(300,), aimed_samples=300)
    contiguous_ns = 30 * 12 * 3 * NS_PER_MS
    assert plan.gap_ns(3 * NS_PER_MS) == (20 * contiguous_ns - contiguous_ns) // 29
    contiguous_ns = 30 * 12 * 50 * NS_PER_MS
    assert plan.gap_ns(50 * NS_PER_MS) == (100 * NS_PER_S - contiguous_ns) // 29


def test_a_slow_run_has_no_gaps_and_takes_as_long_as_it_takes() -> None:
    plan = SamplingPlan(looks=(300,), aimed_samples=300)
    assert plan.gap_ns(1 * NS_PER_S) == 0


def test_a_span_that_is_asked_for_is_taken_as_it_is() -> None:
    assert SamplingPlan(looks=(300,), aimed_samples=300, span_ns=0).gap_ns(1_000) == 0
    assert SamplingPlan(looks=(20,), aimed_samples=20, span_ns=200 * NS_PER_S).gap_ns(0) == 200 * NS_PER_S
    assert SamplingPlan(looks=(20,), aimed_samples=20, span_ns=NS_PER_MS).gap_ns(0) == NS_PER_MS


def test_a_single_block_needs_no_division_by_zero_gaps() -> None:
    assert SamplingPlan(looks=(5,), aimed_samples=5).gap_ns(0) == 10 * NS_PER_S


def test_the_least_of_each_value_is_allowed() -> None:
    plan = SamplingPlan((1,), 1, Mode.PACED, 1, pilot_calls=1, block_calls=1, settling_calls=0, time_budget_ns=0)
    assert (plan.interval_ns, plan.looks) == (1, (1,))


def test_a_run_that_is_longer_than_its_span_has_gaps_of_exactly_nothing() -> None:
    assert SamplingPlan(looks=(20,), aimed_samples=20).gap_ns(100 * NS_PER_S) == 0
