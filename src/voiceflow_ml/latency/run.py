"""What one measurement produced: the raw samples in arrival order, and how they were taken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency.channels import Channels, own_threads_problem, take_off_wait
from voiceflow_ml.latency.plan import Mode
from voiceflow_ml.latency.quantiles import as_samples_ns


@dataclass(frozen=True)
class ColdStart:
    """The first call with inputs of one shape; reported, never judged."""

    inputs: str
    duration_ns: int


@dataclass(frozen=True)
class WarmUp:
    """The discarded calls between the cold start and the first block.

    Attributes:
        pilot_ns: their durations, in order.
        steady: whether a steady state was seen before they ended.
        first_steady: how many of them came before it; 0 when none did, or none was seen.
    """

    pilot_ns: tuple[int, ...] = ()
    steady: bool = True
    first_steady: int = 0


@dataclass(frozen=True, eq=False)
class SchedulerRecord:
    """What the scheduler said of each sample and each block.

    Attributes:
        source: how the run delay is known.
        run_delay_ns: wait of the thread for a CPU in each sample, int64, shape ``[n]``; at most the sample.
        thread_time_ns: CPU time of the thread in each sample, int64, shape ``[n]``.
        cpu_wait_ns: wait of any task of the machine during each block, int64, shape ``[blocks]``; None where
            the system does not say.
        process_total_ns: CPU time of the process in all blocks.
        thread_total_ns: CPU time of the measuring thread in all blocks.
    """

    source: str
    run_delay_ns: NDArray[np.int64]
    thread_time_ns: NDArray[np.int64]
    cpu_wait_ns: NDArray[np.int64] | None
    process_total_ns: int
    thread_total_ns: int


@dataclass(frozen=True, eq=False)
class Run:
    """The raw record of one measurement. Built by :func:`voiceflow_ml.latency.measure`, never edited.

    Attributes:
        samples_ns: kept latencies, int64, shape ``[n]``, in arrival order; read-only.
        cold_starts: first call of each input shape, the measured one first.
        warmup: the discarded calls after them.
        settling_calls: calls discarded at the start of blocks (cold caches after a gap).
        block_calls: samples of each block.
        block_starts_ns: start of each block after that of the first, int64, shape ``[blocks]``.
        block_durations_ns: duration of each block, settling calls included, int64, shape ``[blocks]``.
        control_ns: duration of the control workload after each block, int64, shape ``[blocks]``; None without.
        scheduler: the scheduler's counts; None when they were not read.
        late_calls: calls that could not begin at their scheduled time.
        span_ns: from the start of the first kept block to the end of the last.
        stopped_by: ``"decided"``, ``"samples"`` or ``"time"``.
        mode: when the calls were made.
        interval_ns: of a paced or open-loop run; else 0.
        seed: seed of the random gaps or arrivals.
    """

    samples_ns: NDArray[np.int64]
    cold_starts: tuple[ColdStart, ...]
    warmup: WarmUp
    settling_calls: int
    block_calls: int
    block_starts_ns: NDArray[np.int64]
    block_durations_ns: NDArray[np.int64]
    control_ns: NDArray[np.int64] | None
    scheduler: SchedulerRecord | None
    late_calls: int
    span_ns: int
    stopped_by: str
    mode: Mode
    interval_ns: int
    seed: int

    def __post_init__(self) -> None:
        # A view: the samples of a long run are not copied.
        samples_ns = as_samples_ns(self.samples_ns).view()
        samples_ns.setflags(write=False)
        object.__setattr__(self, "samples_ns", samples_ns)

    @cached_property
    def channels(self) -> Channels:
        """Both readings of the samples; the adjusted one only where it counts."""
        return channels_of(self.samples_ns, self.scheduler, self.mode)


def channels_of(samples_ns: NDArray[np.int64], scheduler: SchedulerRecord | None, mode: Mode) -> Channels:
    """Join samples and scheduler counts into both readings, or say why the adjusted one does not count.

    Args:
        samples_ns: int64, shape ``[n]``.
        scheduler: counts of the same samples; None when they were not read.
        mode: when the calls were made.
    """
    problem = _problem(scheduler, mode)
    if scheduler is None or problem:
        return Channels(samples_ns, None, problem)
    adjusted_ns = take_off_wait(samples_ns, scheduler.run_delay_ns, scheduler.thread_time_ns)
    return Channels(samples_ns, adjusted_ns, "")


def _problem(scheduler: SchedulerRecord | None, mode: Mode) -> str:
    if scheduler is None:
        return "the scheduler's counters were not read"
    if scheduler.source == "none":
        return "this system does not count how long a thread waits for a CPU"
    if mode is Mode.OPEN_LOOP:
        return "an open-loop latency includes waiting behind earlier requests, which is not the scheduler's doing"
    return own_threads_problem(scheduler.process_total_ns, scheduler.thread_total_ns)
