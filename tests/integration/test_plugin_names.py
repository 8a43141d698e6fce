"""A model whose name holds all that could break an output: each output is one that its reader understands."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.integration.plugin_project import Project
from tests.unit.test_annotations import parsed
from tests.unit.test_summary import tables
from voiceflow_ml.reporting.text import one_line

NAME = "a|b `c` ``d`` <script>alert(1)</script> 🚀 *x* [z](javascript:0) @all #1 100%, ::error::\nsecond line\t\"'\\"
LABEL = one_line(f"{NAME} · model-inference · cpu")


@pytest.fixture(name="run")
def _run(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.root / "summary.md"))
    key = json.dumps(NAME, ensure_ascii=False)
    head = f'version = 1\n\n[models.{key}]\nfile = "tiny.onnx"\ninputs = {{ x = {{ shape = [4096, 4] }} }}\n'
    project.write_sla(f'\n[[objective]]\nmodel = {key}\ntarget = "cpu"\np99 = "2us"\n', head=head)
    result = project.run("sla.toml", "--junitxml=junit.xml")
    result.assert_outcomes(failed=1)
    (project.root / "terminal.txt").write_text("\n".join(result.outlines), encoding="utf-8")
    (row,) = [line for line in result.outlines if line.startswith("BREACHED  ")]
    assert row.startswith(f"BREACHED      {LABEL}  P99 <= 2 us  ")
    return project


class Page(HTMLParser):
    """The text of each cell, and which elements there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.elements: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.elements.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_output_survives_the_name_and_says_it(run: Project) -> None:
    for markdown in (run.report(), read(run.root / "summary.md"), read(run.reports / "comment.md")):
        (row,) = tables(markdown)[0][:1]
        assert row[:3] == ["BREACHED", LABEL, "P99 <= 2 us"]
    page = Page(read(run.reports / "performance.html"))
    assert [cell.strip() for cell in page.cells[:2]] == ["BREACHED", LABEL]
    assert "script" not in page.elements
    for chart in (run.reports / "charts").iterdir():
        ElementTree.parse(chart)
    (case,) = ElementTree.parse(run.root / "junit.xml").iter("testcase")
    values = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
    assert values["sla.model"].split() == NAME.split()
    errors = [line for line in read(run.root / "terminal.txt").splitlines() if line.startswith("::error")]
    ((kind, title, _),) = map(parsed, errors)
    assert (kind, title) == ("error", f"BREACHED: {LABEL}, P99 <= 2 us")
    (family,) = [
        one
        for one in text_string_to_metric_families(read(run.reports / "openmetrics.txt"))  # type: ignore[no-untyped-call]
        if one.name == "voiceflow_latency_seconds"
    ]
    assert [one.labels["model"] for one in family.samples] == [one_line(NAME)]
    assert len(json.loads(read(run.reports / "bencher.json"))) == 1
    (entry,) = json.loads(read(run.reports / "benchmark-action.json"))
    assert not set("|`<>\n") & set(entry["name"])
