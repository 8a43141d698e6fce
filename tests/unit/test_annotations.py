from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.result_set import RESULTS, SESSION
from tests.unit.test_summary import EMPTY, many, row
from voiceflow_ml.reporting.annotations import MOST_OF_A_KIND, annotation_lines
from voiceflow_ml.reporting.text import one_line
from voiceflow_ml.reporting.view import build_view

VIEW = build_view(SESSION, RESULTS)


def whole(line: str) -> tuple[str, dict[str, str], str]:
    """Kind, properties and message of a workflow command, read the way GitHub's runner reads one."""
    assert line.startswith("::")
    end = line.index("::", 2)
    kind, _, properties = line[2:end].partition(" ")
    found = {}
    for one in properties.split(","):
        key, _, value = one.partition("=")
        for coded, plain in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            value = value.replace(coded, plain)
        found[key] = value
    message = line[end + 2 :]
    for coded, plain in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        message = message.replace(coded, plain)
    return kind, found, message


def parsed(line: str) -> tuple[str, str, str]:
    """Kind, title and message of a workflow command."""
    kind, found, message = whole(line)
    assert set(found) - {"file", "line"} == {"title"}
    return kind, found["title"], message


def places(folder: str = "", where: str = "sla.toml:11") -> list[tuple[str, str]]:
    """File and line of each annotation of a report in which every objective stands in one place."""
    view = replace(VIEW, rows=tuple(replace(one, where=where) for one in VIEW.rows if one.verdict != "MET"))
    found = [whole(line)[1] for line in annotation_lines(view, ["a problem"], policy="strict", folder=folder)]
    return [(one.get("file", ""), one.get("line", "")) for one in found]


def kinds(policy: str) -> dict[str, str]:
    """Verdict -> kind of its annotation."""
    found = [parsed(line) for line in annotation_lines(VIEW, [], policy=policy)]
    return {title.partition(":")[0]: kind for kind, title, _ in found if kind != "notice"}


def test_what_fails_a_strict_run_is_an_error_and_what_is_good_says_nothing() -> None:
    assert kinds("strict") == {
        "INVALID": "error",
        "BREACHED": "error",
        "SLOWER": "error",
        "ERROR": "error",
        "INCONCLUSIVE": "error",
        "NOT RUN": "warning",
    }


def test_an_open_verdict_does_not_fail_a_lenient_run() -> None:
    assert kinds("lenient") == {**kinds("strict"), "INCONCLUSIVE": "warning"}


def test_nothing_fails_a_run_that_only_reports_and_the_notice_says_so_first() -> None:
    assert set(kinds("report-only").values()) == {"warning"}
    view = build_view(replace(SESSION, policy="report-only", finished=False), RESULTS)
    kind, title, message = parsed(annotation_lines(view, [], policy="report-only")[-1])
    assert (kind, title) == ("notice", "latency promises")
    assert message.startswith("Report only, no verdict fails this run. The run did not finish. 1 INVALID, 1 BREACHED")


def test_an_annotation_names_the_objective_and_says_why() -> None:
    line = annotation_lines(VIEW, [], policy="strict")[1]
    assert line.startswith(
        "::error file=sla.toml,line=11,title=BREACHED%3A slow-cnn · model-inference · cpu%2C P99 <= 5 ms::"
        "P99 is over 5 ms"
    )
    assert "with 99 %25 confidence" in line
    assert parsed(line) == (
        "error",
        "BREACHED: slow-cnn · model-inference · cpu, P99 <= 5 ms",
        next(one.sentence for one in VIEW.rows if one.verdict == "BREACHED"),
    )


def test_an_annotation_stands_where_the_limit_is_written_and_what_has_no_place_has_none() -> None:
    objectives = ("sla.toml", "11")
    found = places()
    assert found == [("", ""), *[objectives] * (len(found) - 2), ("", "")], "the problem and the notice have none"


@pytest.mark.parametrize(
    ("folder", "where", "file"),
    [
        (".", "tests/test_a.py:7", "tests/test_a.py"),
        ("services/voice", "sla.toml:7", "services/voice/sla.toml"),
        ("services/voice", "../sla.toml:7", "services/sla.toml"),
        ("", "../sla.toml:7", ""),
        ("", "/elsewhere/sla.toml:7", ""),
        ("", "the sla marker", ""),
        ("", "", ""),
        ("", "a,b:100%/sla.toml:7", "a,b:100%/sla.toml"),
    ],
)
def test_a_place_is_seen_from_the_root_of_the_repository(folder: str, where: str, file: str) -> None:
    assert places(folder, where)[1] == (file, "7" if file else "")


def test_a_waived_breach_is_a_warning_behind_what_was_changed() -> None:
    waived = row(1, waived="waived by ann until 2026-02-01")
    view = replace(EMPTY, rows=(waived,), integrity=("P99 of fast-cnn: 5 ms -> 10 ms",))
    first, second, _ = map(parsed, annotation_lines(view, [], policy="strict"))
    assert first == ("warning", "changed or waived", "P99 of fast-cnn: 5 ms -> 10 ms")
    assert second[0] == "warning"
    assert second[2] == "it took longer; waived by ann until 2026-02-01"


def test_problems_are_errors_before_all_verdicts_and_need_no_plan() -> None:
    assert parsed(annotation_lines(VIEW, ["no verdict"], policy="report-only")[0]) == (
        "error",
        "latency promises",
        "no verdict",
    )
    assert annotation_lines(None, ["no verdict"], policy="") == ["::error title=latency promises::no verdict"]


@pytest.mark.parametrize("count", [MOST_OF_A_KIND, MOST_OF_A_KIND + 1, 500])
def test_ten_of_a_kind_are_all_that_github_keeps(count: int) -> None:
    view = many(count)
    errors = [line for line in annotation_lines(view, [], policy="strict") if line.startswith("::error")]
    assert len(errors) == 10
    shown = 10 if count == 10 else 9
    assert [parsed(line)[1] for line in errors[:shown]] == [
        f"BREACHED: {one.label}, {one.objective}" for one in view.rows[:shown]
    ]
    if count > 10:
        assert parsed(errors[9])[2] == f"and {count - 9} more: see the report"


def test_long_words_are_cut_where_github_would() -> None:
    (line, _) = annotation_lines(many(1, "n" * 9_000, sentence="s" * 9_000), [], policy="strict")
    _, title, message = parsed(line)
    assert len(title) == 250
    assert len(message) == 4_000
    assert title.endswith("…")
    assert message.endswith("…")


@given(name=st.text(max_size=70), sentence=st.text(max_size=100))
def test_no_name_breaks_a_command(name: str, sentence: str) -> None:
    for strange in (name, f"{name}::error title=x::%0A,:{name}"):
        view = many(1, strange, sentence=sentence)
        line, notice = annotation_lines(view, [], policy="strict")
        assert notice.startswith("::notice ")
        assert line.isprintable()
        assert parsed(line) == ("error", f"BREACHED: {view.rows[0].label}, P99 <= 5 ms", one_line(sentence))
