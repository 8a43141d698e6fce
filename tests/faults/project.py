"""The project in which faults are planted: two tests, two promises of an sla.toml that take turns, and a last test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.faults.hook import JOURNAL, STRIKE, Strike
from tests.faults.warm import fork_run
from tests.onnx_models import tiny_model

ROOT = Path(__file__).parents[2]
MOST_S = 180
"""Longest that a run may take: one that hangs is a fault that was not survived."""

FIRST = """\
import pytest

cpu = pytest.mark.hardware(targets=["cpu"])


def work():
    return sum(range(3000))


@cpu
@pytest.mark.sla(p50="10s")
def test_first(latency):
    latency(work)


@cpu
@pytest.mark.sla(p50="1ns")
def test_second(latency):
    latency(work)
"""
# P50, because it is decided by so few samples.
SLA = """\
version = 1

[models.tiny]
file = "tiny.onnx"
inputs = { x = { shape = [4096, 4] } }

[models.other]
file = "tiny.onnx"
inputs = { x = { shape = [2048, 4] } }

[[objective]]
model = "tiny"
target = "cpu"
p50 = "10s"

[[objective]]
model = "other"
target = "cpu"
p50 = "10s"
"""
LAST = """\
import pytest


@pytest.mark.hardware(targets=["cpu"])
@pytest.mark.sla(p50="10s")
def test_last(latency):
    latency(lambda: sum(range(3000)))
"""
VERDICTS = {
    "test_first.py::test_first[cpu]": "MET",
    "test_first.py::test_second[cpu]": "BREACHED",
    "sla.toml::tiny[model-inference-cpu]": "MET",
    "sla.toml::other[model-inference-cpu]": "MET",
    "test_last.py::test_last[cpu]": "MET",
}
"""Test -> verdict of each run that nothing keeps from ending, in the order in which they run."""
BROKEN_PROMISE = 1
"""Exit status of such a run: one promise is broken."""


_PLUGINS = ("pytest_benchmark.plugin", "voiceflow_ml.pytest_plugin", "tests.faults.hook", "no:cacheprovider")


@dataclass(frozen=True)
class Ended:
    """A run that is over: exit status (below 0 the signal that ended it) and all that it printed."""

    exit_status: int
    output: str


class Going:
    """A run that is going on."""

    def __init__(self, process: BaseProcess, output: Path) -> None:
        self._process, self._output = process, output

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(encoding="utf-8", errors="backslashreplace") if self._output.exists() else ""

    def wait(self) -> Ended:
        """Wait for its end, and end it by force when none comes."""
        self._process.join(MOST_S)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            raise AssertionError(f"the run did not end within {MOST_S} s:\n{self.output}")
        return Ended(code, self.output)


class Planted:
    """The project in a folder, and runs of pytest in it, each a process of its own."""

    def __init__(self, folder: Path, *, last: str = LAST, sla: str = SLA, first: str = FIRST) -> None:
        self.root = folder / "project"
        self.root.mkdir(parents=True)
        self.reports = self.root / "reports"
        self.report_path = self.reports / "PERFORMANCE_ANALYSIS.md"
        self._journal = folder / "journal"
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.mend(last=last, sla=sla, first=first)
        (self.root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def mend(self, *, last: str = LAST, sla: str = SLA, first: str = FIRST) -> None:
        """Write the files of the project: as they are without a fault, but for those that are given."""
        for name, text in {"test_first.py": first, "sla.toml": sla, "test_last.py": last}.items():
            (self.root / name).write_text(text, encoding="utf-8")
        tiny_model(self.root / "tiny.onnx")

    def arguments(self, *others: str) -> list[str]:
        """Arguments of pytest, and further ones."""
        named = [word for name in _PLUGINS for word in ("-p", name)]
        return [
            *named,
            "--sla-span=200ms",
            "--junitxml=junit.xml",
            "test_first.py",
            "sla.toml",
            "test_last.py",
            *others,
        ]

    def environment(self, strike: Strike | None = None, **others: str) -> dict[str, str]:
        """The environment of a run: of a machine where nobody else measures, and which is not a CI machine."""
        left_out = ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_BASE_REF", "PYTEST_ADDOPTS")
        kept = {name: value for name, value in os.environ.items() if name not in left_out}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        paths = {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
            # Rewriting the plugins' assertions takes longer than the run itself: once for all of them.
            "PYTHONPYCACHEPREFIX": str(BYTECODE),
            "TMPDIR": str(self.scratch),
            JOURNAL: str(self._journal),
            # Those of others take longer to load than the run itself.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        return {**kept, **paths, STRIKE: strike.to_json() if strike else "", "OMP_NUM_THREADS": "1", **others}

    def start(
        self,
        *others: str,
        strike: Strike | None = None,
        before: Callable[[], None] | None = None,
        output: str = "output",
        **variables: str,
    ) -> Going:
        """Start a run; which tests had finished in the one before is forgotten.

        Args:
            others: further arguments of pytest.
            strike: the signal that it sends itself; None for none.
            before: called in its process before pytest starts; a function of a module.
            output: name of the file that takes what it prints.
            variables: of its environment, beside the usual.
        """
        self._journal.unlink(missing_ok=True)
        file = self.root.parent / output
        file.unlink(missing_ok=True)
        environment = self.environment(strike, **variables)
        return Going(fork_run(self.arguments(*others), self.root, environment, file, before), file)

    def run(
        self, *others: str, strike: Strike | None = None, before: Callable[[], None] | None = None, **variables: str
    ) -> Ended:
        """Run to the end; arguments as of :meth:`start`."""
        return self.start(*others, strike=strike, before=before, **variables).wait()

    def run_by(self, prefix: Sequence[str], *others: str, **variables: str) -> Ended:
        """Run to the end in a fresh interpreter that another command starts."""
        self._journal.unlink(missing_ok=True)
        command = [*prefix, sys.executable, "-m", "pytest", *self.arguments(*others)]
        environment = self.environment(None, **variables)
        ended = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=MOST_S, check=False
        )
        return Ended(ended.returncode, ended.stdout + ended.stderr)

    def outcome_of(self, command: Sequence[str]) -> int:
        """Exit status of a command."""
        return subprocess.run(command, capture_output=True, check=False).returncode

    def reason(self, name: str) -> str:
        """Why a test of the last session did not pass."""
        from voiceflow_ml.results.store import read_session  # noqa: PLC0415

        _, results = read_session(self.sessions()[-1])
        return next(result.reason for result in results if result.planned.node_id == name)

    def finished(self) -> list[str]:
        """Tests that had finished in the last run, by a journal that nothing of the package writes."""
        return self._journal.read_text(encoding="utf-8").splitlines() if self._journal.exists() else []

    def only_finished(self, count: int) -> None:
        """Take the journal to be about the first tests alone: of the others the run itself said what is missing."""
        self._journal.write_text("".join(f"{name}\n" for name in self.finished()[:count]), encoding="utf-8")

    def sessions(self) -> list[Path]:
        """Folders of sessions so far, those without a record too, oldest first."""
        results = self.reports / "results"
        return sorted(results.iterdir(), key=lambda path: path.stat().st_ctime_ns) if results.is_dir() else []


def _bytecode() -> Path:
    from tempfile import gettempdir  # noqa: PLC0415

    return Path(gettempdir()) / f"voiceflow-ml-faults-bytecode-{os.getuid()}"


BYTECODE = _bytecode()
