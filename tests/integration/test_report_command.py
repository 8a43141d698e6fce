"""``voiceflow report render``: the report again, from the files that a run left."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

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
