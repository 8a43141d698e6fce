"""Ctrl-C and SIGTERM, while it measures, while it writes, while it closes its books."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.faults.check import check_left, check_next
from tests.faults.hook import HALF, RENAMING, Strike
from tests.faults.project import Planted
from tests.faults.row import Row, Survived

_PLUGIN = "voiceflow_ml.pytest_plugin"
_INTERRUPTED = 2
"""pytest's exit status of a run that was interrupted."""
_MEASURING = Strike("after", "voiceflow_ml.latency.recorder:Recorder._count", 37, finished=1)
_TURNS = Strike("after", "voiceflow_ml.latency.sampler:Sampler.block", 21, finished=2)
_WRITING = Strike(HALF, "[0-9]*.json", finished=1)
_RENAMING = Strike(RENAMING, "[0-9]*.json", finished=3)
_REPORTING = Strike(HALF, "PERFORMANCE_ANALYSIS.md", finished=1)
_CLOSING = Strike("before", f"{_PLUGIN}.ledger:Ledger.finish")


def _sent(strike: Strike, number: int, folder: Path, *, exit_status: int, table: bool = False) -> Survived:
    project = Planted(folder)
    at = Strike(strike.when, strike.what, strike.nth, strike.finished, number)
    ended = project.run(strike=at)
    assert ended.exit_status == exit_status, ended.output
    finished = check_left(project)
    if number == signal.SIGINT:
        assert list(project.reports.rglob("*.part")) == [], "an interrupt leaves nothing half-written"
    if table:
        assert "latency promises" in ended.output, ended.output
        assert "NOT RUN" in ended.output
    check_next(project)
    return Survived(finished, ended.exit_status)


def _interrupted(name: str, planted: str, strike: Strike, *, quick: bool = False) -> Row:
    return Row(
        f"ctrl-c-{name}", "Ctrl-C", planted, "exit status 2, table and report name the rest",
        lambda folder: _sent(strike, signal.SIGINT, folder, exit_status=_INTERRUPTED, table=True), quick,
    )  # fmt: skip


def _terminated(name: str, planted: str, strike: Strike) -> Row:
    return Row(
        f"term-{name}", "SIGTERM", planted, "ends at once; the report that is there names the rest",
        lambda folder: _sent(strike, signal.SIGTERM, folder, exit_status=-signal.SIGTERM),
    )  # fmt: skip


ROWS = (
    _interrupted("1", "inside a block", _MEASURING),
    _interrupted("2", "two that take turns", _TURNS),
    _interrupted("3", "half of a result written", _WRITING, quick=True),
    _interrupted("4", "before the rename of a result", _RENAMING),
    _interrupted("5", "half of a report written", _REPORTING),
    Row(
        "ctrl-c-6", "Ctrl-C", "books about to be closed", "all results on disk; pytest ends by the signal",
        lambda folder: _sent(_CLOSING, signal.SIGINT, folder, exit_status=-signal.SIGINT),
    ),
    _terminated("1", "inside a block", _MEASURING),
    _terminated("2", "half of a result written", _WRITING),
    _terminated("3", "books about to be closed", _CLOSING),
)  # fmt: skip
