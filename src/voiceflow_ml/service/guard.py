"""When a new version is taken back by rule: more errors, or a longer tail, than it may have.

Each answer of the new version is an event or not: an error; slower than the limit. Evidence that events are more
frequent than they may be is an e-value (``latency.evalue``), so it may be looked at after every answer, and a version
that keeps within its bounds is taken back with a chance of at most 1 - confidence, however long it is watched
(independent answers; for bursts the design effect asks for more evidence). The verdicts' least sample sizes do not
hold here: to be wrong costs a return to a version that is known to be good, and to be late costs failed requests.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from voiceflow_ml.latency.evalue import design_effects, log_e_many
from voiceflow_ml.latency.quantiles import percentile
from voiceflow_ml.units import format_ns


@dataclass(frozen=True)
class GuardPlan:
    """What a new version is held to while it is watched.

    Attributes:
        watched: answers after which it is trusted.
        most_errors: rate of errors that it may have.
        quantile: of the latency.
        limit_ns: what that quantile must stay within; None for a multiple of what the version before it had.
        times_before: that multiple.
        fewest_before: answers that the version before must have given to be compared with.
        confidence: 1 - the chance of taking back a version that keeps within its bounds.
    """

    watched: int = 2_000
    most_errors: float = 0.01
    quantile: float = 0.99
    limit_ns: int | None = None
    times_before: float = 2.0
    fewest_before: int = 300
    confidence: float = 0.999


@dataclass(frozen=True)
class Finding:
    """Why a version is taken back.

    Attributes:
        code: ``"errors"`` or ``"latency"``.
        sentence: with the numbers.
    """

    code: str
    sentence: str


class Latencies:
    """How long the last answers of a version took, in nanoseconds."""

    def __init__(self, most: int) -> None:
        self._values: deque[int] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, elapsed_ns: int) -> None:
        """Keep one more, and forget the oldest when there are too many."""
        self._values.append(elapsed_ns)

    def percentile_ns(self, quantile: float) -> int:
        """Nearest-rank percentile; at least one answer must have been added."""
        return percentile(np.array(self._values, dtype=np.int64), quantile)


class Watch:
    """Watches one new version, answer by answer.

    Args:
        plan: what it is held to.
        before: latencies of the version before it, which may go on growing beside a canary; None without one.
    """

    def __init__(self, plan: GuardPlan, before: Latencies | None) -> None:
        self._plan, self._before = plan, before
        self._limit_ns = plan.limit_ns
        self._errors: list[bool] = []
        self._over: list[bool] = []

    @property
    def answers(self) -> int:
        """How many were watched."""
        return len(self._errors)

    @property
    def is_over(self) -> bool:
        """Whether it was watched for long enough."""
        return self.answers >= self._plan.watched

    @property
    def limit_ns(self) -> int | None:
        """What its tail is held to; None as long as there is nothing to compare with."""
        return self._limit_ns

    def add(self, *, error: bool, elapsed_ns: int) -> Finding | None:
        """One more answer.

        Returns:
            Why the version is to be taken back; None when it is not.
        """
        if self.is_over:
            return None
        self._errors.append(error)
        if error and self._is_proven(self._errors, self._plan.most_errors):
            return Finding("errors", self._sentence("failed", self._errors, f"{self._plan.most_errors:.3g} may"))
        limit_ns = self._limit()
        if error or limit_ns is None:
            return None
        self._over.append(elapsed_ns > limit_ns)
        rate = 1 - self._plan.quantile
        if self._over[-1] and self._is_proven(self._over, rate):
            return Finding("latency", self._sentence(f"took over {format_ns(limit_ns)}", self._over, f"{rate:.3g} may"))
        return None

    def _limit(self) -> int | None:
        if self._limit_ns is None and self._before is not None and len(self._before) >= self._plan.fewest_before:
            self._limit_ns = round(self._plan.times_before * self._before.percentile_ns(self._plan.quantile))
        return self._limit_ns

    def _is_proven(self, events: list[bool], rate: float) -> bool:
        threshold = -math.log1p(-self._plan.confidence)
        count = sum(events)
        # Dependence only takes evidence away, so most answers need no look at it.
        if log_e_many(count, len(events), rate, 1.0) < threshold:
            return False
        effect = design_effects(np.array(events), rate).many
        return log_e_many(count, len(events), rate, effect) >= threshold

    def _sentence(self, what: str, events: list[bool], allowed: str) -> str:
        return f"{sum(events)} of its first {len(events)} answers {what}; of all, a share of {allowed}"
