from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.latency.binomial import log_pmf, lower_tail, upper_tail


def exact_pmf(k: int, n: int, p: Fraction) -> Fraction:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def exact_lower(k: int, n: int, p: Fraction) -> Fraction:
    return sum((exact_pmf(i, n, p) for i in range(k + 1)), Fraction(0))


@st.composite
def binomials(draw: st.DrawFn) -> tuple[int, int, Fraction]:
    n = draw(st.integers(1, 60))
    return draw(st.integers(0, n)), n, Fraction(draw(st.integers(1, 255)), 256)


@given(binomials())
def test_both_tails_equal_exact_sums(case: tuple[int, int, Fraction]) -> None:
    k, n, p = case
    # 1/256 steps are exact as floats, so the fraction and the float are the same number.
    lower = exact_lower(k, n, p)
    assert lower_tail(k, n, float(p)) == pytest.approx(float(lower), rel=1e-11, abs=1e-15)
    upper = 1 - lower + exact_pmf(k, n, p)
    assert upper_tail(k, n, float(p)) == pytest.approx(float(upper), rel=1e-11, abs=1e-15)


@pytest.mark.parametrize(("k", "n"), [(0, 2_000), (7, 2_000), (20, 2_000), (38, 2_000), (15, 500)])
def test_tails_at_the_sizes_of_a_verdict(k: int, n: int) -> None:
    p = 0.0078125  # 1/128, exact as a float
    lower = exact_lower(k, n, Fraction(1, 128))
    assert lower_tail(k, n, p) == pytest.approx(float(lower), rel=1e-9)
    assert upper_tail(k + 1, n, p) == pytest.approx(float(1 - lower), rel=1e-9)


def test_small_tails_keep_their_relative_precision() -> None:
    # P(X >= 60) and P(X <= 2) for n = 1 000, p = 1/128: far beyond where 1 - x would round to nothing.
    p = Fraction(1, 128)
    upper = sum((exact_pmf(i, 1_000, p) for i in range(60, 1_001)), Fraction(0))
    assert upper < Fraction(1, 10**25)
    assert upper_tail(60, 1_000, 1 / 128) == pytest.approx(float(upper), rel=1e-9)
    lower = exact_lower(2, 10_000, p)
    assert lower < Fraction(1, 10**25)
    assert lower_tail(2, 10_000, 1 / 128) == pytest.approx(float(lower), rel=1e-9)


def test_a_tail_beyond_the_mean_is_right_to_the_last_digit() -> None:
    # Its own terms carry the error of the logarithms of factorials, a hundred times what is left out of it.
    lower = exact_lower(120, 10_000, Fraction(1, 128))
    assert lower_tail(120, 10_000, 1 / 128) == pytest.approx(float(lower), rel=1e-15, abs=0)


def test_beyond_the_ends_a_tail_is_nothing_or_everything() -> None:
    assert lower_tail(-1, 10, 0.5) == 0.0
    assert lower_tail(10, 10, 0.5) == lower_tail(11, 10, 0.5) == 1.0
    assert upper_tail(11, 10, 0.5) == 0.0
    assert upper_tail(0, 10, 0.5) == upper_tail(-1, 10, 0.5) == 1.0
    assert lower_tail(0, 0, 0.5) == upper_tail(0, 0, 0.5) == 1.0


def test_all_and_none() -> None:
    assert lower_tail(0, 100, 0.25) == pytest.approx(0.75**100, rel=1e-12)
    assert upper_tail(100, 100, 0.25) == pytest.approx(0.25**100, rel=1e-12)


@given(st.integers(1, 5_000), st.floats(1e-6, 1 - 1e-6), st.data())
def test_tails_are_probabilities_and_rise_with_the_count(n: int, p: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    assert 0.0 <= lower_tail(k - 1, n, p) <= lower_tail(k, n, p) + 1e-12
    assert lower_tail(k, n, p) <= 1.0
    assert lower_tail(k, n, p) + upper_tail(k + 1, n, p) == pytest.approx(1.0, abs=1e-9)


def test_log_pmf_sums_to_one() -> None:
    assert math.fsum(math.exp(log_pmf(k, 300, 0.01)) for k in range(301)) == pytest.approx(1.0, rel=1e-11)
