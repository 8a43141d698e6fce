"""What the facts of a measurement say about it, as values: each a severity, a fact and a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import SampleError
from voiceflow_ml.files import hash_file
from voiceflow_ml.latency.channels import own_threads_problem
from voiceflow_ml.latency.quantiles import Samples, percentile
from voiceflow_ml.units import NS_PER_S, format_count, format_ns


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


RUN_DELAY_CAUTION = 0.05
"""Share of the timed work in the run queue above which the neighbours are in the result."""
BLOCK_PRESSURE = 0.05
"""Share of a block with a task waiting for a CPU above which the block is marked."""
MARKED_CAUTION = 0.2
"""Share of marked blocks above which the run was taken on a contended machine."""
CONTROL_SPREAD = 1.5
"""P95 over median of the control workload above which the machine itself changed speed."""
SHORT_SPAN_NS = 9 * NS_PER_S
"""A little under the default span of 10 s, whose random gaps may add up to somewhat less."""
FEWEST_CLOCK_STEPS = 20
"""A latency of fewer clock steps than this is quantised too coarsely to compare with a limit."""


def invalid_reasons(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Why the samples are not about what was declared, one sentence each; nothing when they are."""
    return tuple(finding.sentence for finding in findings if finding.severity is Severity.INVALID)


def timer_finding(step_ns: int | None, median_ns: int) -> Finding | None:
    """Say so when the clock's step is too coarse for the latency; None when it is fine.

    Args:
        step_ns: smallest observed step of the clock; None when it took none.
        median_ns: median latency of the run.
    """
    if step_ns is None:
        return Finding(Severity.INVALID, "the monotonic clock stands still", "measure on a machine whose clock runs")
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


def swapped_finding(path: Path, opened_sha256: str) -> Finding | None:
    """Say so when a model file is not any more what it was when it was opened; None when it is.

    Args:
        path: the file.
        opened_sha256: of what the session was made from.
    """
    try:
        same = hash_file(path) == opened_sha256
    except OSError:
        same = False
    if same:
        return None
    fact = f"the model file {path.name} was replaced or removed while its session was measured"
    return Finding(Severity.INVALID, fact, "measure a file that nobody writes to")


def shapes_finding(
    names: Sequence[str], declared: Sequence[tuple[int, ...]], used: Sequence[tuple[int, ...]], where: str
) -> Finding | None:
    """Say so when a model was fed other shapes than were declared for it; None when they are the same.

    Args:
        names: of the inputs.
        declared: shape of each.
        used: shape of what was measured.
        where: where they are declared, for the message.
    """
    for name, wanted, given in zip(names, declared, used, strict=False):
        if tuple(wanted) != tuple(given):
            fact = f"input {name} was measured with the shape {list(given)}, {where} declares {list(wanted)}"
            return Finding(Severity.INVALID, fact, "measure what is declared, or declare what is measured")
    return None


def run_delay_finding(waited_ns: int | None, busy_ns: int) -> Finding:
    """Judge how much of the timed work the measuring thread spent in the run queue.

    Args:
        waited_ns: sum over the samples of the wait, each at most the sample's time off the CPU; None where the system
            does not say.
        busy_ns: sum of the samples.
    """
    if waited_ns is None or busy_ns <= 0:
        return Finding(Severity.INFORMATION, "how long the measuring thread waited for a CPU is unknown on this system")
    share = min(1.0, waited_ns / busy_ns)
    fact = f"the measuring thread stood in the run queue for {share:.1%} of the timed work"
    if share > RUN_DELAY_CAUTION:
        remedy = 'leave it a core of its own, or judge the clock without that wait (clock = "adjusted")'
        return Finding(Severity.CAUTION, fact, remedy)
    return Finding(Severity.INFORMATION, fact)


def marked_blocks(cpu_wait_ns: NDArray[np.int64], duration_ns: NDArray[np.int64]) -> int:
    """Count the blocks of which more than :data:`BLOCK_PRESSURE` went by with some task waiting for a CPU.

    Args:
        cpu_wait_ns: growth of the kernel's pressure counter over each block, shape ``[blocks]``; negative where it is
            not known, which marks no block.
        duration_ns: how long each block took, shape ``[blocks]``.

    Raises:
        SampleError: the two differ in shape.
    """
    if np.shape(cpu_wait_ns) != np.shape(duration_ns):
        shapes = f"{list(np.shape(cpu_wait_ns))} and {list(np.shape(duration_ns))}"
        raise SampleError(f"waits and durations of blocks have the shapes {shapes}: give one of each per block")
    return int(np.count_nonzero(np.asarray(cpu_wait_ns) > BLOCK_PRESSURE * np.asarray(duration_ns)))


def pressure_finding(marked: int, blocks: int) -> Finding:
    """Judge how many blocks were taken while tasks waited for a CPU.

    Args:
        marked: blocks that :func:`marked_blocks` counted.
        blocks: blocks whose pressure is known; 0 where the system does not say.
    """
    if blocks <= 0:
        return Finding(Severity.INFORMATION, "in which blocks tasks waited for a CPU is unknown on this system")
    fact = (
        f"in {format_count(marked)} of {format_count(blocks)} blocks some task waited for a CPU "
        f"for more than {BLOCK_PRESSURE:.0%} of the time"
    )
    if marked > MARKED_CAUTION * blocks:
        return Finding(Severity.CAUTION, fact, "a quieter machine would give shorter tails")
    return Finding(Severity.INFORMATION, fact)


def control_finding(control_ns: Samples) -> Finding | None:
    """Judge how steady the machine itself was; None when no control workload was timed.

    Args:
        control_ns: time of the control workload in each block, shape ``[blocks]``.

    Raises:
        SampleError: not whole nanoseconds, negative, or not one-dimensional.
    """
    if len(control_ns) == 0:
        return None
    median_ns, p95_ns = percentile(control_ns, 0.5), percentile(control_ns, 0.95)
    ratio = p95_ns / max(1, median_ns)
    took = f"median {format_ns(median_ns)}, P95 {format_ns(p95_ns)}"
    if ratio <= CONTROL_SPREAD:
        return Finding(Severity.INFORMATION, f"a fixed control workload varied by {ratio:.2f}x ({took})")
    fact = f"a fixed control workload varied by {ratio:.2f}x ({took}): the machine itself changed speed"
    return Finding(Severity.CAUTION, fact, "fix its clock frequency, or use a machine without neighbours")


def warmup_finding(steady: bool, calls: int) -> Finding | None:
    """Say so when the warm-up ended before a steady state was seen; None when it was seen.

    Args:
        steady: whether the latency had settled.
        calls: calls of the warm-up.
    """
    if steady:
        return None
    fact = f"the warm-up ended after {format_count(calls)} calls without a steady state"
    return Finding(Severity.CAUTION, fact, "the early samples may be slower than the service is once warm")


def threads_finding(process_time_ns: int, thread_time_ns: int) -> Finding | None:
    """Say so when other threads of the process did part of the work; None when they did not.

    Args:
        process_time_ns: CPU time of the process over the run.
        thread_time_ns: CPU time of the measuring thread over the run.
    """
    if not own_threads_problem(process_time_ns, thread_time_ns):
        return None
    fact = (
        f"worker threads of the process itself used the CPU ({format_ns(process_time_ns)} in all, "
        f"{format_ns(thread_time_ns)} of it on the measuring thread), so run-queue wait may be self-inflicted "
        "and the adjusted clock does not count"
    )
    return Finding(Severity.INFORMATION, fact)


def adjusted_clock_finding(problem: str) -> Finding:
    """Refuse a promise about the adjusted clock where that clock does not count.

    Args:
        problem: why it does not, as a clause without a full stop.
    """
    fact = f'the promise is about clock = "adjusted", which does not count here: {problem}'
    return Finding(Severity.INVALID, fact, 'declare clock = "wall", or give the model one thread (threads = 1)')


def contiguous_finding() -> Finding:
    """Say what samples without gaps between them are worth."""
    fact = "samples taken back to back judge one moment of the machine, not the service"
    return Finding(Severity.CAUTION, fact, 'spread them (mode = "steady")')
