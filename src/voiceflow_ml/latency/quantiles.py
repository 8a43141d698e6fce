"""Nearest-rank percentiles and their distribution-free intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.binomial import lower_tail

Samples = Sequence[int] | NDArray[np.int64]

_MOST_NS = 2**63 - 1


def as_samples_ns(samples_ns: Samples) -> NDArray[np.int64]:
    """Check samples and return them as int64 nanoseconds, shape ``[n]``, in the order given.

    Raises:
        SampleError: empty, not one-dimensional, not whole numbers (NaN included), negative, or beyond int64.
    """
    try:
        values = np.asarray(samples_ns)
    except ValueError:
        raise SampleError("samples must be one-dimensional, got rows of different lengths") from None
    if values.ndim != 1:
        raise SampleError(f"samples must be one-dimensional, got shape {list(values.shape)}")
    if values.size == 0:
        raise SampleError("there are no samples: a statistic of nothing does not exist")
    if values.dtype.kind not in "iu":
        raise SampleError(f"samples must be whole nanoseconds, got {values.dtype}; round them first")
    if int(values.min()) < 0:
        raise SampleError(f"a latency cannot be negative, got {int(values.min())} ns: the clock went backwards")
    if int(values.max()) > _MOST_NS:
        raise SampleError(f"a latency of {int(values.max())} ns is beyond 64-bit nanoseconds")
    return values.astype(np.int64, copy=False)


def check_fraction(value: float, name: str) -> float:
    """Return a value strictly between 0 and 1, or raise :class:`SampleError` naming it."""
    if not 0 < value < 1:
        raise SampleError(f"{name} must lie strictly between 0 and 1, got {value!r}")
    return float(value)


def nearest_rank(n: int, quantile: float) -> int:
    """Rank (from 1) of the nearest-rank percentile: the smallest r with r / n >= quantile.

    The product is rounded to 9 decimals first: 0.99 * 200 is 198.00000000000003 in binary floating point.
    """
    return max(1, math.ceil(round(n * quantile, 9)))


def percentile(samples_ns: Samples, q: float) -> int:
    """Nearest-rank percentile, an observed value, in nanoseconds.

    Args:
        samples_ns: latencies in whole nanoseconds, shape ``[n]``.
        q: the quantile as a fraction, 0 < q < 1; P99 is 0.99.

    Raises:
        SampleError: unfit samples, or q outside (0, 1).
    """
    values = as_samples_ns(samples_ns)
    rank = nearest_rank(values.size, check_fraction(q, "q"))
    return int(np.partition(values, rank - 1)[rank - 1])


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a percentile, made of two observed values.

    ``None`` on a side means that the samples are too few to bound that side at all.
    """

    low_ns: int | None
    high_ns: int | None
    confidence: float


def percentile_interval(samples_ns: Samples, q: float, confidence: float = 0.99) -> Interval:
    """Distribution-free interval of a percentile from two order statistics.

    The number of samples below the true quantile is Binomial(n, q); the ranks cut off at most
    (1 - confidence) / 2 on each side (Conover, Practical Nonparametric Statistics, section 3.2).
    Valid for independent samples.

    Args:
        samples_ns: latencies in whole nanoseconds, shape ``[n]``.
        q: the quantile, 0 < q < 1.
        confidence: two-sided confidence, 0 < confidence < 1.

    Raises:
        SampleError: unfit samples, or a fraction outside (0, 1).
    """
    values = np.sort(as_samples_ns(samples_ns))
    check_fraction(q, "q")
    tail = (1 - check_fraction(confidence, "confidence")) / 2
    n = values.size
    # The true quantile is below order statistic r with probability P(Bin(n, q) <= r - 1).
    low_rank = _largest_rank(n, q, tail)
    high_rank = n + 1 - _largest_rank(n, 1 - q, tail)
    return Interval(
        low_ns=int(values[low_rank - 1]) if low_rank >= 1 else None,
        high_ns=int(values[high_rank - 1]) if high_rank <= n else None,
        confidence=confidence,
    )


def _largest_rank(n: int, q: float, tail: float) -> int:
    """Largest r in 0..n with P(Bin(n, q) <= r - 1) <= tail, by bisection."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        if lower_tail(middle - 1, n, q) <= tail:
            low = middle
        else:
            high = middle - 1
    return low
