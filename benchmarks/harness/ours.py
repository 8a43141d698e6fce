"""Our measuring loop as one harness among the others, and the bare clock pair that all are held against."""

from __future__ import annotations

from time import perf_counter_ns

from benchmarks.harness.reading import P50, P99, Reading, Request
from voiceflow_ml.hardware.control import ControlWorkload
from voiceflow_ml.hardware.scheduler import SchedulerCounters
from voiceflow_ml.latency import Mode, SamplingPlan, measure, percentile
from voiceflow_ml.units import NS_PER_S

WARM_UP_CALLS = 50
"""Calls before the first sample, for whatever does not warm up by itself."""


def bare_pair(request: Request) -> Reading:
    """Two clock readings around the call, by hand: what the others are held against."""
    call, samples_ns = request.subject.call, [0] * request.samples
    for _ in range(WARM_UP_CALLS):
        call()
    for slot in range(request.samples):
        start_ns = perf_counter_ns()
        call()
        end_ns = perf_counter_ns()
        samples_ns[slot] = end_ns - start_ns
    return _nearest_rank(samples_ns)


_ROUND_SPAN_NS = 2 * NS_PER_S
"""About 20 times the contiguous length of a round, as by default, but without the least span of 10 s."""


def contiguous(request: Request) -> Reading:
    """Our loop, one call after the other, and nothing read but the clock."""
    run = measure(request.subject.call, _plan(request, Mode.BACK_TO_BACK))
    return _nearest_rank(run.samples_ns.tolist())


def contiguous_counted(request: Request) -> Reading:
    """Our loop, one call after the other, the scheduler's counters read between the calls."""
    with SchedulerCounters() as counters:
        run = measure(request.subject.call, _plan(request, Mode.BACK_TO_BACK), counters=counters)
    return _nearest_rank(run.samples_ns.tolist())


def spread(request: Request) -> Reading:
    """Our loop as the plugin runs it: blocks of ten after two settling calls, random gaps, counters and control."""
    control = ControlWorkload()
    with SchedulerCounters() as counters:
        run = measure(request.subject.call, _plan(request, Mode.STEADY), counters=counters, control=control)
    return _nearest_rank(run.samples_ns.tolist())


def _nearest_rank(samples_ns: list[int]) -> Reading:
    return Reading(len(samples_ns), percentile(samples_ns, P50), percentile(samples_ns, P99), samples_ns)


def _plan(request: Request, mode: Mode) -> SamplingPlan:
    return SamplingPlan(looks=(request.samples,), aimed_samples=request.samples, mode=mode, span_ns=_ROUND_SPAN_NS)
