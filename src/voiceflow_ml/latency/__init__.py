"""The science: sampling loops, percentiles, verdicts. Pure; the clock is always an argument.

Nothing here knows pytest, ONNX or files, so anything that can be called can be judged::

    from voiceflow_ml.latency import judge
    verdict = judge(samples_ns, limit_ns=10_000_000, quantile=0.99)
    print(verdict.outcome, verdict.sentence)
"""

from __future__ import annotations

from voiceflow_ml.latency.channels import Channels
from voiceflow_ml.latency.clock import Clock, FakeClock, SystemClock
from voiceflow_ml.latency.compare import Change, Comparison, compare
from voiceflow_ml.latency.counters import Counters, FakeCounters
from voiceflow_ml.latency.judging import judge
from voiceflow_ml.latency.loop import measure, measure_pair, take_turns
from voiceflow_ml.latency.plan import Mode, SamplingPlan
from voiceflow_ml.latency.quantiles import Interval, percentile, percentile_interval
from voiceflow_ml.latency.run import Run
from voiceflow_ml.latency.sampler import Instruments, Progress, Sampler
from voiceflow_ml.latency.self_timed import SelfTimed
from voiceflow_ml.latency.verdict import Bound, ClockChannel, Outcome, Verdict
from voiceflow_ml.latency.warmup import SteadyState, steady_state

__all__ = [
    "Bound",
    "Change",
    "Channels",
    "Clock",
    "ClockChannel",
    "Comparison",
    "Counters",
    "FakeClock",
    "FakeCounters",
    "Instruments",
    "Interval",
    "Mode",
    "Outcome",
    "Progress",
    "Run",
    "Sampler",
    "SamplingPlan",
    "SelfTimed",
    "SteadyState",
    "SystemClock",
    "Verdict",
    "compare",
    "judge",
    "measure",
    "measure_pair",
    "percentile",
    "percentile_interval",
    "steady_state",
    "take_turns",
]
