"""A fixed set of results with every verdict in it, and with names that try to break a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.roofline import Roofline
from voiceflow_ml.latency import ClockChannel, Mode, Run
from voiceflow_ml.latency.run import ColdStart, SchedulerRecord, WarmUp
from voiceflow_ml.results.assemble import assemble, verdicts_on
from voiceflow_ml.results.compared import compared
from voiceflow_ml.results.measurement import Against, Measurement
from voiceflow_ml.results.record import Planned, Result, Session, State
from voiceflow_ml.sla.objectives import Measuring, Objective, Promise, Stage

STARTED_AT = "2026-01-02T03:04:05+00:00"
NASTY = "a|b`c``d <b>bold</b>\n# not a heading & &amp; *x* _y_ [z](javascript:0) ~~gone~~ $5 \x1b[31m \\"

ON_CPU = Finding(Severity.INFORMATION, "all 83 compute nodes ran on CPUExecutionProvider")
NOISY = Finding(
    Severity.CAUTION,
    "in 60 of 200 blocks some task waited for a CPU for more than 5% of the time",
    "a quieter machine would give shorter tails",
)
ELSEWHERE = Finding(
    Severity.INVALID,
    "37 of 412 nodes ran on CPUExecutionProvider: /encoder/conv (+36)",
    "export a graph whose operators CUDAExecutionProvider supports, or check its installation",
)


def planned(test: str, model: str, target: str = "cpu", **limits_ns: int) -> Planned:
    """A planned test; limits as ``P99=10_000_000``."""
    node_id = f"tests/hardware/test_latency.py::{test}"
    return Planned(node_id, model, "model-inference", target, limits_ns, where="sla.toml:11")


def samples(count: int, *, over: int, quick_ns: int, slow_ns: int) -> NDArray[np.int64]:
    """``count`` latencies that rise slowly from ``quick_ns``; ``over`` of them, evenly spread, are ``slow_ns``."""
    values = quick_ns + np.arange(count, dtype=np.int64) * 100
    if over:
        values[:: count // over][:over] = slow_ns
    return values


def scheduled(samples_ns: NDArray[np.int64], *, waited_over_ns: int) -> SchedulerRecord:
    """Counts of a thread that waited for a CPU in every sample for what it took beyond ``waited_over_ns``."""
    blocks = len(samples_ns) // 10
    waited_ns = np.maximum(0, samples_ns - waited_over_ns)
    total_ns = int((samples_ns - waited_ns).sum())
    return SchedulerRecord(
        source="schedstat",
        run_delay_ns=waited_ns,
        thread_time_ns=samples_ns - waited_ns,
        cpu_wait_ns=np.full(blocks, 1_000_000, dtype=np.int64),
        process_total_ns=total_ns,
        thread_total_ns=total_ns,
    )


def run_of(samples_ns: NDArray[np.int64], **changes: Any) -> Run:
    """A run of these samples in blocks of ten; ``changes`` are fields of the run."""
    blocks = len(samples_ns) // 10
    fields: dict[str, Any] = {
        "samples_ns": samples_ns,
        "cold_starts": (ColdStart("measured inputs", 31_000_000),),
        "warmup": WarmUp((5_000_000,) * 30, steady=True, first_steady=2),
        "settling_calls": 2 * blocks,
        "block_calls": 10,
        "block_starts_ns": np.arange(blocks, dtype=np.int64) * 80_000_000,
        "block_durations_ns": np.full(blocks, 50_000_000, dtype=np.int64),
        "control_ns": None,
        "scheduler": None,
        "late_calls": 0,
        "span_ns": 16_000_000_000,
        "stopped_by": "decided",
        "mode": Mode.STEADY,
        "interval_ns": 0,
        "seed": 0,
    }
    return Run(**{**fields, **changes})


def promise_of(plan: Planned, measuring: Measuring | None = None) -> Promise:
    """The promise that a planned test stands for."""
    stage = Stage(plan.stage)
    objectives = tuple(
        Objective(plan.model, stage, plan.target, float(name[1:]) / 100, limit_ns)
        for name, limit_ns in plan.limits_ns.items()
    )
    return Promise(plan.model, stage, plan.target, objectives, "sla.toml:11", measuring or Measuring())


def measurement(
    plan: Planned,
    run: Run,
    *findings: Finding,
    inputs: str = "speech",
    clock: ClockChannel = ClockChannel.WALL,
    against: Against | None = None,
    roofline: Roofline | None = None,
) -> Measurement:
    """What the plugin would write for this run."""
    return assemble(
        run,
        verdicts_on(run.channels, promise_of(plan, Measuring(clock=clock)), 0.99),
        findings,
        boundary="host-to-host: one session.run, from inputs in host memory to outputs in host memory",
        inputs=inputs,
        facts={"model file": f"{plan.model}.onnx", "intra-op threads": "1"},
        against=against,
        roofline=roofline,
    )


def measured(plan: Planned, run: Run | NDArray[np.int64], *findings: Finding, **more: Any) -> Result:
    """A finished, measured test; ``more`` as :func:`measurement` takes it."""
    taken = run if isinstance(run, Run) else run_of(run)
    return Result(plan, State.MEASURED, "", STARTED_AT, measurement(plan, taken, *findings, **more))


def against(quantiles: Sequence[float], *slower: float, findings: Sequence[Finding] = (ON_CPU,)) -> Against:
    """A comparison of 2 000 samples of each; the candidate takes ``slower`` times as long, one factor in each part."""
    generator = np.random.default_rng(0)
    baseline = generator.integers(4_000_000, 5_000_000, size=2_000)
    factors = np.resize(np.array(slower), 2_000)
    candidate = (generator.permutation(baseline) * factors).astype(np.int64)
    return compared(
        run_of(baseline),
        run_of(candidate),
        quantiles=quantiles,
        confidence=0.99,
        baseline="git:v1|`old`",
        sha256="0" * 64,
        findings=findings,
    )


FLOOR = Roofline(
    target="cpu",
    floor_ns=1_000_000,
    bound_by="compute",
    compute_ns=1_000_000,
    memory_ns=250_000,
    flops={"fp32": 430_000_000},
    bytes_moved=9_300_000,
    peak_flops_per_s=4.3e11,
    bytes_per_s=3.72e10,
    source="measured on this machine, 1 thread",
    measured_peaks=True,
    counted=83,
    left_out=0,
).reached_by(4_100_000)
MET = planned("test_met[cpu]", "fast-cnn", P50=5_000_000, P99=10_000_000)
BREACHED = planned("test_breached[cpu]", "slow-cnn", P99=5_000_000)
OPEN = planned("test_open[cpu]", "close-cnn", P99=4_100_000)
INVALID = planned("test_invalid[cuda-t4]", "wav2vec2", "cuda-t4", P99=20_000_000)
ADJUSTED = planned("test_adjusted[cpu]", "noisy-cnn", P99=5_000_000)
COMPARED = planned("test_compared[cpu]", "new-cnn", P50=5_000_000, P99=10_000_000)
SKIPPED = planned("test_skipped[cuda-a100]", "fast-cnn", "cuda-a100", P99=2_000_000)
FAILED = planned("test_failed[cpu]", NASTY, P99=1_000_000)
UNREACHED = planned("test_unreached[cpu]", "last-cnn", P99=1_000_000)
DECLARED_STAGES = {
    "network": {"low_ns": 10_000_000, "high_ns": 40_000_000},
    "server-processing": {"low_ns": 5_000_000, "high_ns": 10_000_000},
}
UNCOVERED = Planned(
    "", "fast-cnn", "end-to-end", "cpu", {"P99": 100_000_000}, where="sla.toml:31", stages=DECLARED_STAGES
)

_MET_NS = samples(2_000, over=4, quick_ns=4_000_000, slow_ns=12_000_000)
# On the wall clock 60 samples are over the limit; all of them waited for a CPU, and none worked longer.
_NOISY_NS = samples(2_000, over=60, quick_ns=4_000_000, slow_ns=9_000_000)

RESULTS = (
    measured(
        MET,
        run_of(
            _MET_NS,
            scheduler=scheduled(_MET_NS, waited_over_ns=8_000_000),
            control_ns=np.arange(200, dtype=np.int64) * 10 + 100_000,
            cold_starts=(ColdStart("measured inputs", 31_000_000), ColdStart("x: float32 [1, 8000]", 9_000_000)),
        ),
        ON_CPU,
        NOISY,
        roofline=FLOOR,
    ),
    measured(
        BREACHED,
        run_of(
            samples(500, over=40, quick_ns=4_000_000, slow_ns=9_000_000),
            mode=Mode.BACK_TO_BACK,
            settling_calls=0,
            warmup=WarmUp((5_000_000,) * 400, steady=False),
        ),
        ON_CPU,
        inputs=NASTY,
    ),
    measured(
        OPEN,
        run_of(
            samples(500, over=5, quick_ns=4_000_000, slow_ns=4_200_000),
            mode=Mode.PACED,
            interval_ns=100_000_000,
            late_calls=1,
            stopped_by="time",
        ),
        ON_CPU,
    ),
    measured(
        INVALID,
        run_of(
            samples(2_000, over=0, quick_ns=4_000_000, slow_ns=0),
            mode=Mode.OPEN_LOOP,
            interval_ns=8_000_000,
            late_calls=1_234,
        ),
        ELSEWHERE,
    ),
    measured(
        ADJUSTED,
        run_of(_NOISY_NS, scheduler=scheduled(_NOISY_NS, waited_over_ns=4_500_000)),
        ON_CPU,
        clock=ClockChannel.ADJUSTED,
    ),
    measured(COMPARED, _MET_NS, ON_CPU, against=against((0.5, 0.99), *[1.0] * 39, 2.0)),
    Result(SKIPPED, State.SKIPPED, "cuda-a100 was not asked for: add --gpu=a100", STARTED_AT),
    Result(FAILED, State.ERROR, f"RuntimeError: {NASTY}", STARTED_AT),
)
SESSION = Session(
    started_at=STARTED_AT,
    command="pytest -m hardware -k 'not `slow`'",
    policy="strict",
    confidence=0.99,
    environment={"CPU": "Intel(R) Xeon(R) Processor", "logical cores": "2", "commit": "0123abc+changes"},
    planned=(MET, BREACHED, OPEN, INVALID, ADJUSTED, COMPARED, SKIPPED, FAILED, UNREACHED),
    declared=(replace(MET, node_id=""), UNCOVERED),
    finished=True,
)
