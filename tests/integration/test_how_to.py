"""Each recipe of docs/how-to.md is followed: its edits are made in a copy of the source, and the result is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.onnx_models import tiny_model
from tests.speech_data import write_data_dir

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
RECIPES = ("Add a target", "Add a statistic", "Add a report section", "Add a model")
MOST_LINES = 14
_BLOCK = re.compile(r'^```(?P<kind>diff|python) title="(?P<file>[^"]+)"\n(?P<body>.*?)^```$', re.MULTILINE | re.DOTALL)
# What would let a run around this one show through.
_INHERITED = ("CI", "GITHUB_", "PYTEST_", "COV")


def section(title: str, level: str = "##") -> str:
    """The text below a heading, up to the next one of any level."""
    found = re.search(rf"^{level} {title}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def edited(source: str, diff: str) -> str:
    """A source with the edit of one block made; the lines that are there already must be there exactly once."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))
    assert source.count(before) == 1, f"{source.count(before)} places for the edit of the page:\n{before}"
    return source.replace(before, after)


class Copy:
    """A copy of the source in which recipes are followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "reports" / "templates", folder / "reports" / "templates")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_INHERITED)}
        paths = {"PYTHONPATH": str(folder / "src"), "TMPDIR": str(folder)}
        self.environment = {**inherited, **paths, "OMP_NUM_THREADS": "1"}

    def follow(self, text: str) -> None:
        """Make every edit of a part of the page."""
        blocks = list(_BLOCK.finditer(text))
        assert blocks
        for block in blocks:
            path = self.folder / block["file"]
            if block["kind"] == "python":
                assert not path.exists()
                path.write_text(block["body"], encoding="utf-8")
            else:
                path.write_text(edited(path.read_text(encoding="utf-8"), block["body"]), encoding="utf-8")

    def run(self, *arguments: str | Path, status: int = 0) -> str:
        """Run Python in the project's folder and return what it says."""
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def pytest(self, *arguments: str, status: int = 0) -> str:
        """Run pytest there, without pauses between blocks."""
        return self.run("-m", "pytest", "-p", "no:cacheprovider", "--sla-span=0s", *arguments, status=status)

    def voiceflow(self, *commands: Sequence[str | Path]) -> str:
        """Run commands of the command line, one after the other."""
        words = [[str(word) for word in command] for command in commands]
        program = f"from voiceflow_ml.cli import app\nfor words in {words!r}:\n    app(words, standalone_mode=False)"
        return self.run("-c", program)

    def promise(self, limit: str, file: str = "tiny.onnx", inputs: str = "x = { shape = [1, 4] }") -> None:
        """Write sla.toml: one objective of a model."""
        head = f'version = 1\n\n[models.m]\nfile = "{file}"\ninputs = {{ {inputs} }}\n\n'
        text = f'{head}[[objective]]\nmodel = "m"\ntarget = "cpu"\n{limit}\n'
        (self.project / "sla.toml").write_text(text, encoding="utf-8")


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Copy:
    copy = Copy(tmp_path)
    tiny_model(copy.project / "tiny.onnx")
    return copy


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_short(recipe: str) -> None:
    assert 3 <= len([line for line in section(recipe).splitlines() if line.strip()]) <= MOST_LINES


def test_the_page_has_no_recipe_that_nobody_follows() -> None:
    assert tuple(re.findall(r"^## (.*)$", PAGE, re.MULTILINE)) == RECIPES


def test_an_edit_whose_place_is_gone_is_told() -> None:
    with pytest.raises(AssertionError, match="0 places for the edit"):
        edited("a = 1\n", " b = 2\n+c = 3\n")


def test_a_target_that_was_added_can_be_asked_for(copy: Copy) -> None:
    copy.promise('p99 = "10s"')
    refused = copy.pytest("sla.toml", "--gpu=l40s", status=4)
    assert "unknown GPU 'l40s'" in refused
    copy.follow(section("Add a target"))
    sla = copy.project / "sla.toml"
    sla.write_text(sla.read_text().replace('"cpu"', '"cuda-l40s"'), encoding="utf-8")
    assert "add --gpu=l40s" in copy.pytest("sla.toml", status=13)
    # The target is known now, and this machine has none.
    missing = copy.pytest("sla.toml", "--gpu=l40s", status=4)
    assert "--gpu=l40s asks for 'NVIDIA L40S', found: " in missing


def test_a_statistic_that_was_added_can_be_promised(copy: Copy) -> None:
    copy.promise('p75 = "10s"')
    assert "objective[1].p75: unknown key" in copy.pytest("sla.toml", status=2)
    copy.follow(section("Add a statistic"))
    said = copy.pytest("sla.toml")
    assert re.search(r"^MET +m · model-inference · cpu +P75 <= 10 s ", said, re.MULTILINE)
    report = (copy.project / "reports" / "PERFORMANCE_ANALYSIS.md").read_text(encoding="utf-8")
    assert "| | P50 | P75 | P90 | P95 | P99 | P99.9 | max |" in report


def test_a_section_that_was_added_is_in_the_report_and_on_the_page(copy: Copy) -> None:
    copy.follow(section("Add a report section"))
    copy.promise('p50 = "10s"')
    copy.pytest("sla.toml")
    report = (copy.project / "reports" / "PERFORMANCE_ANALYSIS.md").read_text(encoding="utf-8")
    part = report.partition("## Slowest calls")[2]
    assert re.search(r"^\| m · model-inference · cpu \| \S+ ms \|$", part, re.MULTILINE)
    assert "<h2>Slowest calls</h2>" in (copy.project / "reports" / "performance.html").read_text(encoding="utf-8")


def test_a_model_that_was_added_is_trained_exported_and_measured(copy: Copy) -> None:
    copy.follow(section("The smallest network", "###"))
    copy.follow(section("Add a model"))
    data = write_data_dir(copy.folder / "data")
    how = ("--preset", "small", "--steps", "1", "--precision", "fp32", "--validate-every", "0", "--device", "cpu")
    copy.voiceflow(
        ("train", "plain-cnn", *how, "--data", data),
        ("export", "runs/plain-cnn/checkpoint.pt", "--out", "out"),
    )
    copy.promise('p50 = "10s"', "out/plain-cnn.onnx", 'audio = "builtin:speech"')
    assert re.search(r"^MET +m · model-inference · cpu +P50 <= 10 s ", copy.pytest("sla.toml"), re.MULTILINE)
