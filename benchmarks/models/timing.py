"""Latency of several networks in one run, in blocks of random order, and the peak of the core.

Each call is read on two clocks: the wall's, and the CPU time of the calling thread, which computes alone here. On a
machine with other work the second says what a quiet core would take, and ratios and shares of the peak rest on it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns, thread_time_ns

import numpy as np
from numpy.typing import NDArray

from benchmarks.models.nets import Net
from voiceflow_ml.inference.cpu_peaks import measured_peaks
from voiceflow_ml.inference.graph_work import graph_work
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.latency import compare, percentile

BLOCK_CALLS = 10
_WARM_UP_CALLS = 20
_SLOW_FLOPS = 20e9
"""A network of more takes part in every tenth round only."""
_SLOW_EVERY = 10


@dataclass(frozen=True)
class Arm:
    """One of several calls that are timed in turns.

    Attributes:
        name: Of what is called.
        call: The call.
        every: Takes part in every so many rounds.
    """

    name: str
    call: Callable[[], object]
    every: int = 1


@dataclass(frozen=True)
class Samples:
    """Nanoseconds of each call, on both clocks."""

    cpu_ns: list[int] = field(default_factory=list)
    wall_ns: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Ratio:
    """A quantile of one network over the same of the first one, with its 99 % interval where samples allow one."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class NetRow:
    """One network.

    Attributes:
        name: As printed.
        note: What must be known about it, or why there are no numbers.
        parameters: How many are learnt.
        size_bytes: Of the ONNX file.
        flops: Operations of one inference.
        samples: Timed calls; 0 where it is not to be had.
        median_ns: CPU time of one inference.
        p99_ns: Likewise.
        wall_median_ns: By the wall clock.
        wall_p99_ns: Likewise.
        times_median: Its median over the first network's.
        times_p99: Likewise of the P99.
        peak_share: Its operations a second, at the median, over the core's peak.
    """

    name: str
    note: str
    parameters: int = 0
    size_bytes: int = 0
    flops: int = 0
    samples: int = 0
    median_ns: int = 0
    p99_ns: int = 0
    wall_median_ns: int = 0
    wall_p99_ns: int = 0
    times_median: Ratio | None = None
    times_p99: Ratio | None = None
    peak_share: float = 0.0


@dataclass(frozen=True)
class Timing:
    """All networks, ours first, and the peak of the core: the fastest of a dozen float32 products."""

    rows: list[NetRow]
    peak_flops_per_s: float


def time_nets(nets: Sequence[Net], audio: NDArray[np.float32], *, rounds: int) -> Timing:
    """Time them on the same audio, one thread each.

    Args:
        nets: The one that the others are held against first.
        audio: float32 ``[1, samples]``.
        rounds: Blocks of each; of a large one a tenth.
    """
    arms: list[Arm] = []
    flops: dict[str, int] = {}
    for net in nets:
        if net.path is not None:
            model = open_onnx(net.path, threads=1)
            work = graph_work(net.path, {model.inputs[0].name: audio})
            flops[net.name] = work.total_flops if work is not None else 0
            arms.append(Arm(net.name, model.bind(audio), _SLOW_EVERY if flops[net.name] > _SLOW_FLOPS else 1))
    for arm in arms:
        for _ in range(_WARM_UP_CALLS // arm.every):
            arm.call()
    taken = interleaved(arms, rounds)
    peak = measured_peaks(1).flops_per_s["fp32"]
    return Timing([row_of(net, taken, nets[0].name, flops.get(net.name, 0), peak) for net in nets], peak)


def interleaved(
    arms: Sequence[Arm],
    rounds: int,
    *,
    wall_ns: Callable[[], int] = perf_counter_ns,
    cpu_ns: Callable[[], int] = thread_time_ns,
) -> dict[str, Samples]:
    """Take blocks of ten calls of each in rounds of random order.

    Args:
        arms: What is called; before each block once without timing, because the caches are another's.
        rounds: How many.
        wall_ns: The wall clock.
        cpu_ns: The CPU time of this thread.

    Returns:
        Name -> what each call took.
    """
    order = random.Random(0)  # noqa: S311 - the order needs to be irregular, not secret
    taken = {arm.name: Samples() for arm in arms}
    for number in range(rounds):
        for arm in order.sample(arms, len(arms)):
            if number % arm.every:
                continue
            call, samples = arm.call, taken[arm.name]
            call()
            for _ in range(BLOCK_CALLS):
                start_ns, start_cpu_ns = wall_ns(), cpu_ns()
                call()
                end_cpu_ns, end_ns = cpu_ns(), wall_ns()
                samples.cpu_ns.append(end_cpu_ns - start_cpu_ns)
                samples.wall_ns.append(end_ns - start_ns)
    return taken


def row_of(net: Net, taken: Mapping[str, Samples], first: str, flops: int, peak: float) -> NetRow:
    """Sum one network up.

    Args:
        net: The network.
        taken: What the calls of all took.
        first: Name of the one that it is held against.
        flops: Operations of one inference.
        peak: Operations a second that the core reached.
    """
    samples = taken.get(net.name)
    if net.path is None or samples is None:
        return NetRow(net.name, net.note)
    median_ns = percentile(samples.cpu_ns, 0.5)
    return NetRow(
        name=net.name,
        note=net.note,
        parameters=net.parameters,
        size_bytes=net.path.stat().st_size,
        flops=flops,
        samples=len(samples.cpu_ns),
        median_ns=median_ns,
        p99_ns=percentile(samples.cpu_ns, 0.99),
        wall_median_ns=percentile(samples.wall_ns, 0.5),
        wall_p99_ns=percentile(samples.wall_ns, 0.99),
        times_median=ratio_of(samples.cpu_ns, taken[first].cpu_ns, 0.5),
        times_p99=ratio_of(samples.cpu_ns, taken[first].cpu_ns, 0.99),
        peak_share=flops / (median_ns / 1e9) / peak,
    )


def ratio_of(samples_ns: Sequence[int], first_ns: Sequence[int], quantile: float) -> Ratio:
    """How many times the first one's quantile this one's is."""
    found = compare(first_ns, samples_ns, quantile=quantile, tolerance=0.0)
    if found.ratio is None:
        return Ratio(found.candidate_ns / found.baseline_ns, None, None)
    return Ratio(found.ratio, found.ratio_low, found.ratio_high)
