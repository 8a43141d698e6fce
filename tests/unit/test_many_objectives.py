"""Five hundred objectives: the worst first, within GitHub's limits, and how many more there are.

How long it takes is measured by ``python -m benchmarks.many_objectives``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.many_objectives import many_results

from tests.unit.result_set import SESSION
from tests.unit.test_annotations import parsed
from tests.unit.test_summary import tables
from voiceflow_ml.reporting.annotations import MOST_OF_A_KIND, annotation_lines
from voiceflow_ml.reporting.html import MOST_DRAWN, render_page
from voiceflow_ml.reporting.render import MOST_PARTS, REPORT_LIMIT_BYTES, render_report
from voiceflow_ml.reporting.summary import COMMENT_LIMIT_BYTES, job_summary, pull_request_comment
from voiceflow_ml.reporting.view import build_view
from voiceflow_ml.results.record import Planned, Result, Session

COUNT = 500
RANK = {"BREACHED": 0, "INCONCLUSIVE": 1, "MET": 2}


def session_of(results: tuple[Result, ...], **changes: object) -> Session:
    return replace(SESSION, planned=tuple(result.planned for result in results), declared=(), **changes)  # type: ignore[arg-type]


@pytest.fixture(name="results", scope="module")
def _results() -> tuple[Result, ...]:
    return many_results(COUNT)


@pytest.fixture(name="report", scope="module")
def _report(results: tuple[Result, ...]) -> str:
    return render_report(session_of(results), results, Path("no-overrides"))


def size(text: str) -> int:
    return len(text.encode())


def shown(markdown: str) -> list[tuple[str, str]]:
    """Verdict and label of each row of the first table."""
    return [(cells[0], cells[1]) for cells in tables(markdown)[0] if cells]


def test_there_is_something_to_put_in_order(results: tuple[Result, ...]) -> None:
    verdicts = [str(result.outcomes[0]) for result in results]
    assert set(verdicts) == set(RANK)
    assert verdicts != sorted(verdicts, key=RANK.__getitem__)


def test_the_report_is_within_the_limit_and_worst_first(report: str, results: tuple[Result, ...]) -> None:
    assert size(report) <= REPORT_LIMIT_BYTES
    rows = shown(report)
    assert len(rows) == COUNT
    ranks = [RANK[verdict] for verdict, _ in rows]
    assert ranks == sorted(ranks)
    margins = [int(cells[5].removesuffix(" %")) for cells in tables(report)[0] if cells[:1] == ["BREACHED"]]
    assert margins == sorted(margins), "and the one furthest over its limit before all"


def test_the_worst_are_told_in_detail_and_the_others_are_counted(report: str) -> None:
    details = re.findall(r"^### (.*)$", report.partition("## How it was measured")[2], re.MULTILINE)
    worst = list(dict.fromkeys(label for _, label in shown(report)))[:MOST_PARTS]
    assert details == worst
    assert f"and {COUNT - MOST_PARTS} more, none of them worse: see performance.html" in report


def test_the_page_tells_all_and_draws_the_worst(results: tuple[Result, ...]) -> None:
    page = render_page(session_of(results), results, Path("no-overrides"))
    assert page.count('<td class="verdict ') == COUNT
    assert page.count("<p>Test: <code>") == COUNT
    assert page.count("<svg ") == 2 * MOST_DRAWN
    assert "more, none of them worse" not in page


def test_names_of_any_length_stay_within_every_limit() -> None:
    results = tuple(
        replace(result, planned=replace(result.planned, model=f"{place} {'|`<é' * 400}"))
        for place, result in enumerate(many_results(100))
    )
    view = build_view(session_of(results), results)
    for text, limit in (
        (render_report(session_of(results), results, Path("no-overrides")), REPORT_LIMIT_BYTES),
        (job_summary(view, [], 20_000), 20_000),
        (pull_request_comment(view, []), COMMENT_LIMIT_BYTES),
    ):
        rows = len(re.findall(r"^\| \*\*", text, re.MULTILINE))
        assert 0 < rows < 100
        assert size(text) <= limit
        assert f"and {100 - rows} more, none of them worse: see " in text


def test_summary_comment_and_annotations_begin_with_the_worst(results: tuple[Result, ...], report: str) -> None:
    view = build_view(session_of(results), results)
    assert shown(job_summary(view, [])) == shown(report)
    comment = pull_request_comment(view, [])
    assert size(comment) <= COMMENT_LIMIT_BYTES
    assert shown(comment) == shown(report)[: len(shown(comment))]
    errors = [parsed(line) for line in annotation_lines(view, [], policy="strict") if line.startswith("::error")]
    assert [title.split(",")[0] for _, title, _ in errors[:-1]] == [
        f"{verdict}: {label}" for verdict, label in shown(report)[: MOST_OF_A_KIND - 1]
    ]
    assert errors[-1][2].startswith("and ")


def test_promises_without_a_number_are_named_up_to_a_number() -> None:
    declared = tuple(Planned("", f"m{i}", "model-inference", "cpu", {"P99": 1}) for i in range(COUNT))
    coverage = build_view(replace(SESSION, planned=(), declared=declared), ()).coverage
    assert coverage.startswith("500 of 500 declared promises have no measurement: m0 · ")
    assert coverage.endswith("m19 · model-inference · cpu (NOT RUN), and 480 more.")


def test_budgets_are_told_tightest_first_and_the_others_are_counted() -> None:
    stages = {
        name: {"low_ns": 1_000_000, "high_ns": 9_000_000}
        for name in ("network", "server-processing", "model-inference")
    }
    declared = tuple(
        Planned("", f"m{i}", "end-to-end", "cpu", {"P99": 1_000_000 * (i + 1)}, stages=stages) for i in range(60)
    )
    report = render_report(replace(SESSION, planned=(), declared=declared), (), Path("no-overrides"))
    titles = re.findall(r"^### (m\d+)", report.partition("## Latency budget")[2], re.MULTILINE)
    assert titles == [f"m{i}" for i in range(MOST_PARTS)]
    assert "and 20 more, none of them worse: see performance.html" in report.partition("## Latency budget")[2]
