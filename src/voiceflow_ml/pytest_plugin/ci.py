"""What a CI system reads: files beside the report, and on GitHub the job summary and annotations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voiceflow_ml.errors import ResultError

if TYPE_CHECKING:
    from voiceflow_ml.reporting.view import ReportView
    from voiceflow_ml.results.record import Result, Session

_TRUE = {"1", "true"}


def publish(
    config: pytest.Config,
    session: Session | None,
    results: Sequence[Result],
    problems: Sequence[str],
    folder: Path,
) -> list[str]:
    """Write the files, append the job summary and print the annotations.

    Args:
        config: pytest's configuration; its terminal takes the annotations.
        session: the session's record; None when no test was planned.
        results: its finished tests, in the order of the plan.
        problems: what went wrong beside the tests.
        folder: where the report is.

    Returns:
        What could not be written: at most one sentence for the files, and one for the summary.
    """
    if session is None and not problems:
        return []
    from voiceflow_ml.reporting.outputs import write_outputs  # noqa: PLC0415
    from voiceflow_ml.reporting.view import build_view  # noqa: PLC0415

    view = build_view(session, results) if session is not None else None
    failed = []
    try:
        if session is not None and view is not None:
            write_outputs(session, view, results, problems, folder)
    except ResultError as error:
        failed.append(str(error))
    try:
        _append_summary(view, problems)
    except ResultError as error:
        failed.append(str(error))
    if os.environ.get("GITHUB_ACTIONS", "").lower() in _TRUE:
        _print_annotations(config, view, [*problems, *failed], session.policy if session is not None else "")
    return failed


def _append_summary(view: ReportView | None, problems: Sequence[str]) -> None:
    """Append to ``$GITHUB_STEP_SUMMARY``, where there is one.

    Raises:
        ResultError: it cannot be written, or has no room left.
    """
    name = os.environ.get("GITHUB_STEP_SUMMARY", "")
    if not name:
        return
    from voiceflow_ml.reporting.summary import SUMMARY_LIMIT_BYTES, job_summary  # noqa: PLC0415

    path = Path(name)
    try:
        taken_bytes = path.stat().st_size if path.exists() else 0
        text = job_summary(view, problems, SUMMARY_LIMIT_BYTES - taken_bytes - 1)
        if not text:
            raise ResultError(
                f"GITHUB_STEP_SUMMARY has no room left: {taken_bytes} of {SUMMARY_LIMIT_BYTES} bytes are taken; "
                "write less to it earlier in the step, or run pytest in a step of its own"
            )
        with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            # A table that follows the last line of somebody else's paragraph is no table.
            stream.write(f"\n{text}" if taken_bytes else text)
    except OSError as error:
        raise ResultError(f"GITHUB_STEP_SUMMARY ({path}) cannot be written: {error.strerror or error}") from None


def _print_annotations(config: pytest.Config, view: ReportView | None, problems: Sequence[str], policy: str) -> None:
    from voiceflow_ml.reporting.annotations import annotation_lines  # noqa: PLC0415

    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    # GitHub reads a command only at the start of a line, and nothing tells whether the progress has ended its own.
    reporter.write_line("")
    for line in annotation_lines(view, problems, policy=policy, folder=_folder_in_repository(config.rootpath)):
        reporter.write_line(line)


def _folder_in_repository(root: Path) -> str:
    """Where pytest's root folder is in the checkout, from where GitHub looks for files."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or root).resolve()
    inside = root.resolve().is_relative_to(workspace)
    return root.resolve().relative_to(workspace).as_posix() if inside else ""
