from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.result_set import (
    ADJUSTED,
    ELSEWHERE,
    MET,
    ON_CPU,
    RESULTS,
    against,
    measured,
    run_of,
    samples,
    scheduled,
)
from voiceflow_ml.latency import Mode, Run
from voiceflow_ml.latency.run import ColdStart, WarmUp
from voiceflow_ml.reporting.detail import Detail, build_detail
from voiceflow_ml.results.record import Result

FAST_NS = samples(2_000, over=0, quick_ns=4_000_000, slow_ns=0)


def detail(result: Result) -> Detail:
    assert result.measurement is not None
    return build_detail(result, result.measurement)


def method(run: Run) -> dict[str, str]:
    """How a run was measured, by name."""
    return dict(detail(measured(MET, run)).method)


def test_a_detail_says_how_it_was_measured() -> None:
    found = detail(RESULTS[0])
    assert (found.label, found.node_id) == (MET.label, MET.node_id)
    assert found.method == (
        ("timed", "host-to-host: one session.run, from inputs in host memory to outputs in host memory"),
        ("inputs", "speech"),
        ("calls", "steady: short blocks with random gaps"),
        ("kept samples", "2 000 in 200 blocks"),
        ("span", "16 s"),
        ("stopped because", "every objective was decided"),
        ("cold start, measured inputs (first call, not judged)", "31 ms"),
        ("cold start, x: float32 [1, 8000] (first call, not judged)", "9 ms"),
        ("discarded", "30 warm-up calls (steady from the 3rd on), 400 at block starts"),
        ("clock", "wall for MET, adjusted (wall less time waiting for a CPU by schedstat) for BREACHED"),
        ("control workload (fixed matrix products)", "median 101 us, slowest 102 us, once per block"),
        ("garbage collector", "off inside blocks, on between them"),
        ("seed of the gaps", "0"),
        ("model file", "fast-cnn.onnx"),
        ("intra-op threads", "1"),
    )
    assert found.statistics == ("P50", "P90", "P95", "P99", "P99.9", "max")
    assert found.percentiles == (
        ("wall clock", ("4.1 ms", "4.18 ms", "4.19 ms", "4.2 ms", "12 ms", "12 ms")),
        ("adjusted clock", ("4.1 ms", "4.18 ms", "4.19 ms", "4.2 ms", "8 ms", "8 ms")),
    )
    assert [severity for severity, _ in found.findings] == ["information", "caution"]


@pytest.mark.parametrize(
    ("mode", "interval_ns", "late", "text"),
    [
        (Mode.STEADY, 0, 0, "steady: short blocks with random gaps"),
        (Mode.BACK_TO_BACK, 0, 0, "back-to-back: one after the other, without gaps"),
        (Mode.PACED, 100_000_000, 0, "paced: one every 100 ms; 0 began late"),
        (Mode.PACED, 1_500_000, 1_234, "paced: one every 1.5 ms; 1 234 began late"),
        (
            Mode.OPEN_LOOP,
            8_000_000,
            12,
            (
                "open-loop: Poisson arrivals, one every 8 ms on average, latency from the intended send time; "
                "12 waited for the one before"
            ),
        ),
    ],
)
def test_each_mode_in_words(mode: Mode, interval_ns: int, late: int, text: str) -> None:
    assert method(run_of(FAST_NS, mode=mode, interval_ns=interval_ns, late_calls=late))["calls"] == text


def test_steady_without_a_span_does_not_claim_gaps() -> None:
    assert method(run_of(FAST_NS, settling_calls=0))["calls"] == "steady: without gaps, as its span of nothing asks for"


def test_the_clock_in_words() -> None:
    both = run_of(FAST_NS, scheduler=scheduled(FAST_NS, waited_over_ns=4_100_000))
    assert method(both)["clock"] == (
        "wall for MET, adjusted (wall less time waiting for a CPU by schedstat) for BREACHED"
    )
    adjusted = next(result for result in RESULTS if result.planned == ADJUSTED)
    assert dict(detail(adjusted).method)["clock"] == (
        "adjusted, as the promise declares: wall less time waiting for a CPU by schedstat"
    )
    assert method(run_of(FAST_NS))["clock"] == (
        "wall; the adjusted clock does not count: the scheduler's counters were not read"
    )
    assert both.scheduler is not None
    helped = replace(both.scheduler, process_total_ns=2 * both.scheduler.thread_total_ns)
    assert method(run_of(FAST_NS, scheduler=helped))["clock"] == (
        "wall; the adjusted clock does not count: the process used 2.00 times the CPU time of the measuring thread, "
        "so the wait may be for its own threads"
    )


def test_without_the_adjusted_clock_its_percentiles_have_no_row() -> None:
    assert [clock for clock, _ in detail(measured(MET, FAST_NS)).percentiles] == ["wall clock"]


@pytest.mark.parametrize(
    ("number", "ordinal"), [(0, "1st"), (1, "2nd"), (2, "3rd"), (3, "4th"), (10, "11th"), (20, "21st"), (112, "113th")]
)
def test_the_warm_up_in_words(number: int, ordinal: str) -> None:
    warm = run_of(FAST_NS, warmup=WarmUp((1,) * 400, steady=True, first_steady=number))
    assert method(warm)["discarded"] == f"400 warm-up calls (steady from the {ordinal} on), 400 at block starts"


def test_a_warm_up_that_never_settled() -> None:
    run = run_of(FAST_NS, warmup=WarmUp((1,) * 400, steady=False), settling_calls=0)
    assert method(run)["discarded"] == "400 warm-up calls (no steady state seen), 0 at block starts"


@pytest.mark.parametrize(
    ("stopped_by", "text"),
    [
        ("decided", "every objective was decided"),
        ("samples", "the sample budget was spent"),
        ("time", "the time budget was spent"),
    ],
)
def test_why_it_stopped(stopped_by: str, text: str) -> None:
    assert method(run_of(FAST_NS, stopped_by=stopped_by))["stopped because"] == text


def test_one_block_is_not_blocks() -> None:
    one = samples(10, over=0, quick_ns=4_000_000, slow_ns=0)
    assert method(run_of(one))["kept samples"] == "10 in 1 block"


def test_no_control_workload_and_no_cold_start_leave_no_line() -> None:
    names = list(method(run_of(FAST_NS, cold_starts=())))
    assert not [name for name in names if name.startswith(("control", "cold start"))]


def test_the_control_workload_of_one_block() -> None:
    run = run_of(FAST_NS, control_ns=np.array([7_000], dtype=np.int64))
    assert method(run)["control workload (fixed matrix products)"] == "median 7 us, slowest 7 us, once per block"


def test_cold_starts_are_listed_with_their_inputs() -> None:
    cold = (ColdStart("measured inputs", 1_000), ColdStart("x: |odd|", 2_000_000))
    assert [pair for pair in detail(measured(MET, run_of(FAST_NS, cold_starts=cold))).method if "cold" in pair[0]] == [
        ("cold start, measured inputs (first call, not judged)", "1 us"),
        ("cold start, x: |odd| (first call, not judged)", "2 ms"),
    ]


def test_a_baseline_is_named_with_its_hash_and_its_evidence_is_marked() -> None:
    found = detail(measured(MET, FAST_NS, ON_CPU, against=against((0.5,), 1.0, findings=(ELSEWHERE,))))
    assert dict(found.method)["baseline"] == f"git:v1|`old`, SHA-256 {'0' * 64}"
    assert found.findings == (
        ("information", ON_CPU.sentence),
        ("invalid", f"baseline: {ELSEWHERE.sentence}"),
    )
