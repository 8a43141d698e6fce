"""How a measurement is to be taken, decided before the first sample."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.quantiles import check_fraction
from voiceflow_ml.units import NS_PER_S

BREACH_TAIL_SAMPLES = 5
"""Samples expected beyond the quantile before BREACHED may be said."""
MET_TAIL_SAMPLES = 20
"""Samples expected beyond the quantile before MET may be said."""
BUDGET_TAIL_SAMPLES = 100
"""Samples expected beyond the quantile when the sample budget is spent."""
FEWEST_SAMPLES = 300
FEWEST_BUDGET = 2_000


def fewest_for_breached(quantile: float) -> int:
    """Samples before BREACHED may be said: 500 for a P99, never below 300."""
    return max(FEWEST_SAMPLES, round(BREACH_TAIL_SAMPLES / min(quantile, 1 - quantile)))


def fewest_for_met(quantile: float) -> int:
    """Samples before MET may be said: 2 000 for a P99, never below 300."""
    return max(FEWEST_SAMPLES, round(MET_TAIL_SAMPLES / min(quantile, 1 - quantile)))


def sample_budget(quantile: float) -> int:
    """Samples after which a verdict stays INCONCLUSIVE: 10 000 for a P99, never below 2 000."""
    return max(FEWEST_BUDGET, round(BUDGET_TAIL_SAMPLES / min(quantile, 1 - quantile)))


def planned_looks(quantiles: Iterable[float]) -> tuple[int, ...]:
    """Sample counts at which all verdicts of a run are looked at, ascending.

    Fixed before the run, because each look is another chance to be wrong: the verdict divides its error
    rate by their number.

    Args:
        quantiles: the quantiles judged on this run, at least one, each in (0, 1).
    """
    fractions = [check_fraction(quantile, "quantile") for quantile in quantiles]
    if not fractions:
        raise SampleError("a run needs at least one quantile to be judged")
    counts = {count for q in fractions for count in (fewest_for_breached(q), fewest_for_met(q))}
    budget = max(sample_budget(q) for q in fractions)
    look = max(counts)
    while look < budget:
        counts.add(look)
        look *= 2
    return tuple(sorted(counts | {budget}))


_LEAST = {
    "aimed_samples": 1,
    "warmup_calls": 0,
    "block_calls": 1,
    "settling_calls": 0,
    "least_span_ns": 0,
    "most_span_ns": 0,
    "spread": 0,
    "time_budget_ns": 0,
}


@dataclass(frozen=True)
class SamplingPlan:
    """The frozen plan of one measurement; a value out of range raises :class:`SampleError`.

    Attributes:
        looks: sample counts at which the verdicts are looked at, ascending; the last is the sample budget.
        aimed_samples: the count at which a run within its limits ends; the span is laid out for it.
        warmup_calls: calls discarded before the first block (one more, the cold start, comes before them).
        block_calls: calls that are kept in each block.
        settling_calls: calls discarded at the start of each block, when caches are cold after a gap.
        least_span_ns: the run is spread over at least this long, by random gaps between blocks; 0 leaves no
            gaps at all.
        most_span_ns: spreading stops to stretch beyond this; a slow model takes as long as it takes.
        spread: how many times its contiguous length a run is spread over, within those bounds.
        time_budget_ns: counted from the first block; no new block starts after this.
        seed: seed of the random gaps.
    """

    looks: tuple[int, ...]
    aimed_samples: int
    warmup_calls: int = 30
    block_calls: int = 10
    settling_calls: int = 2
    least_span_ns: int = 10 * NS_PER_S
    most_span_ns: int = 40 * NS_PER_S
    spread: float = 20.0
    time_budget_ns: int = 180 * NS_PER_S
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.looks or list(self.looks) != sorted(set(self.looks)) or self.looks[0] < 1:
            raise SampleError(f"looks must be ascending positive sample counts, got {self.looks}")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not value >= least:
                raise SampleError(f"{name} must be at least {least}, got {value!r}")

    @property
    def judged_looks(self) -> int:
        """How many times the data may be looked at: the planned looks, and one when time runs out."""
        return len(self.looks) + 1

    def gap_ns(self, call_ns: int) -> int:
        """Mean gap between blocks that spreads ``aimed_samples`` over the planned span.

        Args:
            call_ns: typical latency of one call, in nanoseconds.
        """
        if self.least_span_ns == 0:
            return 0
        blocks = math.ceil(self.aimed_samples / self.block_calls)
        contiguous_ns = call_ns * (self.block_calls + self.settling_calls) * blocks
        most_ns = max(self.least_span_ns, self.most_span_ns)
        span_ns = min(max(self.least_span_ns, round(contiguous_ns * self.spread)), most_ns)
        return max(0, span_ns - contiguous_ns) // max(1, blocks - 1)
