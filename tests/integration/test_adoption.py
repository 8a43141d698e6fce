"""Another project takes this one up: a wheel, a fresh virtual environment, a model that is not ours, a report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.onnx_models import tiny_model

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "reports" / "templates"
# What would let this checkout, or a run around this one, show through.
_INHERITED = ("PYTHON", "PYTEST", "VIRTUAL_ENV", "COV", "CI", "GITHUB_")
REPORT_ONLY = ("--sla-policy=report-only", "--sla-span=100ms")


def environment(folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_INHERITED)}
    # Nobody else holds a device lock that lies here.
    return {**kept, "TMPDIR": str(folder)}


def run(folder: Path, *command: str | Path) -> str:
    """Run a command in a folder and return what it says; fails when the command does."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module", name="wheel")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(folder, sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("voiceflow_ml-*.whl")
    return wheel


@pytest.fixture(scope="module", name="bin_folder")
def _bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of a fresh virtual environment that has the wheel with [cpu], and nothing of this one."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=True)
    run(folder, folder / "bin" / "python", "-m", "pip", "install", "--quiet", f"{wheel}[cpu]")
    return folder / "bin"


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    """The folder of somebody else: one model, nothing of ours."""
    folder = tmp_path / "their-project"
    (folder / "models").mkdir(parents=True)
    tiny_model(folder / "models" / "tiny.onnx")
    return folder


def test_the_wheel_carries_what_it_needs_at_run_time(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    templates = {
        f"voiceflow_ml/reporting/templates/{path.relative_to(TEMPLATES).as_posix()}"
        for path in TEMPLATES.rglob("*")
        if path.is_file()
    }
    assert {name.rpartition("/")[2] for name in templates} >= {
        "PERFORMANCE_ANALYSIS.md.j2",
        "sla.toml.j2",
        "latency.yml",
    }
    assert templates | {"voiceflow_ml/py.typed", "voiceflow_ml/assets/fast-cnn.onnx"} <= names


def test_another_project_gets_a_verdict_and_a_report(bin_folder: Path, project: Path) -> None:
    where = run(project, bin_folder / "python", "-c", "import voiceflow_ml; print(voiceflow_ml.__file__)").strip()
    assert Path(where).is_relative_to(bin_folder.parent)
    run(project, bin_folder / "voiceflow", "init")
    run(project, bin_folder / "pytest", "sla.toml", *REPORT_ONLY)
    report = (project / "reports" / "PERFORMANCE_ANALYSIS.md").read_text(encoding="utf-8")
    rows = [line for line in report.splitlines() if line.startswith("|") and "tiny" in line]
    assert any(re.search(r"\b(MET|BREACHED|INCONCLUSIVE)\b", row) and "100 ms" in row for row in rows)


def test_the_sample_test_measures_the_model_too(bin_folder: Path, project: Path) -> None:
    run(project, bin_folder / "voiceflow", "init")
    said = run(project, bin_folder / "pytest", "-m", "hardware", *REPORT_ONLY)
    (row,) = [line for line in said.splitlines() if "tiny · model-inference · cpu" in line]
    assert row.startswith(("MET", "BREACHED", "INCONCLUSIVE"))


def test_a_project_without_a_model_can_try_the_built_in_one(bin_folder: Path, tmp_path: Path) -> None:
    run(tmp_path, bin_folder / "voiceflow", "init")
    for what in (["sla.toml"], ["-m", "hardware"]):
        said = run(tmp_path, bin_folder / "pytest", *what, "--sla-time-budget=2s", *REPORT_ONLY)
        (row,) = [line for line in said.splitlines() if "fast-cnn · model-inference · cpu" in line]
        assert row.startswith(("MET", "BREACHED", "INCONCLUSIVE"))
