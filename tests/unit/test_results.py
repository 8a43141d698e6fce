from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.result_set import ELSEWHERE, MET, NASTY, NOISY, RESULTS, SESSION, STARTED_AT, measured, samples
from voiceflow_ml.errors import ResultError
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.latency import Outcome, SamplingPlan
from voiceflow_ml.results.assemble import decision, overrule, verdicts_on
from voiceflow_ml.results.record import Planned, Result, Session, State, plan_from_json, plan_to_json
from voiceflow_ml.results.store import ResultStore, read_session, write_atomically
from voiceflow_ml.sla.objectives import Objective, Stage


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.planned.node_id.partition("::")[2])
def test_a_result_survives_the_trip_through_json(result: Result) -> None:
    again = Result.from_json(result.to_json())
    assert again == result
    assert again.outcomes == result.outcomes
    assert "\n" not in result.to_json()


def test_a_session_and_a_plan_survive_the_trip_through_json() -> None:
    assert Session.from_json(SESSION.to_json()) == SESSION
    assert plan_from_json(plan_to_json(SESSION.planned, SESSION.declared)) == (SESSION.planned, SESSION.declared)


def test_a_result_file_says_what_another_program_needs() -> None:
    content = json.loads(RESULTS[0].to_json())
    assert content["schema_version"] == 1
    assert content["state"] == "measured"
    assert [verdict["outcome"] for verdict in content["measurement"]["verdicts"]] == ["MET", "MET"]
    assert len(content["measurement"]["samples_ns"]) == 2_000
    assert content["measurement"]["percentiles_ns"]["P99"] == content["measurement"]["verdicts"][1]["measured_ns"]


def edited(**changes: Any) -> str:
    return json.dumps({**json.loads(RESULTS[0].to_json()), **changes})


def test_another_schema_version_is_refused() -> None:
    with pytest.raises(ResultError, match=r"a\.json has schema version 2, this release reads 1"):
        Result.from_json(edited(schema_version=2), "a.json")
    with pytest.raises(ResultError, match="has schema version None"):
        Session.from_json(json.dumps({"schema_version": None}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"text"', "{}", RESULTS[0].to_json()[:-1], "[" * 100_000])
def test_what_is_no_result_file_is_refused(text: str) -> None:
    with pytest.raises(ResultError, match=r"a\.json is not a voiceflow-ml result file"):
        Result.from_json(text, "a.json")
    with pytest.raises(ResultError, match=r"a\.json is not a voiceflow-ml result file"):
        Session.from_json(text, "a.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "dancing"},
        {"planned": None},
        {"planned": []},
        {"planned": {"node_id": "x"}},
        {"measurement": "fast"},
        {"measurement": {}},
        {"measurement": {"samples_ns": 3}},
        {"measurement": {"samples_ns": [], "verdicts": [{}], "findings": []}},
        {"measurement": {"samples_ns": [], "verdicts": [], "findings": ["x"]}},
    ],
)
def test_a_damaged_result_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ResultError, match=r"a\.json is not a result of version 1: "):
        Result.from_json(edited(**changes), "a.json")


def test_a_damaged_session_is_refused() -> None:
    content = json.loads(SESSION.to_json())
    for damage in ({"planned": None}, {"planned": ["x"]}, {"surprise": 1}):
        with pytest.raises(ResultError, match=r"s\.json is not a session of version 1: "):
            Session.from_json(json.dumps({**content, **damage}), "s.json")
    del content["policy"]
    with pytest.raises(ResultError, match="policy"):
        Session.from_json(json.dumps(content))


def test_a_session_is_written_and_read_back_in_the_order_of_its_plan(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "new" / "folder")
    store.write_session(replace(SESSION, finished=False))
    for position in (3, 0, 5, 1, 4, 2):
        path = store.write_result(RESULTS[position], position)
        assert path.name.startswith(f"{position:04d}-")
    store.write_session(SESSION)
    assert read_session(store.folder) == (SESSION, RESULTS)


def test_a_result_may_be_written_again(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.write_session(SESSION)
    first = store.write_result(RESULTS[0], 0)
    changed = replace(RESULTS[0], reason="again")
    assert store.write_result(changed, 0) == first
    assert read_session(tmp_path) == (SESSION, (changed,))


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
        "import sys; from pathlib import Path; from voiceflow_ml.results.store import write_atomically\n"
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
    verdict = measured(MET, samples(2_000, over=0, quick_ns=1_000, slow_ns=0)).measurement.verdicts[0]  # type: ignore[union-attr]
    assert overrule(verdict, [NOISY]) is verdict
    other = Finding(Severity.INVALID, "the moon is full", "wait")
    overruled = overrule(verdict, [ELSEWHERE, NOISY, other])
    assert overruled.outcome is Outcome.INVALID
    assert overruled.sentence == f"{ELSEWHERE.sentence}; the moon is full; wait"
    assert (overruled.measured_ns, overruled.exceedances) == (verdict.measured_ns, verdict.exceedances)


def test_a_run_is_decided_when_all_of_its_objectives_are() -> None:
    easy, hard = (Objective("m", Stage.NETWORK, "cpu", quantile, 10) for quantile in (0.5, 0.99))
    plan = SamplingPlan(looks=(300, 2_000), aimed_samples=2_000)
    fast = np.ones(300, dtype=np.int64)
    assert decision([easy], plan, 0.99)(fast)
    assert not decision([easy, hard], plan, 0.99)(fast)
    assert decision([easy, hard], plan, 0.99)(np.ones(2_000, dtype=np.int64))
    verdicts = verdicts_on(fast, [easy, hard], plan, 0.95)
    assert [(v.quantile, v.outcome, v.confidence) for v in verdicts] == [
        (0.5, Outcome.MET, 0.95),
        (0.99, Outcome.INCONCLUSIVE, 0.95),
    ]


def test_a_measurement_holds_the_raw_samples_and_their_percentiles() -> None:
    values = samples(2_000, over=4, quick_ns=4_000_000, slow_ns=12_000_000)
    measurement = measured(MET, values, inputs=NASTY).measurement
    assert measurement is not None
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
    assert (measurement.warmup_calls, measurement.cold_start_ns, measurement.inputs) == (30, 31_000_000, NASTY)
