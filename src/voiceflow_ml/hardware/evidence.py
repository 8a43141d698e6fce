"""What the facts of a measurement say about it, as values: each a severity, a fact and a remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voiceflow_ml.units import NS_PER_S, format_ns


class Severity(StrEnum):
    """How much a finding weighs. ``INVALID`` overrules every verdict of its run."""

    INFORMATION = "information"
    CAUTION = "caution"
    INVALID = "invalid"


@dataclass(frozen=True)
class Finding:
    """One fact about a measurement that a reader must know.

    Attributes:
        severity: how much it weighs.
        fact: what is so, in one sentence without a full stop.
        remedy: what to do about it; empty when nothing needs doing.
    """

    severity: Severity
    fact: str
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """The fact and, if there is one, the remedy."""
        return f"{self.fact}; {self.remedy}" if self.remedy else self.fact


CPU_WAIT_CAUTION = 0.05
"""Share of a measurement with a task waiting for a CPU above which the caller is told."""
SHORT_SPAN_NS = 9 * NS_PER_S
"""A little under the default span of 10 s, whose random gaps may add up to somewhat less."""
FEWEST_CLOCK_STEPS = 20
"""A latency of fewer clock steps than this is quantised too coarsely to compare with a limit."""


def cpu_wait_finding(wait_ns: int | None, elapsed_ns: int) -> Finding:
    """Judge how long tasks waited for a CPU while a run was taken.

    Args:
        wait_ns: growth of the kernel's pressure counter over the measurement; None where there is none.
        elapsed_ns: how long the measurement took, warm-up included.
    """
    if wait_ns is None or elapsed_ns <= 0:
        return Finding(Severity.INFORMATION, "how long tasks waited for a CPU is unknown on this system")
    share = min(1.0, wait_ns / elapsed_ns)
    fact = f"some task waited for a CPU during {share:.1%} of the measurement"
    if share > CPU_WAIT_CAUTION:
        return Finding(Severity.CAUTION, fact, "a quieter machine would give shorter tails")
    return Finding(Severity.INFORMATION, fact)


def timer_finding(step_ns: int, median_ns: int) -> Finding | None:
    """Say so when the clock's step is too coarse for the latency; None when it is fine.

    Args:
        step_ns: smallest observed step of the clock.
        median_ns: median latency of the run.
    """
    if median_ns >= step_ns * FEWEST_CLOCK_STEPS:
        return None
    fact = f"two reads of the clock are at least {step_ns} ns apart, too coarse for a median latency of {median_ns} ns"
    return Finding(Severity.INVALID, fact, f"time work that takes at least {step_ns * FEWEST_CLOCK_STEPS} ns")


def span_finding(span_ns: int) -> Finding | None:
    """Say so when a run is too short to cover any interference but the fastest; None when it is not."""
    if span_ns >= SHORT_SPAN_NS:
        return None
    fact = f"the samples span only {format_ns(span_ns)}"
    return Finding(Severity.CAUTION, fact, "spread them over at least 10 s (--sla-span=10s)")


def hash_finding(declared_sha256: str, actual_sha256: str) -> Finding | None:
    """Say so when the model file is not the declared one; None when it is, or when none was declared."""
    if not declared_sha256 or declared_sha256.lower() == actual_sha256:
        return None
    fact = f"the model file's SHA-256 is {actual_sha256[:12]}..., declared is {declared_sha256[:12]}..."
    return Finding(Severity.INVALID, fact, "restore the declared file, or declare the new one")
