"""Lies about how samples were taken, and about what became of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.lies.bench import CALL_NS, LIMIT_NS, ROWS, Bench, caution, invalid
from tests.lies.lie import Lie
from tests.onnx_models import chain_model, tiny_model
from tests.unit.result_set import MET
from tests.unit.test_merge import OF_T4, source, took
from voiceflow_ml.errors import ConfigError, ResultError
from voiceflow_ml.hardware.roofline import refuse_impossible
from voiceflow_ml.hardware.targets import find_gpu
from voiceflow_ml.inference.floor import floor_of
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.latency import Outcome, SamplingPlan, judge
from voiceflow_ml.results.diff import diff
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.results.merge import merge
from voiceflow_ml.results.record import Result

SLOW_NS = 600_000_000


def run(folder: Path, bench: Bench) -> Measurement:
    return bench.measure(open_onnx(tiny_model(folder / "tiny.onnx")), ROWS)


def warmup_counted(folder: Path) -> str:
    slow_ns = 10 * CALL_NS
    measured = run(folder, Bench(call_ns=lambda call: slow_ns if call < 15 else CALL_NS))
    assert measured.verdicts[0].outcome is Outcome.MET
    assert max(measured.samples_ns) == CALL_NS
    pilot_ns = measured.run.warmup.pilot_ns
    assert pilot_ns.count(slow_ns) == 14
    return f"{len(pilot_ns)} calls of warm-up, 14 of them slow: none is a sample"


def never_warm(folder: Path) -> str:
    # Ever faster, so that no steady state is there to be found.
    bench = Bench(call_ns=lambda call: max(CALL_NS, 9_000_000 - 10_000 * call))
    return caution(run(folder, bench).findings, "without a steady state")


def cold_start_hidden(folder: Path) -> str:
    measured = run(folder, Bench(call_ns=lambda call: SLOW_NS if call == 0 else CALL_NS))
    (cold,) = measured.run.cold_starts
    assert cold.duration_ns == SLOW_NS
    assert max(measured.samples_ns) == CALL_NS
    return "cold start 600 ms, beside a P99 of 4 ms"


def too_few_samples(folder: Path) -> str:
    verdict = judge(np.full(200, CALL_NS), limit_ns=LIMIT_NS, quantile=0.99)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    return verdict.sentence


def back_to_back(folder: Path) -> str:
    bench = Bench(plan=SamplingPlan((2_000,), 2_000, span_ns=0))
    return caution(run(folder, bench).findings, "taken back to back judge one moment of the machine")


def short_span(folder: Path) -> str:
    bench = Bench(plan=SamplingPlan((2_000,), 2_000, span_ns=8_500_000_000), call_ns=lambda _call: 1_000_000)
    return caution(run(folder, bench).findings, "the samples span only")


def coarse_timer(folder: Path) -> str:
    # Of a callable: no model of this size is as fast.
    measured = Bench(call_ns=lambda _call: 40).measure(lambda: None)
    return invalid(measured, "too coarse for a median latency of 40 ns")


def opaque_callable(folder: Path) -> str:
    return caution(Bench().measure(lambda: None).findings, "nothing proves that the measured callable ran on cpu")


def rewritten(change: Callable[[dict[str, Any]], None]) -> str:
    """Read a result that somebody has edited; returns why it is not read."""
    content = json.loads(took(MET).to_json())
    Result.from_json(json.dumps(content))
    change(content["measurement"])
    with pytest.raises(ResultError) as caught:
        Result.from_json(json.dumps(content))
    return str(caught.value)


def averaged(folder: Path) -> str:
    def average(measurement: dict[str, Any]) -> None:
        samples_ns = np.array(measurement["run"]["samples_ns"])
        measurement["run"]["samples_ns"] = samples_ns.reshape(-1, 10).mean(axis=1).astype(int).tolist()

    message = rewritten(average)
    assert "it has 200 samples of 2000 calls: some are missing, or stand for several" in message
    return message


def dropped_tail(folder: Path) -> str:
    def drop(measurement: dict[str, Any]) -> None:
        measurement["percentiles_ns"]["P99"] -= 1_000_000

    message = rewritten(drop)
    assert "its P99 is" in message
    assert "its samples say" in message
    return message


def another_machine(folder: Path) -> str:
    sources = [source("mine", took(MET)), source("theirs", took(MET), environment={**OF_T4, "CPU": "Xeon B"})]
    with pytest.raises(ResultError) as caught:
        merge(sources, command="merge")
    assert "Xeon B" in str(caught.value)
    return str(caught.value)


def spinning_changed(folder: Path) -> str:
    def with_spinning(name: str, value: str) -> Any:
        result = took(MET)
        measurement = result.measurement
        assert measurement is not None
        facts = {**measurement.facts, "thread spinning": value}
        return source(name, replace(result, measurement=replace(measurement, facts=facts)))

    found = diff(with_spinning("before", "off"), with_spinning("after", "on"))
    (change,) = found.methods
    assert (change.old, change.new) == ("off", "on")
    return f"{change.name}: {change.old} -> {change.new}"


def impossible(folder: Path) -> str:
    model = open_onnx(chain_model(folder / "chain.onnx", layers=50))
    floor = floor_of(model, [np.ones((4096, 128), np.float32)], find_gpu("t4"))
    with pytest.raises(ConfigError) as caught:
        refuse_impossible(floor, {"P99": 100_000})
    assert "P99 <= 100 us is impossible on this target: one inference takes at least" in str(caught.value)
    return str(caught.value)


LIES = (
    Lie("warm-up counted", "the first 15 calls take ten times as long", "shown", warmup_counted),
    Lie("warm-up that never ends", "every call faster than the one before", "caution", never_warm),
    Lie("cold start hidden", "the first call takes 600 ms", "shown", cold_start_hidden),
    Lie("200 samples for a P99", "200 fast samples", "not MET", too_few_samples),
    Lie("all samples from one moment", "no gaps between blocks", "caution", back_to_back),
    Lie("samples from a few seconds", "a span of 8.5 s at most", "caution", short_span),
    Lie("timer too coarse", "a call of 40 ns", "INVALID", coarse_timer),
    Lie("a callable that proves nothing", "a Python function", "caution", opaque_callable),
    Lie("iterations averaged into one sample", "a result file with averages of ten", "refused", averaged),
    Lie("percentile from a histogram without its tail", "a result file with another P99", "refused", dropped_tail),
    Lie("results of another machine merged", "two result folders", "refused", another_machine),
    Lie("spinning of threads changed between two runs", "two results", "shown", spinning_changed),
    Lie("a promise below what the hardware can do", "6.7 GFLOP in 100 us on a T4", "refused", impossible),
)
