"""How long a session of many objectives takes to publish, and how large its outputs are.

``python -m benchmarks.many_objectives [COUNT]``; 500 objectives by default.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.latency import Mode, Run
from voiceflow_ml.latency.run import WarmUp
from voiceflow_ml.reporting.publish import Publisher
from voiceflow_ml.reporting.render import render_report
from voiceflow_ml.reporting.summary import job_summary, pull_request_comment
from voiceflow_ml.reporting.view import build_view
from voiceflow_ml.results.assemble import assemble, verdicts_on
from voiceflow_ml.results.record import Planned, Result, Session, State
from voiceflow_ml.sla.objectives import Objective, Promise, Stage

_STARTED_AT = "2026-01-02T03:04:05+00:00"
_SAMPLES, _BLOCK = 2_000, 10
_MEDIAN_NS = 4_000_000
_ON_CPU = Finding(Severity.INFORMATION, "all 83 compute nodes ran on CPUExecutionProvider")


def many_results(count: int) -> tuple[Result, ...]:
    """Finished tests of as many objectives: kept, broken and open ones, mixed.

    Args:
        count: how many.
    """
    generator = np.random.default_rng(0)
    # Spread about the percentile of the samples, so that every verdict is among them.
    limits_ns = (_MEDIAN_NS * generator.permutation(np.linspace(1.0, 1.6, count))).astype(np.int64).tolist()
    return tuple(_result(place, limit_ns, generator) for place, limit_ns in enumerate(limits_ns))


def _result(place: int, limit_ns: int, generator: np.random.Generator) -> Result:
    model = f"model-{place:03d}"
    plan = Planned(
        f"sla.toml::{model}", model, "model-inference", "cpu", {"P99": limit_ns}, where=f"sla.toml:{10 + 5 * place}"
    )
    promise = Promise(
        model,
        Stage.MODEL_INFERENCE,
        "cpu",
        (Objective(model, Stage.MODEL_INFERENCE, "cpu", 0.99, limit_ns),),
        plan.where,
    )
    run = _run((_MEDIAN_NS * generator.lognormal(0, 0.12, _SAMPLES)).astype(np.int64))
    measurement = assemble(
        run,
        verdicts_on(run.channels, promise, 0.99),
        [_ON_CPU],
        boundary="host-to-host: one session.run, from inputs in host memory to outputs in host memory",
        inputs="speech.wav, first 3 s",
        facts={"model file": f"{model}.onnx", "runtime": "onnxruntime", "intra-op threads": "1"},
    )
    return Result(plan, State.MEASURED, "", _STARTED_AT, measurement)


def _run(samples_ns: NDArray[np.int64]) -> Run:
    blocks = _SAMPLES // _BLOCK
    return Run(
        samples_ns=samples_ns,
        cold_starts=(),
        warmup=WarmUp((5_000_000,) * 30, steady=True, first_steady=2),
        settling_calls=2 * blocks,
        block_calls=_BLOCK,
        block_starts_ns=np.arange(blocks, dtype=np.int64) * 80_000_000,
        block_durations_ns=np.full(blocks, 50_000_000, dtype=np.int64),
        control_ns=None,
        scheduler=None,
        late_calls=0,
        span_ns=16_000_000_000,
        stopped_by="decided",
        mode=Mode.STEADY,
        interval_ns=0,
        seed=0,
    )


def main() -> None:
    """Print times and sizes."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    results = many_results(count)
    planned = tuple(result.planned for result in results)
    session = Session(_STARTED_AT, "pytest sla.toml", "strict", 0.99, {"CPU": "any"}, planned, finished=True)
    view = build_view(session, results)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        publisher = Publisher(folder / "report.md", folder)
        print(f"{count} objectives")
        _timed("the whole report, first time", lambda: publisher.publish(session, results))
        _timed("again, after one more test", lambda: publisher.publish(session, (replace(results[0]), *results[1:])))
        _timed("PERFORMANCE_ANALYSIS.md alone", lambda: render_report(session, results, folder))
        for path in (folder / "report.md", publisher.page_path):
            print(f"{path.name:<32} {path.stat().st_size / 1024:8.0f} KiB")
    print(f"{'step summary':<32} {len(job_summary(view, []).encode()) / 1024:8.0f} KiB of 1024")
    print(f"{'comment.md':<32} {len(pull_request_comment(view, []).encode()) / 1024:8.1f} KiB of 64")


def _timed(name: str, work: Callable[[], object]) -> None:
    start_s = time.perf_counter()
    work()
    print(f"{name:<32} {time.perf_counter() - start_s:8.2f} s")


if __name__ == "__main__":
    main()
