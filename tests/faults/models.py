"""Models and providers that crash, that hang, and files that change under a session."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

from tests.faults.check import check_left, check_next
from tests.faults.project import FIRST, LAST, SLA, VERDICTS, Planted
from tests.faults.row import NotHereError, Row, Survived
from tests.onnx_models import endless_model
from voiceflow_ml.latency.sampler import Sampler
from voiceflow_ml.pytest_plugin.exit_status import ExitStatus
from voiceflow_ml.results.store import read_session

_SECOND, _LAST = "test_first.py::test_second[cpu]", "test_last.py::test_last[cpu]"
_TINY, _OTHER = "sla.toml::tiny[model-inference-cpu]", "sla.toml::other[model-inference-cpu]"
# Says nothing of the broken promise that the usual project has: what is left is the fault's own.
_ONLY_REPORT = "--sla-policy=report-only"
_APART = ("-p", "xdist.plugin", "-n", "1")
_CALLS_BEFORE = 200

_CRASHES = "import ctypes\n\n\ndef fault():\n    ctypes.string_at(0)\n\n\n"
_HANGS = "import time\n\n\ndef fault():\n    time.sleep(3600)\n\n\n"
# A library that is called by PyDLL keeps Python's lock.
_HANGS_WITH_THE_LOCK = "import ctypes\n\n\ndef fault():\n    ctypes.PyDLL(None).sleep(3600)\n\n\n"
_WORK = f"""
calls = 0


def work():
    global calls
    calls += 1
    if calls == {_CALLS_BEFORE}:
        fault()
    return sum(range(3000))
"""
_LAST_FAILS = LAST.replace("latency(lambda: sum(range(3000)))", "latency(work)")
_SECOND_FAILS = FIRST.replace("def work():", "def other_work():").replace(
    "def test_first(latency):\n    latency(work)", "def test_first(latency):\n    latency(other_work)"
)
_PROVIDER = """\
#include <stddef.h>
void *CreateEpFactories(void) { *(volatile int *)NULL = 1; return NULL; }
void *ReleaseEpFactory(void) { return NULL; }
"""
_LOADS_PROVIDER = """\
from pathlib import Path

import onnxruntime
import pytest


@pytest.mark.hardware(targets=["cpu"])
@pytest.mark.sla(p50="10s")
def test_last(latency):
    onnxruntime.register_execution_provider_library("crashing", str(Path("provider.so").resolve()))
    latency(lambda: sum(range(3000)))
"""


def crash(folder: Path) -> Survived:
    project = Planted(folder, last=_CRASHES + _WORK + "\n\n" + _LAST_FAILS)
    ended = project.run()
    assert ended.exit_status == -signal.SIGSEGV, ended.output
    finished = check_left(project)
    project.mend()
    check_next(project)
    return Survived(finished, ended.exit_status)


def crashing_provider(folder: Path) -> Survived:
    project = Planted(folder, last=_LOADS_PROVIDER)
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotHereError("no C compiler (cc) is here to make a provider that crashes")
    (folder / "provider.c").write_text(_PROVIDER, encoding="utf-8")
    library = project.root / "provider.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(folder / "provider.c")], check=True)
    ended = project.run()
    assert ended.exit_status == -signal.SIGSEGV, ended.output
    finished = check_left(project)
    project.mend()
    check_next(project)
    return Survived(finished, ended.exit_status)


def _in_a_worker(folder: Path, fault: str, *options: str, says: str) -> Survived:
    project = Planted(folder, first=fault + _WORK + "\n\n" + _SECOND_FAILS)
    ended = project.run(*_APART, *options)
    assert ended.exit_status == ExitStatus.ERROR, ended.output
    finished = check_left(project, verdicts={**VERDICTS, _SECOND: "ERROR"})
    # Of the test that it was in, the worker cannot say that it has finished.
    assert finished == len(VERDICTS) - 1
    session, results = read_session(project.sessions()[-1])
    assert session.finished
    assert len(results) == len(VERDICTS), "the other tests go on"
    reason = project.reason(_SECOND)
    assert says in reason, reason
    project.mend()
    check_next(project)
    return Survived(finished, ended.exit_status, reason.splitlines()[-1].partition(";")[0])


def hang(folder: Path) -> Survived:
    project = Planted(folder, last=_HANGS + _WORK + "\n\n" + _LAST_FAILS)
    ended = project.run(_ONLY_REPORT, "--sla-hang-timeout=2s")
    assert ended.exit_status == ExitStatus.ERROR, ended.output
    assert "latency promises" in ended.output
    finished = check_left(project, verdicts={**VERDICTS, _LAST: "ERROR"})
    assert finished == len(VERDICTS) - 1
    reason = project.reason(_LAST)
    # Warm-up and settling calls came back, too.
    assert reason.startswith(
        f"one inference did not come back within 2 s (--sla-hang-timeout), after {_CALLS_BEFORE - 1}"
    )
    failed = ElementTree.parse(project.root / "junit.xml").getroot().findall("testsuite/testcase/failure")
    assert [entry.get("message", "")[: len("one inference")] for entry in failed] == ["one inference"]
    project.mend()
    check_next(project)
    return Survived(finished, ended.exit_status, reason.partition(";")[0])


def endless(folder: Path) -> Survived:
    """A real inference: a loop of as many rounds as fit into 64 bits. It takes turns with a healthy model."""
    project = Planted(folder, sla=SLA.replace('other]\nfile = "tiny.onnx"', 'other]\nfile = "endless.onnx"'))
    endless_model(project.root / "endless.onnx")
    ended = project.run(_ONLY_REPORT, "--sla-hang-timeout=2s")
    assert ended.exit_status == ExitStatus.ERROR, ended.output
    finished = check_left(project, verdicts={**VERDICTS, _OTHER: "ERROR"})
    assert finished == 2
    reason = project.reason(_OTHER)
    assert "did not come back within 2 s" in reason
    project.mend()
    check_next(project)
    return Survived(finished, ended.exit_status, reason.partition(";")[0])


def hang_with_the_lock(folder: Path) -> Survived:
    """No thread of Python can notice it. What a CI's own limit does then, is done here."""
    project = Planted(folder, last=_HANGS_WITH_THE_LOCK + _WORK + "\n\n" + _LAST_FAILS)
    run = project.start(_ONLY_REPORT, "--sla-hang-timeout=1s")
    deadline_s = time.monotonic() + 100
    while len(project.finished()) < len(VERDICTS) - 1 and time.monotonic() < deadline_s:
        time.sleep(0.1)
    time.sleep(5)
    os.kill(run.pid, signal.SIGKILL)
    ended = run.wait()
    assert ended.exit_status == -signal.SIGKILL, "it noticed after all"
    finished = check_left(project)
    assert finished == len(VERDICTS) - 1
    project.mend()
    check_next(project)
    return Survived(finished, ended.exit_status, "not noticed: ended from outside")


def _at_a_block(change: Callable[[], object]) -> None:
    """Do something between two blocks of the models that take turns."""
    real, blocks = Sampler.block, 0

    def block(self: Sampler) -> None:
        nonlocal blocks
        from tests.faults import hook  # noqa: PLC0415

        blocks += len(hook._finished) == 2
        if blocks == 10:
            change()
        real(self)

    mock.patch.object(Sampler, "block", block).start()


def _replace_model() -> None:
    from tests.onnx_models import chain_model  # noqa: PLC0415

    other = chain_model(Path("new.onnx"), layers=2)
    _at_a_block(lambda: shutil.copy(other, "tiny.onnx"))


def _remove_model() -> None:
    _at_a_block(functools.partial(Path("tiny.onnx").unlink, missing_ok=True))


def _changed(folder: Path, before: Callable[[], None]) -> Survived:
    project = Planted(folder)
    ended = project.run(before=before)
    # A broken promise weighs more than evidence that is INVALID.
    assert ended.exit_status == 1, ended.output
    finished = check_left(project, verdicts={**VERDICTS, _TINY: "INVALID", _OTHER: "INVALID"})
    assert finished == len(VERDICTS)
    sentence = "the model file tiny.onnx was replaced or removed while its session was measured"
    assert sentence in project.report_path.read_text(encoding="utf-8")
    project.mend()
    check_next(project)
    return Survived(finished, ended.exit_status, sentence)


_GOES_ON = "that test is an ERROR with its reason, the others go on, exit status 14"
_ENDED = "that test is an ERROR with its reason, the session ends with all files and exit status 14"
ROWS = (
    Row("crash-1", "inference that segfaults", "in its 200th call", "report names the test as NOT RUN", crash),
    Row("crash-2", "inference that segfaults", "in a worker (-n 1)", _GOES_ON,
        lambda folder: _in_a_worker(folder, _CRASHES, says="crashed")),
    Row("crash-3", "execution provider that segfaults", "a library of C that onnxruntime loads",
        "report names the test as NOT RUN", crashing_provider),
    Row("hang-1", "inference that hangs", "in its 200th call", _ENDED, hang, quick=True),
    Row("hang-2", "inference that hangs", "an ONNX loop without end, in turns with another model", _ENDED, endless),
    Row("hang-3", "inference that hangs", "in a worker (-n 1)", _GOES_ON,
        lambda folder: _in_a_worker(folder, _HANGS, "--sla-hang-timeout=2s", says="did not come back within 2 s")),
    Row("hang-4", "inference that hangs and holds Python's lock", "in its 200th call",
        "not noticed; ended from outside, nothing is lost", hang_with_the_lock),
    Row("model-1", "model file replaced", "between two blocks", "both that use it are INVALID",
        lambda folder: _changed(folder, _replace_model)),
    Row("model-2", "model file removed", "between two blocks", "both that use it are INVALID",
        lambda folder: _changed(folder, _remove_model)),
)  # fmt: skip
