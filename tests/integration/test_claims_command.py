"""``voiceflow claims`` and ``pytest --claims`` on real files, result files of this release among them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.claims_project import write_session
from tests.integration.plugin_project import Project, one_line_with
from voiceflow_ml.cli import app

WRONG = "# Speed\n\nThe fast-cnn answers in 4.48ms P99 (model inference, on a CPU).\n"
RIGHT = WRONG.replace("4.48ms", "9.1ms")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    write_session(tmp_path / "reports/results/a", center_ms=9.0, at="2026-11-01T00:00:00+00:00")
    (tmp_path / "pyproject.toml").write_text("[tool.voiceflow.claims]\nmax-age-days = 100000\n", encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["claims", *arguments])
    return result.exit_code, result.output


def test_a_document_that_says_less_than_was_measured_fails_and_both_numbers_are_named(root: Path) -> None:
    (root / "README.md").write_text(WRONG, encoding="utf-8")
    code, output = run("check", "README.md")
    assert code == 1
    assert 'REFUTED     README.md:3:25 "4.48ms": the text says P99 4.48 ms, results say 9.09 ms [9.0' in output
    assert "[fast-cnn · model-inference · cpu]" in output
    assert output.endswith("1 claims in 1 documents: 1 REFUTED\n")


def test_a_document_that_says_what_was_measured_passes_and_leaves_a_ledger(root: Path) -> None:
    (root / "README.md").write_text(RIGHT, encoding="utf-8")
    assert run("check") == (0, "1 claims in 1 documents: 1 CONFIRMED\n")
    ledger = json.loads((root / "reports/results/claims.json").read_text(encoding="utf-8"))
    (entry,) = ledger["claims"]
    assert (entry["status"], entry["line"], entry["column"], entry["statistic"]) == ("CONFIRMED", 3, 25, "P99")
    assert entry["basis"] == "fast-cnn · model-inference · cpu"
    assert ledger["failed"] is False


def test_mixed_words_are_told_and_fail_when_strict(root: Path) -> None:
    (root / "README.md").write_text(RIGHT.replace("on a CPU", "end-to-end"), encoding="utf-8")
    code, output = run("check")
    assert code == 0
    assert 'model inference and end-to-end are mixed under one word, "P99", for 9.1ms: say which' in output
    assert run("check", "--strict")[0] == 1


def test_unverified_fails_only_when_strict(root: Path) -> None:
    (root / "README.md").write_text(WRONG.replace("on a CPU", "on a T4"), encoding="utf-8")
    code, output = run("check")
    assert (code, "UNVERIFIED  README.md:3:25" in output) == (0, True)
    assert run("check", "--strict")[0] == 1


def test_github_shows_it_at_its_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(root.parent))
    (root / "docs").mkdir()
    (root / "docs/a.md").write_text(WRONG, encoding="utf-8")
    _, output = run("check", "docs")
    assert f"::error file={root.name}/docs/a.md,line=3,title=REFUTED%3A 4.48ms::the text says P99 4.48 ms" in output


def test_list_says_what_each_number_is_bound_to(root: Path) -> None:
    (root / "README.md").write_text(WRONG, encoding="utf-8")
    code, output = run("list")
    assert code == 0
    assert output.startswith(
        'README.md:3:25 latency 4.48 ms "4.48ms" fast-cnn · model-inference · cpu · P99 -> fast-cnn ·'
    )


def test_write_fills_blocks_and_leaves_what_is_right_alone(root: Path) -> None:
    page = root / "README.md"
    page.write_text("<!-- voiceflow:begin verdicts -->\n<!-- voiceflow:end -->\n", encoding="utf-8")
    assert run("write", "--check") == (1, "would change README.md\n")
    assert run("write") == (0, "wrote README.md\n")
    before = page.stat().st_mtime_ns, page.read_bytes()
    assert run("write") == (0, "all blocks are as their results say\n")
    assert (page.stat().st_mtime_ns, page.read_bytes()) == before
    assert run("check", "--strict")[0] == 0


def test_a_path_that_is_not_there_is_one_sentence(root: Path) -> None:
    result = CliRunner().invoke(app, ["claims", "check", "gone.md"])
    assert "gone.md is not there; give Markdown files, or folders of them" in str(result.exception)


def test_pytest_turns_claims_into_tests(project: Project) -> None:
    write_session(project.reports / "results/a", center_ms=9.0)
    settings = "[tool.voiceflow.claims]\nmax-age-days = 100000\n"
    (project.root / "pyproject.toml").write_text(settings, encoding="utf-8")
    (project.root / "docs").mkdir()
    (project.root / "docs/a.md").write_text(f"{WRONG}\n{RIGHT}\n{RIGHT.replace('CPU', 'T4')}", encoding="utf-8")
    result = project.run("-rs", "--claims", "docs")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*REFUTED*docs/a.md:3:25*the text says P99 4.48 ms, results say 9.09 ms*"])
    assert json.loads((project.reports / "results/claims.json").read_text(encoding="utf-8"))["failed"] is True


def test_what_pytest_measured_here_is_what_claims_are_held_against(project: Project) -> None:
    project.promise("cpu")
    project.run("sla.toml", "--sla-policy=report-only")
    text = "The tiny model inference on a CPU: P99 of 0.0001 ms, and P99 < 9 s.\n"
    (project.root / "README.md").write_text(text, encoding="utf-8")
    result = project.run("-rs", "--claims", "README.md")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*REFUTED*says P99 0.0001 ms, results say *tiny · model-inference · cpu*"])
    assert one_line_with((project.reports / "results/claims.json").read_text(encoding="utf-8"), '"TOO MODEST"')


def test_pytest_xdist_leaves_the_same_ledger(project: Project) -> None:
    write_session(project.reports / "results/a", center_ms=9.0)
    (project.root / "README.md").write_text(WRONG, encoding="utf-8")
    project.run_apart("-n", "1", "--claims", "README.md").assert_outcomes(failed=1)
    ledger = json.loads((project.reports / "results/claims.json").read_text(encoding="utf-8"))
    assert len(ledger["claims"]) == 1


def test_pytest_runs_tests_and_claims_together(project: Project) -> None:
    write_session(project.reports / "results/a", center_ms=9.0)
    (project.root / "pyproject.toml").write_text("[tool.voiceflow.claims]\nmax-age-days = 100000\n", encoding="utf-8")
    (project.root / "README.md").write_text(RIGHT, encoding="utf-8")
    project.write_test("def test_other():\n    pass\n")
    project.run("test_it.py", "--claims").assert_outcomes(passed=2)
    project.run("test_it.py").assert_outcomes(passed=1)


def test_pytest_says_what_is_not_there(project: Project) -> None:
    result = project.run("--claims", "gone.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*gone.md: nothing is there; give Markdown files, or folders of them"])


def test_without_being_asked_no_parser_is_imported() -> None:
    code = "import sys, voiceflow_ml.cli, voiceflow_ml.pytest_plugin; print('markdown_it' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
