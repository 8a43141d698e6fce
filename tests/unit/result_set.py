"""A fixed set of results with every verdict in it, and with names that try to break a report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.latency import Run, judge
from voiceflow_ml.results.assemble import assemble
from voiceflow_ml.results.record import Measurement, Planned, Result, Session, State

STARTED_AT = "2026-01-02T03:04:05+00:00"
NASTY = "a|b`c``d <b>bold</b>\n# not a heading & &amp; *x* _y_ [z](javascript:0) ~~gone~~ $5 \x1b[31m \\"

ON_CPU = Finding(Severity.INFORMATION, "all 83 compute nodes ran on CPUExecutionProvider")
NOISY = Finding(
    Severity.CAUTION,
    "some task waited for a CPU during 12.5% of the measurement",
    "a quieter machine would give shorter tails",
)
ELSEWHERE = Finding(
    Severity.INVALID,
    "37 of 412 nodes ran on CPUExecutionProvider: /encoder/conv (+36)",
    "export a graph whose operators CUDAExecutionProvider supports, or check its installation",
)


def planned(test: str, model: str, target: str = "cpu", **limits_ns: int) -> Planned:
    """A planned test; limits as ``P99=10_000_000``."""
    return Planned(f"tests/hardware/test_latency.py::{test}", model, "model-inference", target, limits_ns)


def samples(count: int, *, over: int, quick_ns: int, slow_ns: int) -> NDArray[np.int64]:
    """``count`` latencies that rise slowly from ``quick_ns``; ``over`` of them, evenly spread, are ``slow_ns``."""
    values = quick_ns + np.arange(count, dtype=np.int64) * 100
    if over:
        values[:: count // over][:over] = slow_ns
    return values


def measurement(
    plan: Planned, samples_ns: NDArray[np.int64], *findings: Finding, inputs: str = "speech"
) -> Measurement:
    """What the plugin would write for these samples."""
    run = Run(
        samples_ns=samples_ns,
        cold_start_ns=31_000_000,
        warmup_ns=(5_000_000,) * 30,
        settling_calls=2 * (len(samples_ns) // 10),
        blocks=len(samples_ns) // 10,
        span_ns=16_000_000_000,
        stopped_by="decided",
        seed=0,
    )
    verdicts = [
        judge(samples_ns, limit_ns=limit_ns, quantile=float(name[1:]) / 100, looks=4)
        for name, limit_ns in plan.limits_ns.items()
    ]
    return assemble(
        run,
        verdicts,
        findings,
        boundary="host-to-host: one session.run, from inputs in host memory to outputs in host memory",
        inputs=inputs,
        facts={"model file": f"{plan.model}.onnx", "intra-op threads": "1"},
    )


def measured(plan: Planned, samples_ns: NDArray[np.int64], *findings: Finding, inputs: str = "speech") -> Result:
    """A finished, measured test."""
    return Result(plan, State.MEASURED, "", STARTED_AT, measurement(plan, samples_ns, *findings, inputs=inputs))


MET = planned("test_met[cpu]", "fast-cnn", P50=5_000_000, P99=10_000_000)
BREACHED = planned("test_breached[cpu]", "slow-cnn", P99=5_000_000)
OPEN = planned("test_open[cpu]", "close-cnn", P99=4_100_000)
INVALID = planned("test_invalid[cuda-t4]", "wav2vec2", "cuda-t4", P99=20_000_000)
SKIPPED = planned("test_skipped[cuda-a100]", "fast-cnn", "cuda-a100", P99=2_000_000)
FAILED = planned("test_failed[cpu]", NASTY, P99=1_000_000)
UNREACHED = planned("test_unreached[cpu]", "last-cnn", P99=1_000_000)
UNCOVERED = Planned("sla.toml:31", "fast-cnn", "end-to-end", "cpu", {"P99": 100_000_000})

RESULTS = (
    measured(MET, samples(2_000, over=4, quick_ns=4_000_000, slow_ns=12_000_000), ON_CPU, NOISY),
    measured(BREACHED, samples(500, over=40, quick_ns=4_000_000, slow_ns=9_000_000), ON_CPU, inputs=NASTY),
    measured(OPEN, samples(500, over=5, quick_ns=4_000_000, slow_ns=4_200_000), ON_CPU),
    measured(INVALID, samples(2_000, over=0, quick_ns=4_000_000, slow_ns=0), ELSEWHERE),
    Result(SKIPPED, State.SKIPPED, "cuda-a100 was not asked for: add --gpu=a100", STARTED_AT),
    Result(FAILED, State.ERROR, f"RuntimeError: {NASTY}", STARTED_AT),
)
SESSION = Session(
    started_at=STARTED_AT,
    command="pytest -m hardware -k 'not `slow`'",
    policy="strict",
    confidence=0.99,
    environment={"CPU": "Intel(R) Xeon(R) Processor", "logical cores": "2", "commit": "0123abc+changes"},
    planned=(MET, BREACHED, OPEN, INVALID, SKIPPED, FAILED, UNREACHED),
    declared=(replace(MET, node_id="sla.toml:11"), UNCOVERED),
    finished=True,
)
