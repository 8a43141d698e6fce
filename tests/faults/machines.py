"""Machines that misbehave: clocks, the NVIDIA driver, a system without /proc."""

from __future__ import annotations

import builtins
import io
import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from unittest import mock

from tests.faults.check import check_left, check_next
from tests.faults.project import BROKEN_PROMISE, VERDICTS, Ended, Planted
from tests.faults.row import NotHereError, Row, Survived
from voiceflow_ml.hardware.fake_nvml import FakeGpu, FakeNvml
from voiceflow_ml.hardware.gpu_watch import GpuWatch
from voiceflow_ml.latency.recorder import Recorder
from voiceflow_ml.pytest_plugin import hooks, ledger, measuring, outcomes
from voiceflow_ml.pytest_plugin.exit_status import ExitStatus

_SECOND = "test_first.py::test_second[cpu]"
_HOUR_NS = 3_600_000_000_000
_COARSE_NS = 10_000_000
_GPU_IS_LOST = 15


def _set_wall_clock(now: Callable[[], datetime]) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return now().astimezone(tz)

    for module in (hooks, ledger, measuring, outcomes):
        mock.patch.object(module, "datetime", Clock).start()


def _same_second() -> None:
    """A container that was started again after the clock was put back: same process id, same time."""
    started = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    _set_wall_clock(lambda: started)
    mock.patch.object(os, "getpid", return_value=7).start()


def _put_back() -> None:
    """A day is taken off after the first test."""
    from tests.faults import hook  # noqa: PLC0415

    _set_wall_clock(lambda: datetime.now().astimezone() - timedelta(days=len(hook._finished) > 0))


def _at_a_sample(jump_ns: int) -> None:
    """The monotonic clock jumps inside a call of the second test."""
    real_now, real_count = time.perf_counter_ns, Recorder._count
    reads_left, samples, offset_ns = -1, 0, 0

    def now_ns() -> int:
        nonlocal reads_left, offset_ns
        if reads_left > 0:
            reads_left -= 1
            # The read after the next is that of the call's end.
            offset_ns = jump_ns if reads_left == 0 else 0
        return real_now() + offset_ns

    def count(self: Recorder, *arguments: int) -> None:
        nonlocal reads_left, samples
        from tests.faults import hook  # noqa: PLC0415

        samples += len(hook._finished) == 1
        if samples == 95 and reads_left < 0:
            reads_left = 2
        real_count(self, *arguments)

    mock.patch.object(time, "perf_counter_ns", now_ns).start()
    mock.patch.object(Recorder, "_count", count).start()


def _back_an_hour() -> None:
    _at_a_sample(-_HOUR_NS)


def _on_an_hour() -> None:
    _at_a_sample(_HOUR_NS)


def _stepping(real_now: Callable[[], int]) -> Callable[[], int]:
    return lambda: real_now() // _COARSE_NS * _COARSE_NS


def _coarse() -> None:
    mock.patch.object(time, "perf_counter_ns", _stepping(time.perf_counter_ns)).start()


def _one_second() -> int:
    # No mock: it is read a million times.
    return 1_000_000_000


def _standing() -> None:
    mock.patch.object(time, "perf_counter_ns", _one_second).start()


def same_name_twice(folder: Path) -> Survived:
    project = Planted(folder)
    ended = project.run(before=_same_second)
    assert ended.exit_status == BROKEN_PROMISE, ended.output
    finished = check_left(project)
    check_next(project, before=_same_second)
    assert [path.name for path in sorted(project.sessions())] == ["20260101T000000Z-7", "20260101T000000Z-7-2"]
    return Survived(finished, ended.exit_status, "the second session's folder has another name")


def _run(folder: Path, before: Callable[[], None], status: int, verdicts: dict[str, str], says: str) -> Survived:
    project = Planted(folder)
    ended = project.run(before=before)
    assert ended.exit_status == status, ended.output
    finished = check_left(project, verdicts={**VERDICTS, **verdicts})
    assert finished == len(VERDICTS)
    assert says in ended.output, ended.output
    check_next(project)
    return Survived(finished, ended.exit_status, says)


ON_GPU = """\
from pathlib import Path

import pytest

from tests.lies.bench import ROWS, on_gpu


@pytest.mark.hardware(targets=["cuda-t4"])
@pytest.mark.sla(p50="10s")
def test_last(latency, target):
    latency(on_gpu(Path(), target), ROWS)
"""
_ON_GPU = "test_last.py::test_last[cuda-t4]"


# For as long as the process lives: one that nobody holds any more takes its driver away.
_INSTALLED: list[AbstractContextManager[FakeNvml]] = []


def _driver() -> FakeNvml:
    driver = FakeNvml(FakeGpu())
    installed = driver.installed()
    installed.__enter__()
    _INSTALLED.append(installed)
    return driver


def _with_driver() -> None:
    _driver()


def _driver_vanishes() -> None:
    driver, real, blocks = _driver(), GpuWatch.after_block, 0

    def after_block(self: GpuWatch) -> None:
        nonlocal blocks
        blocks += 1
        if blocks == 5:
            driver._problem = _GPU_IS_LOST
        real(self)

    mock.patch.object(GpuWatch, "after_block", after_block).start()


def nvml_vanishes(folder: Path) -> Survived:
    project = Planted(folder, last=ON_GPU)
    verdicts = {**VERDICTS, _ON_GPU: "INVALID"}
    del verdicts["test_last.py::test_last[cpu]"]
    ended = project.run("--gpu=t4", before=_driver_vanishes)
    assert ended.exit_status == BROKEN_PROMISE, ended.output
    finished = check_left(project, verdicts=verdicts)
    says = "the NVIDIA driver stopped answering during the run"
    assert says in ended.output, ended.output
    check_next(project, "--gpu=t4", before=_with_driver, verdicts={**verdicts, _ON_GPU: "MET"})
    return Survived(finished, ended.exit_status, says)


def no_proc(folder: Path) -> Survived:
    project = Planted(folder)
    if shutil.which("unshare") is None:
        raise NotHereError("unshare is not here")
    without = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    if project.outcome_of([*without, "true"]):
        raise NotHereError("no mount namespace may be made here")
    return _without_proc(project, project.run_by(without))


def _hide_proc() -> None:
    def hiding(real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(path: Any, *arguments: Any, **named: Any) -> Any:
            if str(path).startswith(("/proc/", "/sys/")):
                raise FileNotFoundError(2, "No such file or directory", str(path))
            return real(path, *arguments, **named)

        return opened

    for module in (builtins, io, os):
        mock.patch.object(module, "open", hiding(module.open)).start()


def hidden_proc(folder: Path) -> Survived:
    project = Planted(folder)
    return _without_proc(project, project.run(before=_hide_proc))


def _without_proc(project: Planted, ended: Ended) -> Survived:
    assert ended.exit_status == BROKEN_PROMISE, ended.output
    finished = check_left(project)
    assert finished == len(VERDICTS)
    assert "unknown" in project.report_path.read_text(encoding="utf-8")
    check_next(project)
    return Survived(finished, ended.exit_status, "all verdicts; what the kernel would have said is unknown")


_ALL_INVALID = dict.fromkeys(VERDICTS, "INVALID")
ROWS = (
    Row("clock-1", "clock put back", "to the second of an older session, same process id",
        "both sessions whole, neither counted as the other", same_name_twice),
    Row("clock-2", "clock put back", "by a day, after the first test", "verdicts as ever",
        lambda folder: _run(folder, _put_back, BROKEN_PROMISE, {}, "1 BREACHED, 4 MET")),
    Row("clock-3", "monotonic clock goes backwards", "by an hour, inside a call",
        "that test is an ERROR with its reason, exit status 14; nothing waits for the hour",
        lambda folder: _run(folder, _back_an_hour, ExitStatus.ERROR, {_SECOND: "ERROR"}, "the clock went backwards"),
        quick=True),
    Row("clock-4", "monotonic clock jumps on", "by an hour, inside a call",
        "that test is INCONCLUSIVE: its time is spent",
        lambda folder: _run(folder, _on_an_hour, 0, {_SECOND: "INCONCLUSIVE"}, "1 INCONCLUSIVE, 4 MET")),
    Row("clock-5", "coarse clock", "steps of 10 ms", "every verdict INVALID, exit status 12",
        lambda folder: _run(folder, _coarse, ExitStatus.INVALID, _ALL_INVALID, "too coarse for a median latency")),
    Row("clock-6", "clock that stands still", "from the start", "every verdict INVALID, exit status 12",
        lambda folder: _run(folder, _standing, ExitStatus.INVALID, _ALL_INVALID, "the monotonic clock stands still")),
    Row("nvml-1", "NVML vanishes", "after five blocks (a fake driver that is lost)", "that test is INVALID",
        nvml_vanishes),
    Row("proc-1", "no /proc", "an empty one, in a mount namespace", "verdicts as ever, facts unknown", no_proc),
    Row("proc-2", "no /proc, no /sys", "every open of a file there fails", "verdicts as ever, facts unknown",
        hidden_proc, quick=True),
)  # fmt: skip
