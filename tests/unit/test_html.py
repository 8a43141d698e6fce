"""The page and the files: the words of the Markdown report, nothing from outside, and no name that breaks out.

After a wanted change of what both reports say, change both templates: a test here compares their words.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from jinja2 import Environment, nodes
from markdown_it import MarkdownIt

from tests.unit.result_set import MET, NASTY, ON_CPU, RESULTS, SESSION, measured, planned, samples
from voiceflow_ml.errors import ResultError
from voiceflow_ml.reporting import charts, publish
from voiceflow_ml.reporting.html import MOST_DRAWN, PAGE_TEMPLATE, render_page
from voiceflow_ml.reporting.publish import Publisher
from voiceflow_ml.reporting.render import render_report
from voiceflow_ml.results.record import Result, Session

TEMPLATE = Path(__file__).parents[2] / "reports" / "templates" / PAGE_TEMPLATE
VOID = {"meta", "br", "link", "img", "input"}
NAMES = (
    NASTY,
    "</td></table></title></style></svg><script>alert(1)</script>",
    "\"' onload='x' <!-- ]]> {{ 7 * 7 }} {% raw %}",
    "\U0001f680 naïve\r\nline\u2028two \x00 \ud800",
)


class Page(HTMLParser):
    """Tags with their attributes, in order; the visible text; and whether every element is closed by its own tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"head", "svg"} & set(self.open):
            self.words += data.split()


def named(name: str) -> tuple[Session, tuple[Result, ...]]:
    """A session in which everything that a user names is called this."""
    plan = planned(f"test[{name}]", name, name, P99=10_000_000)
    findings = replace(ON_CPU, fact=name)
    values_ns = samples(500, over=0, quick_ns=4_000_000, slow_ns=0)
    session = replace(SESSION, planned=(plan,), declared=(), command=name, environment={name: name})
    return session, (measured(plan, values_ns, findings, inputs=name),)


@pytest.fixture(name="page", scope="module")
def _page() -> str:
    return render_page(SESSION, RESULTS, Path("no-overrides"))


@pytest.mark.parametrize("name", NAMES)
def test_no_name_breaks_the_page(name: str, tmp_path: Path) -> None:
    plain = Page(render_page(*named("plain"), tmp_path))
    other = Page(render_page(*named(name), tmp_path))
    # The same elements with the same attributes by name: what a name holds is text, wherever it stands.
    assert [(tag, sorted(attributes)) for tag, attributes in other.tags] == [
        (tag, sorted(attributes)) for tag, attributes in plain.tags
    ]
    assert "script" not in {tag for tag, _ in other.tags}


def test_a_name_is_shown_as_it_is(tmp_path: Path) -> None:
    page = render_page(*named(NAMES[1]), tmp_path)
    assert html.escape(NAMES[1], quote=False) in page
    assert "<script" not in page


def test_the_page_needs_nothing_from_outside_and_runs_nothing(page: str) -> None:
    parsed = Page(page)
    assert {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object", "img", "use", "image", "a"} == set()
    attributes = {name for _, given in parsed.tags for name in given}
    assert {name for name in attributes if name.startswith("on") or name in ("href", "src", "style", "srcset")} == set()
    styles = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles
    assert page.count("<style>") == 1


def gated() -> tuple[Session, tuple[Result, ...]]:
    """A session in which a promise was loosened, one is waived, and one is a placeholder."""
    waiver = {"owner": "ada", "reason": NASTY, "expires": "2026-12-31"}
    waived = replace(planned("waived", "slow", P99=5_000_000), waivers={"P99": waiver})
    lax = planned("lax", "lax", P99=10_000_000_000)
    results = (
        measured(waived, samples(500, over=40, quick_ns=4_000_000, slow_ns=9_000_000)),
        measured(lax, samples(2_000, over=0, quick_ns=4_000_000, slow_ns=0)),
    )
    return replace(SESSION, planned=(waived, lax), declared=(), integrity=(f"{NASTY} was loosened",)), results


@pytest.mark.parametrize("content", [(SESSION, RESULTS), gated()], ids=["every verdict", "gate integrity"])
def test_the_page_says_what_the_markdown_report_says_in_its_order(
    content: tuple[Session, tuple[Result, ...]], tmp_path: Path
) -> None:
    markdown = re.sub(r"^!\[.*\n", "", render_report(*content, tmp_path), flags=re.MULTILINE)
    rendered = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    assert Page(render_page(*content, tmp_path)).words == Page(rendered).words


def test_what_was_loosened_comes_first(tmp_path: Path) -> None:
    page = render_page(*gated(), tmp_path)
    for said in ("was loosened", "waived by ada until 2026-12-31", "(waived)", "placeholder: "):
        assert said in page
    assert page.index("was loosened") < page.index('class="headline"')


def test_the_page_says_when_it_gates_nothing_is_not_finished_or_is_of_nothing(tmp_path: Path, page: str) -> None:
    other = render_page(replace(SESSION, policy="report-only", finished=False), RESULTS, tmp_path)
    for note in ("<strong>Report only:</strong>", "<strong>Not finished:</strong>"):
        assert note in other
        assert note not in page
    empty = render_page(replace(SESSION, planned=(), declared=()), (), tmp_path)
    assert "Nothing was measured." in empty


def test_every_measured_test_has_its_charts_in_the_page(page: str) -> None:
    assert page.count("<svg ") == 15, "one of a floor and one of the budget"
    assert page.count("in a file of its own") == 0


def test_of_many_tests_the_worst_have_their_charts_in_the_page(tmp_path: Path) -> None:
    quick_ns = samples(300, over=0, quick_ns=4_000_000, slow_ns=0)
    plans = [planned(f"t{index}", f"m{index}", P50=1 if index % 3 == 2 else 10**9) for index in range(MOST_DRAWN + 20)]
    session = replace(SESSION, planned=tuple(plans), declared=())
    page = render_page(session, [measured(plan, quick_ns) for plan in plans], tmp_path)
    assert page.count("<svg ") == 2 * MOST_DRAWN
    assert page.count("in a file of its own") == 2 * 20
    labels = set(re.findall(r'aria-label="[^"]*\. (m\d+) ·', page))
    assert labels >= {f"m{index}" for index in range(2, len(plans), 3)}


def test_the_template_does_no_arithmetic_and_calls_nothing() -> None:
    tree = Environment(autoescape=True).parse(TEMPLATE.read_text(encoding="utf-8"))
    computing = (nodes.BinExpr, nodes.UnaryExpr, nodes.Compare, nodes.Call, nodes.Concat, nodes.Getitem)
    assert [f"line {node.lineno}: {type(node).__name__}" for node in tree.find_all(computing)] == []
    assert {node.name for node in tree.find_all(nodes.Filter)} == {"charts", "elsewhere", "replace"}, "none is 'safe'"


def test_a_page_template_that_fails_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / PAGE_TEMPLATE).write_text("\n{{ view.nonsense }}", encoding="utf-8")
    with pytest.raises(ResultError) as caught:
        render_page(SESSION, RESULTS, tmp_path)
    assert str(caught.value).startswith(f"report template {tmp_path / PAGE_TEMPLATE}:2: ")


def test_the_files_are_written_and_linked(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "out" / "report.md", tmp_path)
    assert publisher.publish(SESSION, RESULTS) == ""
    assert publisher.report_written
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    links = re.findall(r"^!\[[^]]+\]\((charts/[^)]+\.svg)\)$", report, re.MULTILINE)
    assert len(links) == 15
    written = [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out" / "charts").iterdir()]
    assert sorted(links) == sorted(written)
    assert (tmp_path / "out" / "performance.html").read_text(encoding="utf-8") == render_page(
        SESSION, RESULTS, tmp_path
    )


def test_a_chart_that_was_written_is_not_written_again_until_its_result_changes(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "report.md", tmp_path)
    publisher.publish(SESSION, RESULTS)
    for path in (tmp_path / "charts").iterdir():
        path.write_text("as it was", encoding="utf-8")
    shorter = samples(400, over=0, quick_ns=4_000_000, slow_ns=0)
    publisher.publish(SESSION, (measured(MET, shorter, ON_CPU), *RESULTS[1:]))
    kept = [path.read_text(encoding="utf-8") == "as it was" for path in sorted((tmp_path / "charts").iterdir())]
    # Its two pictures, and that of the budget, which rests on it; a floor is not known of it any more.
    assert (kept.count(False), kept.count(True)) == (3, 11)


def charts_in(folder: Path) -> set[str]:
    return {path.name for path in (folder / "charts").iterdir()}


def test_charts_of_tests_that_are_gone_go_too_and_nothing_else_does(tmp_path: Path) -> None:
    Publisher(tmp_path / "report.md", tmp_path).publish(SESSION, RESULTS)
    theirs = tmp_path / "charts" / "architecture.svg"
    theirs.write_text("<svg/>", encoding="utf-8")
    before = charts_in(tmp_path)
    fewer = replace(SESSION, planned=(MET,), declared=())
    # While a run goes on it does not know yet which charts it will have.
    Publisher(tmp_path / "report.md", tmp_path).publish(replace(fewer, finished=False), RESULTS[:1])
    assert charts_in(tmp_path) == before
    Publisher(tmp_path / "report.md", tmp_path).publish(fewer, RESULTS[:1])
    assert charts_in(tmp_path) == {theirs.name, *(Path(chart.link).name for chart in charts.charts_of(RESULTS[0]))}


def test_a_chart_that_another_run_removed_is_written_again(tmp_path: Path) -> None:
    going_on = Publisher(tmp_path / "report.md", tmp_path)
    going_on.publish(replace(SESSION, finished=False), RESULTS)
    Publisher(tmp_path / "report.md", tmp_path).publish(replace(SESSION, planned=(MET,), declared=()), RESULTS[:1])
    assert len(charts_in(tmp_path)) == 3
    going_on.publish(SESSION, RESULTS)
    assert len(charts_in(tmp_path)) == 15


def test_every_chart_has_a_name_that_is_known_as_one(tmp_path: Path) -> None:
    Publisher(tmp_path / "report.md", tmp_path).publish(SESSION, RESULTS)
    assert all(charts.CHART_NAME.fullmatch(name) for name in charts_in(tmp_path))


def test_a_page_that_cannot_be_made_costs_no_report(tmp_path: Path) -> None:
    (tmp_path / PAGE_TEMPLATE).write_text("{{ nonsense }}", encoding="utf-8")
    publisher = Publisher(tmp_path / "out" / "report.md", tmp_path)
    assert publisher.publish(SESSION, RESULTS).startswith(f"report template {tmp_path / PAGE_TEMPLATE}:1: ")
    assert publisher.report_written
    assert (tmp_path / "out" / "report.md").exists()
    assert not (tmp_path / "out" / "performance.html").exists()


def test_a_chart_that_cannot_be_drawn_costs_no_report(tmp_path: Path) -> None:
    broken = measured(MET, samples(400, over=0, quick_ns=4_000_000, slow_ns=0))
    assert broken.measurement is not None
    run = replace(broken.measurement.run, block_durations_ns=np.zeros(3, dtype=np.int64))
    result = replace(broken, measurement=replace(broken.measurement, run=run))
    publisher = Publisher(tmp_path / "report.md", tmp_path)
    problem = publisher.publish(replace(SESSION, planned=(MET,)), (result,))
    assert problem.startswith(f"{tmp_path / 'performance.html'} cannot be made: ")
    assert problem.endswith("; the results are whole")
    assert publisher.report_written
    assert "fast-cnn" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_chart_folder_that_cannot_be_is_said_and_costs_no_report(tmp_path: Path) -> None:
    (tmp_path / charts.CHARTS_FOLDER).write_text("a file", encoding="utf-8")
    publisher = Publisher(tmp_path / "report.md", tmp_path)
    assert "cannot be written" in publisher.publish(SESSION, RESULTS)
    assert publisher.report_written


def test_a_report_that_cannot_be_written_is_the_one_problem(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    publisher = Publisher(tmp_path / "taken" / "report.md", tmp_path)
    assert "report.md cannot be written: " in publisher.publish(SESSION, RESULTS)
    assert not publisher.report_written
    assert publisher.page_path.name == publish.PAGE_NAME
