"""The verdict: one percentile against one limit, as a record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voiceflow_ml.latency.quantiles import Interval


class Outcome(StrEnum):
    """The four verdicts. ``judge`` gives the first three; evidence about the hardware gives INVALID."""

    MET = "MET"
    BREACHED = "BREACHED"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


class Bound(StrEnum):
    """On which side of the limit the percentile must lie; on the limit is within it, either way."""

    UPPER = "upper"
    """At most the limit: a latency."""
    LOWER = "lower"
    """At least the limit: a throughput, such as items a minute in each block."""


class ClockChannel(StrEnum):
    """Which reading of a sample is judged."""

    WALL = "wall"
    """What a caller waits."""
    ADJUSTED = "adjusted"
    """The same, less the time that the thread stood in the scheduler's run queue."""


@dataclass(frozen=True)
class Verdict:
    """One percentile against one limit. Made by :func:`voiceflow_ml.latency.judge`.

    Attributes:
        outcome: MET, BREACHED or INCONCLUSIVE; INVALID when evidence overrules it.
        quantile: the quantile judged, 0 < quantile < 1.
        limit_ns: the limit; a sample exactly on it is on the right side.
        confidence: 1 - the largest chance of ever saying MET wrongly, and of ever saying BREACHED wrongly, for
            independent samples.
        samples: number of samples judged.
        exceedances: number of them on the wrong side of the limit.
        expected_exceedances: how many a quantile exactly on the limit gives on average.
        measured_ns: nearest-rank percentile of the samples.
        interval: where the percentile lies: the limits that these samples would leave open, by the same evidence as
            the verdict, so it never contradicts it. Each end holds with ``confidence``, at any time.
        log_e_met: log e-value for MET; enough from ln(1 / (1 - confidence)) on.
        log_e_breached: log e-value for BREACHED.
        design_effect_met: by how much dependence between samples weakens the evidence for MET; at least 1.
        design_effect_breached: the same for BREACHED.
        samples_needed: for INCONCLUSIVE, total samples that would decide at the present rate; None when no
            number up to a million would.
        sentence: the verdict in one sentence.
        clock: which reading of the samples was judged.
        adjusted: for two channels, what the adjusted one says by itself; else None.
    """

    outcome: Outcome
    quantile: float
    limit_ns: int
    confidence: float
    samples: int
    exceedances: int
    expected_exceedances: float
    measured_ns: int
    interval: Interval
    log_e_met: float
    log_e_breached: float
    design_effect_met: float
    design_effect_breached: float
    samples_needed: int | None
    sentence: str
    clock: ClockChannel = ClockChannel.WALL
    adjusted: Verdict | None = None


def statistic_name(quantile: float) -> str:
    """``0.99`` -> ``"P99"``, ``0.999`` -> ``"P99.9"``."""
    return f"P{round(quantile * 100, 6):g}"
