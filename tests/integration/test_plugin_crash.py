"""However a run ends, what had finished is on disk and the report names what had not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.integration.plugin_project import MET_THEN_BREACHED, THREE_VERDICTS, Project
from voiceflow_ml.pytest_plugin.exit_status import ExitStatus
from voiceflow_ml.results.store import read_session

ENDS_IN_THE_THIRD = (
    MET_THEN_BREACHED
    + """
@cpu
@met
def test_third(latency):
    latency(lambda: os.kill(os.getpid(), signal.{name}))
"""
)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_run_that_is_ended_leaves_two_results_and_names_the_third(project: Project, name: str) -> None:
    project.write_test(ENDS_IN_THE_THIRD.format(name=name))
    result = project.run_apart("-W", "error")
    assert result.ret == (pytest.ExitCode.INTERRUPTED if name == "SIGINT" else -signal.Signals[name])
    assert project.result_files() == [
        "0000-test-it-py-test-first-cpu.json",
        "0001-test-it-py-test-second-cpu.json",
        "session.json",
    ]
    (folder,) = project.sessions()
    session, results = read_session(folder)
    assert not session.finished
    assert [planned.model for planned in session.planned] == ["test_first", "test_second", "test_third"]
    assert [str(outcome) for finished in results for outcome in finished.outcomes] == ["MET", "BREACHED"]
    report = project.report()
    assert "**1 BREACHED, 1 NOT RUN, 1 MET**" in report
    assert "| **NOT RUN** | test\\_third · model-inference · cpu |" in report
    assert "Not finished" in report
    names = {path.name for path in project.reports.rglob("*")}
    assert {"PERFORMANCE_ANALYSIS.md", "charts", "performance.html", "results"} <= names
    assert [name for name in names if name.endswith(".part")] == [], "nothing half-written stays"


def test_ctrl_c_still_prints_the_table(project: Project) -> None:
    project.write_test(ENDS_IN_THE_THIRD.format(name="SIGINT"))
    result = project.run_apart()
    result.stdout.fnmatch_lines(
        ["*= latency promises =*", "MET *", "BREACHED *", "NOT RUN       test_third *", "1 BREACHED, 1 NOT RUN, 1 MET"]
    )


def test_a_finished_run_says_so(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    project.run()
    (folder,) = project.sessions()
    session, results = read_session(folder)
    assert session.finished
    assert len(results) == 3
    assert "Not finished" not in project.report()


def test_a_report_folder_that_cannot_be_is_one_problem(project: Project) -> None:
    project.write_test(THREE_VERDICTS.replace("@breached", "@met"))
    (project.root / "taken").write_text("a file", encoding="utf-8")
    result = project.run("-W", "error", "--sla-report=taken")
    result.assert_outcomes(passed=3)
    assert result.ret == ExitStatus.ERROR
    problems = [line for line in result.outlines if line.startswith("ERROR: ")]
    assert len(problems) == 1
    assert problems[0].startswith(f"ERROR: {project.root}/taken/")
    assert "cannot be written: Not a directory" in problems[0]
    assert not [line for line in result.outlines if line.startswith("report: ")]
    assert (project.root / "taken").read_text(encoding="utf-8") == "a file"


def test_two_runs_at_once_in_one_folder_leave_two_whole_sessions(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    command = [sys.executable, "-m", "pytest", "--sla-span=0s", "-p", "no:cacheprovider"]
    runs = [
        subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [1, 1], outputs
    assert len(project.sessions()) == 2
    for folder in project.sessions():
        session, results = read_session(folder)
        assert session.finished
        assert len(results) == 3
    assert "**1 BREACHED, 3 MET**" in project.report()
    leftovers = [path.name for path in project.reports.rglob("*.tmp")]
    assert leftovers == []


TEMPLATE = "reports/templates/PERFORMANCE_ANALYSIS.md.j2"


def write_template(project: Project, text: str) -> None:
    path = project.root / TEMPLATE
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def test_a_template_of_the_projects_own_wins(project: Project) -> None:
    write_template(project, "Our own words: {{ view.headline }}\n")
    project.write_test(THREE_VERDICTS)
    project.run("-W", "error")
    assert project.report() == "Our own words: 1 BREACHED, 3 MET\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ view.nothing_such }}", "nothing_such"),
        ("line one\n{% for %}", "j2:2: "),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
    ids=["unknown name", "syntax", "arithmetic"],
)
def test_a_broken_template_costs_the_report_and_not_the_results(project: Project, text: str, reason: str) -> None:
    write_template(project, text)
    project.write_test(THREE_VERDICTS.replace("@breached", "@met"))
    result = project.run("-W", "error")
    result.assert_outcomes(passed=3)
    assert result.ret == ExitStatus.ERROR
    problems = [line for line in result.outlines if line.startswith("ERROR: ")]
    assert len(problems) == 1
    assert "PERFORMANCE_ANALYSIS.md.j2" in problems[0]
    assert reason in problems[0]
    assert "Traceback" not in result.stdout.str()
    assert [entry["state"] for entry in project.results()] == ["measured"] * 3
    assert not [line for line in result.outlines if line.startswith("report: ")]


def test_a_broken_page_turns_the_run_red_and_costs_no_report(project: Project) -> None:
    path = project.root / "reports" / "templates" / "performance.html.j2"
    path.parent.mkdir(parents=True)
    path.write_text("{{ view.nothing_such }}", encoding="utf-8")
    project.write_test(THREE_VERDICTS.replace("@breached", "@met"))
    result = project.run("-W", "error")
    result.assert_outcomes(passed=3)
    assert result.ret == ExitStatus.ERROR
    (problem,) = [line for line in result.outlines if line.startswith("ERROR: ")]
    assert "performance.html.j2" in problem
    assert [line for line in result.outlines if line.startswith("report: ")]
    assert "**4 MET**" in project.report()


def test_the_command_that_reproduces_a_run_is_in_its_record(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    project.run("-k", "first and not second")
    (folder,) = project.sessions()
    session = json.loads((folder / "session.json").read_text(encoding="utf-8"))
    assert "-k 'first and not second'" in session["command"]
    assert session["environment"]["pytest"] == pytest.__version__
