from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages import exactly
from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency import percentile, percentile_interval
from voiceflow_ml.latency.quantiles import as_samples_ns, nearest_rank

latencies = st.lists(st.integers(0, 2**62), min_size=1, max_size=300)
per_mille = st.integers(1, 999)


@given(latencies, per_mille)
def test_a_percentile_is_the_sorted_value_at_the_nearest_rank(samples_ns: list[int], thousandths: int) -> None:
    exact_rank = math.ceil(Fraction(thousandths, 1000) * len(samples_ns))
    assert percentile(samples_ns, thousandths / 1000) == sorted(samples_ns)[exact_rank - 1]


@given(latencies, per_mille, per_mille)
def test_percentiles_rise_with_the_quantile(samples_ns: list[int], one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert percentile(samples_ns, low / 1000) <= percentile(samples_ns, high / 1000)


@given(st.permutations(list(range(50))), per_mille)
def test_the_order_of_arrival_does_not_matter_and_is_kept(samples_ns: list[int], thousandths: int) -> None:
    array = np.array(samples_ns, dtype=np.int64)
    assert percentile(array, thousandths / 1000) == percentile(list(range(50)), thousandths / 1000)
    assert array.tolist() == samples_ns


@pytest.mark.parametrize(
    ("n", "quantile", "rank"),
    [(200, 0.99, 198), (100, 0.07, 7), (1, 0.5, 1), (1, 0.001, 1), (1, 0.999, 1), (1000, 0.999, 999), (3, 0.5, 2)],
)
def test_ranks_where_floating_point_is_a_hair_off(n: int, quantile: float, rank: int) -> None:
    assert nearest_rank(n, quantile) == rank


BAD_SAMPLES: list[tuple[Any, str]] = [
    ([], "there are no samples: a statistic of nothing does not exist"),
    (np.array([], dtype=np.int64), "there are no samples: a statistic of nothing does not exist"),
    ([5, -1], "a latency cannot be negative, got -1 ns: the clock went backwards"),
    ([1.5, 2.0], "samples must be whole nanoseconds, got float64; round them first"),
    ([1, math.nan], "samples must be whole nanoseconds, got float64; round them first"),
    ([True, False], "samples must be whole nanoseconds, got bool; round them first"),
    (["1ms"], "samples must be whole nanoseconds, got <U3; round them first"),
    ([[1, 2], [3, 4]], "samples must be one-dimensional, got shape [2, 2]"),
    (7, "samples must be one-dimensional, got shape []"),
    ([[1], [2, 3]], "samples must be one-dimensional, got rows of different lengths"),
    (np.array([2**63], dtype=np.uint64), "a latency of 9223372036854775808 ns is beyond 64-bit nanoseconds"),
]


@pytest.mark.parametrize(("samples_ns", "message"), BAD_SAMPLES)
def test_unfit_samples_are_refused(samples_ns: Any, message: str) -> None:
    with pytest.raises(SampleError, match=exactly(message)):
        as_samples_ns(samples_ns)
    with pytest.raises(SampleError, match=exactly(message)):
        percentile(samples_ns, 0.5)
    with pytest.raises(SampleError, match=exactly(message)):
        percentile_interval(samples_ns, 0.5)


@pytest.mark.parametrize("q", [0, 1, -0.1, 1.5, math.nan, math.inf])
def test_a_quantile_lies_strictly_between_0_and_1(q: float) -> None:
    with pytest.raises(SampleError, match=exactly(f"q must lie strictly between 0 and 1, got {q!r}")):
        percentile([1, 2, 3], q)
    with pytest.raises(SampleError, match=exactly(f"q must lie strictly between 0 and 1, got {q!r}")):
        percentile_interval([1, 2, 3], q)
    with pytest.raises(SampleError, match=exactly(f"confidence must lie strictly between 0 and 1, got {q!r}")):
        percentile_interval([1, 2, 3], 0.5, confidence=q)


def test_an_interval_uses_the_exact_ranks() -> None:
    # n = 100, median, 99 %: P(Bin(100, 1/2) <= 36) = 0.00332 and P(... <= 37) = 0.00602, so ranks 37 and 64.
    interval = percentile_interval(list(range(1, 101)), 0.5, confidence=0.99)
    assert (interval.low_ns, interval.high_ns, interval.confidence) == (37, 64, 0.99)


def test_what_is_cut_off_may_be_exactly_what_the_confidence_leaves() -> None:
    # P(Bin(2, 1/2) <= 0) is 1/4, half of what 50 % leave.
    interval = percentile_interval([1, 2], 0.5, confidence=0.5)
    assert (interval.low_ns, interval.high_ns) == (1, 2)


def test_too_few_samples_leave_a_side_open() -> None:
    interval = percentile_interval(list(range(200)), 0.99)
    assert interval.high_ns is None
    assert interval.low_ns is not None
    lonely = percentile_interval([5], 0.5)
    assert lonely.low_ns is None
    assert lonely.high_ns is None


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=400), per_mille)
def test_an_interval_holds_its_percentile_and_grows_with_confidence(samples_ns: list[int], thousandths: int) -> None:
    q = thousandths / 1000
    narrow, wide = (percentile_interval(samples_ns, q, confidence=c) for c in (0.9, 0.999))
    measured = percentile(samples_ns, q)
    for interval in (narrow, wide):
        assert interval.low_ns is None or interval.low_ns <= measured
        assert interval.high_ns is None or interval.high_ns >= measured
    assert wide.low_ns is None or (narrow.low_ns is not None and wide.low_ns <= narrow.low_ns)
    assert wide.high_ns is None or (narrow.high_ns is not None and wide.high_ns >= narrow.high_ns)


@pytest.mark.parametrize(("q", "n"), [(0.5, 100), (0.9, 300), (0.99, 1_000)])
def test_intervals_cover_the_true_quantile_as_often_as_they_say(q: float, n: int) -> None:
    generator = np.random.default_rng(7)
    true_ns = -math.log(1 - q) * 1_000_000
    missed = 0
    runs = 1_500
    for _ in range(runs):
        samples_ns = np.rint(generator.exponential(1_000_000, n)).astype(np.int64)
        interval = percentile_interval(samples_ns, q, confidence=0.9)
        below = interval.low_ns is not None and interval.low_ns > true_ns
        above = interval.high_ns is not None and interval.high_ns < true_ns
        missed += below or above
    # At most 10 % may miss (discreteness makes it fewer); three standard deviations of sampling noise on top.
    assert 0.02 < missed / runs < 0.1 + 3 * math.sqrt(0.09 / runs)


def test_the_rank_of_a_very_long_run_is_exact_too() -> None:
    # 10 000 000 * 0.07 is 700 000.0000000001 in binary floating point.
    assert nearest_rank(10_000_000, 0.07) == 700_000


def test_the_longest_latency_that_fits_is_taken() -> None:
    assert as_samples_ns(np.array([2**63 - 1], dtype=np.uint64)).tolist() == [2**63 - 1]


def test_samples_that_are_fit_already_are_not_copied() -> None:
    samples_ns = np.arange(5)
    assert np.shares_memory(as_samples_ns(samples_ns), samples_ns)


def test_the_outermost_samples_can_be_the_ends_of_an_interval() -> None:
    # P(Bin(8, 1/2) <= 0) = 0.0039 is within half of 1 %, P(... <= 1) = 0.035 is not.
    interval = percentile_interval(list(range(1, 9)), 0.5)
    assert (interval.low_ns, interval.high_ns) == (1, 8)
