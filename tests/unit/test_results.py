from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.result_set import (
    ADJUSTED,
    COMPARED,
    ELSEWHERE,
    MET,
    NASTY,
    NOISY,
    RESULTS,
    SESSION,
    STARTED_AT,
    measured,
    planned,
    promise_of,
    run_of,
    samples,
    scheduled,
)
from voiceflow_ml.errors import ResultError
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.latency import Change, Channels, ClockChannel, Mode, Outcome, Run
from voiceflow_ml.latency.run import SchedulerRecord
from voiceflow_ml.results.assemble import decision, overrule, verdicts_on, withhold_met
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.results.record import Planned, Result, Session, State, plan_from_json, plan_to_json
from voiceflow_ml.results.runs import run_from_dict, run_to_dict
from voiceflow_ml.results.store import ResultStore, make_folder, read_session, write_atomically
from voiceflow_ml.sla.objectives import Measuring


def of(result: Result) -> Measurement:
    """The measurement of a result that has one."""
    assert result.measurement is not None
    return result.measurement


def texts(results: Iterable[Result]) -> list[str]:
    """Results as they are written: a run holds arrays, which do not compare as one."""
    return [result.to_json() for result in results]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.planned.node_id.partition("::")[2])
def test_a_result_survives_the_trip_through_json(result: Result) -> None:
    text = result.to_json()
    again = Result.from_json(text)
    assert again.to_json() == text
    assert replace(again, measurement=None) == replace(result, measurement=None)
    assert again.outcomes == result.outcomes
    assert "\n" not in text
    # Other programs read this too, and JSON knows no infinity.
    json.loads(text, parse_constant=pytest.fail)


@pytest.mark.parametrize("result", RESULTS[:6], ids=lambda result: result.planned.node_id.partition("::")[2])
def test_a_measurement_reads_back_as_what_it_was(result: Result) -> None:
    before, after = of(result), of(Result.from_json(result.to_json()))
    compared = [name for name in vars(before) if name != "run"]
    assert {name: getattr(after, name) for name in compared} == {name: getattr(before, name) for name in compared}
    assert_same_run(after.run, before.run)


def assert_same_run(after: Run, before: Run) -> None:
    """Every field of the same value and kind, arrays as 64-bit whole numbers."""
    for name in (field.name for field in fields(Run)):
        new, old = getattr(after, name), getattr(before, name)
        if isinstance(old, np.ndarray):
            np.testing.assert_array_equal(new, old, err_msg=name)
            assert new.dtype == np.int64
        elif isinstance(old, SchedulerRecord):
            for entry in (field.name for field in fields(SchedulerRecord)):
                np.testing.assert_array_equal(getattr(new, entry), getattr(old, entry), err_msg=entry)
        else:
            assert new == old, name
            assert type(new) is type(old), name
    assert not after.samples_ns.flags.writeable
    assert after.channels.problem == before.channels.problem
    assert (after.channels.adjusted_ns is None) == (before.channels.adjusted_ns is None)


@given(
    st.lists(st.integers(0, 2**62), min_size=1, max_size=40),
    st.sampled_from(Mode),
    st.none() | st.lists(st.integers(0, 2**62), max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_any_run_survives_the_trip_through_json(
    samples_ns: list[int], mode: Mode, control_ns: list[int] | None, has_scheduler: bool, has_pressure: bool
) -> None:
    values = np.array(samples_ns, dtype=np.int64)
    scheduler = None
    if has_scheduler:
        scheduler = replace(scheduled(values, waited_over_ns=9), process_total_ns=9, thread_total_ns=9)
        scheduler = scheduler if has_pressure else replace(scheduler, cpu_wait_ns=None)
    control = None if control_ns is None else np.array(control_ns, dtype=np.int64)
    run = run_of(values, mode=mode, scheduler=scheduler, control_ns=control)
    assert_same_run(run_from_dict(json.loads(json.dumps(run_to_dict(run)))), run)


def test_a_comparison_survives_the_trip_through_json() -> None:
    result = next(entry for entry in RESULTS if entry.planned == COMPARED)
    before, after = of(result).against, of(Result.from_json(result.to_json())).against
    assert after == before
    assert after is not None
    assert [type(comparison.outcome) for comparison in after.comparisons] == [Change, Change]
    assert (len(after.baseline_ns), len(after.candidate_ns)) == (2_000, 2_000)


def test_both_clocks_survive_the_trip_through_json() -> None:
    first = of(Result.from_json(RESULTS[0].to_json()))
    for verdict in first.verdicts:
        assert verdict.clock is ClockChannel.WALL
        assert verdict.adjusted is not None
        assert verdict.adjusted.clock is ClockChannel.ADJUSTED
    assert set(first.adjusted_percentiles_ns) == set(first.percentiles_ns)
    assert first.adjusted_percentiles_ns["max"] == 8_000_000 < first.percentiles_ns["max"]


def test_a_session_and_a_plan_survive_the_trip_through_json() -> None:
    assert Session.from_json(SESSION.to_json()) == SESSION
    assert plan_from_json(plan_to_json(SESSION.planned, SESSION.declared, ["one"])) == (
        SESSION.planned,
        SESSION.declared,
        ("one",),
    )


def test_a_result_file_says_what_another_program_needs() -> None:
    content = json.loads(RESULTS[0].to_json())
    assert content["schema_version"] == 2
    assert content["state"] == "measured"
    assert [verdict["outcome"] for verdict in content["measurement"]["verdicts"]] == ["MET", "MET"]
    run = content["measurement"]["run"]
    assert len(run["samples_ns"]) == len(run["scheduler"]["run_delay_ns"]) == 2_000
    assert len(run["block_starts_ns"]) == len(run["control_ns"]) == len(run["scheduler"]["cpu_wait_ns"]) == 200
    assert run["cold_starts"] == [
        {"inputs": "measured inputs", "duration_ns": 31_000_000},
        {"inputs": "x: float32 [1, 8000]", "duration_ns": 9_000_000},
    ]
    assert content["measurement"]["percentiles_ns"]["P99"] == content["measurement"]["verdicts"][1]["measured_ns"]


def edited(**changes: Any) -> str:
    return json.dumps({**json.loads(RESULTS[0].to_json()), **changes})


def test_another_schema_version_is_refused() -> None:
    for version in (1, 3):
        with pytest.raises(ResultError, match=rf"^a\.json has schema version {version}, this release reads 2$"):
            Result.from_json(edited(schema_version=version), "a.json")
    with pytest.raises(ResultError, match=r"^s\.json has schema version 1, this release reads 2$"):
        Session.from_json(json.dumps({**json.loads(SESSION.to_json()), "schema_version": 1}), "s.json")
    with pytest.raises(ResultError, match="has schema version None"):
        Session.from_json(json.dumps({"schema_version": None}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"text"', "{}", RESULTS[0].to_json()[:-1], "[" * 100_000])
def test_what_is_no_result_file_is_refused(text: str) -> None:
    with pytest.raises(ResultError, match=r"a\.json is not a voiceflow-ml result file"):
        Result.from_json(text, "a.json")
    with pytest.raises(ResultError, match=r"a\.json is not a voiceflow-ml result file"):
        Session.from_json(text, "a.json")


CONTENT = json.loads(RESULTS[0].to_json())["measurement"]
DAMAGED_RUNS: list[dict[str, Any]] = [
    {"samples_ns": []},
    {"samples_ns": [-1]},
    {"samples_ns": ["fast"]},
    {"mode": "sideways"},
    {"scheduler": {}},
    {"warmup": None},
    {"cold_starts": [{"inputs": "x"}]},
    {"surprise": 1},
]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "dancing"},
        {"planned": None},
        {"planned": []},
        {"planned": {"node_id": "x"}},
        {"measurement": "fast"},
        {"measurement": {}},
        {"measurement": {"run": 3}},
        *[{"measurement": {**CONTENT, "run": {**CONTENT["run"], **damage}}} for damage in DAMAGED_RUNS],
        {"measurement": {**CONTENT, "verdicts": [{}]}},
        {"measurement": {**CONTENT, "verdicts": [{**CONTENT["verdicts"][0], "outcome": "SO SO"}]}},
        {"measurement": {**CONTENT, "verdicts": [{**CONTENT["verdicts"][0], "adjusted": {}}]}},
        {"measurement": {**CONTENT, "findings": ["x"]}},
        {"measurement": {**CONTENT, "against": {}}},
        {"measurement": {**CONTENT, "against": {"comparisons": [{"outcome": "FASTER"}]}}},
        {"measurement": {**CONTENT, "surprise": 1}},
    ],
)
def test_a_damaged_result_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ResultError, match=r"a\.json is not a result of version 2: "):
        Result.from_json(edited(**changes), "a.json")


def test_a_damaged_session_is_refused() -> None:
    content = json.loads(SESSION.to_json())
    for damage in ({"planned": None}, {"planned": ["x"]}, {"surprise": 1}):
        with pytest.raises(ResultError, match=r"s\.json is not a session of version 2: "):
            Session.from_json(json.dumps({**content, **damage}), "s.json")
    del content["policy"]
    with pytest.raises(ResultError, match="policy"):
        Session.from_json(json.dumps(content))


def test_a_session_is_written_and_read_back_in_the_order_of_its_plan(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "new" / "folder")
    store.write_session(replace(SESSION, finished=False))
    for position in (3, 0, 5, 7, 1, 4, 6, 2):
        path = store.write_result(RESULTS[position], position)
        assert path.name.startswith(f"{position:04d}-")
    store.write_session(SESSION)
    session, results = read_session(store.folder)
    assert session == SESSION
    assert texts(results) == texts(RESULTS)


def test_ten_thousand_results_and_more_are_read_in_the_order_of_their_plan(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.write_session(SESSION)
    for position in (10_001, 1_001, 9_999, 10_000, 2):
        store.write_result(replace(RESULTS[0], reason=str(position)), position)
    _, results = read_session(tmp_path)
    assert [result.reason for result in results] == ["2", "1001", "9999", "10000", "10001"]


def test_a_sessions_folder_is_nobody_elses(tmp_path: Path) -> None:
    wanted = tmp_path / "results" / "20260101T000000Z-7"
    folders = [make_folder(wanted) for _ in range(3)]
    assert [folder.name for folder in folders] == [f"20260101T000000Z-7{end}" for end in ("", "-2", "-3")]
    assert all(folder.is_dir() for folder in folders)
    (tmp_path / "taken").touch()
    with pytest.raises(ResultError, match="taken/results/x cannot be written: Not a directory"):
        make_folder(tmp_path / "taken" / "results" / "x")


def test_a_result_may_be_written_again(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.write_session(SESSION)
    first = store.write_result(RESULTS[0], 0)
    changed = replace(RESULTS[0], reason="again")
    assert store.write_result(changed, 0) == first
    session, results = read_session(tmp_path)
    assert session == SESSION
    assert texts(results) == texts([changed])


@pytest.mark.parametrize("node_id", ["", "///", "é", "a" * 5_000, "../../escape", "x\0y", "tests/\udc80.py::t"])
def test_any_test_id_is_a_file_of_the_sessions_folder(tmp_path: Path, node_id: str) -> None:
    planned = Planned(node_id, "m", "network", "cpu", {"P50": 1})
    result = Result(planned, State.ERROR, "because", STARTED_AT)
    path = ResultStore(tmp_path).write_result(result, 7)
    assert path.parent == tmp_path
    assert Result.from_json(path.read_text(encoding="utf-8")) == result


def test_a_folder_without_a_session_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="holds no readable session: No such file or directory"):
        read_session(tmp_path)
    (tmp_path / "session.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ResultError, match="holds a file that is not UTF-8 text"):
        read_session(tmp_path)
    ResultStore(tmp_path).write_session(SESSION)
    (tmp_path / "0000-x.json").write_text("half a resul")
    with pytest.raises(ResultError, match=r"0000-x\.json is not a voiceflow-ml result file"):
        read_session(tmp_path)


def test_a_written_file_is_as_readable_as_any_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.md"
    umask = os.umask(0o027)
    try:
        write_atomically(path, "first")
        write_atomically(path, "sécond\n")
    finally:
        os.umask(umask)
    assert path.read_text(encoding="utf-8") == "sécond\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = tmp_path / "report.md"
    write_atomically(path, "old")

    def fail(_descriptor: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    expected = ResultError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected) as caught:
        write_atomically(path, "new")
    if expected is ResultError:
        assert str(caught.value) == f"{path} cannot be written: No space left on device"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResultError, match=r"file/report\.md cannot be written: (Not a directory|File exists)"):
        write_atomically(tmp_path / "file" / "report.md", "text")
    (tmp_path / "folder" / "report.md").mkdir(parents=True)
    with pytest.raises(ResultError, match=r"report\.md cannot be written: Is a directory"):
        write_atomically(tmp_path / "folder" / "report.md", "text")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["report.md"]


def test_two_writers_and_a_reader_see_whole_files_only(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    texts = ["a" * 200_000, "b" * 100_000]
    write_atomically(path, texts[0])
    program = (
        "import sys; from pathlib import Path; from voiceflow_ml.results.store import make_folder, write_atomically\n"
        "for _ in range(20): write_atomically(Path(sys.argv[1]), 'b' * 100_000)"
    )
    source = str(Path(__file__).parents[2] / "src")
    other = subprocess.Popen([sys.executable, "-c", program, str(path)], env={**os.environ, "PYTHONPATH": source})

    def write_often() -> None:
        for _ in range(20):
            write_atomically(path, texts[0])

    writer = threading.Thread(target=write_often)
    writer.start()
    seen = []
    while writer.is_alive() or other.poll() is None:
        seen.append(path.read_text())
    writer.join()
    assert other.wait() == 0
    assert set(seen) <= set(texts)
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_an_invalid_finding_overrules_every_verdict() -> None:
    verdict = of(measured(MET, samples(2_000, over=0, quick_ns=1_000, slow_ns=0))).verdicts[0]
    assert overrule(verdict, [NOISY]) is verdict
    other = Finding(Severity.INVALID, "the moon is full", "wait")
    overruled = overrule(verdict, [ELSEWHERE, NOISY, other])
    assert overruled.outcome is Outcome.INVALID
    assert overruled.sentence == f"{ELSEWHERE.sentence}; the moon is full; wait"
    assert (overruled.measured_ns, overruled.exceedances) == (verdict.measured_ns, verdict.exceedances)


def test_a_verdict_that_would_be_met_may_be_left_open() -> None:
    met = of(RESULTS[0]).verdicts[0]
    withheld = withhold_met(met, "taken back to back")
    assert withheld.outcome is Outcome.INCONCLUSIVE
    assert withheld.sentence == f"{met.sentence}; taken back to back"
    assert replace(withheld, outcome=met.outcome, sentence=met.sentence) == met
    breached = of(RESULTS[1]).verdicts[0]
    assert withhold_met(breached, "taken back to back") is breached


def channels(samples_ns: Any, adjusted_ns: Any = None, problem: str = "") -> Channels:
    return Channels(samples_ns, adjusted_ns, problem)


def test_a_run_is_decided_when_all_of_its_objectives_are() -> None:
    easy, both = promise_of(planned("t", "m", P50=10)), promise_of(planned("t", "m", P50=10, P99=10))
    fast = channels(np.ones(300, dtype=np.int64))
    assert decision(easy, 0.99)(fast)
    assert not decision(both, 0.99)(fast)
    assert decision(both, 0.99)(channels(np.ones(2_000, dtype=np.int64)))
    verdicts = verdicts_on(fast, both, 0.95)
    assert [(v.quantile, v.outcome, v.confidence) for v in verdicts] == [
        (0.5, Outcome.MET, 0.95),
        (0.99, Outcome.INCONCLUSIVE, 0.95),
    ]


def test_a_promise_about_the_adjusted_clock_is_judged_on_it_and_says_so() -> None:
    promise = promise_of(ADJUSTED, Measuring(clock=ClockChannel.ADJUSTED))
    wall_ns, adjusted_ns = np.full(2_000, 6_000_000), np.full(2_000, 4_000_000)
    (verdict,) = verdicts_on(channels(wall_ns, adjusted_ns), promise, 0.99)
    assert (verdict.outcome, verdict.clock, verdict.measured_ns) == (Outcome.MET, ClockChannel.ADJUSTED, 4_000_000)
    assert verdict.adjusted is None
    assert verdict.sentence.endswith("; the time spent waiting for a CPU is left out, as the promise declares")
    assert decision(promise, 0.99)(channels(wall_ns, adjusted_ns))


def test_without_the_adjusted_clock_a_promise_about_it_is_shown_on_the_wall_clock() -> None:
    promise = promise_of(ADJUSTED, Measuring(clock=ClockChannel.ADJUSTED))
    (verdict,) = verdicts_on(channels(np.full(2_000, 4_000_000), None, "own threads"), promise, 0.99)
    assert (verdict.clock, verdict.measured_ns) == (ClockChannel.WALL, 4_000_000)
    assert "waiting for a CPU" not in verdict.sentence


def test_on_two_clocks_the_wall_clock_acquits_and_the_adjusted_one_convicts() -> None:
    promise = promise_of(planned("t", "m", P99=5_000_000))
    slow, fast = np.full(2_000, 6_000_000), np.full(2_000, 4_000_000)
    outcomes = [
        verdicts_on(channels(wall_ns, adjusted_ns), promise, 0.99)[0].outcome
        for wall_ns, adjusted_ns in ((fast, fast), (slow, slow), (slow, fast))
    ]
    assert outcomes == [Outcome.MET, Outcome.BREACHED, Outcome.INCONCLUSIVE]


def test_a_measurement_holds_the_raw_samples_and_their_percentiles() -> None:
    values = samples(2_000, over=4, quick_ns=4_000_000, slow_ns=12_000_000)
    measurement = of(measured(MET, values, inputs=NASTY))
    assert measurement.samples_ns == tuple(values.tolist())
    ordered = sorted(values.tolist())
    assert measurement.percentiles_ns == {
        "P50": ordered[999],
        "P90": ordered[1_799],
        "P95": ordered[1_899],
        "P99": ordered[1_979],
        "P99.9": ordered[1_997],
        "max": ordered[-1],
    }
    assert (measurement.inputs, measurement.against) == (NASTY, None)
    assert measurement.adjusted_percentiles_ns == {}
    assert measurement.adjusted_problem == "the scheduler's counters were not read"


def test_both_percentiles_are_kept_where_both_clocks_count() -> None:
    values = samples(2_000, over=60, quick_ns=4_000_000, slow_ns=9_000_000)
    measurement = of(measured(MET, run_of(values, scheduler=scheduled(values, waited_over_ns=4_500_000))))
    assert (measurement.percentiles_ns["P99"], measurement.adjusted_percentiles_ns["P99"]) == (9_000_000, 4_500_000)
    assert measurement.adjusted_problem == ""
