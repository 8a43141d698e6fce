"""What is seen while a measurement runs: one line in place on a terminal, now and then a line in a log."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from tests.integration.plugin_project import THREE_VERDICTS, Project
from voiceflow_ml.hardware import device_lock
from voiceflow_ml.reporting import pace

CONTROL = re.compile(r"\x1b\[(\d*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


def run_on_a_terminal(project: Project, *arguments: str, columns: int = 80, term: str = "xterm") -> str:
    """Everything that a run writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": term}
    command = [sys.executable, "-m", "pytest", "--sla-span=0s", *arguments]
    with subprocess.Popen(command, cwd=project.root, stdout=theirs, stderr=theirs, env=environment) as run:
        os.close(theirs)
        written = b""
        while chunk := read(ours):
            written += chunk
    os.close(ours)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    return written.decode()


def read(terminal: int) -> bytes:
    """The next bytes; none when the other side is closed, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def screen(written: str) -> list[str]:
    """What a terminal shows in the end, colours aside."""
    lines, row, column = [""], 0, 0
    for count, letter, carriage_return, newline, text in CONTROL.findall(written):
        if carriage_return:
            column = 0
        elif newline:
            row += 1
            lines += [""] * (row - len(lines) + 1)
        elif letter == "A":
            row -= int(count)
        elif letter == "C":
            column += int(count)
        elif letter == "K":
            lines[row] = ""
        elif text:
            lines[row] = f"{lines[row]:<{column}}"[:column] + text + lines[row][column + len(text) :]
            column += len(text)
        else:
            assert letter == "m", f"unexpected control sequence ending in {letter}"
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ([], ["test_it.py .F." + " " * 59 + "[100%]"]),
        (["-v"], ["test_it.py::test_first[cpu] PASSED" + " " * 39 + "[ 33%]"]),
    ],
    ids=["dots", "verbose"],
)
def test_a_terminal_shows_one_line_that_goes_again(project: Project, arguments: list[str], lines: list[str]) -> None:
    project.write_test(THREE_VERDICTS)
    written = run_on_a_terminal(project, *arguments)
    assert "\ntest_first · model-inference · cpu: " not in written, "it is drawn over an erased line"
    assert "\x1b[2Ktest_first · model-inference · cpu: warming up, 300 s left" in written
    shown = screen(written)
    assert set(lines) <= set(shown), "\n".join(shown)
    assert "warming up" not in "\n".join(shown)


def test_on_a_narrow_terminal_the_label_gives_way(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    written = run_on_a_terminal(project, columns=40)
    assert "\x1b[2Ktest_first · m…: warming up, 300 s left\r" in written


def test_a_terminal_that_cannot_move_its_cursor_is_a_plain_log(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    assert "warming up" not in run_on_a_terminal(project, term="dumb")


def test_a_log_stays_as_pytest_writes_it_when_measurements_are_short(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    result = project.run()
    result.stdout.fnmatch_lines(["collected 3 items", "", "test_it.py .F. *[[]100%[]]"], consecutive=True)


def test_a_log_hears_of_what_takes_long(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_PLAIN_INTERVAL_NS", 0)
    project.write_test(THREE_VERDICTS)
    result = project.run()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "test_first · model-inference · cpu: 10/500 samples, 300 s left, P99 * of 10 s needs 1 990 more",
            "test_second · model-inference · cpu: 10/500 samples, 300 s left, P99 * of 1 ns needs 490 more",
            "test_third · model-inference · cpu: 300/300 samples, * s left, P50 * of 10 s MET, P99 * needs 1 700 more",
        ]
    )
    quiet = project.run("-q", "-q")
    assert "samples, " not in quiet.stdout.str().partition("latency promises")[0]


def test_those_who_take_turns_say_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_PLAIN_INTERVAL_NS", 0)
    project.write_test("""
@pytest.mark.hardware(prepare=lambda target: work)
@pytest.mark.sla(p50="10s")
@pytest.mark.parametrize("number", [1, 2])
def test_one(latency, number):
    latency()
""")
    result = project.run("--sla-span=1ms")
    result.assert_outcomes(passed=2)
    label = "test_one · model-inference · cpu"
    result.stdout.fnmatch_lines_random(
        [f"{label} ({place} of 2 in turns): 10/300 samples, * s left, P50 * needs 290 more" for place in (1, 2)]
    )


def test_waiting_for_the_device_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device_lock, "_WAIT_BETWEEN_NOTICES_S", 0.01)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with device_lock.device_lock("cpu", print):
        (path,) = tmp_path.rglob("cpu.lock")
    other = FileLock(path)
    other.acquire()
    told: list[str] = []

    def tell(sentence: str) -> None:
        told.append(sentence)
        other.release()

    with device_lock.device_lock("cpu", tell):
        assert told == ["waiting: somebody else is measuring on cpu"]
