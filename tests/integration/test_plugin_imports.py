"""What merely looking costs: no heavy import, no file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.plugin_project import THREE_VERDICTS, Project

HEAVY = {"onnxruntime", "torch", "jinja2"}

# Runs pytest where its modules can be counted afterwards.
LOOK = """\
import sys
from pathlib import Path
import pytest
code = pytest.main(sys.argv[1:])
print("MODULES", *sorted({name.partition(".")[0] for name in sys.modules}))
raise SystemExit(code)
"""


def modules_after(project: Project, *arguments: str) -> set[str]:
    """Top-level modules that a run of pytest in a fresh interpreter has imported."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *arguments],
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    modules = set(done.stdout.splitlines()[-1].split())
    assert "MODULES" in modules
    assert "voiceflow_ml" in modules
    return modules


def test_help_imports_nothing_heavy(project: Project) -> None:
    assert modules_after(project, "--help") & {*HEAVY, "numpy", "pydantic"} == set()


def test_collecting_plain_tests_imports_nothing_heavy(project: Project) -> None:
    project.write_test("def test_plain():\n    pass\n")
    assert modules_after(project, "--collect-only") & {*HEAVY, "numpy", "pydantic"} == set()


def test_running_plain_tests_imports_nothing_heavy(project: Project) -> None:
    project.write_test("def test_plain():\n    pass\n")
    assert modules_after(project) & {*HEAVY, "numpy", "pydantic"} == set()
    assert not project.reports.exists()


def test_collecting_hardware_tests_and_sla_toml_imports_nothing_heavy(project: Project) -> None:
    project.promise("cpu", "cuda-t4")
    project.write_test(
        THREE_VERDICTS + '\n@pytest.mark.hardware\n@pytest.mark.sla("tiny")\ndef test_tiny(latency): pass\n'
    )
    assert modules_after(project, "--collect-only", "test_it.py", "sla.toml") & HEAVY == set()


def test_measuring_does_import_what_the_tests_above_miss(project: Project) -> None:
    """Or else they could not fail."""
    project.promise("cpu")
    assert modules_after(project, "--sla-span=0s", "sla.toml") & HEAVY == {"onnxruntime", "jinja2"}


def test_measuring_here_imports_nothing_of_ray(project: Project) -> None:
    project.promise("cpu")
    assert "ray" not in modules_after(project, "--sla-span=0s", "sla.toml")


def test_a_cluster_without_ray_installed_is_one_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    project.promise("cpu")
    result = project.run("sla.toml", "--ray-address=auto")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ['ERROR: --ray-address needs ray, which is not installed: pip install "voiceflow-ml[[]ray[]]"']
    )


def test_collect_only_writes_no_file(project: Project, tmp_path: Path) -> None:
    project.promise("cpu")
    project.write_test(THREE_VERDICTS)
    before = sorted(project.root.iterdir())
    # pytest's own cache, and the empty folder that pytest-benchmark makes at every start, are not ours.
    others = ["-p", "no:cacheprovider", f"--benchmark-storage=file://{tmp_path}"]
    result = project.run("--collect-only", *others, "test_it.py", "sla.toml")
    assert result.ret == pytest.ExitCode.OK
    assert sorted(project.root.iterdir()) == before
    assert "latency promises" not in result.stdout.str()


def test_a_conftest_that_names_the_installed_plugin_registers_it_once(project: Project) -> None:
    (project.root / "conftest.py").write_text('pytest_plugins = ["voiceflow_ml.pytest_plugin"]\n', encoding="utf-8")
    project.write_test(THREE_VERDICTS)
    result = project.run_apart("-W", "error", "--sla-policy=report-only")
    result.assert_outcomes(passed=2, xfailed=1)
    assert len(project.results()) == 3


@pytest.mark.parametrize("arguments", [["-p", "no:xdist"], ["-p", "no:terminal"], ["-p", "no:cacheprovider", "-s"]])
def test_measuring_works_without_other_plugins(project: Project, arguments: list[str]) -> None:
    project.write_test(THREE_VERDICTS)
    assert project.run("-W", "error", *arguments).ret == pytest.ExitCode.TESTS_FAILED
    assert [entry["state"] for entry in project.results()] == ["measured"] * 3


def test_plain_tests_leave_no_trace(project: Project) -> None:
    project.write_test("def test_plain():\n    pass\n")
    result = project.run("-W", "error")
    result.assert_outcomes(passed=1)
    assert not project.reports.exists()
    assert "latency promises" not in result.stdout.str()
