"""The files beside a report that other programs read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voiceflow_ml.reporting.exchange import bencher_json, benchmark_action_json, build_points
from voiceflow_ml.reporting.openmetrics import openmetrics_text
from voiceflow_ml.reporting.summary import pull_request_comment
from voiceflow_ml.reporting.view import ReportView
from voiceflow_ml.results.record import Result, Session
from voiceflow_ml.results.store import write_atomically


def write_outputs(
    session: Session, view: ReportView, results: Sequence[Result], problems: Sequence[str], folder: Path
) -> None:
    """Write ``comment.md`` for a pull request, and the numbers for github-action-benchmark, Bencher and OpenMetrics.

    Args:
        session: the session's record.
        view: the same, worded.
        results: its finished tests, in the order of the plan.
        problems: what went wrong beside the tests.
        folder: where the report is.

    Raises:
        ResultError: a file cannot be written.
    """
    points = build_points(results)
    write_atomically(folder / "comment.md", pull_request_comment(view, problems))
    write_atomically(folder / "benchmark-action.json", benchmark_action_json(points))
    write_atomically(folder / "bencher.json", bencher_json(points))
    write_atomically(folder / "openmetrics.txt", openmetrics_text(session, results))
