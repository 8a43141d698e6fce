from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.result_set import MET, ON_CPU, RESULTS, SESSION, measured, planned, samples
from voiceflow_ml.errors import ResultError
from voiceflow_ml.reporting.rows import build_rows
from voiceflow_ml.reporting.view import build_view
from voiceflow_ml.results.merge import merge, write_merged
from voiceflow_ml.results.record import Planned, Result, Session, State
from voiceflow_ml.results.sources import Source, find_sessions, read_source, read_sources
from voiceflow_ml.results.store import ResultStore, read_session

ON_T4 = planned("test_it[cuda-t4]", "fast-cnn", "cuda-t4", P99=20_000_000)
OF_CPU = {"CPU": "Xeon A", "logical cores": "2", "Python": "3.11.7"}
OF_T4 = {"CPU": "Xeon B", "logical cores": "4", "GPU": "Tesla T4", "Python": "3.11.7"}
EARLY, LATE = "2026-01-02T03:04:05+00:00", "2026-01-03T03:04:05+00:00"


def took(plan: Planned, latency_ns: int = 4_000_000, at: str = EARLY) -> Result:
    """A measured test without a slow sample."""
    return replace(measured(plan, samples(2_000, over=0, quick_ns=latency_ns, slow_ns=0), ON_CPU), started_at=at)


def skipped(plan: Planned) -> Result:
    return Result(plan, State.SKIPPED, "not asked for here", EARLY)


def source(name: str, *results: Result, **changes: Any) -> Source:
    """A finished session that planned what it has results of."""
    plan = tuple(result.planned for result in results)
    own = {"planned": plan, "declared": (), "environment": OF_CPU, "started_at": EARLY, **changes}
    session = replace(SESSION, **own)
    return Source(name, session, results)


def two(**changes: Any) -> tuple[Source, Source]:
    """A CPU runner and a T4 runner, each with its own part of one plan."""
    return (
        source("cpu", took(MET), skipped(ON_T4)),
        source("t4", skipped(MET), took(ON_T4), **{"environment": OF_T4, "started_at": LATE, **changes}),
    )


def merged(*sources: Source, latest: bool = False) -> tuple[Session, tuple[Result, ...]]:
    return merge(sources, command="voiceflow report merge a b", latest=latest)


def refused(*sources: Source, latest: bool = False) -> str:
    with pytest.raises(ResultError) as caught:
        merged(*sources, latest=latest)
    return str(caught.value)


def write(folder: Path, source: Source) -> Path:
    store = ResultStore(folder)
    store.write_session(source.session)
    for position, result in enumerate(source.results):
        store.write_result(result, position)
    return folder


def test_each_machine_gives_its_own_verdicts() -> None:
    session, results = merged(*two())
    assert [row.verdict for row in build_rows(session, results)] == ["MET", "MET", "MET"]
    assert [(r.planned, r.state) for r in results] == [(MET, State.MEASURED), (ON_T4, State.MEASURED)]
    assert session.planned == (MET, ON_T4)
    assert session.finished


def test_the_environment_of_each_machine_stays_under_its_name() -> None:
    session, results = merged(*two())
    assert session.environment["merged from"] == "cpu, t4"
    assert session.environment["cpu · CPU"] == "Xeon A"
    assert session.environment["t4 · GPU"] == "Tesla T4"
    facts = [dict(result.measurement.facts) for result in results if result.measurement]
    assert [fact["machine"] for fact in facts] == [
        "CPU Xeon A, logical cores 2",
        "CPU Xeon B, logical cores 4, GPU Tesla T4",
    ]
    assert [fact["merged from"] for fact in facts] == ["cpu", "t4"]


def test_a_promise_that_no_machine_measured_is_in_the_coverage() -> None:
    a100 = planned("test_it[cuda-a100]", "fast-cnn", "cuda-a100", P99=1)
    cpu, t4 = two()
    cpu = replace(cpu, session=replace(cpu.session, declared=(a100,)))
    view = build_view(*merged(cpu, t4))
    assert view.coverage == (
        "1 of 3 declared promises has no measurement: fast-cnn · model-inference · cuda-a100 (NOT RUN)."
    )


def test_an_unfinished_session_leaves_the_joint_one_unfinished() -> None:
    session, results = merged(*two(finished=False))
    assert not session.finished
    assert session.environment["t4 · run"].startswith("not finished")
    assert session.environment["cpu · run"] == "finished"
    assert build_view(session, results).interrupted


@pytest.mark.parametrize("latest", [False, True])
@pytest.mark.parametrize("difference", [{"CPU": "Xeon B"}, {"logical cores": "4"}, {"GPU": "Tesla T4"}])
def test_hardware_is_never_mixed_inside_one_objective(difference: dict[str, str], latest: bool) -> None:
    other = source("second", took(MET), started_at=LATE, environment={**OF_CPU, **difference})
    message = refused(source("first", took(MET)), other, latest=latest)
    assert "fast-cnn · model-inference · cpu was measured on two kinds of hardware" in message
    assert "in first, and" in message
    assert "in second;" in message
    assert next(iter(difference.values())) in message


def test_other_tests_of_the_same_promise_are_the_same_objective() -> None:
    elsewhere = source("second", took(replace(MET, node_id="other.py::test_it")), environment=OF_T4)
    assert "two kinds of hardware" in refused(source("first", took(MET)), elsewhere)


def test_another_system_is_not_other_hardware() -> None:
    again = source("second", took(MET, at=LATE), environment={**OF_CPU, "Python": "3.12.0"})
    assert "measured twice on the same hardware, in first and in second" in refused(source("first", took(MET)), again)


def test_latest_keeps_the_later_whatever_the_order_and_names_the_other() -> None:
    bad, good = took(MET, 90_000_000), took(MET, at=LATE)
    first, second = source("first", bad), source("second", good, command="pytest again")
    for sources in ((first, second), (second, first)):
        session, results = merged(*sources, latest=True)
        assert [row.verdict for row in build_rows(session, results)] == ["MET", "MET"]
        left_out = session.environment["first · left out, fast-cnn · model-inference · cpu"]
        assert left_out == "P50 BREACHED, P99 BREACHED; measured again later in second"


def test_latest_leaves_out_the_other_test_of_a_promise_too() -> None:
    renamed = replace(MET, node_id="other.py::test_renamed")
    session, results = merged(source("first", took(MET)), source("second", took(renamed, at=LATE)), latest=True)
    assert session.planned == (renamed,)
    assert [result.planned for result in results] == [renamed]


def test_an_error_does_not_vanish_behind_a_measurement() -> None:
    failed = Result(MET, State.ERROR, "RuntimeError: no", EARLY)
    assert "measured twice" in refused(source("first", failed), source("second", took(MET), started_at=LATE))
    session, _ = merged(source("first", failed), source("second", took(MET, at=LATE)), latest=True)
    assert "P50 ERROR" in session.environment["first · left out, fast-cnn · model-inference · cpu"]


def test_promises_must_be_the_same() -> None:
    stricter = source("second", skipped(replace(MET, limits_ns={"P99": 9_000_000})), started_at=LATE)
    message = refused(source("first", took(MET)), stricter)
    assert "P99 <= 10000000 ns) in first" in message
    assert "P99 <= 9000000 ns) in second" in message
    moved = replace(MET, node_id="sla.toml:40", limits_ns={"P99": 1})
    cpu, t4 = two()
    cpu = replace(cpu, session=replace(cpu.session, declared=(replace(MET, node_id="sla.toml:11"),)))
    assert "sla.toml:40" in refused(cpu, replace(t4, session=replace(t4.session, declared=(moved,))))


def test_what_a_reviewer_must_see_first_comes_from_all() -> None:
    cpu, t4 = two(integrity=("loosened: P99", "deleted: P50"))
    cpu = replace(cpu, session=replace(cpu.session, integrity=("loosened: P99",)))
    session, _ = merged(cpu, t4)
    assert session.integrity == ("loosened: P99", "deleted: P50")


def test_waivers_are_judged_by_the_last_day() -> None:
    session, _ = merged(*two())
    assert session.started_at == LATE


def test_the_strictest_policy_is_kept_and_all_are_named() -> None:
    session, _ = merged(*two(policy="report-only"))
    assert (session.policy, session.environment["t4 · policy"]) == ("strict", "report-only")
    assert "none of strict, lenient, report-only" in refused(*two(policy="mild"))


def test_what_cannot_be_one_report_is_one_sentence() -> None:
    cpu, t4 = two()
    again = source("again", took(MET, at=LATE), environment={"merged from": "x, y"})
    assert "at least two folders, given is 1" in refused(cpu)
    assert "was merged from x, y already" in refused(cpu, again)
    assert "hold the same session" in refused(cpu, replace(cpu, name="copy"), latest=True)
    assert "cpu was judged at confidence 0.99 and t4 at 0.95" in refused(*two(confidence=0.95))
    foreign = replace(t4, results=(*t4.results, RESULTS[1]))
    assert "that its session did not plan" in refused(cpu, foreign)


def test_a_merged_session_survives_the_disk(tmp_path: Path) -> None:
    session, results = merged(*two())
    folder = tmp_path / "merged"
    write_merged(session, results, folder)
    again, read = read_session(folder)
    assert again == session
    assert [result.to_json() for result in read] == [result.to_json() for result in results]
    with pytest.raises(ResultError, match="is there already; remove it, or give another --out"):
        write_merged(session, results, folder)


def test_sessions_are_found_in_unpacked_artifacts_and_told_apart(tmp_path: Path) -> None:
    cpu, t4 = two()
    write(tmp_path / "cpu" / "results" / "one", cpu)
    write(tmp_path / "t4" / "results" / "one", t4)
    assert [s.name for s in read_sources([tmp_path / "cpu", tmp_path / "t4"])] == ["cpu", "t4"]
    deep = [tmp_path / name / "results" / "one" for name in ("cpu", "t4")]
    assert [s.name for s in read_sources(deep)] == ["cpu/results/one", "t4/results/one"]
    assert find_sessions(tmp_path) == tuple(deep)


def test_folders_that_are_no_session_are_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    one = write(tmp_path / "all" / "one", two()[0])
    write(tmp_path / "all" / "two", two()[1])
    for folders, message in (
        ([empty], "empty holds no session.json: it is empty, or not"),
        ([tmp_path / "absent"], "absent is not a folder"),
        ([tmp_path / "all"], "all holds 2 sessions; give one of them: "),
        ([one, tmp_path / "all" / ".." / "all" / "one"], "is given twice"),
    ):
        with pytest.raises(ResultError, match=message):
            read_sources(folders)


def test_two_results_of_one_test_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", two()[0])
    ResultStore(folder).write_result(took(MET, 90_000_000), 7)
    with pytest.raises(ResultError, match="holds two results of tests/hardware/"):
        read_source(folder)


def test_another_schema_version_and_half_a_file_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", two()[0])
    record = folder / "session.json"
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace('"schema_version": 2', '"schema_version": 1'), encoding="utf-8")
    with pytest.raises(ResultError, match="has schema version 1, this release reads 2"):
        read_source(folder)
    record.write_text(text[:50], encoding="utf-8")
    with pytest.raises(ResultError, match=r"session\.json is not a voiceflow-ml result file"):
        read_source(folder)
