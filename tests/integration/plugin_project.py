"""A small project that uses the plugin, in a folder of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.onnx_models import tiny_model

TINY_MODEL = """\
version = 1

[models.tiny]
file = "tiny.onnx"
inputs = { x = { shape = [4096, 4] } }
"""

# About 30 us: long beside the steps of any clock, short beside a test suite.
PRELUDE = """\
import os
import signal
from pathlib import Path

import pytest

cpu = pytest.mark.hardware(targets=["cpu"])
met = pytest.mark.sla(p99="10s")
breached = pytest.mark.sla(p99="1ns")


def work():
    return sum(range(3000))
"""

MET_THEN_BREACHED = """
@cpu
@met
def test_first(latency):
    latency(work)

@cpu
@breached
def test_second(latency):
    latency(work)
"""

THREE_VERDICTS = (
    MET_THEN_BREACHED
    + """
@cpu
@pytest.mark.sla(p50="10s", p99="10s")
def test_third(latency):
    latency(work)
"""
)

OBJECTIVE = """
[[objective]]
model = "tiny"
target = "{target}"
p99 = "{limit}"
"""


class Project:
    """What a user's folder holds, and runs of pytest in it.

    Samples are taken back to back: how they are spread in time is tested elsewhere, on a clock made for it.
    """

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.root = pytester.path
        self.reports = self.root / "reports"
        self.report_path = self.reports / "PERFORMANCE_ANALYSIS.md"
        (self.root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        tiny_model(self.root / "tiny.onnx")

    def write_sla(self, *tables: str, head: str = TINY_MODEL) -> Path:
        """Write sla.toml: the tiny model, and these tables."""
        path = self.root / "sla.toml"
        path.write_text(head + "".join(tables), encoding="utf-8")
        return path

    def promise(self, *targets: str, limit: str = "10s") -> Path:
        """Write sla.toml: the tiny model's P99 on each of these targets."""
        return self.write_sla(*(OBJECTIVE.format(target=target, limit=limit) for target in targets))

    def write_test(self, source: str, name: str = "test_it") -> Path:
        """Write a test module behind the common prelude."""
        path = self.root / f"{name}.py"
        path.write_text(PRELUDE + source, encoding="utf-8")
        return path

    def source_line(self, text: str, name: str = "test_it") -> int:
        """The line of a test module, from 1, that begins with a text."""
        lines = (self.root / f"{name}.py").read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, start=1) if line.startswith(text))

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in this process."""
        return self.pytester.runpytest_inprocess("--sla-span=0s", "-p", "no:schemathesis", *arguments)

    def run_apart(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in a process of its own: for xdist, for signals, for what a fresh interpreter imports."""
        return self.pytester.runpytest_subprocess("--sla-span=0s", "-p", "no:schemathesis", *arguments, timeout=120)

    def report(self) -> str:
        """The Markdown report."""
        return self.report_path.read_text(encoding="utf-8")

    def sessions(self) -> list[Path]:
        """The folders of the sessions so far."""
        return sorted((self.reports / "results").iterdir())

    def result_files(self) -> list[str]:
        """Names of the result files of the only session."""
        (session,) = self.sessions()
        return sorted(path.name for path in session.iterdir())

    def results(self) -> list[dict[str, Any]]:
        """The results of the only session."""
        (session,) = self.sessions()
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(session.glob("[0-9]*.json"))]


def table(result: pytest.RunResult) -> list[str]:
    """The lines between the table's title and the report's path."""
    lines = result.outlines
    start = next(number for number, line in enumerate(lines) if "latency promises" in line)
    end = next(number for number, line in enumerate(lines) if number > start and line.startswith(("report: ", "===")))
    return lines[start + 1 : end]


def without_numbers(lines: list[str]) -> list[str]:
    """The lines with measured values taken out, widths included: what must not differ between two runs."""
    return [re.sub(r"[\d  .]*\d[\d  .]*(ns|us|ms|s)?\b|no upper bound|\s+", " ", line) for line in lines]


def one_line_with(text: str, part: str) -> str:
    """The only line that holds a part; fails when there is none, or a second."""
    (line,) = [line for line in text.splitlines() if part in line]
    return line
