from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency import SamplingPlan
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
        (0.01, 500, 2_000, 10_000),
    ],
)
def test_how_many_samples_a_percentile_asks_for(quantile: float, breached: int, met: int, budget: int) -> None:
    assert (fewest_for_breached(quantile), fewest_for_met(quantile), sample_budget(quantile)) == (breached, met, budget)


def test_looks_are_few_and_stand_where_a_verdict_becomes_possible() -> None:
    assert planned_looks([0.99]) == (500, 2_000, 4_000, 8_000, 10_000)
    assert planned_looks([0.5]) == (300, 600, 1_200, 2_000)
    assert planned_looks([0.5, 0.99]) == (300, 500, 2_000, 4_000, 8_000, 10_000)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=5))
def test_looks_ascend_and_hold_every_minimum_and_the_budget(quantiles: list[float]) -> None:
    looks = planned_looks(quantiles)
    assert list(looks) == sorted(set(looks))
    assert looks[-1] == max(sample_budget(q) for q in quantiles)
    assert {fewest_for_breached(q) for q in quantiles} | {fewest_for_met(q) for q in quantiles} <= set(looks)
    assert looks == planned_looks(reversed(quantiles))


def test_looks_need_a_quantile_that_makes_sense() -> None:
    with pytest.raises(SampleError, match="at least one quantile"):
        planned_looks([])
    with pytest.raises(SampleError, match="quantile must lie strictly between 0 and 1, got 99"):
        planned_looks([99])


def test_one_more_look_is_paid_for_than_planned() -> None:
    assert SamplingPlan(looks=(300, 600), aimed_samples=300).judged_looks == 3


@pytest.mark.parametrize("looks", [(), (0,), (-1, 5), (5, 5), (10, 5)])
def test_looks_must_ascend(looks: tuple[int, ...]) -> None:
    with pytest.raises(SampleError, match="looks must be ascending positive sample counts, got"):
        SamplingPlan(looks=looks, aimed_samples=10)


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("aimed_samples", 0, 1),
        ("block_calls", 0, 1),
        ("warmup_calls", -1, 0),
        ("settling_calls", -1, 0),
        ("least_span_ns", -1, 0),
        ("most_span_ns", -1, 0),
        ("spread", math.nan, 0),
        ("time_budget_ns", -1, 0),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(name: str, value: float, least: int) -> None:
    options: dict[str, Any] = {"looks": (10,), "aimed_samples": 10, name: value}
    with pytest.raises(SampleError, match=f"{name} must be at least {least}, got {value}"):
        SamplingPlan(**options)


def test_gaps_spread_a_quick_run_over_the_least_span() -> None:
    plan = SamplingPlan(looks=(2_000,), aimed_samples=2_000, least_span_ns=10 * NS_PER_S)
    # 200 blocks of 12 calls of 10 us are 24 ms; 199 gaps fill the rest of 10 s.
    assert plan.gap_ns(10_000) == (10 * NS_PER_S - 24 * NS_PER_MS) // 199


def test_gaps_spread_a_middling_run_twenty_times_and_no_further_than_the_most_span() -> None:
    plan = SamplingPlan(looks=(300,), aimed_samples=300)
    contiguous_ns = 30 * 12 * 3 * NS_PER_MS
    assert plan.gap_ns(3 * NS_PER_MS) == (20 * contiguous_ns - contiguous_ns) // 29
    contiguous_ns = 30 * 12 * 50 * NS_PER_MS
    assert plan.gap_ns(50 * NS_PER_MS) == (40 * NS_PER_S - contiguous_ns) // 29


def test_a_slow_run_has_no_gaps_and_takes_as_long_as_it_takes() -> None:
    plan = SamplingPlan(looks=(300,), aimed_samples=300)
    assert plan.gap_ns(1 * NS_PER_S) == 0


def test_no_span_means_no_gaps_and_a_wide_least_span_wins_over_the_most() -> None:
    assert SamplingPlan(looks=(300,), aimed_samples=300, least_span_ns=0).gap_ns(1_000) == 0
    wide = SamplingPlan(looks=(20,), aimed_samples=20, least_span_ns=100 * NS_PER_S, most_span_ns=NS_PER_S)
    assert wide.gap_ns(0) == 100 * NS_PER_S


def test_a_single_block_needs_no_division_by_zero_gaps() -> None:
    assert SamplingPlan(looks=(5,), aimed_samples=5).gap_ns(0) == 10 * NS_PER_S
