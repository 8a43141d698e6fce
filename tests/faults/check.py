"""What must hold after every fault: nothing lost, a report that names what is missing, a next run like any other."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.project import BROKEN_PROMISE, VERDICTS, Planted
from tests.faults.row import LostError
from voiceflow_ml.commands.report import render_command
from voiceflow_ml.errors import ResultError
from voiceflow_ml.reporting.render import render_report
from voiceflow_ml.results.record import Result, Session
from voiceflow_ml.results.store import SESSION_FILE, read_session

_NO_TEMPLATES = Path("no such folder")


def check_left(project: Planted, *, verdicts: dict[str, str] = VERDICTS, stale_report: bool = False) -> int:
    """Check what a fault left on disk.

    Args:
        project: where it was planted.
        verdicts: test -> its verdict, or "ERROR", where it has one; the usual ones by default.
        stale_report: the fault keeps reports from being written, so that the one that is there may be older.

    Returns:
        How many tests had finished.

    Raises:
        LostError: a finished test has no result, or another than it had.
        AssertionError: anything else is not as it must be.
    """
    finished = project.finished()
    folders = [folder for folder in project.sessions() if (folder / SESSION_FILE).exists()]
    if not folders:
        if finished:
            raise LostError(finished, "there is no session")
        assert not project.report_path.exists(), "a report of nothing"
        return 0
    session, results = _read(folders[-1], finished)
    _check_results(session, results, finished, verdicts)
    _check_rendered_again(project, folders[-1], session, results)
    if not stale_report:
        _check_report(project, session, results)
    check_whole(project.reports)
    return len(finished)


def check_next(
    project: Planted, *others: str, before: Callable[[], None] | None = None, verdicts: dict[str, str] = VERDICTS
) -> None:
    """Run again without the fault: the usual verdicts, of this run alone, and older sessions untouched.

    Args:
        project: where the fault was planted.
        others: further arguments of pytest.
        before: as of a run.
        verdicts: test -> its verdict.
    """
    older = {folder: _contents(folder) for folder in project.sessions()}
    leftovers = set(project.reports.rglob("*.part"))
    run = project.run(*others, before=before)
    assert run.exit_status == BROKEN_PROMISE, run.output
    assert {folder: _contents(folder) for folder in older} == older, "an older session was changed"
    (folder,) = [folder for folder in project.sessions() if folder not in older]
    session, results = read_session(folder)
    assert session.finished
    assert verdicts_of(results) == verdicts
    assert project.report_path.read_text(encoding="utf-8") == render_report(session, results, _NO_TEMPLATES)
    check_whole(project.reports)
    assert ElementTree.parse(project.root / "junit.xml").getroot().find("testsuite") is not None
    assert set(project.reports.rglob("*.part")) <= leftovers, "a run that nothing disturbs leaves nothing behind"
    assert "somebody else is measuring" not in run.output, "a lock outlived its holder"


def verdicts_of(results: tuple[Result, ...]) -> dict[str, str]:
    """Test -> its verdict; of one that has none, its state."""
    return {
        result.planned.node_id: str(result.outcomes[0]) if result.outcomes else str(result.state).upper()
        for result in results
    }


def _read(folder: Path, finished: list[str]) -> tuple[Session, tuple[Result, ...]]:
    try:
        return read_session(folder)
    except ResultError as error:
        raise LostError(finished, str(error)) from None


def _check_results(
    session: Session, results: tuple[Result, ...], finished: list[str], verdicts: dict[str, str]
) -> None:
    found = verdicts_of(results)
    missing = [name for name in finished if name not in found]
    if missing:
        raise LostError(missing, "no result on disk")
    wrong = {name: verdict for name, verdict in found.items() if verdict != verdicts[name]}
    if wrong:
        raise LostError(list(wrong), f"not as it was: {wrong}")
    assert set(found) <= {planned.node_id for planned in session.planned}
    assert [planned.node_id for planned in session.planned] == list(verdicts)


def _check_rendered_again(project: Planted, folder: Path, session: Session, results: tuple[Result, ...]) -> None:
    """``voiceflow report render`` makes a report of what is there: verdicts, and what is missing by name."""
    out = project.root.parent / "again" / "PERFORMANCE_ANALYSIS.md"
    with redirect_stdout(io.StringIO()):
        render_command(folder, out, _NO_TEMPLATES)
    check_whole(out.parent)
    text = out.read_text(encoding="utf-8")
    assert ("Not finished" in text) is (not session.finished)
    found = verdicts_of(results)
    for planned in session.planned:
        label = planned.label.replace("_", "\\_")
        assert f"| **{found.get(planned.node_id, 'NOT RUN')}** | {label} |" in text, (planned, text)


def _check_report(project: Planted, session: Session, results: tuple[Result, ...]) -> None:
    """The report that the run itself left is one that it could have made of what is on disk: whole, and no more."""
    if not project.report_path.exists():
        # It ended between its first record and its first report; the command above made one.
        assert not results
        return
    text = project.report_path.read_text(encoding="utf-8")
    could = {
        render_report(replace(session, finished=done), results[:count], _NO_TEMPLATES)
        for done, count in product((False, True), range(max(0, len(results) - 1), len(results) + 1))
    }
    assert text in could, text


def check_whole(folder: Path) -> None:
    """Each file of a report is whole."""
    for path in folder.rglob("*"):
        if not path.is_file() or path.suffix == ".part":
            continue
        if path.suffix in (".json",):
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".svg":
            ElementTree.parse(path)
        elif path.suffix == ".html":
            assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), path
        elif path.name == "openmetrics.txt":
            assert path.read_text(encoding="utf-8").endswith("# EOF\n"), path


def _contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
