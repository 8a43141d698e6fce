"""The page in a real browser: no name in it runs a script, loads anything, or leaves its place."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.browser import NAMES, find_browser, rendered

from tests.unit.result_set import DECLARED_STAGES, FLOOR, ON_CPU, SESSION, against, measured, planned, samples
from voiceflow_ml.reporting.publish import Publisher
from voiceflow_ml.results.record import Planned, Result, Session

# Each marks the page when it runs, which it does in a page that does not escape it.
MARK = "document.documentElement.classList.add('ran-{}')"
SCRIPTS = tuple(
    form.format(MARK.format(place))
    for place, form in enumerate(
        (
            "<script>{}</script>",
            '<img src=x onerror="{}">',
            '</title></style></svg><svg onload="{}">',
            '" onerror="{}" x="',
            '<iframe srcdoc="<script>parent.{}</script>"></iframe>',
        )
    )
)
PLAIN = ("a | b", "`c` ``d``", "<b>bold</b>", "\U0001f680", "two\nlines", "&amp; &lt;", "a\x00b\u202ec")
EVERY_NAME = " ".join((*SCRIPTS, *PLAIN))


@pytest.fixture(name="browser", scope="module")
def _browser() -> str:
    found = find_browser()
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"no browser is installed: none of {', '.join(NAMES)} is on the path")
    assert found is not None, "a CI machine must have a browser: apt-get install chromium"
    return found


def session_named(name: str) -> tuple[Session, tuple[Result, ...]]:
    """A session in which everything that has a name is called this."""
    plan = replace(planned(name, name, name, P99=10_000_000), where=f"{name}:1")
    waived = replace(plan, waivers={"P99": {"owner": name, "reason": name, "expires": "2026-12-31"}})
    whole = Planned("", name, "end-to-end", name, {"P99": 10**8}, where=name, stages=DECLARED_STAGES)
    values_ns = samples(500, over=40, quick_ns=4_000_000, slow_ns=12_000_000)
    result = measured(
        waived,
        values_ns,
        replace(ON_CPU, fact=name, remedy=name),
        inputs=name,
        against=replace(against((0.5,), 1.2), baseline=name),
        roofline=replace(FLOOR, source=name),
    )
    session = replace(
        SESSION,
        command=name,
        environment={name: name},
        planned=(waived,),
        declared=(whole,),
        integrity=(name,),
    )
    return session, (result,)


def test_the_browser_runs_what_is_not_escaped(browser: str, tmp_path: Path) -> None:
    # Without this the tests below could not fail.
    page = tmp_path / "page.html"
    unescaped = "".join(f'<p>{script}</p><img src=x title="{script}">' for script in SCRIPTS)
    page.write_text(f"<!DOCTYPE html><body>{unescaped}", encoding="utf-8")
    document = rendered(browser, page)
    assert set(re.findall(r"<html[^>]*class=\"([^\"]*)\"", document)[0].split()) == {f"ran-{i}" for i in range(5)}


def test_no_script_runs_from_a_name(browser: str, tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "report.md", tmp_path)
    assert publisher.publish(*session_named(EVERY_NAME)) == ""
    document = rendered(browser, publisher.page_path)
    assert '<html lang="en"><head>' in document, "nothing marked the page"
    # Some releases write an attribute's "<" as it is.
    elements = re.sub(r'aria-label="[^"]*"', "", document)
    assert re.findall(r"<(?:script|img|iframe|b|link|object)\b", elements) == []
    # It is all there as text, and each picture is one element.
    assert "&lt;script&gt;document.documentElement" in document
    assert "\U0001f680" in document
    assert document.count("</svg>") == 5


def test_no_chart_file_runs_a_script_from_a_name(browser: str, tmp_path: Path) -> None:
    Publisher(tmp_path / "report.md", tmp_path).publish(*session_named(EVERY_NAME))
    (chart,) = (tmp_path / "charts").glob("*-shift.svg")
    document = rendered(browser, chart)
    assert document.startswith('<svg xmlns="http://www.w3.org/2000/svg" class="vf" ')
    assert 'class="ran-' not in document
