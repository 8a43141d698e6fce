"""The measuring loop: warm-up, then short blocks with random gaps until every verdict is decided.

Why blocks and gaps: samples taken back to back share whatever the machine does at that moment, so a
contiguous run judges a moment and not a service. Gaps are random because a fixed stride can fall into step
with periodic work on the machine.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency.clock import Clock, SystemClock
from voiceflow_ml.latency.plan import SamplingPlan
from voiceflow_ml.latency.run import Run

Call = Callable[[], object]


@dataclass(frozen=True)
class Progress:
    """What a watcher is told after each block."""

    samples: int
    next_look: int
    budget: int
    elapsed_ns: int
    time_budget_ns: int
    latest: NDArray[np.int64]


def _never_decided(_samples_ns: NDArray[np.int64]) -> bool:
    return False


def _nobody_watches(_progress: Progress) -> None:
    pass


def measure(
    call: Call,
    plan: SamplingPlan,
    *,
    clock: Clock | None = None,
    decided: Callable[[NDArray[np.int64]], bool] = _never_decided,
    watch: Callable[[Progress], None] = _nobody_watches,
) -> Run:
    """Measure a call as planned; the garbage collector is off inside blocks and on between them.

    Args:
        call: what is timed; takes nothing, and has done its work when it returns.
        plan: how many samples, in which blocks, over which span.
        clock: the clock; the machine's own by default.
        decided: asked at each planned look with the samples so far, int64 ns, shape ``[n]``; a true answer
            ends the run.
        watch: told of the progress after each block, outside of every timed region.

    Returns:
        The run. It has no fewer samples than one block, whatever the time budget.

    Raises:
        Exception: whatever ``call`` raises, unchanged.
    """
    clock = clock or SystemClock()
    # Room for the block that passes the last look, and nothing is allocated while timing.
    samples_ns: NDArray[np.int64] = np.zeros(plan.looks[-1] + plan.block_calls, dtype=np.int64)
    cold_start_ns, warmup_ns = _warm_up(call, plan, clock)
    gaps = _Gaps(plan, call_ns=_median(warmup_ns) if warmup_ns else cold_start_ns)
    taken, blocks, next_look = 0, 0, plan.looks[0]
    start_ns = end_ns = clock.now_ns()
    while True:
        _block(call, plan, clock, samples_ns, taken)
        taken, blocks, end_ns = taken + plan.block_calls, blocks + 1, clock.now_ns()
        watch(Progress(taken, next_look, plan.looks[-1], end_ns - start_ns, plan.time_budget_ns, samples_ns[:taken]))
        if taken >= next_look:
            stopped_by = _ended_by_look(plan, taken, is_decided=decided(samples_ns[:taken]))
            if stopped_by:
                break
            # One block may pass several looks: they are one look then.
            next_look = min(look for look in plan.looks if look > taken)
        gap_ns = gaps.next_ns()
        if end_ns + gap_ns - start_ns >= plan.time_budget_ns:
            stopped_by = "time"
            break
        clock.sleep_ns(gap_ns)
    return Run(
        samples_ns=samples_ns[:taken],
        cold_start_ns=cold_start_ns,
        warmup_ns=tuple(warmup_ns),
        settling_calls=blocks * plan.settling_calls,
        blocks=blocks,
        span_ns=end_ns - start_ns,
        stopped_by=stopped_by,
        seed=plan.seed,
    )


def _ended_by_look(plan: SamplingPlan, taken: int, *, is_decided: bool) -> str:
    """Why a run ends at a look, or nothing when it goes on."""
    if is_decided:
        return "decided"
    return "samples" if taken >= plan.looks[-1] else ""


class _Gaps:
    """Random gaps, uniform between half and one and a half times their mean."""

    def __init__(self, plan: SamplingPlan, *, call_ns: int) -> None:
        self._random = random.Random(plan.seed)  # noqa: S311 - gaps need to be irregular, not secret
        self._mean_ns = plan.gap_ns(call_ns)

    def next_ns(self) -> int:
        return round(self._mean_ns * self._random.uniform(0.5, 1.5))


def _warm_up(call: Call, plan: SamplingPlan, clock: Clock) -> tuple[int, list[int]]:
    """Time the cold start and the warm-up calls; both are kept and never judged."""
    now_ns = clock.now_ns
    durations_ns = []
    for _ in range(plan.warmup_calls + 1):
        start_ns = now_ns()
        call()
        durations_ns.append(now_ns() - start_ns)
    return durations_ns[0], durations_ns[1:]


def _block(call: Call, plan: SamplingPlan, clock: Clock, samples_ns: NDArray[np.int64], taken: int) -> None:
    """Time one block into ``samples_ns[taken:taken + block_calls]`` after its settling calls."""
    now_ns = clock.now_ns
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(plan.settling_calls):
            call()
        for slot in range(taken, taken + plan.block_calls):
            start_ns = now_ns()
            call()
            end_ns = now_ns()
            samples_ns[slot] = end_ns - start_ns
    finally:
        if collecting:
            gc.enable()


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]
