from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.unit.result_set import NASTY, RESULTS, SESSION
from voiceflow_ml.reporting.rows import Row
from voiceflow_ml.reporting.summary import (
    COMMENT_LIMIT_BYTES,
    COMMENT_MARKER,
    job_summary,
    pull_request_comment,
)
from voiceflow_ml.reporting.text import one_line
from voiceflow_ml.reporting.view import ReportView, build_view
from voiceflow_ml.units import format_count

VIEW = build_view(SESSION, RESULTS)
EMPTY = replace(VIEW, rows=(), coverage="", integrity=(), advice=())


def row(number: int, *, verdict: str = "BREACHED", sentence: str = "it took longer", waived: str = "") -> Row:
    """An objective of a model of its own."""
    return Row(
        verdict=verdict,
        label=f"model-{number} · model-inference · cpu",
        objective="P99 <= 5 ms",
        measured="9 ms",
        interval="[8 ms, 10 ms]",
        margin="-80 %",
        samples="500",
        span="16 s",
        horizon="-",
        sentence=sentence,
        waived=waived,
    )


def many(count: int, name: str = "", sentence: str = "it took longer") -> ReportView:
    """A report of this many breaches; ``name`` is put behind each label."""
    rows = [row(number, sentence=sentence) for number in range(count)]
    return replace(EMPTY, rows=tuple(replace(one, label=one_line(f"{one.label} {name}")) for one in rows))


def text_of(tokens: list[Token]) -> str:
    """What a reader sees; a zero-width space, which keeps GitHub from linking, is not seen."""
    children = [child for token in tokens for child in token.children or []]
    # No link, code, emphasis or HTML: whatever a name holds is text.
    assert {child.type for child in children} <= {"text", "text_special", "strong_open", "strong_close"}
    shown = "".join(child.content for child in children)
    return shown.replace("\u200b", "")


def tables(markdown: str) -> list[list[list[str]]]:
    """The body of each table as rows of cells, as a reader sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    found: list[list[list[str]]] = []
    for token, inner in pairwise(tokens):
        if token.type == "tbody_open":
            found.append([])
        elif token.type == "tr_open" and found:
            found[-1].append([])
        elif token.type == "td_open":
            found[-1][-1].append(text_of([inner]))
    return found


def full_cells(one: Row) -> list[str]:
    """The cells of one row of the job summary."""
    return [
        one.verdict,
        one.label,
        one.objective,
        one.measured,
        one.interval,
        one.margin,
        one.samples,
        one.span,
        one.horizon,
    ]


def test_the_summary_holds_every_row_of_the_report_cell_by_cell() -> None:
    (table,) = tables(job_summary(VIEW, []))
    assert table == [full_cells(one) for one in VIEW.rows]
    assert {"INVALID", "NOT RUN", "ERROR"} <= {cells[0] for cells in table}


def test_the_comment_holds_the_same_rows_in_fewer_cells() -> None:
    (table,) = tables(pull_request_comment(VIEW, []))
    assert table == [full_cells(one)[:5] for one in VIEW.rows]


def test_words_are_said_about_what_is_not_good_and_only_about_that() -> None:
    for text in (job_summary(VIEW, []), pull_request_comment(VIEW, [])):
        words = [line for line in text.splitlines() if line.startswith("- **")]
        bad = [one.verdict for one in VIEW.rows if one.verdict not in ("MET", "NOT SLOWER")]
        assert [line.split("**")[1] for line in words] == bad
        assert "37 of 412 nodes ran on CPUExecutionProvider" in words[0]


def test_the_comment_begins_with_the_marker_and_a_name_cannot_forge_it() -> None:
    text = pull_request_comment(many(2, COMMENT_MARKER), [COMMENT_MARKER])
    assert text.startswith(f"{COMMENT_MARKER}\n")
    assert text.count(COMMENT_MARKER) == 1


def test_report_only_an_unfinished_run_and_problems_come_before_the_table() -> None:
    view = build_view(replace(SESSION, policy="report-only", finished=False), RESULTS)
    problems = [f"--require-targets: {NASTY}"]
    for text in (job_summary(view, problems), pull_request_comment(view, problems)):
        head = text[: text.index("| Verdict")]
        assert "> **Report only:** no verdict fails this run." in head
        assert "> **Not finished:**" in head
        assert "- **ERROR** --require-targets: a\\|b" in head
        assert f"**{view.headline}**" in head
        assert "4 of 10 declared promises have no measurement" in head
    for text in (job_summary(VIEW, []), pull_request_comment(VIEW, [])):
        assert "Report only" not in text
        assert "Not finished" not in text


def test_what_was_loosened_or_waived_comes_before_the_headline_and_advice_last() -> None:
    view = replace(VIEW, integrity=("P99 of fast-cnn: 5 ms -> 10 ms",), advice=("promise too modest: fast-cnn",))
    text = job_summary(view, [])
    assert text.index("- **CHANGED OR WAIVED** P99 of fast-cnn") < text.index(f"**{VIEW.headline}**")
    assert text.splitlines()[-1] == "- promise too modest: fast-cnn"
    comment = pull_request_comment(view, [])
    assert "- **CHANGED OR WAIVED** P99 of fast-cnn" in comment
    assert "too modest" not in comment


def test_a_waived_row_says_so_in_its_cell_and_in_its_words() -> None:
    text = job_summary(replace(EMPTY, rows=(row(1, waived="waived by ann until 2026-02-01: #12"),)), [])
    assert tables(text)[0][0][0] == "BREACHED (waived)"
    assert "it took longer; waived by ann until 2026-02-01: #&#8203;12." in text


def test_without_a_plan_only_the_problems_are_told() -> None:
    assert job_summary(None, ["nothing was there"]) == "## Latency promises\n\n- **ERROR** nothing was there\n"


def test_without_any_promise_there_is_no_table() -> None:
    text = job_summary(EMPTY, [])
    assert tables(text) == []
    assert f"**{VIEW.headline}**" in text


def test_more_rows_than_fit_are_counted_and_the_worst_stay() -> None:
    view = many(3_000, sentence="x" * 600)
    text = job_summary(view, [])
    (table,) = tables(text)
    assert 100 < len(table) < 3_000
    assert [cells[1] for cells in table] == [one.label for one in view.rows[: len(table)]]
    assert f"and {format_count(3_000 - len(table))} more, none of them worse: see the report" in text
    assert len(text.encode()) <= 1024 * 1024
    # The next row would have been too much.
    assert len(text.encode()) > 1024 * 1024 - 1_000


def test_a_summary_that_others_wrote_to_leaves_less_room() -> None:
    view = many(100)
    whole = job_summary(view, [])
    shorter = job_summary(view, [], len(whole.encode()) - 1)
    assert "and 1 more" in shorter
    assert job_summary(view, [], len(whole.encode())) == whole
    assert job_summary(view, [], 20) == ""


def test_a_comment_of_five_hundred_objectives_is_short_and_counts_the_rest() -> None:
    text = pull_request_comment(many(500), [])
    assert len(tables(text)[0]) == 30
    assert "and 470 more, none of them worse: see the report" in text


@pytest.mark.parametrize("strange", ["<a", "\U0001f600", "|", "@a", "&amp;"])
def test_the_longest_and_strangest_words_still_fit_a_comment(strange: str) -> None:
    long = strange * 2_000
    view = replace(many(40, long, sentence=long), coverage=long, integrity=(long,) * 41)
    text = pull_request_comment(view, [long] * 20)
    assert 0 < len(text.encode()) <= COMMENT_LIMIT_BYTES
    assert "- and 21 more\n" in text
    assert "- and 10 more\n" in text
    assert "more, none of them worse: see the report" in text


@pytest.mark.parametrize("name", ["@octocat", "#12", "a@b", "org/repo#7"])
def test_a_name_calls_nobody_and_links_no_issue(name: str) -> None:
    text = pull_request_comment(many(1, name), [name])
    assert name not in text
    assert tables(text)[0][0][1].endswith(name)
    assert not re.search(r"(?<!&)[@#]\w", text)


@given(name=st.text(max_size=200))
def test_no_name_breaks_a_table(name: str) -> None:
    view = many(2, name)
    for text in (job_summary(view, [name]), pull_request_comment(view, [name])):
        (table,) = tables(text)
        assert len(table) == 2
        assert [cells[1] for cells in table] == [one.label for one in view.rows]
        blocks = MarkdownIt("commonmark").enable("table").parse(text.removeprefix(COMMENT_MARKER))
        assert {block.type for block in blocks}.isdisjoint({"html_block", "fence", "code_block", "hr"})
        assert sum(block.type == "heading_open" for block in blocks) == 1
