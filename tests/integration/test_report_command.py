"""``voiceflow report``: the report again, from the files that a run left; sessions joined and compared."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.integration.plugin_project import Project
from voiceflow_ml import cli
from voiceflow_ml.errors import ResultError


def render(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["report", "render", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_files_of_a_run_give_its_report_again(project: Project) -> None:
    project.promise("cpu", "cuda-t4")
    project.run("sla.toml")
    (session,) = project.sessions()
    again = project.root / "again" / "report.md"
    assert str(again) in render(str(session), "--out", str(again)).replace("\n", "")
    assert again.read_text(encoding="utf-8") == project.report()
    for name in ("performance.html", *re.findall(r"charts/[\w-]+\.svg", project.report())):
        first = (project.reports / name).read_bytes()
        assert (again.parent / name).read_bytes() == first, "the same bytes from the same results"


def test_a_lost_result_is_shown_as_not_run(project: Project) -> None:
    project.promise("cpu")
    project.run("sla.toml")
    (session,) = project.sessions()
    (result,) = session.glob("[0-9]*.json")
    result.unlink()
    render(str(session), "--out", str(project.report_path))
    assert "**1 NOT RUN**" in project.report()


def test_a_damaged_result_is_one_sentence_that_names_it(project: Project) -> None:
    project.promise("cpu")
    project.run("sla.toml")
    (session,) = project.sessions()
    (result,) = session.glob("[0-9]*.json")
    result.write_text(result.read_text(encoding="utf-8")[:100], encoding="utf-8")
    with pytest.raises(ResultError, match=f"{result.name} is not a voiceflow-ml result file"):
        render(str(session))


def report(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["report", *map(str, arguments)], catch_exceptions=False)


def on_other_hardware(session: Path, **facts: str) -> None:
    """Change what the session's record says about its machine."""
    record = session / "session.json"
    content = json.loads(record.read_text(encoding="utf-8"))
    content["environment"].update(facts)
    record.write_text(json.dumps(content), encoding="utf-8")


def two_runs(project: Project) -> tuple[Path, Path]:
    """The tiny model's session, and a test's, of one promise each; in folders named first and second."""
    project.write_test("@cpu\n@met\ndef test_first(latency):\n    latency(work)\n")
    project.run("test_it.py")
    (first,) = project.sessions()
    first = first.rename(project.root / "first")
    project.promise("cpu")
    project.run("sla.toml")
    (second,) = project.sessions()
    return first, second.rename(project.root / "second")


def test_sessions_are_merged_into_one_report_that_can_be_rendered_again(project: Project) -> None:
    first, second = two_runs(project)
    on_other_hardware(second, CPU="Another CPU")
    out = project.root / "joint"
    said = report("merge", first, second, "--out", out)
    assert said.exit_code == 0
    assert "second: CPU Another CPU" in said.output
    assert "2 MET" in said.output
    assert "Every declared promise was measured." in said.output
    text = (out / "PERFORMANCE_ANALYSIS.md").read_text(encoding="utf-8")
    assert "**2 MET**" in text
    assert "| second · CPU | Another CPU |" in text
    (session,) = (out / "results").iterdir()
    again = out / "again.md"
    render(str(session), "--out", str(again))
    assert again.read_text(encoding="utf-8") == text


def test_one_objective_of_two_machines_is_refused_and_nothing_is_written(project: Project) -> None:
    first, second = two_runs(project)
    copy = Path(shutil.copytree(second, project.root / "third"))
    on_other_hardware(copy, CPU="Another CPU")
    out = project.root / "joint"
    with pytest.raises(ResultError, match=r"was measured on two kinds of hardware: .* in second, and .* in third"):
        report("merge", first, second, copy, "--out", out)
    assert not out.exists()


def test_a_difference_has_an_exit_status_only_when_asked(project: Project) -> None:
    first, second = two_runs(project)
    md = project.root / "difference.md"
    said = report("diff", first, second, "--md", md)
    assert said.exit_code == 0
    assert "1 change is for the worse (0 objectives in common)" in said.output
    assert "## Loosened or removed" in md.read_text(encoding="utf-8")
    assert report("diff", first, second, "--exit-code").exit_code == 1
    assert report("diff", second, second, "--exit-code").exit_code == 0


def test_history_shows_what_it_can_read_and_names_the_rest(project: Project) -> None:
    two_runs(project)
    damaged = project.root / "damaged"
    damaged.mkdir()
    (damaged / "session.json").write_text("{", encoding="utf-8")
    md = project.root / "history.md"
    said = report("history", project.root, "--md", md)
    assert said.exit_code == 0
    assert "2 objectives over 2 sessions" in said.output
    assert "damaged/session.json is not a voiceflow-ml result file" in said.output
    assert md.read_text(encoding="utf-8").count("█") == 2
    with pytest.raises(ResultError, match="damaged holds no session that can be read"):
        report("history", damaged)


@pytest.mark.parametrize("command", ["merge", "diff", "history"])
def test_help_teaches_by_examples(command: str) -> None:
    said = report(command, "--help")
    assert said.exit_code == 0
    assert f"voiceflow report {command} " in said.output
