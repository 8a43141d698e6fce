"""Evidence about the rate of a rare event, as e-values: valid whenever one looks, and however one stops.

Of n samples, k are events; the question is whether their rate lies below or above p0, at most one half. The
likelihood ratio of a rate p against p0 is a martingale under p0, and so is a mixture of such ratios. By Ville's
inequality the chance that it ever reaches 1 / alpha is at most alpha, whatever the looks and the stop (Shafer
et al., Test martingales, Bayes factors and p-values, Statistical Science 2011; Ramdas et al., Game-theoretic
statistics and safe anytime-valid inference, Statistical Science 2023).

Samples that hang together in time tell less than their number. The *design effect* D says how much less: the
variance of the event count between consecutive batches, over what independent events would give (Kish 1965,
section 8.2, with batches as clusters). Each log likelihood ratio is divided by D. As D is never below 1, the
guarantee for independent samples stays (Jensen); for dependent ones it is a correction, not a theorem.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BATCHES = 20
"""Consecutive batches that the design effect is estimated from."""
_LEAST_VARIANCE = 1e-12

_FEW = ((0.0, 0.4), (1 / 4, 0.3), (1 / 2, 0.2), (3 / 4, 0.1))
"""Alternatives to p0 when the rate is lower: odds ratio and weight. Few alternatives, most weight on the clear
cases: it decides these with few samples, and the rest a little later."""
_MANY = ((16.0, 0.25), (4.0, 0.35), (2.0, 0.25), (4 / 3, 0.15))
"""Alternatives when the rate is higher."""


@dataclass(frozen=True)
class DesignEffects:
    """By how much less dependent samples tell than as many independent ones; at least 1.

    Attributes:
        few: applies to evidence that events are few.
        many: applies to evidence that they are many. It does not shrink when a burst of events raises the
            variance that it is compared with.
    """

    few: float = 1.0
    many: float = 1.0

    def worse_of(self, other: DesignEffects) -> DesignEffects:
        """The larger of each."""
        return DesignEffects(max(self.few, other.few), max(self.many, other.many))


def design_effects(events: NDArray[np.bool_], p0: float) -> DesignEffects:
    """Estimate the design effects from the counts of events in 20 equal consecutive batches.

    Args:
        events: which samples are events, shape ``[n]``, in arrival order; what does not fill the last batch is
            left out. Of fewer samples than batches nothing can be told.
        p0: the rate in question.
    """
    batch = events.size // BATCHES
    if batch == 0:
        return DesignEffects()
    counts = np.count_nonzero(events[: batch * BATCHES].reshape(BATCHES, batch), axis=1)
    between = float(np.var(counts, ddof=1))
    rate = int(np.count_nonzero(events)) / events.size
    variance = max(rate * (1 - rate), _LEAST_VARIANCE)
    borderline = p0 * (1 - p0)
    return DesignEffects(
        few=max(1.0, between / (batch * variance)),
        many=max(1.0, between / (batch * math.sqrt(variance * min(variance, borderline)))),
    )


def log_e_few(k: float, n: float, p0: float, design_effect: float) -> float:
    """Log e-value of "the rate is below p0" after k events in n samples."""
    return _log_mixture(_coefficients(_FEW, p0), k, n, design_effect)


def log_e_many(k: float, n: float, p0: float, design_effect: float) -> float:
    """Log e-value of "the rate is above p0" after k events in n samples."""
    return _log_mixture(_coefficients(_MANY, p0), k, n, design_effect)


@dataclass(frozen=True)
class _Coefficients:
    log_weight: float
    per_event: float
    per_other: float


@lru_cache(maxsize=256)
def _coefficients(alternatives: tuple[tuple[float, float], ...], p0: float) -> tuple[_Coefficients, ...]:
    odds = p0 / (1 - p0)
    made = []
    for ratio, weight in alternatives:
        p = ratio * odds / (1 + ratio * odds)
        per_event = math.log(p / p0) if p > 0 else -math.inf
        made.append(_Coefficients(math.log(weight), per_event, math.log1p(-p) - math.log1p(-p0)))
    return tuple(made)


def _log_mixture(coefficients: Sequence[_Coefficients], k: float, n: float, design_effect: float) -> float:
    terms = []
    for one in coefficients:
        # An alternative under which events never happen is out at the first; 0 * -inf would be NaN.
        log_ratio = (n - k) * one.per_other + (k * one.per_event if k else 0.0)
        terms.append(one.log_weight + log_ratio / design_effect)
    highest = max(terms)
    return highest + math.log(sum(math.exp(term - highest) for term in terms))
