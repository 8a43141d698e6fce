"""Exact binomial tails, without a statistics library at run time.

The terms of a tail are summed from its largest downwards, so a tail of a 10 000-sample run costs some
hundred multiplications, and small tails keep full relative precision. Held against exact fractions by
the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def log_pmf(k: int, n: int, p: float) -> float:
    """Natural logarithm of P(X = k) for X ~ Binomial(n, p), 0 < p < 1."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)


def lower_tail(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p).

    Args:
        k: a count; below 0 the tail is empty, from n on it is everything.
        n: number of trials, at least 0.
        p: success probability, 0 < p < 1.
    """
    if k < 0:
        return 0.0
    if k > n * p:
        return 1.0 - upper_tail(k + 1, n, p)
    odds = (1 - p) / p
    return math.exp(log_pmf(k, n, p)) * _sum_falling(lambda i: i / (n - i + 1) * odds, start=k, stop=0, step=-1)


def upper_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p); arguments as in :func:`lower_tail`."""
    if k > n:
        return 0.0
    if k <= n * p:
        return 1.0 - lower_tail(k - 1, n, p)
    odds = p / (1 - p)
    return math.exp(log_pmf(k, n, p)) * _sum_falling(lambda i: (n - i) / (i + 1) * odds, start=k, stop=n, step=1)


def _sum_falling(ratio_to_next: Callable[[int], float], *, start: int, stop: int, step: int) -> float:
    """Sum 1 + r(start) + r(start) r(next) + ... until a term no longer changes the sum."""
    total = term = 1.0
    for i in range(start, stop, step):
        term *= ratio_to_next(i)
        total += term
        if term < total * 1e-17:
            break
    return total
