"""How a measurement is to be taken, decided before the first sample."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.quantiles import check_fraction
from voiceflow_ml.units import NS_PER_S


class Mode(StrEnum):
    """When the calls of a measurement are made."""

    STEADY = "steady"
    """Short blocks with random gaps, spread in time: judges the service. The default."""
    BACK_TO_BACK = "back-to-back"
    """One call after the other, as fast as they go: judges a moment (MLPerf: SingleStream)."""
    PACED = "paced"
    """One call at each fixed interval, with idle time between: what a stream's hop feels like."""
    OPEN_LOOP = "open-loop"
    """Poisson arrivals that do not wait for answers; latency from the intended send time (MLPerf: Server)."""

    @property
    def has_schedule(self) -> bool:
        """Whether calls are due at given times."""
        return self in (Mode.PACED, Mode.OPEN_LOOP)


BREACH_TAIL_SAMPLES = 5
"""Samples expected beyond the quantile before BREACHED may be said."""
MET_TAIL_SAMPLES = 20
"""Samples expected beyond the quantile before MET may be said."""
BUDGET_TAIL_SAMPLES = 100
"""Samples expected beyond the quantile when the sample budget is spent."""
FEWEST_SAMPLES = 300
FEWEST_BUDGET = 2_000
SPREAD = 20
"""A run is spread over this many times its contiguous length,"""
LEAST_SPAN_NS = 10 * NS_PER_S
"""but no less than this,"""
MOST_SPAN_NS = 100 * NS_PER_S
"""and spreading stretches it no further than this: a slow model takes as long as it takes."""
LOOK_GROWTH = 1.3
"""Each look comes after this many times the samples of the one before."""


def fewest_for_breached(quantile: float) -> int:
    """Samples before a quantile may be said to be over its limit: 500 for a P99, never below 300.

    For a quantile below one half the rare event is a sample under the limit, so its absence is what has to be
    shown, which takes more.
    """
    return _fewest(BREACH_TAIL_SAMPLES if quantile >= 0.5 else MET_TAIL_SAMPLES, quantile)


def fewest_for_met(quantile: float) -> int:
    """Samples before a quantile may be said to be within its limit: 2 000 for a P99, never below 300."""
    return _fewest(MET_TAIL_SAMPLES if quantile >= 0.5 else BREACH_TAIL_SAMPLES, quantile)


def _fewest(tail_samples: int, quantile: float) -> int:
    return max(FEWEST_SAMPLES, round(tail_samples / min(quantile, 1 - quantile)))


def sample_budget(quantile: float) -> int:
    """Samples after which a verdict stays INCONCLUSIVE: 10 000 for a P99, never below 2 000."""
    return max(FEWEST_BUDGET, round(BUDGET_TAIL_SAMPLES / min(quantile, 1 - quantile)))


def planned_looks(quantiles: Iterable[float]) -> tuple[int, ...]:
    """Sample counts at which all verdicts of a run are looked at, ascending: from the fewest on, every x 1.3.

    The verdict is valid whenever one looks. Looking at each block would only cost time.

    Args:
        quantiles: the quantiles judged on this run, at least one, each in (0, 1).
    """
    fractions = [check_fraction(quantile, "quantile") for quantile in quantiles]
    if not fractions:
        raise SampleError("a run needs at least one quantile to be judged")
    counts = {count for q in fractions for count in (fewest_for_breached(q), fewest_for_met(q))}
    budget = max(sample_budget(q) for q in fractions)
    look = float(min(counts))
    while look < budget:
        counts.add(round(look))
        look *= LOOK_GROWTH
    return tuple(sorted(counts | {budget}))


_LEAST = {
    "aimed_samples": 1,
    "pilot_calls": 1,
    "block_calls": 1,
    "settling_calls": 0,
    "time_budget_ns": 0,
    "interval_ns": 0,
}


@dataclass(frozen=True)
class SamplingPlan:
    """The frozen plan of one measurement; a value out of range raises :class:`SampleError`.

    Attributes:
        looks: sample counts at which the verdicts are looked at, ascending; the last is the sample budget.
        aimed_samples: the count at which a run within its limits ends; the span is laid out for it.
        mode: when calls are made.
        interval_ns: paced: time from one call to the next; open-loop: mean time between arrivals.
        pilot_calls: most calls spent on finding the steady state; they are never judged.
        block_calls: calls that are kept in each block.
        settling_calls: calls discarded at the start of each block, when caches are cold after a gap.
        span_ns: the run is spread over this long, by random gaps between blocks; 0 leaves no gaps at all, None
            is :data:`SPREAD` times its contiguous length, from 10 to 100 s.
        time_budget_ns: warm-up and blocks together; no new block starts after this.
        seed: seed of the random gaps and arrivals.
    """

    looks: tuple[int, ...]
    aimed_samples: int
    mode: Mode = Mode.STEADY
    interval_ns: int = 0
    pilot_calls: int = 400
    block_calls: int = 10
    settling_calls: int = 2
    span_ns: int | None = None
    time_budget_ns: int = 300 * NS_PER_S
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.looks or list(self.looks) != sorted(set(self.looks)) or self.looks[0] < 1:
            raise SampleError(f"looks must be ascending positive sample counts, got {self.looks}")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not value >= least:
                raise SampleError(f"{name} must be at least {least}, got {value!r}")
        if self.span_ns is not None and self.span_ns < 0:
            raise SampleError(f"span_ns must be at least 0, got {self.span_ns}")
        if self.mode.has_schedule != (self.interval_ns > 0):
            needs = "needs an interval of more than nothing" if self.mode.has_schedule else "takes no interval"
            raise SampleError(f"mode {self.mode} {needs}, got interval_ns = {self.interval_ns}")

    @property
    def is_contiguous(self) -> bool:
        """Whether all samples are taken back to back, asked for by the mode or by a span of nothing."""
        return self.mode is Mode.BACK_TO_BACK or (self.mode is Mode.STEADY and self.span_ns == 0)

    @property
    def can_take_turns(self) -> bool:
        """Whether there are gaps that blocks of other measurements may fill."""
        return self.mode is Mode.STEADY and not self.is_contiguous

    @property
    def settling(self) -> int:
        """Settling calls of each block: none where idle time is what is asked for, or where there are no gaps."""
        return self.settling_calls if self.can_take_turns else 0

    def gap_ns(self, call_ns: int) -> int:
        """Mean gap between blocks that spreads ``aimed_samples`` over the planned span.

        Args:
            call_ns: typical latency of one call, in nanoseconds.
        """
        if not self.can_take_turns:
            return 0
        blocks = math.ceil(self.aimed_samples / self.block_calls)
        contiguous_ns = call_ns * (self.block_calls + self.settling_calls) * blocks
        span_ns = (
            min(max(LEAST_SPAN_NS, contiguous_ns * SPREAD), MOST_SPAN_NS) if self.span_ns is None else self.span_ns
        )
        return max(0, span_ns - contiguous_ns) // max(1, blocks - 1)
