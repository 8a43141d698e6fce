from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.latency.counting import Count, count_violations
from voiceflow_ml.latency.evalue import DesignEffects, log_e_few, log_e_many
from voiceflow_ml.latency.plan import planned_looks

THRESHOLD = math.log(100)
P99 = 1 - 0.99


def count(samples: int, violations: int, *, p0: float = P99, few: float = 1.0, many: float = 1.0) -> Count:
    return Count(samples, violations, p0, DesignEffects(few, many), THRESHOLD)


@pytest.mark.parametrize(
    ("samples", "most_for_met", "least_for_breached"),
    [(499, None, None), (500, None, 15), (1_999, None, 38), (2_000, 7, 38), (5_000, 27, 79), (10_000, 64, 139)],
)
def test_the_published_thresholds_of_a_p99(
    samples: int, most_for_met: int | None, least_for_breached: int | None
) -> None:
    one = count(samples, 0)
    assert (one.most_for_met(), one.least_for_breached()) == (most_for_met, least_for_breached)


def test_with_few_independent_samples_not_even_all_violations_or_none_decide() -> None:
    # Of a P10 the samples within the limit are the rare event, and there is none.
    assert count(300, 0, p0=0.9, few=6.0).least_for_breached() is None
    assert count(300, 0, p0=0.9, few=5.5).least_for_breached() == 300
    assert count(2_000, 0, few=5.0).most_for_met() is None
    assert count(2_000, 0, few=3.5).most_for_met() == 0


quantiles = st.sampled_from([0.01, 0.05, 0.1, 0.5, 0.9, 0.95, 0.99])
effects = st.floats(1, 30)


@given(st.integers(1, 4_000), quantiles, effects, effects)
def test_thresholds_are_where_the_verdict_changes(samples: int, p0: float, few: float, many: float) -> None:
    one = count(samples, 0, p0=p0, few=few, many=many)
    most, least = one.most_for_met(), one.least_for_breached()
    for violations in {0, 1, samples // 2, samples, most, least, (most or 0) + 1, (least or 1) - 1} - {None}:
        if violations is not None and violations <= samples:
            at = count(samples, violations, p0=p0, few=few, many=many)
            assert at.is_met == (most is not None and violations <= most)
            assert at.is_breached == (least is not None and violations >= least)
            assert not (at.is_met and at.is_breached)


@given(st.integers(1, 3_000), st.floats(0, 1), quantiles.filter(lambda p0: p0 != 0.5), effects, effects)
def test_seen_from_the_other_side_the_verdict_is_the_other_one(
    samples: int, share: float, p0: float, few: float, many: float
) -> None:
    violations = round(share * samples)
    one = count(samples, violations, p0=p0, few=few, many=many)
    other = count(samples, samples - violations, p0=1 - p0, few=few, many=many)
    assert one.log_e_met == pytest.approx(other.log_e_breached, rel=1e-9, abs=1e-9)
    assert one.log_e_breached == pytest.approx(other.log_e_met, rel=1e-9, abs=1e-9)
    assert (one.effect_met, one.effect_breached) == (other.effect_breached, other.effect_met)


def test_exactly_in_the_middle_violations_count_as_the_rare_event() -> None:
    one = count(300, 100, p0=0.5, few=2.0, many=3.0)
    assert (one.effect_met, one.effect_breached) == (2.0, 3.0)
    assert one.log_e_met == log_e_few(100, 300, 0.5, 2.0)
    assert one.log_e_breached == log_e_many(100, 300, 0.5, 3.0)


@given(st.integers(1, 5_000), st.floats(0, 1), quantiles, effects)
def test_the_forecast_is_the_first_total_that_decides(samples: int, share: float, p0: float, effect: float) -> None:
    one = count(samples, round(share * samples), p0=p0, few=effect, many=effect)
    needed = one.samples_needed()
    rate = one.violations / one.samples

    def beyond(total: int, towards: Callable[[float], int], away: Callable[[float], int]) -> bool:
        met = count(total, towards(rate * total), p0=p0, few=effect, many=effect).is_met
        return met or count(total, away(rate * total), p0=p0, few=effect, many=effect).is_breached

    if needed is None:
        assert not beyond(1_000_000, math.ceil, math.floor)
        return
    assert samples <= needed <= 1_000_000
    # A rate need not give whole violations: rounded to the clear side they decide, to the other side not before.
    assert beyond(needed, math.floor, math.ceil)
    assert needed == samples or not beyond(needed - 1, math.ceil, math.floor)


@pytest.mark.parametrize(
    ("samples", "violations", "needed"),
    [(300, 0, 2_000), (300, 150, 500), (2_000, 20, None), (1, 0, 2_000), (1, 1, 500)],
)
def test_forecasts_of_a_p99(samples: int, violations: int, needed: int | None) -> None:
    assert count(samples, violations).samples_needed() == needed


@pytest.mark.parametrize(("effect", "needed"), [(1_893.308, 1_000_000), (1_893.312, None)])
def test_a_million_samples_are_the_most_that_are_forecast(effect: float, needed: int | None) -> None:
    # Without a violation 528.1758 independent samples show that a P99 is within its limit, if they were enough.
    assert count(2_000, 0, few=effect).samples_needed() == needed


def test_violations_are_counted_on_their_rare_side() -> None:
    violates = np.arange(4_000) < 300
    rare = count_violations(violates, 0.05, 0.99)
    assert (rare.samples, rare.violations) == (4_000, 300)
    assert rare.threshold == pytest.approx(THRESHOLD)
    assert rare.effect_met > 100
    common = count_violations(~violates, 0.95, 0.99)
    assert common.violations == 3_700
    assert common.effect_met == pytest.approx(rare.effect_breached)
    assert common.effect_breached == pytest.approx(rare.effect_met)
    assert {type(value) for value in (rare.effect_met, rare.effect_breached, rare.log_e_met)} == {float}
    assert count_violations(violates, 0.05, 0.9).threshold == pytest.approx(math.log(10))


def test_on_the_limit_looks_after_every_block_err_in_one_percent_of_runs_at_most() -> None:
    """Design effects of one, so this holds all the more for those that are estimated."""
    runs, last = 4_000, 3_000
    generator = np.random.default_rng(20_260_101)
    events = np.cumsum(generator.random((runs, last)) < P99, axis=1, dtype=np.int32)[:, 9::10]
    thresholds = [count(samples, 0) for samples in range(10, last + 1, 10)]
    most = np.array([-1 if (found := one.most_for_met()) is None else found for one in thresholds])
    least = np.array([last + 1 if (found := one.least_for_breached()) is None else found for one in thresholds])
    slack = 3 * math.sqrt(0.01 * 0.99 / runs)
    met, breached = (events <= most).any(axis=1).mean(), (events >= least).any(axis=1).mean()
    assert 0 < met <= 0.01 + slack
    assert 0 < breached <= 0.01 + slack


@pytest.mark.parametrize(
    ("rate", "wrong", "least_right"),
    [(P99, None, 0.0), (0.002, "breached", 0.9), (0.03, "met", 0.99)],
)
def test_error_rates_with_estimated_design_effects(rate: float, wrong: str | None, least_right: float) -> None:
    runs, generator, ends = 200, np.random.default_rng(7), []
    looks = [look for look in planned_looks([0.99]) if look <= 3_000]
    for _ in range(runs):
        violates = generator.random(looks[-1]) < rate
        found = (count_violations(violates[:look], P99, 0.99) for look in looks)
        decided = next((one for one in found if one.is_met or one.is_breached), None)
        ends.append("open" if decided is None else "met" if decided.is_met else "breached")
    slack = 3 * math.sqrt(0.01 * 0.99 / runs)
    for outcome in ("met", "breached") if wrong is None else (wrong,):
        assert ends.count(outcome) / runs <= 0.01 + slack
    if wrong is not None:
        right = "met" if wrong == "breached" else "breached"
        assert ends.count(right) / runs >= least_right


@pytest.mark.parametrize("p0", [0.3, 0.5, 0.7, 0.9])
def test_dependence_is_estimated_on_whichever_side_is_rare(p0: float) -> None:
    """What is rare comes in clusters that can be seen; counting the other side must not change what they cost."""
    rng = np.random.default_rng(3)
    rare = np.repeat(rng.random(200) < min(p0, 1 - p0), 10)
    one = count_violations(rare if p0 <= 0.5 else ~rare, p0, 0.99)
    other = count_violations(rare, min(p0, 1 - p0), 0.99)
    assert (one.effects.few, one.effects.many) == pytest.approx((other.effects.few, other.effects.many))
    assert one.effects.few > 2
    assert one.violations == np.count_nonzero(rare if p0 <= 0.5 else ~rare)
