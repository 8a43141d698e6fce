"""What the measuring loop allocates: in the timed region, and in a whole measurement."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from statistics import median

from benchmarks.harness.loop_cost import Cost, bare_samples, loop_run, nothing
from voiceflow_ml.latency import Counters, SystemClock, judge
from voiceflow_ml.latency.recorder import Recorder

_PROBED = 200
_COUNTED = 10_000


class PeakClock:
    """A clock that moves by bytes: by how far the memory in use rose above where it stood at the reading before.

    What is allocated and freed again between two readings counts too. Tracing must be on.
    """

    def __init__(self) -> None:
        self._bytes = 0
        self._base = 0
        self.now_ns: Callable[[], int] = self._read

    def _read(self) -> int:
        self._bytes += tracemalloc.get_traced_memory()[1] - self._base
        tracemalloc.reset_peak()
        self._base = tracemalloc.get_traced_memory()[0]
        return self._bytes

    def sleep_ns(self, duration_ns: int) -> None:
        """Not needed here."""

    def wait_until_ns(self, time_ns: int) -> None:
        """Not needed here."""


def allocated_bytes(call: Callable[[], object], *, bare: bool) -> list[int]:
    """Bytes by which memory rose in each timed region of 200, ours or that of a bare clock pair.

    The readings themselves allocate, since a clock's reading is an object: the same in both.
    """
    clock = PeakClock()
    recorder = Recorder(call, clock, None, capacity=_PROBED, blocks=1)
    tracemalloc.start()
    try:
        if bare:
            return bare_samples(call, _PROBED, clock.now_ns)
        recorder.closed_block(_PROBED, 0)
    finally:
        tracemalloc.stop()
    taken: list[int] = recorder.samples_ns.tolist()
    return taken


def allocation_cost() -> Cost:
    """What the loop allocates in the timed region beyond the two clock readings."""
    ours, bare = (sorted(allocated_bytes(nothing, bare=bare)) for bare in (False, True))
    seen = median(allocated_bytes(lambda: bytes(1_000), bare=False)) - median(ours)
    detail = (
        f"median of {_PROBED} peaks: ours {median(ours):.0f}, bare pair {median(bare):.0f}, the readings' own objects; "
        f"a call that makes 1 000 bytes and drops them shows as {seen:.0f}"
    )
    return Cost("allocated in the timed region beyond the readings", median(ours) - median(bare), 0, "bytes", detail)


def kept_blocks_cost(counters: Counters) -> Cost:
    """Memory blocks that one block of ten thousand samples leaves behind, by the interpreter's own count.

    The clock's readings are objects too, and each lives until the next one takes its name: a few at the end.
    """
    left = {}
    for name, source in (("clock only", None), ("counters read", counters)):
        recorder = Recorder(nothing, SystemClock(), source, capacity=2 * _COUNTED, blocks=2)
        recorder.closed_block(_COUNTED, 0)
        before = sys.getallocatedblocks()
        recorder.closed_block(_COUNTED, 0)
        left[name] = sys.getallocatedblocks() - before
    detail = ", ".join(f"{name} {blocks}" for name, blocks in left.items()) + f", after {_COUNTED} samples"
    return Cost("memory blocks left behind for each sample", max(left.values()) / _COUNTED, 0.01, "blocks", detail)


def memory_costs(counters: Counters) -> list[Cost]:
    """Peak memory of a whole measurement, for each sample."""
    costs = []
    for name, source in (("clock only", None), ("counters read", counters)):
        for samples in (10_000, 100_000):
            held, peak = run_bytes(samples, source, judged=False)
            _, both = run_bytes(samples, source, judged=True)
            detail = f"peak of measure(), {held / samples:.1f} are kept; {both / samples:.1f} when then judged"
            costs.append(Cost(f"memory per sample, {samples} samples, {name}", peak / samples, 40, "bytes", detail))
    return costs


def run_bytes(samples: int, counters: Counters | None, *, judged: bool) -> tuple[int, int]:
    """Memory kept after a run of so many samples, and the most at any time; judged on all of its clocks or not."""
    tracemalloc.start()
    try:
        run = loop_run(nothing, samples, counters)
        if judged:
            judge(run.channels.wall_ns, limit_ns=1_000, quantile=0.99, adjusted_ns=run.channels.adjusted_ns)
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
