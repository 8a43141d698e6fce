"""What a report says of the promises themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.result_set import BREACHED, ELSEWHERE, INVALID, MET, NASTY, ON_CPU, RESULTS, SESSION, measured, planned
from voiceflow_ml.hardware.evidence import Finding
from voiceflow_ml.reporting.integrity import advice_lines, integrity_lines
from voiceflow_ml.reporting.render import render_report
from voiceflow_ml.reporting.table import terminal_lines
from voiceflow_ml.reporting.view import build_view
from voiceflow_ml.results.record import Planned, Result, Session

WAIVED = {"owner": "ann", "reason": NASTY, "expires": "2026-01-02"}
"""Its last day is the one on which the session started."""


def about(limit_ns: int, *findings: Finding, over: int = 0) -> Result:
    """2 000 samples in no order, from 4.0 to 4.1 ms, some of them beyond any limit."""
    taken = np.random.default_rng(0).integers(4_000_000, 4_100_000, size=2_000)
    taken[:over] = 10**12
    return measured(planned("t", "m", P99=limit_ns), taken, *(findings or (ON_CPU,)))


def waived(plan: Planned, **changes: str) -> tuple[Session, tuple[Result, ...]]:
    """The fixed set with this plan's only test under a waiver."""
    new = replace(plan, waivers={"P99": {**WAIVED, **changes}})
    results = tuple(replace(r, planned=new) if r.planned == plan else r for r in RESULTS)
    return replace(SESSION, planned=tuple(new if p == plan else p for p in SESSION.planned)), results


@pytest.mark.parametrize(
    ("limit_ns", "line"),
    [
        (8_000_000, None),
        (
            9_000_000,
            "promise too modest: m · model-inference · cpu: P99 <= 9 ms, surely at most 4.1 ms, measured 4.1 ms",
        ),
        (
            40_000_000,
            "promise too modest: m · model-inference · cpu: P99 <= 40 ms, surely at most 4.1 ms, measured 4.1 ms",
        ),
        (41_000_000, "placeholder: m · model-inference · cpu: P99 <= 41 ms is 10x the measured 4.1 ms"),
    ],
)
def test_a_promise_may_say_too_little(limit_ns: int, line: str | None) -> None:
    assert advice_lines([about(limit_ns)]) == ((line,) if line else ())


def test_only_numbers_that_are_about_the_promise_say_anything_of_it() -> None:
    assert advice_lines([about(10**10, ELSEWHERE)]) == ()
    assert advice_lines([about(10**10, over=100)]) == ()
    assert advice_lines([result for result in RESULTS if result.measurement is None]) == ()


def test_placeholders_come_first_and_there_is_an_end() -> None:
    lines = advice_lines([about(9_000_000), *[about(10**10)] * 50])
    assert len(lines) == 41
    assert lines[0].startswith("placeholder")
    assert lines[-1] == "and 11 more"


def test_a_waiver_counts_on_its_last_day_whenever_the_report_is_written() -> None:
    session, results = waived(BREACHED)
    (row,) = [row for row in build_view(session, results).rows if row.waived]
    assert (row.verdict, row.label) == ("BREACHED", BREACHED.label)
    assert build_view(session, results).headline.startswith("1 INVALID, 1 BREACHED (1 waived), 1 SLOWER")
    session, results = waived(BREACHED, expires="2026-01-01")
    assert not [row for row in build_view(session, results).rows if row.waived]
    (line,) = integrity_lines(session, results)
    assert line.startswith(
        f"waiver expired: {BREACHED.label}: P99 is BREACHED; the waiver by ann expired on 2026-01-01"
    )


@pytest.mark.parametrize("plan", [MET, INVALID])
def test_nothing_else_is_waived(plan: Planned) -> None:
    session, results = waived(plan)
    assert not [row for row in build_view(session, results).rows if row.waived]
    assert len(integrity_lines(session, results)) == 1


def test_what_was_loosened_comes_before_what_is_waived_and_breaks_nothing(tmp_path: Path) -> None:
    session, results = waived(BREACHED)
    session = replace(session, integrity=(f"loosened: {NASTY}",))
    first, second, *_ = [line for line, _ in terminal_lines(session, results)]
    assert first.startswith("loosened: a|b`c``d <b>bold</b> # not a heading")
    assert second.startswith(f"waiver: {BREACHED.label}")
    report = render_report(session, results, tmp_path)
    block = report[: report.index("**1 INVALID")].splitlines()
    assert [line[:2] for line in block if line] == ["# ", "> ", "> ", "> "]
    assert "<b>" not in report


def test_records_carry_both_and_older_ones_lack_them() -> None:
    session, (_, result, *_) = waived(BREACHED)
    session = replace(session, integrity=("loosened: one",))
    assert Session.from_json(session.to_json()) == session
    assert Result.from_json(result.to_json()).planned == result.planned
    older = json.loads(SESSION.to_json())
    del older["integrity"]
    for entry in (*older["planned"], *older["declared"]):
        del entry["waivers"]
    assert Session.from_json(json.dumps(older)) == SESSION
