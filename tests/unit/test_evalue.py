from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiceflow_ml.latency.evalue import BATCHES, DesignEffects, design_effects, log_e_few, log_e_many

LogE = Callable[[float, float, float, float], float]
FEW = [(Fraction(0), Fraction(4, 10)), (Fraction(1, 4), Fraction(3, 10)), (Fraction(1, 2), Fraction(2, 10))]
FEW += [(Fraction(3, 4), Fraction(1, 10))]
MANY = [(Fraction(16), Fraction(25, 100)), (Fraction(4), Fraction(35, 100)), (Fraction(2), Fraction(25, 100))]
MANY += [(Fraction(4, 3), Fraction(15, 100))]
both_sides = pytest.mark.parametrize(("log_e", "alternatives"), [(log_e_few, FEW), (log_e_many, MANY)])


def exact_e(alternatives: list[tuple[Fraction, Fraction]], k: int, n: int, p0: Fraction) -> Fraction:
    """The mixture of likelihood ratios in exact arithmetic; independent samples."""
    total, odds = Fraction(0), p0 / (1 - p0)
    for ratio, weight in alternatives:
        p = ratio * odds / (1 + ratio * odds)
        total += weight * (p / p0) ** k * ((1 - p) / (1 - p0)) ** (n - k)
    return total


def mean_of_e(log_e: LogE, n: int, p0: float, design_effect: float) -> float:
    """E[exp(log_e)] under p0, summed over the binomial."""
    return math.fsum(
        math.comb(n, k) * p0**k * (1 - p0) ** (n - k) * math.exp(log_e(k, n, p0, design_effect)) for k in range(n + 1)
    )


@both_sides
@pytest.mark.parametrize("p0", [Fraction(1, 100), Fraction(1, 20), Fraction(1, 3), Fraction(1, 2)])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 40), (1, 40), (7, 40), (40, 40), (12, 300)])
def test_evidence_is_the_mixture_of_likelihood_ratios(
    log_e: LogE, alternatives: list[tuple[Fraction, Fraction]], p0: Fraction, k: int, n: int
) -> None:
    expected = exact_e(alternatives, k, n, p0)
    # Under "few" one alternative is out at the first event; when all else is tiny it is still not nothing.
    assert math.exp(log_e(k, n, float(p0), 1.0) - math.log(expected)) == pytest.approx(1, rel=1e-9)


@both_sides
def test_a_design_effect_divides_each_likelihood_ratio_and_not_its_weight(
    log_e: LogE, alternatives: list[tuple[Fraction, Fraction]]
) -> None:
    p0, k, n, effect = 0.05, 3, 80, 2.5
    total = 0.0
    for ratio, weight in alternatives:
        one = float(exact_e([(ratio, Fraction(1))], k, n, Fraction(1, 20)))
        total += float(weight) * one ** (1 / effect)
    assert log_e(k, n, p0, effect) == pytest.approx(math.log(total), rel=1e-9)


@both_sides
@pytest.mark.parametrize("p0", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("n", [1, 2, 13, 100])
def test_of_a_quantile_on_its_limit_the_mean_e_value_is_one(
    log_e: LogE, alternatives: list[tuple[Fraction, Fraction]], p0: float, n: int
) -> None:
    assert mean_of_e(log_e, n, p0, 1.0) == pytest.approx(1, rel=1e-9)


@both_sides
@given(p0=st.floats(0.001, 0.5), n=st.integers(1, 60), design_effect=st.floats(1, 1_000))
def test_a_design_effect_never_raises_the_mean_e_value(
    log_e: LogE, alternatives: list[tuple[Fraction, Fraction]], p0: float, n: int, design_effect: float
) -> None:
    assert mean_of_e(log_e, n, p0, design_effect) <= 1 + 1e-9


@both_sides
@pytest.mark.parametrize("p0", [0.01, 0.3])
def test_one_step_ahead_the_e_value_stays_as_it_is_on_average(
    log_e: LogE, alternatives: list[tuple[Fraction, Fraction]], p0: float
) -> None:
    for k, n in [(0, 0), (0, 5), (3, 5), (5, 5), (2, 200)]:
        ahead = p0 * math.exp(log_e(k + 1, n + 1, p0, 1.0)) + (1 - p0) * math.exp(log_e(k, n + 1, p0, 1.0))
        assert ahead == pytest.approx(math.exp(log_e(k, n, p0, 1.0)), rel=1e-9)


@given(n=st.integers(1, 400), p0=st.floats(0.001, 0.5), design_effect=st.floats(1, 50))
def test_more_events_speak_for_many_and_against_few(n: int, p0: float, design_effect: float) -> None:
    few = [log_e_few(k, n, p0, design_effect) for k in range(n + 1)]
    many = [log_e_many(k, n, p0, design_effect) for k in range(n + 1)]
    assert all(math.isfinite(one) for one in few + many)
    assert few == sorted(few, reverse=True)
    assert many == sorted(many)


@given(k=st.integers(0, 300), n=st.integers(300, 3_000), p0=st.floats(0.001, 0.5), design_effect=st.floats(1, 50))
def test_a_design_effect_makes_no_verdict_that_was_not_there(k: int, n: int, p0: float, design_effect: float) -> None:
    for log_e in (log_e_few, log_e_many):
        plain = log_e(k, n, p0, 1.0)
        assert log_e(k, n, p0, design_effect) <= max(0.0, plain) + 1e-9


def from_counts(counts: list[int], batch: int) -> NDArray[np.bool_]:
    """Events of which each batch has a given count, at its start."""
    return np.concatenate([np.arange(batch) < count for count in counts])


def test_design_effects_by_hand() -> None:
    # 20 batches of 50, ten without an event and ten with 4: mean 2, variance 10 * 4 * 2 / 19 = 80 / 19.
    effects = design_effects(from_counts([0, 4] * 10, 50), 0.01)
    rate_variance, borderline = 0.04 * 0.96, 0.01 * 0.99
    assert effects.few == pytest.approx(80 / 19 / (50 * rate_variance))
    assert effects.many == pytest.approx(80 / 19 / (50 * math.sqrt(rate_variance * borderline)))
    # Where events are rarer than on the limit, both are compared with the variance that is there.
    effects = design_effects(from_counts([0, 4] * 10, 50), 0.2)
    assert effects.few == effects.many == pytest.approx(80 / 19 / (50 * rate_variance))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (np.zeros(2_000, dtype=bool), 1.0),
        (np.ones(2_000, dtype=bool), 1.0),
        (np.arange(2_000) % 100 == 0, 1.0),
        # A series of only 19 tells nothing of its batches.
        (np.arange(19) < 9, 1.0),
        # All in one of 20 batches of 100: 95 in one batch and none in 19.
        (np.arange(2_000) < 95, 95**2 / 20 / (100 * 0.0475 * 0.9525)),
        # What does not fill the last batch is left out, but not of the rate.
        (np.concatenate([np.zeros(2_000, dtype=bool), np.ones(19, dtype=bool)]), 1.0),
    ],
)
def test_design_effects_of_telling_series(events: NDArray[np.bool_], expected: float) -> None:
    assert design_effects(events, 0.5).few == pytest.approx(expected)


def test_independent_events_have_a_design_effect_near_one_and_clusters_one_near_their_size() -> None:
    generator = np.random.default_rng(1)
    independent = [design_effects(generator.random(4_000) < 0.05, 0.05).few for _ in range(200)]
    clustered = [design_effects(np.repeat(generator.random(400) < 0.05, 10), 0.05).few for _ in range(200)]
    assert 1 <= np.mean(independent) < 1.25
    assert 8 < np.mean(clustered) < 12


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.floats(0.001, 0.5))
def test_a_design_effect_is_never_below_one_and_many_never_below_few(events: list[bool], p0: float) -> None:
    effects = design_effects(np.array(events), p0)
    assert 1 <= effects.few <= effects.many < math.inf


@given(st.lists(st.booleans(), min_size=BATCHES, max_size=200))
def test_a_half_counted_from_either_side_has_the_same_design_effect(events: list[bool]) -> None:
    array = np.array(events)
    assert design_effects(array, 0.5).few == pytest.approx(design_effects(~array, 0.5).few)


def test_the_worse_of_two_design_effects_is_taken_side_by_side() -> None:
    assert DesignEffects(2, 3).worse_of(DesignEffects(1, 5)) == DesignEffects(2, 5)
    assert DesignEffects() == DesignEffects(1, 1)
