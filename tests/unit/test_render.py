"""The report as text.

After a wanted change: ``UPDATE_SNAPSHOTS=1 pytest tests/unit/test_render.py``, then read the diff.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, nodes
from markdown_it import MarkdownIt

from tests.unit.result_set import NASTY, RESULTS, SESSION
from voiceflow_ml.errors import ResultError
from voiceflow_ml.reporting.render import REPORT_TEMPLATE, code_block, code_span, escape_markdown, render_report
from voiceflow_ml.reporting.text import one_line

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "reports" / "templates" / REPORT_TEMPLATE
SNAPSHOT = Path(__file__).parent / "snapshots" / "PERFORMANCE_ANALYSIS.md"
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.fixture(name="report")
def _report(tmp_path: Path) -> str:
    return render_report(SESSION, RESULTS, tmp_path / "no-overrides")


def test_the_report_is_the_snapshot(report: str) -> None:
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(report, encoding="utf-8")
    assert report == SNAPSHOT.read_text(encoding="utf-8"), (
        "the rendered report changed: if that is wanted, run UPDATE_SNAPSHOTS=1 pytest tests/unit/test_render.py"
    )


def test_no_name_breaks_the_tables_or_smuggles_markup_in(report: str) -> None:
    html = MARKDOWN.render(report)
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    objectives = [re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL) for row in rows[1:15]]
    assert [len(cells) for cells in objectives] == [9] * 14
    shown = NASTY.replace("\x1b", "").replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert [cells[1] for cells in objectives if "ERROR" in cells[0]] == [f"{shown} · model-inference · cpu"]
    assert [cells[2] for cells in objectives if "SLOWER" in cells[0]] == [
        "P99 &lt;= 1.1x git:v1|`old`",
        "P50 &lt;= 1.05x git:v1|`old`",
    ]
    assert html.count("<h1>") == 1
    for markup in ("<b>", "<s>", "<a ", "\x1b", "<em>x", "<em>y"):
        assert markup not in html


@given(st.text(min_size=1))
def test_escaped_text_is_shown_as_it_was(text: str) -> None:
    line = one_line(text)
    html = MARKDOWN.render(f"x {escape_markdown(text)} x")
    shown = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    assert html == f"<p>x {shown} x</p>\n"


@given(st.text(alphabet="`a \n|", min_size=1))
def test_code_is_shown_as_it_was(text: str) -> None:
    line = one_line(text)
    shown = re.findall(r"<code>(.*)</code>", MARKDOWN.render(code_span(text)))
    assert shown == ([line] if line else [])
    html = MARKDOWN.render(f"before\n\n{code_block(text)}\n\nafter")
    assert html == f'<p>before</p>\n<pre><code class="language-sh">{line}\n</code></pre>\n<p>after</p>\n'


def test_the_report_states_its_guarantee_and_a_horizon_beside_each_met(report: str) -> None:
    words = " ".join(report.split())
    assert (
        "under independence, or whenever each sample's conditional chance to exceed the limit is at least what the "
        "percentile allows, the chance of ever saying MET wrongly is at most one minus the confidence, whatever the "
        "looks and stops. Under dependence there is no theorem, only measured error rates."
    ) in words
    assert "Noise rarer than that, another machine, and many objectives at once are not covered." in words
    met = [line for line in report.splitlines() if line.startswith("| **MET**")]
    assert len(met) == 5
    assert all(line.endswith("| 16 s | 2 s |") for line in met)


def test_a_report_of_nothing(tmp_path: Path) -> None:
    report = render_report(replace(SESSION, planned=(), declared=()), (), tmp_path)
    assert "**nothing was measured**" in report
    assert "No promise was declared." in report
    assert "Nothing was measured." in report


def test_a_report_says_when_it_gates_nothing_and_when_it_is_not_finished(report: str, tmp_path: Path) -> None:
    other = render_report(replace(SESSION, policy="report-only", finished=False), RESULTS, tmp_path)
    for note in ("> **Report only:**", "> **Not finished:**"):
        assert note in other
        assert note not in report


def override(folder: Path, text: str) -> Path:
    (folder / REPORT_TEMPLATE).write_text(text, encoding="utf-8")
    return folder


def test_a_projects_own_template_replaces_ours(tmp_path: Path) -> None:
    own = override(tmp_path, "Ours: {{ view.headline }} {{ 'a|b' | md }}\n")
    assert render_report(SESSION, RESULTS, own).startswith("Ours: 1 INVALID,")
    assert render_report(SESSION, RESULTS, own).endswith("a\\|b\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\n{{ view.nonsense }}", ":2: 'voiceflow_ml.reporting.view.ReportView object' has no attribute 'nonsense'"),
        ("{{ nonsense }}", ":1: 'nonsense' is undefined"),
        ("\n\n{% if %}", ":3: Expected an expression, got 'end of statement block'"),
        ("\n{{ view.rows + 1 }}", ":2: can only concatenate tuple"),
        ("{{ 1 | shout }}", ":1: No filter named 'shout'."),
    ],
)
def test_a_template_that_fails_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ResultError) as caught:
        render_report(SESSION, RESULTS, override(tmp_path, text))
    said = str(caught.value)
    assert said.startswith(f"report template {tmp_path / REPORT_TEMPLATE}{message}")
    assert said.endswith("(delete the file to use the packaged one)")


def test_a_template_that_includes_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"report template extra\.j2 is not there; looked in: "):
        render_report(SESSION, RESULTS, override(tmp_path, "{% include 'extra.j2' %}"))


def test_a_template_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / REPORT_TEMPLATE).write_bytes(b"\xff")
    with pytest.raises(ResultError, match=r"report template PERFORMANCE_ANALYSIS\.md\.j2: 'utf-8' codec can't decode"):
        render_report(SESSION, RESULTS, tmp_path)


def test_the_template_does_no_arithmetic_and_calls_nothing() -> None:
    tree = Environment(autoescape=True).parse(TEMPLATE.read_text(encoding="utf-8"))
    computing = (nodes.BinExpr, nodes.UnaryExpr, nodes.Compare, nodes.Call, nodes.Concat, nodes.Getitem)
    assert [f"line {node.lineno}: {type(node).__name__}" for node in tree.find_all(computing)] == []
    assert {node.name for node in tree.find_all(nodes.Filter)} == {"md", "code", "block", "charts"}


def test_the_template_uses_all_that_the_view_offers() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    from dataclasses import fields  # noqa: PLC0415

    from voiceflow_ml.reporting.budget import BudgetSection  # noqa: PLC0415
    from voiceflow_ml.reporting.detail import Detail  # noqa: PLC0415
    from voiceflow_ml.reporting.rows import Row  # noqa: PLC0415
    from voiceflow_ml.reporting.section import Section  # noqa: PLC0415
    from voiceflow_ml.reporting.view import ReportView  # noqa: PLC0415

    records = {"view": ReportView, "row": Row, "detail": Detail, "budget": BudgetSection, "section": Section}
    for name, record in records.items():
        for field in fields(record):
            # By these the parts of a report are sorted and found.
            assert f"{name}.{field.name}" in text or field.name in ("excess", "key", "heads", "rows", "numbers")
