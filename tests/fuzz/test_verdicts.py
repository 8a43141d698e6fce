"""What must hold of every verdict, whatever the samples: consequences of the rule of docs/verdicts.md."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.hypothesis_profiles import share_of_examples
from voiceflow_ml.latency import Bound, Change, Outcome, Verdict, compare, judge, percentile
from voiceflow_ml.latency.compare import samples_per_arm
from voiceflow_ml.latency.counting import Count, count_violations
from voiceflow_ml.latency.evalue import BATCHES, DesignEffects, log_e_few, log_e_many
from voiceflow_ml.latency.plan import fewest_for_breached, fewest_for_met

MET, BREACHED, INCONCLUSIVE = Outcome.MET, Outcome.BREACHED, Outcome.INCONCLUSIVE
Values = NDArray[np.int64]


def drawn(seed: int, samples: int, over: float, burst: int) -> Values:
    """Whole numbers to 999, about a share ``over`` above 500, in bursts."""
    generator = np.random.default_rng(seed)
    blocks = -(-samples // burst)
    slow = np.repeat(generator.random(blocks) < over, burst)[:samples]
    return np.where(slow, generator.integers(501, 1_000, samples), generator.integers(1, 501, samples))


series = st.builds(
    drawn,
    st.integers(0, 2**32),
    st.integers(1, 3_000),
    st.sampled_from([0, 0.001, 0.01, 0.05, 0.5, 1]),
    st.sampled_from([1, 1, 9, 200]),
)
quantiles = st.sampled_from([0.01, 0.1, 0.5, 0.9, 0.95, 0.99])
confidences = st.sampled_from([0.5, 0.8, 0.95, 0.99, 0.9999])
limits = st.integers(1, 1_000) | st.just(500)
bounds = st.sampled_from(Bound)
effects = st.floats(1, 100)


def again(verdict: Verdict, exceedances: int, bound: Bound) -> Count:
    """The counting behind a verdict, with the design effects that it states."""
    p0 = 1 - verdict.quantile if bound is Bound.UPPER else verdict.quantile
    met, breached = verdict.design_effect_met, verdict.design_effect_breached
    found = DesignEffects(met, breached) if p0 <= 0.5 else DesignEffects(breached, met)
    return Count(verdict.samples, exceedances, p0, found, -math.log1p(-verdict.confidence))


@given(series, limits, quantiles, confidences, bounds)
def test_no_verdict_before_its_fewest_samples(values: Values, limit: int, q: float, sure: float, bound: Bound) -> None:
    verdict = judge(values, limit_ns=limit, quantile=q, confidence=sure, bound=bound)
    # A lower bound on P99 is an upper bound on P1, seen from the other end.
    seen = q if bound is Bound.UPPER else 1 - q
    assert verdict.outcome is not MET or values.size >= fewest_for_met(seen)
    assert verdict.outcome is not BREACHED or values.size >= fewest_for_breached(seen)
    assert verdict.samples_needed is None or verdict.samples_needed >= values.size
    assert (verdict.samples_needed is None) or verdict.outcome is INCONCLUSIVE


@given(series, limits, quantiles, confidences, bounds)
def test_a_verdict_is_what_its_own_numbers_say(values: Values, limit: int, q: float, sure: float, bound: Bound) -> None:
    verdict = judge(values, limit_ns=limit, quantile=q, confidence=sure, bound=bound)
    wrong = values > limit if bound is Bound.UPPER else values < limit
    assert verdict.exceedances == np.count_nonzero(wrong)
    count = again(verdict, verdict.exceedances, bound)
    assert (count.log_e_met, count.log_e_breached) == (verdict.log_e_met, verdict.log_e_breached)
    assert verdict.outcome is (BREACHED if count.is_breached else MET if count.is_met else INCONCLUSIVE)
    assert not (count.is_breached and count.is_met)
    assert math.isfinite(verdict.log_e_breached) or verdict.log_e_breached == -math.inf
    assert min(verdict.design_effect_met, verdict.design_effect_breached) >= 1
    assert verdict.measured_ns in values
    ends = {verdict.interval.low_ns, verdict.interval.high_ns} - {None, limit}
    assert ends <= set(values.tolist())


@given(series, limits, quantiles, bounds, st.integers(0, 2**32))
def test_the_order_matters_through_the_design_effect_alone(
    values: Values, limit: int, q: float, bound: Bound, seed: int
) -> None:
    other = judge(np.random.default_rng(seed).permutation(values), limit_ns=limit, quantile=q, bound=bound)
    verdict = judge(values, limit_ns=limit, quantile=q, bound=bound)
    assert (other.exceedances, other.measured_ns) == (verdict.exceedances, verdict.measured_ns)
    assume(other.design_effect_met == verdict.design_effect_met)
    assume(other.design_effect_breached == verdict.design_effect_breached)
    assert (other.outcome, other.log_e_met, other.log_e_breached) == (
        verdict.outcome,
        verdict.log_e_met,
        verdict.log_e_breached,
    )


@given(series, limits, quantiles, bounds, st.integers(0, 2**32))
def test_within_a_batch_the_order_does_not_matter(
    values: Values, limit: int, q: float, bound: Bound, seed: int
) -> None:
    batch = values.size // BATCHES
    generator = np.random.default_rng(seed)
    mixed = values.copy()
    for start in range(0, batch * BATCHES, max(1, batch)):
        mixed[start : start + batch] = generator.permutation(mixed[start : start + batch])
    assert judge(mixed, limit_ns=limit, quantile=q, bound=bound) == judge(
        values, limit_ns=limit, quantile=q, bound=bound
    )


@given(series, limits, quantiles, confidences, confidences, bounds)
def test_who_asks_for_more_confidence_decides_less(
    values: Values, limit: int, q: float, one: float, other: float, bound: Bound
) -> None:
    low, high = (
        judge(values, limit_ns=limit, quantile=q, confidence=sure, bound=bound).outcome for sure in sorted((one, other))
    )
    assert high in (low, INCONCLUSIVE)


@given(st.integers(300, 5_000), st.floats(0, 2), quantiles, st.lists(confidences, min_size=2, max_size=2, unique=True))
def test_near_the_border_too(samples: int, times: float, p0: float, both: list[float]) -> None:
    """The same with counts around the one that a quantile on its limit gives, spread evenly."""
    wrong = min(samples, round(times * p0 * samples))
    violates = np.diff(np.arange(samples + 1) * wrong // samples) > 0
    low, high = (count_violations(violates, p0, sure) for sure in sorted(both))
    assert low.is_met or not high.is_met
    assert low.is_breached or not high.is_breached


@given(st.integers(1, 5_000), st.data(), quantiles, effects, effects, confidences)
def test_one_more_on_the_wrong_side_never_helps(
    samples: int, data: st.DataObject, p0: float, few: float, many: float, sure: float
) -> None:
    """Of samples that depend on each other in the same degree."""
    wrong = data.draw(st.integers(0, samples - 1))
    less = Count(samples, wrong, p0, DesignEffects(few, many), -math.log1p(-sure))
    more = replace(less, violations=wrong + 1)
    assert more.log_e_met <= less.log_e_met + 1e-9
    assert more.log_e_breached >= less.log_e_breached - 1e-9
    assert less.is_met or not more.is_met
    assert more.is_breached or not less.is_breached


@given(st.integers(0, 5_000), st.floats(0, 1), st.floats(0.001, 0.5), effects)
def test_evidence_begins_at_one_and_both_sides_cannot_have_it(n: int, share: float, p0: float, effect: float) -> None:
    k = round(share * n)
    few, many = log_e_few(k, n, p0, effect), log_e_many(k, n, p0, effect)
    assert n or (abs(few) < 1e-12 and abs(many) < 1e-12)
    assert min(few, many) <= 1e-9


@given(series, limits, quantiles, bounds, st.integers(1, 10**9))
def test_time_that_is_added_to_samples_and_limit_changes_nothing(
    values: Values, limit: int, q: float, bound: Bound, more_ns: int
) -> None:
    verdict = judge(values, limit_ns=limit, quantile=q, bound=bound)
    later = judge(values + more_ns, limit_ns=limit + more_ns, quantile=q, bound=bound)
    assert (later.outcome, later.log_e_met, later.log_e_breached) == (
        verdict.outcome,
        verdict.log_e_met,
        verdict.log_e_breached,
    )
    assert later.measured_ns == verdict.measured_ns + more_ns == percentile(values, q) + more_ns


@given(series, st.integers(0, 2**32), limits, quantiles, confidences)
def test_two_clocks_acquit_by_the_wall_and_convict_by_the_other(
    wall: Values, seed: int, limit: int, q: float, sure: float
) -> None:
    adjusted = wall - np.random.default_rng(seed).integers(0, wall + 1)
    joint = judge(wall, limit_ns=limit, quantile=q, confidence=sure, adjusted_ns=adjusted)
    one, other = (judge(values, limit_ns=limit, quantile=q, confidence=sure).outcome for values in (wall, adjusted))
    assert (joint.outcome is MET) == (one is MET)
    assert joint.outcome is not BREACHED or other is BREACHED
    same = judge(wall, limit_ns=limit, quantile=q, confidence=sure, adjusted_ns=wall)
    assert same.outcome is one


@given(series, quantiles, st.integers(1, 3))
def test_percentiles_are_samples_and_do_not_change_when_all_is_seen_again(values: Values, q: float, times: int) -> None:
    found = percentile(values, q)
    assert found in values
    # A rank that rounding put a hair too high would show here.
    assert percentile(np.tile(values, 1 + times), q) == found
    assert values.min() <= found <= values.max()


def _arms(seed: int, slower: float) -> tuple[Values, Values]:
    generator = np.random.default_rng(seed)
    samples = samples_per_arm(0.5)
    one, other = (generator.lognormal(10, 0.2, samples) for _ in range(2))
    return one.astype(np.int64), (other * slower).astype(np.int64)


arms = st.builds(_arms, st.integers(0, 2**32), st.sampled_from([0.5, 0.8, 1.0, 1.05, 1.2, 2.0]))


@share_of_examples(0.5)
@given(arms, st.sampled_from([0.0, 0.05, 0.1]))
def test_of_two_versions_not_both_are_slower(arms: tuple[Values, Values], tolerance: float) -> None:
    def change(one: Any, other: Any) -> Change:
        return compare(one, other, quantile=0.5, tolerance=tolerance).outcome

    there, back = change(*arms), change(*arms[::-1])
    assert (there, back) != (Change.SLOWER, Change.SLOWER)
    assert there is not Change.SLOWER or back is not Change.INCONCLUSIVE
    assert change(arms[0], arms[0]) is not Change.SLOWER


@share_of_examples(0.5)
@given(arms)
def test_who_lets_more_pass_is_told_of_less(arms: tuple[Values, Values]) -> None:
    strict, lenient = (compare(*arms, quantile=0.5, tolerance=tolerance).outcome for tolerance in (0.02, 0.15))
    assert lenient is not Change.SLOWER or strict is Change.SLOWER
    assert strict is not Change.NOT_SLOWER or lenient is Change.NOT_SLOWER
