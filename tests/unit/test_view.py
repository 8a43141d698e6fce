from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.result_set import (
    ADJUSTED,
    BREACHED,
    COMPARED,
    ELSEWHERE,
    FAILED,
    INVALID,
    MET,
    RESULTS,
    SESSION,
    SKIPPED,
    UNCOVERED,
    UNREACHED,
    against,
    measured,
    samples,
)
from voiceflow_ml.latency import Change, Interval
from voiceflow_ml.reporting.rows import Row, build_rows, headline
from voiceflow_ml.reporting.table import terminal_lines
from voiceflow_ml.reporting.text import interval_text, objective_text, one_line
from voiceflow_ml.reporting.view import build_view
from voiceflow_ml.results.record import Planned, Result

VIEW = build_view(SESSION, RESULTS)


def row(verdict: str) -> Row:
    return next(row for row in VIEW.rows if row.verdict == verdict)


def test_the_worst_comes_first_in_the_headline_and_in_the_rows() -> None:
    assert VIEW.headline == ("1 INVALID, 1 BREACHED, 1 SLOWER, 1 ERROR, 1 INCONCLUSIVE, 3 NOT RUN, 1 NOT SLOWER, 5 MET")
    assert [row.verdict for row in VIEW.rows] == [
        "INVALID",
        "BREACHED",
        "SLOWER",
        "ERROR",
        "INCONCLUSIVE",
        *["NOT RUN"] * 3,
        "NOT SLOWER",
        *["MET"] * 5,
    ]
    assert headline([]) == "nothing was measured"


def test_a_row_holds_finished_text() -> None:
    (_, found) = [row for row in VIEW.rows if (row.verdict, row.label) == ("MET", MET.label)]
    assert found == Row(
        verdict="MET",
        label="fast-cnn · model-inference · cpu",
        objective="P99 <= 10 ms",
        measured="4.2 ms",
        interval="[4.19 ms, 10 ms]",
        margin="+58 %",
        samples="2 000",
        span="16 s",
        horizon="2 s",
        sentence="P99 is within 10 ms with 99 % confidence: 4 of 2 000 samples took longer "
        "(a P99 exactly on the limit gives 20 on average)",
        where="sla.toml:11",
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
    silent = build_rows(SESSION, [replace(RESULTS[6], reason=" ")])
    assert "no reason was given" in [row.sentence for row in silent]


def coverage(planned: tuple[Planned, ...], *results: Result) -> str:
    return build_view(replace(SESSION, planned=planned, declared=()), results).coverage


def test_coverage_names_each_promise_without_a_number_and_counts_an_error_as_one() -> None:
    assert VIEW.coverage == (
        "4 of 10 declared promises have no measurement: "
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


def test_a_number_of_the_adjusted_clock_is_marked_with_what_a_caller_waits() -> None:
    (adjusted,) = build_rows(replace(SESSION, planned=(ADJUSTED,), declared=()), RESULTS)
    assert (adjusted.verdict, adjusted.measured) == ("MET", "4.5 ms adjusted (9 ms wall)")
    assert adjusted.sentence.endswith("waiting for a CPU is left out, as the promise declares")


def test_a_comparison_has_a_row_of_its_own_behind_the_objectives() -> None:
    rows = build_rows(replace(SESSION, planned=(COMPARED,), declared=()), RESULTS)
    assert [row.verdict for row in rows] == ["MET", "MET", "NOT SLOWER", "SLOWER"]
    assert {row.label for row in rows} == {COMPARED.label}
    slower = rows[3]
    assert slower.objective == "P99 <= 1.1x git:v1|`old`"
    assert (slower.margin, slower.span, slower.horizon, slower.samples) == ("-", "-", "-", "2 000 each")
    low, high = (float(end.strip("[]x")) for end in slower.interval.split(", "))
    assert 1.1 < low < float(slower.measured.strip("x")) < high
    assert slower.sentence.startswith("P99 is more than 10 % slower with 99 % confidence: ")


def compared_row(**changes: Any) -> Row:
    """The row of the P99 of a comparison, changed in some fields."""
    known = against((0.99,), 1.0)
    result = measured(MET, samples(2_000, over=4, quick_ns=4_000_000, slow_ns=12_000_000))
    fields = {"comparisons": (replace(known.comparisons[0], **changes),)} if changes else {"findings": (ELSEWHERE,)}
    assert result.measurement is not None
    changed = replace(result, measurement=replace(result.measurement, against=replace(known, **fields)))
    return build_rows(replace(SESSION, planned=(MET,), declared=()), [changed])[-1]


def test_a_baseline_that_ran_elsewhere_makes_the_comparison_invalid() -> None:
    row = compared_row()
    assert (row.verdict, row.sentence) == ("INVALID", f"baseline: {ELSEWHERE.sentence}")


def test_an_open_comparison_and_one_of_too_few_samples() -> None:
    assert compared_row(outcome=Change.INCONCLUSIVE).verdict == "INCONCLUSIVE"
    row = compared_row(outcome=Change.INCONCLUSIVE, ratio=None, ratio_low=None, ratio_high=None)
    assert (row.measured, row.interval) == ("-", "[no lower bound, no upper bound]")


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
        ("MET", True),
        ("MET", True),
        ("MET", True),
        ("NOT SLOWER", True),
        ("SLOWER", False),
        ("NOT RUN", None),
        ("ERROR", False),
        ("NOT RUN", None),
        ("NOT RUN", None),
    ]
    assert lines[-1] == (VIEW.headline, None)
    bounds = [re.search(r"P\d\d <=", text) for text, _ in lines[:-1]]
    assert len({bound.start() for bound in bounds if bound}) == 1
    assert all(bounds)


def test_a_line_of_the_table_shows_the_number_with_its_evidence() -> None:
    session = replace(SESSION, planned=(ADJUSTED, BREACHED, INVALID), declared=(), policy="report-only")
    (met, _), (breached, _), (invalid, _), (last, _) = terminal_lines(session, RESULTS)
    assert met == (
        "MET           noisy-cnn · model-inference · cpu     P99 <= 5 ms   "
        "4.5 ms adjusted (9 ms wall) [4.5 ms, 4.5 ms]  99 % conf, n = 2 000, 16 s span, horizon 2 s"
    )
    assert breached == (
        "BREACHED      slow-cnn · model-inference · cpu      P99 <= 5 ms   "
        "9 ms [9 ms, no upper bound]  99 % conf, n = 500, 16 s span"
    )
    assert invalid.startswith(
        "INVALID       wav2vec2 · model-inference · cuda-t4  P99 <= 20 ms  37 of 412 nodes ran on"
    )
    assert last == "1 INVALID, 1 BREACHED, 1 MET (report-only: no verdict fails this run)"


def test_a_line_about_a_baseline_shows_the_ratio_with_its_interval() -> None:
    session = replace(SESSION, planned=(COMPARED,), declared=())
    *_, (not_slower, good), (slower, bad), _ = terminal_lines(session, RESULTS)
    assert (good, bad) == (True, False)
    line = r"(NOT SLOWER|SLOWER) +new-cnn · model-inference · cpu  P\d\d <= [\d.]+x git:v1\|`old` +"
    for text in (not_slower, slower):
        assert re.fullmatch(line + r"[\d.]+x \[[\d.]+x, [\d.]+x\]  99 % conf, n = 2 000 each", text), text


def test_an_empty_session_has_a_table_too() -> None:
    assert terminal_lines(replace(SESSION, planned=(), declared=()), ()) == [("nothing was measured", None)]
