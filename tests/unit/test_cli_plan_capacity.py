"""``voiceflow plan-capacity``: where durations come from, and what is printed and written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.result_set import ELSEWHERE, INVALID, MET, ON_CPU, SESSION, measured, planned, run_of, samples
from voiceflow_ml.cli import app
from voiceflow_ml.commands.plan_capacity import session_durations
from voiceflow_ml.errors import ConfigError, ResultError
from voiceflow_ml.results.record import Result
from voiceflow_ml.results.store import ResultStore

RUN = run_of(samples(500, over=0, quick_ns=4_000_000, slow_ns=0))
FAST = measured(MET, RUN, ON_CPU)
OTHER = measured(planned("test_other[cpu]", "other", P99=10_000_000), RUN, ON_CPU)
LIED = measured(INVALID, RUN, ELSEWHERE)


def session(folder: Path, *results: Result) -> Path:
    store = ResultStore(folder)
    store.write_session(replace(SESSION, planned=tuple(result.planned for result in results)))
    for place, result in enumerate(results):
        store.write_result(result, place)
    return folder


def invoke(*arguments: str) -> tuple[int, list[str]]:
    done = CliRunner().invoke(app, ["plan-capacity", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output.splitlines()


def test_a_plan_from_a_session(tmp_path: Path) -> None:
    code, lines = invoke(
        *("--results", str(session(tmp_path / "s", FAST)), "--rate", "900", "--workers", "2", "--cores", "2"),
        *("--overhead", "0.5ms", "--limit", "40ms", "--json", str(tmp_path / "plan.json")),
    )
    assert code == 0
    assert lines[0].startswith("inference: mean 4.02 ms; fast-cnn · model-inference · cpu, 500 samples on CPU ")
    assert "at most 442 requests/s" in lines[2]
    loads = [line.split()[2] for line in lines if line.strip().startswith("1 ")]
    assert loads[:3] == ["30%", "60%", "80%"]
    plan = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert lines[-1] == f"900 requests/s with P99 below 40 ms: {plan['machines']} machines"
    assert plan["machines"] >= 3
    kept = {row["machines"]: row["keeps"] for row in plan["rows"]}
    assert kept[plan["machines"]]
    assert plan["rows"][-1]["percentiles_ns"]["0.99"] < 40_000_000
    assert any("assumed: Poisson arrivals" in line for line in plan["assumptions"])


def test_a_limit_below_the_inference_has_no_plan() -> None:
    code, lines = invoke("--inference-p50", "4ms", "--rate", "10", "--workers", "1", "--limit", "3ms")
    assert code == 1
    assert lines[-1].startswith("No number of machines serves 10 requests/s with P99 below 3 ms")


def test_a_plan_for_gpus_says_where_the_server_runs(tmp_path: Path) -> None:
    code, lines = invoke(
        *("--inference-p50", "1ms", "--inference-p99", "2ms", "--rate", "100", "--workers", "1", "--queue", "0"),
        *("--json", str(tmp_path / "plan.json")),
    )
    assert code in (0, 1)
    assert "on a core of its own" in lines[1]
    assert "a queue of 0" in lines[2]
    # Refused requests are later than anything, which JSON cannot write.
    rows = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["rows"]
    assert rows[0]["percentiles_ns"]["0.99"] is None
    assert any("refused" in line.split() for line in lines)


@pytest.mark.parametrize("extra", [(), ("--inference-p50", "1ms", "--results", "x")])
def test_durations_come_from_one_place(extra: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="give either --results"):
        invoke("--rate", "1", "--workers", "1", *extra)


def test_a_session_of_several_models_needs_a_name(tmp_path: Path) -> None:
    folder = session(tmp_path, FAST, OTHER)
    with pytest.raises(ResultError, match=r"fast-cnn .*, other .*; name one by --model and --target"):
        session_durations(folder, None, None)
    assert session_durations(folder, "other", None).source.startswith("other · ")
    with pytest.raises(ResultError, match="has no model inference that fits"):
        session_durations(folder, "none", None)


def test_invalid_samples_are_no_ground_for_a_plan(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="is INVALID: its samples are not about what was declared"):
        session_durations(session(tmp_path, LIED), None, None)
