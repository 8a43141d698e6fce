from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency import Outcome, judge
from voiceflow_ml.latency.plan import planned_looks
from voiceflow_ml.latency.verdict import statistic_name

LIMIT_NS = 10_000_000


def with_exceedances(samples: int, over: int) -> NDArray[np.int64]:
    """Samples of which exactly ``over`` are over the limit; one sits exactly on it."""
    values = np.full(samples, LIMIT_NS // 2, dtype=np.int64)
    values[:over] = LIMIT_NS + 1
    values[-1] = LIMIT_NS if over < samples else LIMIT_NS + 1
    return values


def outcome(samples: int, over: int, **options: Any) -> Outcome:
    return judge(with_exceedances(samples, over), limit_ns=LIMIT_NS, quantile=0.99, **options).outcome


def exact_bounds(n: int, p: Fraction, alpha: Fraction) -> tuple[int | None, int]:
    """Largest count that proves MET, smallest that proves BREACHED, by exact arithmetic."""
    total, met, breached = Fraction(0), None, n + 1
    for k in range(n + 1):
        # P(X >= k) = 1 - P(X <= k - 1)
        if 1 - total <= alpha:
            breached = k
            break
        total += math.comb(n, k) * p**k * (1 - p) ** (n - k)
        if total <= alpha:
            met = k
    return met, breached


@pytest.mark.parametrize("looks", [1, 4])
@pytest.mark.parametrize("n", [500, 2_000, 3_000])
def test_p99_verdicts_change_exactly_where_exact_arithmetic_says(n: int, looks: int) -> None:
    met, breached = exact_bounds(n, Fraction(1, 100), Fraction(1, 100 * looks))
    assert outcome(n, breached, looks=looks) is Outcome.BREACHED
    assert outcome(n, breached - 1, looks=looks) is Outcome.INCONCLUSIVE
    if n >= 2_000:
        assert met is not None
        assert outcome(n, met, looks=looks) is Outcome.MET
        assert outcome(n, met + 1, looks=looks) is Outcome.INCONCLUSIVE
    else:
        assert outcome(n, 0, looks=looks) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("over", [0, 1, 100, 200])
def test_a_p99_is_never_judged_from_200_samples(over: int) -> None:
    verdict = judge(with_exceedances(200, over), limit_ns=LIMIT_NS, quantile=0.99, confidence=0.5)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "a P99 is never judged from fewer than 500 samples" in verdict.sentence


@pytest.mark.parametrize(
    ("samples", "over", "expected"),
    [(499, 499, Outcome.INCONCLUSIVE), (500, 500, Outcome.BREACHED), (1_999, 0, Outcome.INCONCLUSIVE)],
)
def test_the_fewest_samples_are_a_sharp_edge(samples: int, over: int, expected: Outcome) -> None:
    assert outcome(samples, over) is expected
    assert outcome(2_000, 0) is Outcome.MET


@pytest.mark.parametrize(("quantile", "fewest"), [(0.5, 300), (0.95, 400), (0.9, 300), (0.999, 20_000)])
def test_other_percentiles_have_their_own_fewest_samples(quantile: float, fewest: int) -> None:
    few, enough = ([1] * count for count in (fewest - 1, fewest))
    assert judge(few, limit_ns=2, quantile=quantile).outcome is Outcome.INCONCLUSIVE
    assert judge(enough, limit_ns=2, quantile=quantile).outcome is Outcome.MET


def test_a_sample_on_the_limit_is_within_it() -> None:
    verdict = judge([LIMIT_NS] * 2_000, limit_ns=LIMIT_NS, quantile=0.99)
    assert (verdict.outcome, verdict.exceedances) == (Outcome.MET, 0)
    assert judge([LIMIT_NS + 1] * 2_000, limit_ns=LIMIT_NS, quantile=0.99).outcome is Outcome.BREACHED


def test_a_verdict_carries_the_numbers_that_it_rests_on() -> None:
    verdict = judge(with_exceedances(2_000, 4), limit_ns=LIMIT_NS, quantile=0.99, confidence=0.95, looks=3)
    p = Fraction(1, 100)
    exact = sum((math.comb(2_000, k) * p**k * (1 - p) ** (2_000 - k) for k in range(5)), Fraction(0))
    top = math.comb(2_000, 4) * p**4 * (1 - p) ** 1_996
    assert verdict.met_p_value == pytest.approx(float(exact), rel=1e-9)
    assert verdict.breached_p_value == pytest.approx(float(1 - exact + top), rel=1e-9)
    assert verdict.expected_exceedances == pytest.approx(20)
    assert (verdict.samples, verdict.exceedances, verdict.limit_ns) == (2_000, 4, LIMIT_NS)
    assert (verdict.confidence, verdict.interval.confidence) == (0.95, 0.95)
    assert verdict.measured_ns == LIMIT_NS // 2
    assert verdict.samples_needed is None


def test_the_three_sentences() -> None:
    met = judge(with_exceedances(2_000, 4), limit_ns=LIMIT_NS, quantile=0.99)
    assert met.sentence == (
        "P99 is within 10 ms with 99 % confidence: 4 of 2 000 samples took longer "
        "(a P99 exactly on the limit gives 20 on average)"
    )
    breached = judge(with_exceedances(500, 40), limit_ns=LIMIT_NS, quantile=0.99)
    assert breached.sentence == (
        "P99 is over 10 ms with 99 % confidence: 40 of 500 samples took longer "
        "(a P99 exactly on the limit gives 5 on average)"
    )
    still_open = judge(with_exceedances(50, 0), limit_ns=LIMIT_NS, quantile=0.99)
    assert still_open.sentence == (
        "P99 against 10 ms is open at 99 % confidence: 0 of 50 samples took longer "
        "(a P99 exactly on the limit gives 0.5 on average); a P99 is never judged from fewer than 500 samples"
    )
    hopeless = judge(with_exceedances(2_000, 20), limit_ns=LIMIT_NS, quantile=0.99)
    assert hopeless.sentence.endswith("; the percentile is too close to the limit for any practical number of samples")


def test_an_open_verdict_forecasts_how_many_samples_decide_it() -> None:
    verdict = judge(with_exceedances(2_000, 14), limit_ns=LIMIT_NS, quantile=0.99)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    needed = verdict.samples_needed
    assert needed is not None
    assert outcome(needed, round(14 / 2_000 * needed)) is Outcome.MET
    assert f"about {needed - 2_000:,}".replace(",", " ") + " more samples would decide" in verdict.sentence


def test_more_looks_ask_for_more_evidence() -> None:
    assert outcome(2_000, 9, looks=1) is Outcome.MET
    assert outcome(2_000, 9, looks=8) is Outcome.INCONCLUSIVE


@given(
    st.lists(st.integers(0, 1_000), min_size=500, max_size=700),
    st.integers(1, 1_000),
    st.integers(1, 1_000),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_a_looser_limit_is_never_judged_worse(samples_ns: list[int], one: int, other: int, quantile: float) -> None:
    order = [Outcome.BREACHED, Outcome.INCONCLUSIVE, Outcome.MET]
    tight, loose = (
        order.index(judge(samples_ns, limit_ns=limit, quantile=quantile).outcome) for limit in sorted((one, other))
    )
    assert tight <= loose


@given(st.lists(st.integers(0, 1_000), min_size=300, max_size=500), st.integers(1, 1_000), st.sampled_from([3, 1_000]))
def test_the_unit_of_time_does_not_matter(samples_ns: list[int], limit_ns: int, scale: int) -> None:
    small = judge(samples_ns, limit_ns=limit_ns, quantile=0.5)
    large = judge([value * scale for value in samples_ns], limit_ns=limit_ns * scale, quantile=0.5)
    assert (small.outcome, small.exceedances, small.met_p_value) == (
        large.outcome,
        large.exceedances,
        large.met_p_value,
    )
    assert large.measured_ns == small.measured_ns * scale


@pytest.mark.parametrize(
    ("samples_ns", "options", "message"),
    [
        ([], {}, "there are no samples"),
        ([1, -1], {}, "cannot be negative"),
        ([1.0], {}, "whole nanoseconds"),
        ([math.nan], {}, "whole nanoseconds"),
        ([[1]], {}, "one-dimensional"),
        ([1], {"limit_ns": 0}, "limit_ns must be a whole number of at least 1, got 0"),
        ([1], {"limit_ns": -5}, "limit_ns must be a whole number of at least 1, got -5"),
        ([1], {"limit_ns": math.nan}, "limit_ns must be a whole number of at least 1, got nan"),
        ([1], {"limit_ns": 1.5}, "limit_ns must be a whole number of at least 1, got 1.5"),
        ([1], {"limit_ns": True}, "limit_ns must be a whole number of at least 1, got True"),
        ([1], {"looks": 0}, "looks must be a whole number of at least 1, got 0"),
        ([1], {"quantile": 0}, "quantile must lie strictly between 0 and 1, got 0"),
        ([1], {"quantile": 1}, "quantile must lie strictly between 0 and 1, got 1"),
        ([1], {"quantile": 99}, "quantile must lie strictly between 0 and 1, got 99"),
        ([1], {"quantile": math.nan}, "quantile must lie strictly between 0 and 1, got nan"),
        ([1], {"confidence": 1.0}, "confidence must lie strictly between 0 and 1, got 1.0"),
    ],
)
def test_what_makes_no_sense_is_refused(samples_ns: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SampleError, match=message):
        judge(samples_ns, **{"limit_ns": LIMIT_NS, "quantile": 0.99, **options})


@functools.cache
def outcome_of_counts(samples: int, over: int, looks: int) -> Outcome:
    """A verdict rests on two counts alone, so a simulation asks for each pair of them once."""
    return outcome(samples, over, looks=looks)


def verdict_at_the_looks(slow: NDArray[np.bool_], looks: tuple[int, ...]) -> Outcome:
    """What a run that stops as soon as it is decided says, of samples that are slow where the mask is true."""
    for look in looks:
        found = outcome_of_counts(look, int(slow[:look].sum()), len(looks) + 1)
        if found is not Outcome.INCONCLUSIVE:
            return found
    return Outcome.INCONCLUSIVE


def share_of(wanted: Outcome, *, slow_rate: float, runs: int, looks: tuple[int, ...]) -> float:
    generator = np.random.default_rng(20_260_101)
    found = [verdict_at_the_looks(generator.random(looks[-1]) < slow_rate, looks) for _ in range(runs)]
    return found.count(wanted) / runs


def test_a_service_exactly_on_its_limit_is_rarely_called_either_way() -> None:
    looks, runs = planned_looks([0.99]), 5_000
    assert len(looks) >= 4
    slack = 3 * math.sqrt(0.01 * 0.99 / runs)
    assert share_of(Outcome.MET, slow_rate=0.01, runs=runs, looks=looks) <= 0.01 + slack
    assert share_of(Outcome.BREACHED, slow_rate=0.01, runs=runs, looks=looks) <= 0.01 + slack


def test_clear_cases_are_decided() -> None:
    looks = planned_looks([0.99])
    assert share_of(Outcome.MET, slow_rate=0.003, runs=200, looks=looks) >= 0.98
    assert share_of(Outcome.BREACHED, slow_rate=0.03, runs=200, looks=looks) >= 0.98


@pytest.mark.parametrize(
    ("quantile", "name"), [(0.5, "P50"), (0.99, "P99"), (0.999, "P99.9"), (0.95, "P95"), (0.29, "P29")]
)
def test_percentiles_are_named_as_people_name_them(quantile: float, name: str) -> None:
    assert statistic_name(quantile) == name
