"""Make the examples of docs/examples again, all from real runs on this machine: ``make examples``.

The report, the page, the charts and their pictures are of one run of this project's own promises; the excerpts of JUnit
and of GitHub's annotations are of runs that were made to end in each verdict. Pictures need Chromium. Where that is
allowed the runs have real-time priority, so that they are of the model and not of its neighbours.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.browser import NAMES, find_browser, photograph

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
REPORTS = ROOT / "reports"
_WIDTHS = {"desktop": 1280, "phone": 390}
# What would let a run around this one show through.
_INHERITED = ("CI", "GITHUB_", "PYTEST_")
# What begins a line of the output that GitHub takes for a command.
_COMMANDS = ("::error", "::warning", "::notice")

_BUILTIN = "builtin:fast-cnn"
_MODEL = '[models.{name}]\nfile = "{file}"\n{more}inputs = {{ audio = "builtin:speech" }}\n\n'
_OBJECTIVE = '[[objective]]\nmodel = "{name}"\ntarget = "{target}"\np99 = "{limit}"\n\n'
_OTHER_FILE = f'sha256 = "{"0" * 64}"\n'
_HEAD = """\
# One of each verdict, as JUnit and GitHub have it

Excerpts of real runs (`make examples`) under the strict policy: what a CI system reads of a promise that is kept,
broken, INVALID, NOT RUN, an ERROR, and INCONCLUSIVE. Limits and files were chosen to end so. Of a kept promise GitHub
shows nothing but the notice at the end.
"""


def main() -> None:
    """Run, and write what the runs left."""
    browser = find_browser()
    if browser is None:
        names = ", ".join(NAMES)
        raise SystemExit(f"pictures need a browser: none of {names} is on the path (apt-get install chromium)")
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
    print("measuring this project's promises")
    _pytest(ROOT, "-m", "hardware", "--sla-policy=report-only", "--sla-report=reports")
    for name in ("PERFORMANCE_ANALYSIS.md", "performance.html"):
        shutil.copyfile(REPORTS / name, EXAMPLES / name)
    shutil.rmtree(EXAMPLES / "charts", ignore_errors=True)
    shutil.copytree(REPORTS / "charts", EXAMPLES / "charts")
    for name, width in _WIDTHS.items():
        photograph(browser, EXAMPLES / "performance.html", EXAMPLES / f"performance-{name}.png", width=width)
    print("measuring into each verdict")
    too_little = f"{_median_ns() * 9 // 10}ns"
    _write_breach(too_little)
    _write_verdicts(too_little)
    print(f"wrote {EXAMPLES.relative_to(ROOT)}: look at them, and at the lines that the README quotes")


def _median_ns() -> int:
    """What the model takes, waits for a CPU left out, by the run before."""
    session = max(path for path in (REPORTS / "results").iterdir() if path.is_dir())
    (result,) = [
        content
        for path in session.glob("[0-9]*.json")
        if (content := json.loads(path.read_text(encoding="utf-8")))["measurement"] is not None
        and content["planned"]["stage"] == "model-inference"
    ]
    measurement = result["measurement"]
    return int((measurement["adjusted_percentiles_ns"] or measurement["percentiles_ns"])["P50"])


def _pytest(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_INHERITED)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _write_breach(limit: str) -> None:
    """A breach in JUnit, as a whole file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = _MODEL.format(name="fast-cnn", file=_BUILTIN, more="")
        promise = _OBJECTIVE.format(name="fast-cnn", target="cpu", limit=limit)
        (folder / "sla.toml").write_text(f"version = 1\n\n{model}{promise}", encoding="utf-8")
        _pytest(folder, "sla.toml", "--junitxml=junit.xml")
        tree = ElementTree.parse(folder / "junit.xml")  # noqa: S314 - made by the line above
    for suite in tree.iter("testsuite"):
        # The name of a machine is nobody's business.
        suite.attrib.pop("hostname", None)
    ElementTree.indent(tree)
    tree.write(EXAMPLES / "junit-breach.xml", encoding="utf-8", xml_declaration=True)


def _write_verdicts(limit: str) -> None:
    """Excerpts of each verdict."""
    kinds = {
        "kept": (_BUILTIN, "", "cpu", "10s"),
        "broken": (_BUILTIN, "", "cpu", limit),
        "another-file": (_BUILTIN, _OTHER_FILE, "cpu", "10s"),
        "on-a-gpu": (_BUILTIN, "", "cuda-t4", "20ms"),
        "missing": ("missing.onnx", "", "cpu", "10ms"),
    }
    models = "".join(_MODEL.format(name=name, file=file, more=more) for name, (file, more, _, _) in kinds.items())
    promises = "".join(
        _OBJECTIVE.format(name=name, target=target, limit=bound) for name, (_, _, target, bound) in kinds.items()
    )
    open_ = _MODEL.format(name="open", file=_BUILTIN, more="")
    open_ += _OBJECTIVE.format(name="open", target="cpu", limit="10s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sla.toml").write_text(f"version = 1\n\n{models}{promises}", encoding="utf-8")
        (folder / "open.toml").write_text(f"version = 1\n\n{open_}", encoding="utf-8")
        parts = [_excerpt(folder, "sla.toml"), _excerpt(folder, "open.toml", "--sla-time-budget=1ms")]
        text = f"{_HEAD}{''.join(parts)}".replace(f"{folder}/", "")
    (EXAMPLES / "verdicts.md").write_text(text, encoding="utf-8")


def _excerpt(folder: Path, *arguments: str) -> str:
    """One run: its annotations, and each of its test cases."""
    options = ("--sla-policy=strict", "--sla-span=2s", "--junitxml=junit.xml")
    done = _pytest(folder, *arguments, *options, GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(folder))
    lines = done.stdout.splitlines()
    commands = [line for line in lines if line.startswith(_COMMANDS)]
    ends = [line for line in lines if line.startswith("exit status ")] or [f"exit status {done.returncode}"]
    cases = []
    for case in ElementTree.parse(folder / "junit.xml").iter("testcase"):  # noqa: S314 - made by the run above
        ElementTree.indent(case)
        cases.append(ElementTree.tostring(case, encoding="unicode").strip())
    heads = (f"## `pytest {' '.join((*arguments, *options))}`", ends[0], "Annotations:")
    blocks = (["```text", *commands, "```"], ["```xml", *cases, "```"])
    return "\n".join(["", "\n\n".join(heads), "", *blocks[0], "", "JUnit:", "", *blocks[1], ""])


if __name__ == "__main__":
    main()
