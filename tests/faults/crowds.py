"""Many at once: two sessions on one device, ten thousand results in one folder."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.faults.check import check_left, check_next, check_whole, verdicts_of
from tests.faults.project import BROKEN_PROMISE, VERDICTS, Planted
from tests.faults.row import Row, Survived
from voiceflow_ml.commands.report import render_command
from voiceflow_ml.hardware.device_lock import device_lock
from voiceflow_ml.results.record import Result
from voiceflow_ml.results.store import SESSION_FILE, ResultStore, read_session

MANY = 10_000
_MEASURED = 200
"""Of the many; the others were skipped."""
_MOST_BYTES = 2 * 2**30
_NO_TEMPLATES = Path("no such folder")


def two_at_once(folder: Path) -> Survived:
    project = Planted(folder)
    runs = [project.start(), project.start(output="second")]
    ends = [run.wait() for run in runs]
    assert [ended.exit_status for ended in ends] == [BROKEN_PROMISE] * 2, [ended.output for ended in ends]
    assert len(project.sessions()) == 2
    for session_folder in project.sessions():
        session, results = read_session(session_folder)
        assert session.finished
        assert verdicts_of(results) == VERDICTS
    check_whole(project.reports)
    assert list(project.reports.rglob("*.part")) == []
    check_next(project)
    return Survived(2 * len(VERDICTS), ends[0].exit_status)


def _hold_device(scratch: str) -> None:
    tempfile.tempdir = scratch
    with device_lock("cpu", lambda _text: None):
        (Path(scratch) / "held").touch()
        time.sleep(600)


def holder_killed(folder: Path) -> Survived:
    """Somebody holds the device and is killed: the session that waits for it goes on."""
    project = Planted(folder)
    holder = multiprocessing.get_context("forkserver").Process(target=_hold_device, args=(str(project.scratch),))
    holder.start()
    while not (project.scratch / "held").exists():
        time.sleep(0.05)
    run = project.start()
    deadline_s = time.monotonic() + 100
    while "waiting: somebody else is measuring on cpu" not in run.output and time.monotonic() < deadline_s:
        time.sleep(0.2)
    os.kill(holder.pid or 0, signal.SIGKILL)
    ended = run.wait()
    holder.join()
    assert "waiting: somebody else is measuring on cpu" in ended.output, ended.output
    assert ended.exit_status == BROKEN_PROMISE, ended.output
    finished = check_left(project)
    assert finished == len(VERDICTS)
    check_next(project)
    return Survived(finished, ended.exit_status, "waited, and went on when the holder was gone")


def _multiply(folder: Path) -> None:
    """Make of one session with five results one with ten thousand."""
    session, results = read_session(folder)
    measured = next(result for result in results if result.measurement is not None)
    store = ResultStore(folder)
    planned = []
    for path in folder.glob("[0-9]*.json"):
        path.unlink()
    for place in range(MANY):
        entry = replace(measured.planned, node_id=f"test_many.py::test_{place}", model=f"model-{place}")
        planned.append(entry)
        made: Result = replace(measured, planned=entry)
        if place >= _MEASURED:
            made = Result.from_json(replace(made, measurement=None).to_json().replace('"measured"', '"skipped"'))
        store.write_result(made, place)
    store.write_session(replace(session, planned=tuple(planned), declared=()))


def _render(folder: Path, out: Path, measured: Path) -> None:
    began_s = time.monotonic()
    render_command(folder, out, _NO_TEMPLATES)
    took = {"render_s": time.monotonic() - began_s}
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured.write_text(json.dumps({**took, "peak_bytes": peak_bytes}), encoding="utf-8")


def ten_thousand(folder: Path) -> Survived:
    project = Planted(folder)
    first = project.run()
    assert first.exit_status == BROKEN_PROMISE, first.output
    (session_folder,) = project.sessions()
    _multiply(session_folder)
    out, measured = folder / "out" / "PERFORMANCE_ANALYSIS.md", folder / "measured.json"
    process = multiprocessing.get_context("forkserver").Process(target=_render, args=(session_folder, out, measured))
    process.start()
    process.join()
    assert process.exitcode == 0
    check_whole(out.parent)
    text = out.read_text(encoding="utf-8")
    assert f"**{MANY - _MEASURED} NOT RUN, {_MEASURED} MET**" in text
    assert "more" in text
    took = json.loads(measured.read_text(encoding="utf-8"))
    assert took["peak_bytes"] <= _MOST_BYTES
    assert len(list(session_folder.iterdir())) == MANY + len([SESSION_FILE])
    check_next(project)
    return Survived(
        _MEASURED, first.exit_status, "", (("render_s", round(took["render_s"], 1)), ("peak_bytes", took["peak_bytes"]))
    )


ROWS = (
    Row("two-1", "two sessions", "in one folder, on one device, at once", "both whole, both exit as ever", two_at_once),
    Row("two-2", "two sessions", "the one that holds the device is killed", "the other waits, says so, and goes on",
        holder_killed),
    Row("many-1", "10 000 result files", "in one session, 200 of them measured",
        "report made, memory below 2 GiB, next run in that folder as ever", ten_thousand),
)  # fmt: skip
