"""The science: sampling loops, percentiles, verdicts. Pure; the clock is always an argument.

Nothing here knows pytest, ONNX or files, so anything that can be called can be judged::

    from voiceflow_ml.latency import judge
    verdict = judge(samples_ns, limit_ns=10_000_000, quantile=0.99)
    print(verdict.outcome, verdict.sentence)
"""

from __future__ import annotations

from voiceflow_ml.latency.clock import Clock, FakeClock, SystemClock
from voiceflow_ml.latency.loop import Progress, measure
from voiceflow_ml.latency.plan import SamplingPlan
from voiceflow_ml.latency.quantiles import Interval, percentile, percentile_interval
from voiceflow_ml.latency.run import Run
from voiceflow_ml.latency.verdict import Outcome, Verdict, judge

__all__ = [
    "Clock",
    "FakeClock",
    "Interval",
    "Outcome",
    "Progress",
    "Run",
    "SamplingPlan",
    "SystemClock",
    "Verdict",
    "judge",
    "measure",
    "percentile",
    "percentile_interval",
]
