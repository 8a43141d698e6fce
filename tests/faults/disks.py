"""Disks that are full, or may not be written to."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.faults.check import check_left, check_next
from tests.faults.project import Planted
from tests.faults.row import NotHereError, Row, Survived
from voiceflow_ml.pytest_plugin.exit_status import ExitStatus
from voiceflow_ml.results.store import SESSION_FILE, read_session

# One promise of the usual project is broken, which weighs more than a file that could not be written.
_ONLY_REPORT = "--sla-policy=report-only"
_QUOTA_BYTES = 8 * 1024


@contextlib.contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system of its own on a folder, where that is allowed."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True, check=False
    ) if shutil.which("mount") else None  # fmt: skip
    if mounted is None or mounted.returncode:
        raise NotHereError(f"no file system may be mounted here: {mounted.stderr.strip() if mounted else 'no mount'}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _error_of(output: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    return line.removeprefix("ERROR: ")


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_QUOTA_BYTES, _QUOTA_BYTES))


def quota(folder: Path) -> Survived:
    project = Planted(folder)
    ended = project.run(_ONLY_REPORT, before=_small_files)
    assert ended.exit_status == ExitStatus.ERROR, ended.output
    # The journal is smaller than the quota: the tests went on, and the run says which file it could not write.
    assert len(project.finished()) == 5
    says = _error_of(ended.output)
    assert "cannot be written: File too large" in says
    assert list(project.reports.rglob("*.part")) == []
    assert not list(project.reports.rglob("0*.json")), "a result that is larger than any file may be"
    check_next(project)
    return Survived(0, ended.exit_status, says)


def full_from_the_start(folder: Path) -> Survived:
    project = Planted(folder)
    with _mounted(project.reports, "size=16k"):
        # One page is the folder's own.
        filler = project.reports / "filler"
        with contextlib.suppress(OSError):
            filler.write_bytes(b"x" * 64 * 1024)
        ended = project.run(_ONLY_REPORT)
        assert ended.exit_status == ExitStatus.ERROR, ended.output
        says = _error_of(ended.output)
        assert "No space left on device" in says
        assert list(project.reports.rglob("*.part")) == []
    check_next(project)
    return Survived(0, ended.exit_status, says)


def fills_up(folder: Path) -> Survived:
    """Room for the first results alone. They stay, they can be rendered, and the run says what is not there."""
    project = Planted(folder)
    with _mounted(project.reports, "size=56k"):
        ended = project.run(_ONLY_REPORT)
        assert ended.exit_status == ExitStatus.ERROR, ended.output
        says = _error_of(ended.output)
        assert "No space left on device" in says
        (session,) = project.sessions()
        assert (session / SESSION_FILE).exists()
        kept = sorted(session.glob("[0-9]*.json"))
        assert 0 < len(kept) < 5, kept
        # Finished are those that fitted: of the others the run said that they are not on disk.
        project.only_finished(len(kept))
        finished = check_left(project, stale_report=True)
        assert list(project.reports.rglob("*.part")) == []
        shutil.copytree(project.reports, folder / "kept")
    shutil.copytree(folder / "kept", project.reports, dirs_exist_ok=True)
    check_next(project)
    return Survived(finished, ended.exit_status, says)


def full_for_a_while(folder: Path) -> Survived:
    """Somebody makes room before the end: what could not be written is written then, and nothing is lost."""
    project = Planted(folder, last=_MAKES_ROOM)
    with _mounted(project.reports, "size=1m"):
        filler = project.reports / "filler"
        filler.write_bytes(b"x" * (1024 - 56) * 1024)
        ended = project.run(_ONLY_REPORT)
        assert ended.exit_status == 0, ended.output
        finished = check_left(project)
        assert finished == 5
        shutil.copytree(project.reports, folder / "kept")
    return Survived(finished, ended.exit_status, "all written in the end")


_MAKES_ROOM = """\
from pathlib import Path

import pytest


@pytest.mark.hardware(targets=["cpu"])
@pytest.mark.sla(p50="10s")
def test_last(latency):
    Path("reports/filler").unlink()
    latency(lambda: sum(range(3000)))
"""


def read_only(folder: Path) -> Survived:
    project = Planted(folder)
    if os.geteuid() == 0:
        # Permissions do not bind root.
        with _mounted(project.reports, "ro"):
            ended = project.run(_ONLY_REPORT)
    else:
        project.reports.mkdir(mode=0o555)
        ended = project.run(_ONLY_REPORT)
        project.reports.chmod(0o755)
    assert ended.exit_status == ExitStatus.ERROR, ended.output
    says = _error_of(ended.output)
    assert "cannot be written: " in says
    check_next(project)
    return Survived(0, ended.exit_status, says)


def no_junit(folder: Path) -> Survived:
    project = Planted(folder)
    ended = project.run("--junitxml=/dev/full")
    # pytest itself ends with a traceback there: its own exit status for that is that of a failed test.
    assert ended.exit_status == 1, ended.output
    assert "No space left on device" in ended.output
    finished = check_left(project)
    session, _ = read_session(project.sessions()[0])
    assert session.finished, "the books were closed before"
    check_next(project)
    return Survived(finished, ended.exit_status, "pytest ends with its own error")


_SAYS = "tests go on, exit status 14 and one sentence that names the file"
ROWS = (
    Row("disk-1", "full disk", "from the start", f"{_SAYS}; nothing half-written", full_from_the_start),
    Row("disk-2", "full disk", "after the first results", f"{_SAYS}; those that fitted are intact", fills_up),
    Row("disk-3", "full disk", "until the last test", "what did not fit is written later, exit status 0",
        full_for_a_while),
    Row("disk-4", "quota", "files of 8 KiB at most", f"{_SAYS}; nothing half-written", quota, quick=True),
    Row("disk-6", "full disk", "where pytest writes its junit.xml", "report complete", no_junit),
    Row("disk-5", "read-only reports folder", "from the start", _SAYS, read_only),
)  # fmt: skip
