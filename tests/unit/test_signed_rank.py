from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.latency.signed_rank import centre_interval, cumulative_distribution

values = st.lists(st.floats(-10, 10, allow_nan=False, width=32), min_size=1, max_size=30)


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_the_distribution_is_what_counting_all_signs_gives(n: int) -> None:
    sums = [sum(itertools.compress(range(1, n + 1), signs)) for signs in itertools.product((0, 1), repeat=n)]
    counted = [sum(total <= t for total in sums) / 2**n for t in range(n * (n + 1) // 2 + 1)]
    assert cumulative_distribution(n).tolist() == counted


@pytest.mark.parametrize(
    # The largest T with P(T <= t) at most the one-sided level, as in the published tables of the test.
    ("n", "level", "critical"),
    [(10, 0.025, 8), (10, 0.01, 5), (15, 0.05, 30), (15, 0.005, 15), (20, 0.05, 60), (20, 0.025, 52), (20, 0.01, 43)],
)
def test_critical_values_agree_with_the_tables(n: int, level: float, critical: int) -> None:
    below = cumulative_distribution(n)
    assert below[critical] <= level < below[critical + 1]


def test_the_distribution_stays_exact_for_many_values() -> None:
    below = cumulative_distribution(79)
    assert below[0] == 2.0**-79
    assert below[-1] == pytest.approx(1.0, abs=1e-13)
    # Symmetric: T and n (n + 1) / 2 - T have one distribution.
    np.testing.assert_allclose(below[:-1] + below[:-1][::-1], 1.0, atol=1e-12)


def test_an_interval_by_hand() -> None:
    # Averages of 1, 2, 4, 8, 16 in pairs, sorted: 1 1.5 2 2.5 3 4 4.5 5 6 8 8.5 9 10 12 16; P(T <= 1) = 2/32.
    low, estimate, high = centre_interval(np.array([8.0, 1.0, 16.0, 2.0, 4.0]), 1 - 2 / 32)
    assert (low, estimate, high) == (1.5, 5.0, 12.0)


def test_few_values_cannot_reach_a_high_confidence() -> None:
    assert centre_interval(np.array([1.0, 2.0, 3.0]), 0.9) == (None, 2.0, None)
    low, _, high = centre_interval(np.array([1.0, 2.0, 3.0]), 0.875)
    assert (low, high) == (1.0, 3.0)


@given(values, st.floats(0.5, 0.999))
def test_the_estimate_lies_inside_and_the_ends_widen_with_confidence(numbers: list[float], confidence: float) -> None:
    array = np.array(numbers, dtype=np.float64)
    low, estimate, high = centre_interval(array, confidence)
    wide_low, same, wide_high = centre_interval(array, (1 + confidence) / 2)
    assert same == estimate
    assert array.min() <= estimate <= array.max()
    if low is not None and high is not None:
        assert low <= estimate <= high
    if wide_low is not None and wide_high is not None:
        assert low is not None
        assert high is not None
        assert wide_low <= low
        assert high <= wide_high


@given(values)
def test_negating_the_values_mirrors_the_interval(numbers: list[float]) -> None:
    array = np.array(numbers, dtype=np.float64)
    low, estimate, high = centre_interval(array, 0.95)
    mirrored = centre_interval(-array, 0.95)
    assert mirrored[1] == pytest.approx(-estimate)
    assert mirrored == (None if high is None else -high, mirrored[1], None if low is None else -low)


@pytest.mark.parametrize("scatter", ["normal", "heavy", "unequal"])
def test_each_end_misses_the_centre_no_oftener_than_it_says(scatter: str) -> None:
    generator = np.random.default_rng(5)
    runs = 4_000
    drawn = generator.standard_normal((runs, 20))
    if scatter == "heavy":
        drawn = generator.standard_cauchy((runs, 20))
    elif scatter == "unequal":
        drawn *= np.geomspace(0.01, 100, 20)
    intervals = [centre_interval(row, 0.95) for row in drawn]
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    # P(T <= 60) = 0.0487 for 20 values: the ends are not far from their level either.
    assert 0.03 < sum(low is not None and low > 0 for low, _, _ in intervals) / runs < most
    assert 0.03 < sum(high is not None and high < 0 for _, _, high in intervals) / runs < most
