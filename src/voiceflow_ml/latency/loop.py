"""Driving measurements: one alone, several in turns, or two versions against each other.

Why blocks and gaps: samples taken back to back share whatever the machine does at that moment, so a
contiguous run judges a moment and not a service. Gaps are random because a fixed stride can fall into step
with periodic work on the machine. Where several measurements take turns, the gaps of one are the blocks of
another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from voiceflow_ml.latency.clock import Clock, SystemClock
from voiceflow_ml.latency.counters import Counters
from voiceflow_ml.latency.plan import SamplingPlan
from voiceflow_ml.latency.recorder import Call
from voiceflow_ml.latency.run import Run
from voiceflow_ml.latency.sampler import Decided, Instruments, Sampler, Watch, never_decided, nobody_watches


def measure(
    call: Call,
    plan: SamplingPlan,
    *,
    clock: Clock | None = None,
    counters: Counters | None = None,
    control: Call | None = None,
    decided: Decided = never_decided,
    watch: Watch = nobody_watches,
    cold_calls: Mapping[str, Call] | None = None,
) -> Run:
    """Measure a call as planned; the garbage collector is off inside blocks and on between them.

    Args:
        call: what is timed; takes nothing, and has done its work when it returns.
        plan: how many samples, in which blocks, over which span.
        clock: the clock; the machine's own by default.
        counters: the scheduler's counters of this thread, read between samples; None to leave them alone.
        control: a fixed piece of work that is timed after each block; None for none.
        decided: asked at each planned look with the samples so far; a true answer ends the run.
        watch: told of the progress after each block, outside of every timed region.
        cold_calls: further first calls to time before the warm-up, by what their inputs are.

    Returns:
        The run. It has no fewer samples than one block, whatever the time budget.

    Raises:
        Exception: whatever ``call`` raises, unchanged.
    """
    instruments = Instruments(clock or SystemClock(), counters, control)
    sampler = Sampler(call, plan, instruments, decided=decided, watch=watch, cold_calls=cold_calls)
    sampler.begin()
    take_turns([sampler], instruments.clock)
    return sampler.run()


def take_turns(
    samplers: Sequence[Sampler], clock: Clock, *, failed: Callable[[Sampler, Exception], None] | None = None
) -> None:
    """Take blocks of several measurements in turns, until each is finished.

    The next block is that of the measurement which is due first. Only when none is due is there a sleep.

    Args:
        samplers: measurements that have begun.
        clock: the clock that they share.
        failed: told of a measurement whose call raised, which ends it alone; without it the error is raised.
    """
    running = [sampler for sampler in samplers if not sampler.finished]
    while running:
        sampler = min(running, key=lambda one: one.due_ns)
        # Of a clock that was put back the next block would be due for ever.
        clock.sleep_ns(min(sampler.due_ns - clock.now_ns(), sampler.longest_wait_ns))
        try:
            sampler.block()
        except Exception as error:
            if failed is None:
                raise
            failed(sampler, error)
            running.remove(sampler)
            continue
        if sampler.finished:
            running.remove(sampler)


def measure_pair(
    baseline: Call,
    candidate: Call,
    plan: SamplingPlan,
    *,
    clock: Clock | None = None,
    counters: Counters | None = None,
    watch: Watch = nobody_watches,
) -> tuple[Run, Run]:
    """Measure two versions side by side: pairs of blocks, the order within each pair drawn anew.

    Whatever the machine does then hits both alike. Compare their samples with
    :func:`voiceflow_ml.latency.compare`.

    Args:
        baseline: the version that is known.
        candidate: the version that is asked about.
        plan: for each of the two; all of its samples are taken, unless time runs out, which ends both.
        clock: the clock; the machine's own by default.
        counters: the scheduler's counters of this thread; None to leave them alone.
        watch: told of the candidate's progress.

    Returns:
        The runs of baseline and candidate, of equal length.
    """
    instruments = Instruments(clock or SystemClock(), counters)
    first = Sampler(baseline, plan, instruments)
    second = Sampler(candidate, plan, instruments, watch=watch)
    for sampler in (first, second):
        sampler.begin()
    order = random.Random(plan.seed)  # noqa: S311 - the order must be balanced, not secret # nosec B311
    while not first.finished and not second.finished:
        pair = [first, second]
        order.shuffle(pair)
        later = max(pair, key=lambda one: one.due_ns)
        instruments.clock.sleep_ns(min(later.due_ns - instruments.clock.now_ns(), later.longest_wait_ns))
        for sampler in pair:
            sampler.block()
    # Out of samples they are at once; out of time, one may be a block before the other.
    first.stopped_by, second.stopped_by = (one.stopped_by or "time" for one in (first, second))
    return first.run(), second.run()
