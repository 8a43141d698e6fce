from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.plugin_project import MET_THEN_BREACHED, Project
from voiceflow_ml.pytest_plugin.exit_status import ExitStatus

FILES = ["bencher.json", "benchmark-action.json", "comment.md", "openmetrics.txt"]


@pytest.fixture
def summary(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project on GitHub: the file that its step's summary is read from."""
    path = project.root / "step_summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def files_of(project: Project) -> list[str]:
    return [name for name in FILES if (project.reports / name).is_file()]


def commands(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith(("::error", "::warning", "::notice"))]


def test_on_github_a_run_writes_all_of_them_and_they_agree(project: Project, summary: Path) -> None:
    project.write_test(MET_THEN_BREACHED)
    result = project.run("-q")
    result.assert_outcomes(passed=1, failed=1)
    assert files_of(project) == FILES
    error, notice = commands(result)
    line = project.source_line("def test_second") - 2
    assert error.startswith(f"::error file=test_it.py,line={line},title=BREACHED%3A "), "at its first marker"
    assert "::P99 is over 1 ns with 99 %25 confidence" in error
    assert notice.startswith("::notice title=latency promises::1 BREACHED, 1 MET. ")
    assert [line[:14] for line in summary.read_text(encoding="utf-8").splitlines() if line.startswith("| **")] == [
        "| **BREACHED**",
        "| **MET** | te",
    ]
    first, second = project.results()
    measured = [one["measurement"]["verdicts"][0]["measured_ns"] for one in (first, second)]
    bencher = json.loads((project.reports / "bencher.json").read_text(encoding="utf-8"))
    assert [one["latency"]["value"] for one in bencher.values()] == measured
    action = json.loads((project.reports / "benchmark-action.json").read_text(encoding="utf-8"))
    assert [round(one["value"] * 1e6) for one in action] == measured
    assert (project.reports / "openmetrics.txt").read_text(encoding="utf-8").endswith("# EOF\n")
    assert "**1 BREACHED, 1 MET**" in (project.reports / "comment.md").read_text(encoding="utf-8")


def test_a_breach_is_shown_at_the_line_of_its_objective(
    project: Project, summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.promise("cpu", limit="2us")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.root.parent))
    (error, _) = commands(project.run("sla.toml"))
    (objective,) = (n for n, text in enumerate((project.root / "sla.toml").read_text().splitlines(), 1) if "[[" in text)
    assert error.startswith(f"::error file={project.root.name}/sla.toml,line={objective},title=BREACHED")
    # A report is read on other machines: no path of this one is in it.
    assert project.results()[0]["planned"]["where"] == f"sla.toml:{objective}"
    assert str(project.root) not in project.report()


def test_elsewhere_there_are_files_but_no_commands_and_no_summary(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    project.write_test(MET_THEN_BREACHED)
    result = project.run()
    assert commands(result) == []
    assert files_of(project) == FILES


def test_a_summary_of_others_is_kept_and_a_run_without_promises_adds_nothing(project: Project, summary: Path) -> None:
    summary.write_text("| theirs |", encoding="utf-8")
    project.write_test("def test_plain():\n    pass\n", "test_plain")
    result = project.run()
    assert result.ret == 0
    assert commands(result) == []
    assert summary.read_text(encoding="utf-8") == "| theirs |"
    assert not project.reports.exists()
    project.write_test(MET_THEN_BREACHED)
    project.run()
    assert summary.read_text(encoding="utf-8").startswith("| theirs |\n## Latency promises\n")


def test_report_only_is_said_first_and_nothing_is_an_error(project: Project, summary: Path) -> None:
    project.write_test(MET_THEN_BREACHED)
    result = project.run("--sla-policy=report-only")
    assert result.ret == 0
    warning, notice = commands(result)
    assert warning.startswith(
        f"::warning file=test_it.py,line={project.source_line('def test_second') - 2},title=BREACHED"
    )
    assert "::Report only, no verdict fails this run. " in notice
    for text in (summary.read_text(encoding="utf-8"), (project.reports / "comment.md").read_text(encoding="utf-8")):
        assert text.index("**Report only:**") < text.index("| Verdict")


def test_a_run_that_measured_nothing_says_so_everywhere_and_has_no_number(project: Project, summary: Path) -> None:
    project.write_test("@cpu\n@met\ndef test_first(latency):\n    pytest.skip('not today')\n")
    result = project.run()
    assert result.ret == ExitStatus.NOT_RUN
    error, warning, _ = commands(result)
    assert error.startswith("::error title=latency promises::nothing was measured")
    assert "NOT RUN" in warning
    assert "not today" in warning
    for text in (summary.read_text(encoding="utf-8"), (project.reports / "comment.md").read_text(encoding="utf-8")):
        assert "- **ERROR** nothing was measured" in text
        assert "| **NOT RUN** |" in text
    assert json.loads((project.reports / "bencher.json").read_text(encoding="utf-8")) == {}
    assert json.loads((project.reports / "benchmark-action.json").read_text(encoding="utf-8")) == []


def test_a_problem_without_any_test_is_an_annotation_and_in_the_summary(project: Project, summary: Path) -> None:
    project.write_test("def test_plain():\n    pass\n", "test_plain")
    result = project.run("--require-targets=cpu")
    assert result.ret == ExitStatus.NOT_RUN
    (error,) = commands(result)
    assert error == "::error title=latency promises::--require-targets: cpu has no verdict in this run"
    assert summary.read_text(encoding="utf-8").endswith(
        "- **ERROR** --require-targets: cpu has no verdict in this run\n"
    )


def test_a_summary_that_cannot_be_written_is_one_sentence(
    project: Project, summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.root))
    project.write_test("@cpu\n@met\ndef test_first(latency):\n    latency(work)\n")
    result = project.run()
    assert result.ret == ExitStatus.ERROR
    (problem,) = [line for line in result.outlines if line.startswith("ERROR: ")]
    assert problem == f"ERROR: GITHUB_STEP_SUMMARY ({project.root}) cannot be written: Is a directory"
    assert any("cannot be written" in line for line in commands(result))
    assert files_of(project) == FILES


def test_a_summary_that_is_full_is_one_sentence(project: Project, summary: Path) -> None:
    summary.write_text("x" * (1024 * 1024 - 10), encoding="utf-8")
    project.write_test("@cpu\n@met\ndef test_first(latency):\n    latency(work)\n")
    result = project.run()
    assert result.ret == ExitStatus.ERROR
    result.stdout.fnmatch_lines(["ERROR: GITHUB_STEP_SUMMARY has no room left: 1048566 of 1048576 bytes are taken; *"])
    assert summary.stat().st_size == 1024 * 1024 - 10


def test_files_that_cannot_be_written_are_one_sentence(project: Project, summary: Path) -> None:
    (project.reports / "comment.md").mkdir(parents=True)
    project.write_test("@cpu\n@met\ndef test_first(latency):\n    latency(work)\n")
    result = project.run()
    assert result.ret == ExitStatus.ERROR
    (problem,) = [line for line in result.outlines if line.startswith("ERROR: ")]
    assert "comment.md cannot be written: Is a directory" in problem
    assert "| **MET** |" in summary.read_text(encoding="utf-8")


def test_under_xdist_the_controller_alone_reports(project: Project, summary: Path) -> None:
    project.write_test(MET_THEN_BREACHED)
    result = project.run_apart("-n", "2")
    assert len(commands(result)) == 2
    assert summary.read_text(encoding="utf-8").count("## Latency promises") == 1


def test_without_a_terminal_there_are_files_and_a_summary(project: Project, summary: Path) -> None:
    project.write_test(MET_THEN_BREACHED)
    result = project.run("-p", "no:terminal")
    assert result.ret == 1
    assert commands(result) == []
    assert files_of(project) == FILES
    assert "| **BREACHED** |" in summary.read_text(encoding="utf-8")
