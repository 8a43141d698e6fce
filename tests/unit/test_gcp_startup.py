"""The start-up script of a machine, really run: only what needs a T4 or a cloud is stood in for."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.gcp_runs import RUN_ID, deployment, on_t4, plan_of, run_startup, store_folder, write_session
from voiceflow_ml.gcp.plan import Plan
from voiceflow_ml.gcp.startup import render_startup


@pytest.fixture(name="plan")
def _plan(tmp_path: Path) -> Plan:
    folder = deployment(tmp_path / "deployment")
    plan = plan_of(folder, tmp_path / "bucket")
    for each in plan.artefacts:
        file = tmp_path / "bucket" / plan.folder / "artefacts" / each.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((folder / each.name).read_bytes())
    write_session(tmp_path / "reports", on_t4(folder))
    return plan


def run(plan: Plan, tmp_path: Path, *, without: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    script = render_startup(plan).replace("sleep 5", "sleep 0")
    return run_startup(script, tmp_path / "vm", tmp_path / "reports", without=without, **variables)


def outcome(plan: Plan) -> dict[str, object]:
    text = (store_folder(plan) / plan.folder / "outcome.json").read_text(encoding="utf-8")
    content: dict[str, object] = json.loads(text)
    return content


def test_it_measures_uploads_and_powers_off(plan: Plan, tmp_path: Path) -> None:
    done = run(plan, tmp_path)
    assert done.returncode == 0, done.stderr
    assert outcome(plan) == {"run": RUN_ID, "stage": "done", "status": 0, "pytest": 0}
    words = (tmp_path / "vm" / "measured").read_text().split()
    assert words[:4] == ["-m", "hardware", "--gpu=t4", "--require-targets=cuda-t4"]
    assert "--sla-policy=strict" in words
    assert (tmp_path / "vm" / "off").exists()
    assert "./voiceflow_ml-0.1.0-py3-none-any.whl[gpu]" in (tmp_path / "vm" / "installed").read_text()
    results = store_folder(plan) / plan.folder / "reports" / "results"
    assert next(results.rglob("session.json")).is_file()


def test_a_breach_is_a_result_and_no_failure_of_the_machine(plan: Plan, tmp_path: Path) -> None:
    done = run(plan, tmp_path, PYTEST_STATUS="1")
    assert done.returncode == 0
    assert outcome(plan) == {"run": RUN_ID, "stage": "done", "status": 0, "pytest": 1}


def test_a_file_that_was_changed_in_the_bucket_is_not_run(plan: Plan, tmp_path: Path) -> None:
    (store_folder(plan) / plan.folder / "artefacts" / "models" / "tiny.onnx").write_bytes(b"another model")
    done = run(plan, tmp_path)
    assert outcome(plan) == {"run": RUN_ID, "stage": "hash", "status": 1, "pytest": None}
    assert "models/tiny.onnx: FAILED" in done.stdout
    assert not (tmp_path / "vm" / "measured").exists()
    assert (tmp_path / "vm" / "off").exists()


def test_without_a_driver_it_ends_and_says_so(plan: Plan, tmp_path: Path) -> None:
    done = run(plan, tmp_path, without="nvidia-smi")
    assert outcome(plan) == {"run": RUN_ID, "stage": "driver", "status": 3, "pytest": None}
    assert "no GPU driver after five minutes" in done.stdout
    assert (tmp_path / "vm" / "off").exists()


def test_without_a_bucket_it_still_powers_off(plan: Plan, tmp_path: Path) -> None:
    done = run(plan, tmp_path, without="gcloud")
    assert "finished: stage fetch, status 7, pytest null" in done.stdout
    assert "the outcome could not be written" in done.stdout
    assert (tmp_path / "vm" / "off").exists()


def test_a_serving_machine_stays_up(plan: Plan, tmp_path: Path) -> None:
    done = run(replace(plan, serve=True), tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "vm" / "off").exists()
    assert "127.0.0.1" in (tmp_path / "vm" / "served").read_text()


def test_a_spot_machine_binds_nobody_and_an_offline_one_asks_no_index(plan: Plan, tmp_path: Path) -> None:
    run(replace(plan, spot=True, offline=True), tmp_path)
    assert "--sla-policy=report-only" in (tmp_path / "vm" / "measured").read_text()
    assert "--no-index" in (tmp_path / "vm" / "installed").read_text()
