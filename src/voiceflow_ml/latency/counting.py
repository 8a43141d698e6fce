"""What a count of violations says about a limit: evidence, thresholds, and how many samples are missing.

A *violation* is a sample on the wrong side of the limit. Violations of a P99 are the rare event; those of a P10
are the common one, and then the samples on the right side are what is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency.evalue import DesignEffects, design_effects, log_e_few, log_e_many
from voiceflow_ml.latency.plan import fewest_for_breached, fewest_for_met

_MOST_SAMPLES_FORECAST = 1_000_000


@dataclass(frozen=True)
class Count:
    """k violations in n samples, against the rate p0 of a quantile exactly on its limit.

    Attributes:
        samples: n.
        violations: k.
        p0: 1 - quantile for an upper limit, the quantile for a lower one.
        effects: design effects of the rare event.
        threshold: log e-value that decides, ln(1 / (1 - confidence)).
    """

    samples: int
    violations: int
    p0: float
    effects: DesignEffects
    threshold: float

    @property
    def log_e_met(self) -> float:
        """Log e-value of "violations are rarer than p0"."""
        return self._log_e_met(self.violations, self.samples)

    @property
    def log_e_breached(self) -> float:
        """Log e-value of "violations are more frequent than p0"."""
        return self._log_e_breached(self.violations, self.samples)

    @property
    def effect_met(self) -> float:
        """Design effect on the evidence for MET."""
        return self.effects.few if self.p0 <= 0.5 else self.effects.many

    @property
    def effect_breached(self) -> float:
        """Design effect on the evidence for BREACHED."""
        return self.effects.many if self.p0 <= 0.5 else self.effects.few

    @property
    def is_met(self) -> bool:
        """Enough samples, and enough evidence for MET."""
        return self.samples >= fewest_for_met(1 - self.p0) and self.log_e_met >= self.threshold

    @property
    def is_breached(self) -> bool:
        """Enough samples, and enough evidence for BREACHED."""
        return self.samples >= fewest_for_breached(1 - self.p0) and self.log_e_breached >= self.threshold

    def most_for_met(self) -> int | None:
        """Most violations among these samples with which they would be MET; None when none is few enough."""
        if self.samples < fewest_for_met(1 - self.p0):
            return None
        least = _first(lambda k: self._log_e_met(k, self.samples) < self.threshold, 0, self.samples)
        return least - 1 if least else None

    def least_for_breached(self) -> int | None:
        """Fewest violations with which they would be BREACHED; None when not even all would do."""
        if self.samples < fewest_for_breached(1 - self.p0):
            return None
        least = _first(lambda k: self._log_e_breached(k, self.samples) >= self.threshold, 0, self.samples + 1)
        return least if least <= self.samples else None

    def samples_needed(self) -> int | None:
        """Total samples that would decide if the present rate and design effects went on; None beyond a million."""
        rate = self.violations / self.samples

        def decides(n: int) -> bool:
            met = n >= fewest_for_met(1 - self.p0) and self._log_e_met(rate * n, n) >= self.threshold
            return met or (
                n >= fewest_for_breached(1 - self.p0) and self._log_e_breached(rate * n, n) >= self.threshold
            )

        total = _first(decides, self.samples, _MOST_SAMPLES_FORECAST + 1)
        return total if total <= _MOST_SAMPLES_FORECAST else None

    def _log_e_met(self, violations: float, samples: float) -> float:
        if self.p0 <= 0.5:
            return log_e_few(violations, samples, self.p0, self.effect_met)
        return log_e_many(samples - violations, samples, 1 - self.p0, self.effect_met)

    def _log_e_breached(self, violations: float, samples: float) -> float:
        if self.p0 <= 0.5:
            return log_e_many(violations, samples, self.p0, self.effect_breached)
        return log_e_few(samples - violations, samples, 1 - self.p0, self.effect_breached)


def count_violations(violates: NDArray[np.bool_], p0: float, confidence: float) -> Count:
    """Count violations, and estimate how much their dependence takes from what they say.

    Args:
        violates: which samples are on the wrong side of the limit, shape ``[n]``, n >= 1, in arrival order.
        p0: the rate of violations of a quantile exactly on its limit, 0 < p0 < 1.
        confidence: 1 - the error rate allowed in each direction.
    """
    # Dependence is read alike from violations and from what is none: both vary by as much.
    return Count(
        samples=int(violates.size),
        violations=int(np.count_nonzero(violates)),
        p0=p0,
        effects=design_effects(violates, p0),
        threshold=-math.log1p(-confidence),
    )


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """First number in ``low..high`` from which on a condition holds, by bisection; ``high`` if none does."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
