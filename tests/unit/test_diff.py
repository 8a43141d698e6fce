from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.result_set import COMPARED, ELSEWHERE, MET, NASTY, ON_CPU, RESULTS, SESSION, against, measured, samples
from tests.unit.test_merge import LATE, OF_T4, skipped, source, took
from voiceflow_ml.latency import Change, ClockChannel, Outcome
from voiceflow_ml.reporting.difference import DifferenceView, build_difference, difference_lines, difference_markdown
from voiceflow_ml.results.diff import Pair, diff
from voiceflow_ml.results.entries import Word, read_entries
from voiceflow_ml.results.record import Planned, Result, State
from voiceflow_ml.results.sources import Source

LABEL = "fast-cnn · model-inference · cpu"
ONE = replace(MET, limits_ns={"P99": 10_000_000})
WAIVER = {"P99": {"owner": "ann", "reason": "new codec", "expires": "2026-02-01"}}


def view(old: Source, new: Source) -> DifferenceView:
    return build_difference(old, new, diff(old, new))


def sections(old: Source, new: Source) -> dict[str, tuple[str, ...]]:
    return {section.title: section.lines for section in view(old, new).sections}


def pair(old: Word, new: Word) -> Pair:
    entry = read_entries(SESSION, RESULTS)[0]
    return Pair(replace(entry, word=old), replace(entry, word=new))


def limited(limit_ns: int) -> Planned:
    return replace(ONE, limits_ns={"P99": limit_ns})


def test_nothing_changed_says_so_and_nothing_else() -> None:
    found = view(Source("a", SESSION, RESULTS), Source("b", SESSION, RESULTS))
    assert found.headline == "Nothing changed (14 objectives in common)"
    assert found.sections == ()
    assert len(difference_lines(found)) == 3


def test_a_loosened_limit_comes_first_though_everything_else_got_better() -> None:
    old, new = source("a", took(limited(5_000_000), 12_000_000)), source("b", took(limited(10_000_000)))
    found = sections(old, new)
    assert list(found) == ["Loosened or removed", "Verdicts", "Percentiles whose intervals do not overlap"]
    assert found["Loosened or removed"] == (f"loosened: {LABEL}, P99: limit 5 ms -> 10 ms (2x)",)
    assert "changed: " in found["Verdicts"][0]
    assert "BREACHED -> MET" in found["Verdicts"][0]
    assert diff(old, new).worse == 1


def test_a_tightened_limit_is_not_for_the_worse() -> None:
    old, new = source("a", took(limited(20_000_000))), source("b", took(limited(10_000_000)))
    assert sections(old, new) == {
        "Promises added or changed": (f"tightened: {LABEL}, P99: limit 20 ms -> 10 ms (0.5x)",)
    }
    assert diff(old, new).worse == 0


def test_removed_is_for_the_worse_and_added_is_not() -> None:
    old, new = source("a", took(MET)), source("b", took(ONE))
    assert sections(old, new) == {"Loosened or removed": (f"removed: {LABEL}, P50 <= 5 ms (was MET)",)}
    assert sections(new, old) == {"Promises added or changed": (f"added: {LABEL}, P50 <= 5 ms (MET)",)}
    assert (diff(old, new).worse, diff(new, old).worse) == (1, 0)


def test_a_declared_promise_that_no_test_measures_is_compared_too() -> None:
    old, new = (
        replace(each, session=replace(each.session, declared=(replace(limited(limit_ns), model="other"),)))
        for each, limit_ns in ((source("a", took(ONE)), 1_000), (source("b", took(ONE)), 2_000))
    )
    assert sections(old, new)["Loosened or removed"] == (
        "loosened: other · model-inference · cpu, P99: limit 1 us -> 2 us (2x)",
    )


def test_a_renamed_test_measures_the_same_promise() -> None:
    renamed = replace(ONE, node_id="moved.py::test_it")
    assert not diff(source("a", took(ONE)), source("b", took(renamed))).any


def test_two_tests_of_one_promise_are_told_apart() -> None:
    second = replace(ONE, node_id="other.py::test_it")
    old = source("a", took(ONE), took(second))
    new = source("b", took(ONE), took(second, 90_000_000))
    (worse,) = diff(old, new).verdicts
    assert worse.new.planned.node_id == "other.py::test_it"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Outcome.MET, Outcome.INCONCLUSIVE),
        (Outcome.MET, Outcome.BREACHED),
        (Outcome.INCONCLUSIVE, Outcome.INVALID),
        (Outcome.MET, State.NOT_RUN),
        (Outcome.BREACHED, State.NOT_RUN),
        (Outcome.BREACHED, State.ERROR),
        (State.NOT_RUN, State.ERROR),
        (State.NOT_RUN, Outcome.BREACHED),
        (Change.NOT_SLOWER, Change.SLOWER),
    ],
)
def test_a_verdict_that_is_worse_or_lost_is_for_the_worse(old: Word, new: Word) -> None:
    assert pair(old, new).worsened


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Outcome.BREACHED, Outcome.INCONCLUSIVE),
        (Outcome.INVALID, Outcome.MET),
        (State.NOT_RUN, Outcome.MET),
        (State.ERROR, State.NOT_RUN),
        (Change.SLOWER, Change.INCONCLUSIVE),
        (Outcome.MET, Outcome.MET),
    ],
)
def test_a_verdict_that_is_better_is_not(old: Word, new: Word) -> None:
    assert not pair(old, new).worsened


def test_percentiles_are_shown_only_when_their_intervals_are_apart() -> None:
    before = source("a", took(ONE))
    near = source("b", took(ONE, 4_001_000))
    far = source("b", took(ONE, 12_000_000), environment=OF_T4)
    assert not diff(before, near).percentiles
    (line,) = sections(before, far)["Percentiles whose intervals do not overlap"]
    assert line.startswith(f"{LABEL}, P99: 4.2 ms [")
    assert line.endswith("(on different machines)")
    text = "\n".join(difference_lines(view(before, far)))
    assert "Shown, not judged: numbers of different sessions are not comparable" in text
    # What counts is the verdict, which is another line.
    assert diff(before, far).worse == len(diff(before, far).verdicts) == 1


def test_the_number_of_an_invalid_run_is_not_shown_as_a_shift() -> None:
    elsewhere = measured(ONE, samples(2_000, over=0, quick_ns=8_000_000, slow_ns=0), ELSEWHERE)
    assert not diff(source("a", took(ONE)), source("b", elsewhere)).percentiles


def test_another_clock_is_another_promise() -> None:
    entry = read_entries(SESSION, RESULTS)[0]
    wall, adjusted = (replace(entry, clock=clock) for clock in (ClockChannel.WALL, ClockChannel.ADJUSTED))
    assert Pair(wall, adjusted).loosened
    assert Pair(adjusted, wall).promise_changed
    assert not Pair(adjusted, wall).loosened


def test_a_new_or_longer_waiver_is_loosened() -> None:
    waived = replace(ONE, waivers=WAIVER)
    longer = replace(ONE, waivers={"P99": {**WAIVER["P99"], "expires": "2026-03-01"}})
    plain, short, long = (source(name, took(plan)) for name, plan in (("a", ONE), ("b", waived), ("c", longer)))
    assert sections(plain, short)["Loosened or removed"] == (
        f"loosened: {LABEL}, P99: waived until 2026-02-01 by ann: new codec",
    )
    assert (diff(plain, short).worse, diff(short, long).worse, diff(long, short).worse) == (1, 1, 0)
    assert sections(short, plain)["Promises added or changed"] == (f"tightened: {LABEL}, P99: waived no more",)


def test_a_higher_tolerance_is_loosened() -> None:
    strict = measured(
        COMPARED, samples(2_000, over=0, quick_ns=4_000_000, slow_ns=0), ON_CPU, against=against((0.5,), 1.0)
    )
    lenient = measured(
        COMPARED,
        samples(2_000, over=0, quick_ns=4_000_000, slow_ns=0),
        ON_CPU,
        against=replace(
            against((0.5,), 1.0), comparisons=(replace(against((0.5,), 1.0).comparisons[0], tolerance=0.2),)
        ),
    )
    (line,) = sections(source("a", strict), source("b", lenient))["Loosened or removed"]
    assert line == "loosened: new-cnn · model-inference · cpu, P50 against the baseline: tolerance 5 % -> 20 %"


def test_settings_environment_and_method_are_named_old_and_new() -> None:
    other = replace_model(took(ONE), "0ff")
    old = source("a", took(ONE))
    new = source("b", other, environment=OF_T4, confidence=0.9, policy="lenient", finished=False)
    found = sections(old, new)
    assert found["Loosened or removed"] == (
        "loosened: confidence: 0.99 -> 0.9",
        "loosened: policy: strict -> lenient",
    )
    assert found["Run"] == ("run: finished -> not finished",)
    assert found["Environment"] == (
        "CPU: Xeon A -> Xeon B",
        "logical cores: 2 -> 4",
        "GPU: not recorded -> Tesla T4",
    )
    assert found["How it was measured"] == (f"{LABEL}, model SHA-256: not recorded -> 0ff",)
    assert view(old, new).headline == "2 changes are for the worse (1 objective in common)"
    assert "NOT FINISHED" in view(old, new).sessions[1]


def replace_model(result: Result, sha256: str) -> Result:
    assert result.measurement is not None
    facts = {**result.measurement.facts, "model SHA-256": sha256}
    return replace(result, measurement=replace(result.measurement, facts=facts))


def test_a_lost_verdict_is_for_the_worse() -> None:
    old, new = source("a", took(ONE)), source("b", skipped(ONE), started_at=LATE)
    assert sections(old, new)["Verdicts"] == (f"worse: {LABEL}, P99 <= 10 ms: MET -> NOT RUN: not asked for here",)


def test_no_name_breaks_the_markdown() -> None:
    nasty = replace(ONE, model=NASTY)
    text = difference_markdown(view(source(NASTY, took(ONE)), source("b", took(nasty))))
    lines = [line for line in text.splitlines() if line]
    assert all(line.startswith(("# ", "## ", "- ", "**")) for line in lines)
    assert "<b>" not in text
    assert "\x1b" not in text


def test_every_section_is_in_the_markdown_too(tmp_path: Path) -> None:
    found = view(source("a", took(MET)), source("b", took(limited(20_000_000), 6_000_000), environment=OF_T4))
    text = difference_markdown(found)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [s.title for s in found.sections]
