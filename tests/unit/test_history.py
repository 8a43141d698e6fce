from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.result_set import MET, NASTY, RESULTS, SESSION
from tests.unit.test_merge import EARLY, OF_T4, merged, skipped, source, took, two
from voiceflow_ml.latency import ClockChannel
from voiceflow_ml.reporting.history import HistoryView, build_history, history_lines, history_markdown, sparkline
from voiceflow_ml.results.record import Result, State
from voiceflow_ml.results.sources import Source

ONE = replace(MET, limits_ns={"P99": 10_000_000})
LABEL = "fast-cnn · model-inference · cpu, P99"


def day(number: int) -> str:
    return f"2026-01-{number:02}T00:00:00+00:00"


def days(*results: Result) -> list[Source]:
    """One session a day, each with one result."""
    return [
        source(f"day-{number}", replace(result, started_at=day(number)), started_at=day(number))
        for number, result in enumerate(results, start=1)
    ]


def history(*sources: Source, last: int = 30) -> HistoryView:
    return build_history(sources, last=last)


def test_verdicts_and_bars_run_from_the_oldest_to_the_newest() -> None:
    failed = Result(ONE, State.ERROR, "no", EARLY)
    sources = days(took(ONE, 4_000_000), took(ONE, 20_000_000), skipped(ONE), failed, took(ONE, 9_000_000))
    (series,) = history(*reversed(sources)).series
    assert (series.name, series.verdicts, series.bars) == (LABEL, "MB-EM", "▂█▄")
    assert [point.started_at for point in series.points] == [day(number) for number in range(1, 6)]
    assert [point.measured for point in series.points] == ["4.2 ms", "20.2 ms", "-", "-", "9.2 ms"]


@pytest.mark.parametrize(
    ("groups", "bars"),
    [([], ""), ([[0, 0]], "▁▁"), ([[5]], "█"), ([[0, 50, 100]], "▁▅█"), ([[100], [50, 100]], "█|▅█")],
)
def test_bars_reach_from_nothing_to_the_largest(groups: list[list[int]], bars: str) -> None:
    assert sparkline(groups) == bars


def test_machines_are_divided_numbered_and_warned_of() -> None:
    first, second, third = days(took(ONE), took(ONE), took(ONE))
    second = replace(second, session=replace(second.session, environment=OF_T4))
    found = history(first, second, third)
    assert found.series[0].bars == "█|█|█"
    assert [point.machine for point in found.series[0].points] == ["machine 1", "machine 2", "machine 1"]
    assert found.machines == (
        ("machine 1", "CPU Xeon A, logical cores 2"),
        ("machine 2", "CPU Xeon B, logical cores 4, GPU Tesla T4"),
    )
    assert found.warnings == ("2 machines measured these sessions; numbers of different machines do not compare",)


def test_one_machine_gives_no_warning() -> None:
    assert history(*days(took(ONE), took(ONE))).warnings == ()


def test_another_clock_divides_the_bars_as_well() -> None:
    one, other = days(took(ONE), took(ONE))
    (result,) = other.results
    assert result.measurement is not None
    verdicts = tuple(replace(verdict, clock=ClockChannel.ADJUSTED) for verdict in result.measurement.verdicts)
    result = replace(result, measurement=replace(result.measurement, verdicts=verdicts))
    assert history(one, replace(other, results=(result,))).series[0].bars == "█|█"


def test_a_merge_beside_its_parts_counts_nothing_twice() -> None:
    cpu, t4 = two()
    joint = Source("joint", *merged(cpu, t4))
    parts = history(cpu, t4)
    beside = history(cpu, t4, joint)
    assert [(s.name, s.bars) for s in beside.series] == [(s.name, s.bars) for s in parts.series]
    assert beside.machines == parts.machines
    assert [s.bars for s in history(joint).series] == ["█"] * 3


def test_only_the_last_are_shown_and_the_worst_now_comes_first() -> None:
    second = replace(ONE, model="slow-cnn", node_id="test_slow")
    both = [
        source(str(n), replace(took(ONE), started_at=day(n)), replace(took(second, 90_000_000), started_at=day(n)))
        for n in range(1, 9)
    ]
    found = history(*both, last=3)
    assert [(series.name.partition(" ")[0], series.verdicts) for series in found.series] == [
        ("slow-cnn", "BBB"),
        ("fast-cnn", "MMM"),
    ]
    assert found.series[0].points[0].started_at == day(6)


def test_unfinished_sessions_and_unread_folders_are_warned_of() -> None:
    (one,) = days(took(ONE))
    one = replace(one, session=replace(one.session, finished=False))
    found = build_history([one], ["left out: x is damaged"], last=5)
    assert found.warnings == (
        "not finished, still going on or ended from outside: day-1",
        "left out: x is damaged",
    )
    assert history_lines(found)[2:4] == [f"warning: {warning}" for warning in found.warnings]
    assert "> **Warning:** left out: x is damaged" in history_markdown(found)


def test_two_tests_of_one_promise_have_a_table_each() -> None:
    second = replace(ONE, node_id="other.py::test_it")
    (one,) = [source("a", took(ONE), took(second))]
    assert [series.name for series in history(one).series] == [
        f"{LABEL} (other.py::test_it)",
        f"{LABEL} (tests/hardware/test_latency.py::test_met[cpu])",
    ]


def test_comparisons_are_left_out_and_every_verdict_has_a_letter() -> None:
    found = history(Source("all", SESSION, RESULTS))
    assert "".join(sorted(series.verdicts for series in found.series)) == "---?BEMMMMMX"
    assert not any("baseline" in series.name for series in found.series)


def test_no_name_breaks_a_table() -> None:
    nasty = replace(ONE, model=NASTY)
    text = history_markdown(history(*days(took(nasty), took(nasty))))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {5, 7}
    assert "<b>" not in text
    assert "\x1b" not in text


def test_the_same_sessions_give_the_same_text() -> None:
    sources = days(took(ONE), took(ONE, 20_000_000))
    assert history_markdown(history(*sources)) == history_markdown(history(*reversed(sources)))
