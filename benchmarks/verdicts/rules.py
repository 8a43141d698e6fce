"""Rules that turn latencies and a limit into a verdict: ours, and what others do."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency import Bound, Outcome, judge
from voiceflow_ml.latency.binomial import lower_tail, upper_tail
from voiceflow_ml.latency.plan import planned_looks
from voiceflow_ml.latency.quantiles import nearest_rank

Nanoseconds = NDArray[np.int64]
Rule = Callable[[Nanoseconds, int, float], tuple[Outcome, int]]
"""Latencies in arrival order, the limit, the quantile -> the verdict, and after how many samples."""

CONFIDENCE = 0.99
ALPHA = 1 - CONFIDENCE


def ours(bound: Bound = Bound.UPPER, every: int = 0) -> Rule:
    """``judge`` on growing prefixes: at the product's looks, or after every so many samples."""

    def rule(latencies_ns: Nanoseconds, limit_ns: int, quantile: float) -> tuple[Outcome, int]:
        looks = planned_looks([max(quantile, 1 - quantile)])
        if every:
            looks = tuple(range(looks[0], latencies_ns.size + 1, every))
        for samples in looks:
            verdict = judge(
                latencies_ns[:samples], limit_ns=limit_ns, quantile=quantile, confidence=CONFIDENCE, bound=bound
            )
            if verdict.outcome is not Outcome.INCONCLUSIVE:
                return verdict.outcome, samples
        return Outcome.INCONCLUSIVE, looks[-1]

    return rule


def naive(samples: int) -> Rule:
    """``sorted(latencies)[int(n * q)] <= limit``: no third answer."""

    def rule(latencies_ns: Nanoseconds, limit_ns: int, quantile: float) -> tuple[Outcome, int]:
        measured = np.sort(latencies_ns[:samples])[int(samples * quantile)]
        return (Outcome.MET if measured <= limit_ns else Outcome.BREACHED), samples

    return rule


def _exact(over: int, samples: int, quantile: float) -> Outcome:
    if lower_tail(over, samples, 1 - quantile) <= ALPHA:
        return Outcome.MET
    return Outcome.BREACHED if upper_tail(over, samples, 1 - quantile) <= ALPHA else Outcome.INCONCLUSIVE


def exact_binomial(samples: int) -> Rule:
    """The exact binomial test of the count over the limit, in both directions, looked at once."""

    def rule(latencies_ns: Nanoseconds, limit_ns: int, quantile: float) -> tuple[Outcome, int]:
        return _exact(int(np.count_nonzero(latencies_ns[:samples] > limit_ns)), samples, quantile), samples

    return rule


def exact_binomial_peeking(latencies_ns: Nanoseconds, limit_ns: int, quantile: float) -> tuple[Outcome, int]:
    """The same, looked at whenever ours is, until it decides: what a loop "until significant" does."""
    looks = planned_looks([quantile])
    for samples in looks:
        outcome = _exact(int(np.count_nonzero(latencies_ns[:samples] > limit_ns)), samples, quantile)
        if outcome is not Outcome.INCONCLUSIVE:
            return outcome, samples
    return Outcome.INCONCLUSIVE, looks[-1]


def loadgen_early_stopping(latencies_ns: Nanoseconds, limit_ns: int, quantile: float) -> tuple[Outcome, int]:
    """MLPerf LoadGen's early stopping: valid as soon as h queries under the limit outweigh t over it.

    Its condition, the regularised incomplete beta function I_q(h, t + 1) <= 1 - c with tolerance 0 (LoadGen,
    ``early_stopping.cc``), is P(Bin(h + t, 1 - q) <= t) <= 1 - c. It never says that a limit is broken.
    """
    looks = planned_looks([quantile])
    for samples in looks:
        over = int(np.count_nonzero(latencies_ns[:samples] > limit_ns))
        if lower_tail(over, samples, 1 - quantile) <= ALPHA:
            return Outcome.MET, samples
    return Outcome.INCONCLUSIVE, looks[-1]


def bootstrap(samples: int) -> Rule:
    """The percentile bootstrap's interval of the quantile, against the limit.

    The r-th smallest of a resample is at most the j-th smallest sample with probability P(Bin(n, j / n) >= r), so
    the ends of the interval need no resampling.
    """

    def rule(latencies_ns: Nanoseconds, limit_ns: int, quantile: float) -> tuple[Outcome, int]:
        low, high = _bootstrap_ranks(samples, quantile)
        ordered = np.sort(latencies_ns[:samples])
        if ordered[high - 1] <= limit_ns:
            return Outcome.MET, samples
        return (Outcome.BREACHED if ordered[low - 1] > limit_ns else Outcome.INCONCLUSIVE), samples

    return rule


@lru_cache(maxsize=64)
def _bootstrap_ranks(samples: int, quantile: float) -> tuple[int, int]:
    rank = nearest_rank(samples, quantile)
    reached = [upper_tail(rank, samples, j / samples) for j in range(1, samples)] + [1.0]
    # One-sided at the confidence on each end, as ours.
    return int(np.searchsorted(reached, ALPHA)) + 1, int(np.searchsorted(reached, 1 - ALPHA)) + 1


RULES: dict[str, Rule] = {
    "ours": ours(),
    "naive n=200": naive(200),
    "naive n=1000": naive(1000),
    "exact binomial n=2000": exact_binomial(2000),
    "exact binomial, peeking": exact_binomial_peeking,
    "LoadGen early stopping": loadgen_early_stopping,
    "bootstrap n=2000": bootstrap(2000),
}
