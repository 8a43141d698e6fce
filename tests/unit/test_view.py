from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.result_set import (
    BREACHED,
    FAILED,
    INVALID,
    MET,
    RESULTS,
    SESSION,
    SKIPPED,
    UNCOVERED,
    UNREACHED,
    measured,
    samples,
)
from voiceflow_ml.latency.quantiles import Interval
from voiceflow_ml.reporting.table import terminal_lines
from voiceflow_ml.reporting.view import (
    Row,
    build_rows,
    build_view,
    headline,
    interval_text,
    objective_text,
    one_line,
)
from voiceflow_ml.results.record import Planned, Result

VIEW = build_view(SESSION, RESULTS)


def row(verdict: str) -> Row:
    return next(row for row in VIEW.rows if row.verdict == verdict)


def test_the_worst_comes_first_in_the_headline_and_in_the_rows() -> None:
    assert VIEW.headline == "1 INVALID, 1 BREACHED, 1 ERROR, 1 INCONCLUSIVE, 3 NOT RUN, 2 MET"
    assert [row.verdict for row in VIEW.rows] == [
        "INVALID",
        "BREACHED",
        "ERROR",
        "INCONCLUSIVE",
        *["NOT RUN"] * 3,
        *["MET"] * 2,
    ]
    assert headline([]) == "nothing was measured"


def test_a_row_holds_finished_text() -> None:
    assert VIEW.rows[-1] == Row(
        verdict="MET",
        label="fast-cnn · model-inference · cpu",
        objective="P99 <= 10 ms",
        measured="4.2 ms",
        interval="[4.2 ms, 4.2 ms]",
        margin="+58 %",
        samples="2 000",
        span="16 s",
        horizon="2 s",
        sentence="P99 is within 10 ms with 99 % confidence: 4 of 2 000 samples took longer "
        "(a P99 exactly on the limit gives 20 on average)",
    )


def test_only_a_met_promises_a_horizon_and_an_invalid_number_has_no_margin() -> None:
    assert (row("BREACHED").margin, row("BREACHED").horizon) == ("-80 %", "-")
    assert (row("INVALID").margin, row("INVALID").horizon) == ("-", "-")


def test_what_did_not_run_says_why() -> None:
    reasons = {row.label: row.sentence for row in VIEW.rows if row.verdict == "NOT RUN"}
    assert reasons == {
        SKIPPED.label: "cuda-a100 was not asked for: add --gpu=a100",
        UNREACHED.label: "not reached",
        UNCOVERED.label: "no test of this run measures it",
    }
    unfinished = build_rows(replace(SESSION, finished=False), RESULTS)
    assert "the run has not got to it, or ended before it did" in [row.sentence for row in unfinished]
    silent = build_rows(SESSION, [replace(RESULTS[4], reason=" ")])
    assert "no reason was given" in [row.sentence for row in silent]


def coverage(planned: tuple[Planned, ...], *results: Result) -> str:
    return build_view(replace(SESSION, planned=planned, declared=()), results).coverage


def test_coverage_names_each_promise_without_a_number_and_counts_an_error_as_one() -> None:
    assert VIEW.coverage == (
        "4 of 8 declared promises have no measurement: "
        f"{SKIPPED.label} (NOT RUN), {one_line(FAILED.label)} (ERROR), {UNREACHED.label} (NOT RUN), "
        f"{UNCOVERED.label} (NOT RUN)."
    )
    assert coverage((MET,), RESULTS[0]) == "Every declared promise was measured."
    assert coverage(()) == "No promise was declared."
    assert coverage((MET, UNREACHED), RESULTS[0]) == (
        f"1 of 2 declared promises has no measurement: {UNREACHED.label} (NOT RUN)."
    )


def test_a_promise_that_one_of_two_tests_measured_is_covered() -> None:
    twin = replace(MET, node_id="another test")
    assert coverage((twin, MET), RESULTS[0]) == "Every declared promise was measured."


def test_details_say_how_it_was_measured() -> None:
    detail = VIEW.details[0]
    method = dict(detail.method)
    assert method["kept samples"] == "2 000 in 200 blocks"
    assert method["discarded"] == "30 warm-up calls, 400 at block starts"
    assert method["stopped because"] == "every objective was decided"
    assert method["cold start (first call, not judged)"] == "31 ms"
    assert method["model file"] == "fast-cnn.onnx"
    assert detail.node_id == MET.node_id
    assert [name for name, _ in detail.percentiles] == ["P50", "P90", "P95", "P99", "P99.9", "max"]
    assert detail.findings[1] == (
        "caution",
        "some task waited for a CPU during 12.5% of the measurement; a quieter machine would give shorter tails",
    )


@pytest.mark.parametrize(
    ("limit_ns", "slow_ns", "margin"), [(10_000, 9_999, "+0 %"), (10_000, 10_001, "+0 %"), (10_000, 20_000, "-100 %")]
)
def test_a_margin_has_a_sign_and_no_negative_zero(limit_ns: int, slow_ns: int, margin: str) -> None:
    planned = Planned("t", "m", "network", "cpu", {"P99": limit_ns})
    result = measured(planned, samples(500, over=500, quick_ns=0, slow_ns=slow_ns))
    assert build_rows(replace(SESSION, planned=(planned,), declared=()), [result])[0].margin == margin


def test_texts_of_bounds() -> None:
    assert objective_text("P99.9", 1_234_567) == "P99.9 <= 1.23457 ms"
    assert interval_text(Interval(4_400_000, 4_950_000, 0.99)) == "[4.4 ms, 4.95 ms]"
    assert interval_text(Interval(None, None, 0.99)) == "[no lower bound, no upper bound]"


@given(st.text())
def test_one_line_is_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert line == " ".join(line.split())
    assert one_line(line) == line


def test_the_terminals_table_is_one_line_for_each_objective_in_the_order_of_the_plan() -> None:
    lines = terminal_lines(SESSION, RESULTS)
    assert all(text.isprintable() for text, _ in lines)
    assert [(text[:13].strip(), good) for text, good in lines[:-1]] == [
        ("MET", True),
        ("MET", True),
        ("BREACHED", False),
        ("INCONCLUSIVE", None),
        ("INVALID", False),
        ("NOT RUN", None),
        ("ERROR", False),
        ("NOT RUN", None),
        ("NOT RUN", None),
    ]
    assert lines[-1] == (VIEW.headline, None)
    bounds = [text.index("P99 <=") for text, _ in lines[1:-1]]
    assert len(set(bounds)) == 1


def test_a_line_of_the_table_shows_the_number_with_its_evidence() -> None:
    session = replace(SESSION, planned=(BREACHED, INVALID), declared=(), policy="report-only")
    (breached, _), (invalid, _), (last, _) = terminal_lines(session, RESULTS)
    assert breached == (
        "BREACHED      slow-cnn · model-inference · cpu      P99 <= 5 ms   "
        "9 ms [9 ms, no upper bound]  99 % conf, n = 500, 16 s span"
    )
    assert invalid.startswith(
        "INVALID       wav2vec2 · model-inference · cuda-t4  P99 <= 20 ms  37 of 412 nodes ran on"
    )
    assert last == "1 INVALID, 1 BREACHED (report-only: no verdict fails this run)"


def test_an_empty_session_has_a_table_too() -> None:
    assert terminal_lines(replace(SESSION, planned=(), declared=()), ()) == [("nothing was measured", None)]
