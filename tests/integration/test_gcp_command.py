"""``voiceflow gcp`` as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.fake_compute import FakeCompute
from tests.gcp_runs import (
    ON_CUDA,
    RUN_ID,
    deployment,
    finishes,
    on_t4,
    plan_of,
    store_folder,
    write_session,
)
from tests.unit.result_set import ELSEWHERE, MET, RESULTS, SESSION
from voiceflow_ml.cli import app
from voiceflow_ml.gcp.plan import Plan, write_plan
from voiceflow_ml.hardware.evidence import Finding
from voiceflow_ml.latency import FakeClock
from voiceflow_ml.results.record import Result as Measured
from voiceflow_ml.results.store import ResultStore


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return deployment(tmp_path / "deployment")


@pytest.fixture(name="plan")
def _plan(folder: Path, tmp_path: Path) -> Plan:
    plan = plan_of(folder, tmp_path / "bucket")
    write_plan(plan, tmp_path / "deployment.plan.json")
    return plan


@pytest.fixture(autouse=True)
def _fake_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voiceflow_ml.latency.clock.SystemClock", FakeClock)


def gcp(*words: str | Path, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["gcp", *map(str, words)], input=answer)


@contextmanager
def compute(monkeypatch: pytest.MonkeyPatch, fake: FakeCompute) -> Iterator[FakeCompute]:
    with fake:
        monkeypatch.setenv("VOICEFLOW_COMPUTE_ENDPOINT", fake.url)
        yield fake


def test_a_plan_sends_nothing_and_leaves_itself_and_the_script(folder: Path, tmp_path: Path) -> None:
    account = "t4@my-project.iam.gserviceaccount.com"
    words = ("--project", "my-project", "--store", "gs://bucket/x", "--service-account", account, "--max-run", "30min")
    done = gcp("plan", folder, *words, "--run-id", RUN_ID)
    assert done.exit_code == 0, done.output
    assert "POST https://compute.googleapis.com/compute/v1/projects/my-project/zones/us-central1-a" in done.output
    assert "cost: at most 0.28 USD" in done.output
    assert "Nothing was sent." in done.output
    script = tmp_path / f"voiceflow-{RUN_ID}.startup.sh"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert json.loads((tmp_path / "deployment.plan.json").read_text())["max_run_s"] == 1800


def test_up_then_verify_then_a_joint_report(
    plan: Plan, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = write_session(tmp_path / "reports", on_t4(folder))
    with compute(monkeypatch, FakeCompute(boot=finishes(plan, reports))) as fake:
        done = gcp("up", folder, "--yes")
    assert done.exit_code == 0, done.output
    assert done.output.index("cost: at most") < done.output.index("asking for voiceflow-")
    assert fake.machines == {}
    cpu = ResultStore(tmp_path / "cpu" / "20260102T030405Z-9")
    cpu.write_session(SESSION)
    cpu.write_result(RESULTS[0], 0)
    out = tmp_path / "gcp"
    checked = gcp("verify", folder, "--out", out, "--with", cpu.folder)
    assert checked.exit_code == 0, checked.output
    for name in ("placement on CUDA", "the file that was planned", "SLA"):
        assert f"ok  {name}: tiny · model-inference · cuda-t4" in checked.output
    report = (out / "joint" / "PERFORMANCE_ANALYSIS.md").read_text(encoding="utf-8")
    assert "tiny · model-inference · cuda-t4" in report
    assert MET.label in report


def fetched(plan: Plan, *results: Measured, pytest_status: int = 0) -> None:
    """What a machine left in the store."""
    run = store_folder(plan) / plan.folder
    write_session(run / "reports", *results)
    ending = {"run": plan.run_id, "stage": "done", "status": 0, "pytest": pytest_status}
    (run / "outcome.json").write_text(json.dumps(ending))


@pytest.mark.parametrize(
    ("latency_ms", "findings", "said"),
    [
        (5.0, (ELSEWHERE,), "no  placement on CUDA: tiny · model-inference · cuda-t4: 37 of 412 nodes ran on CPU"),
        (5.0, (), "no  placement on CUDA: tiny · model-inference · cuda-t4: nothing in the result proves"),
        (50.0, (ON_CUDA,), "no  SLA: tiny · model-inference · cuda-t4: P99 BREACHED"),
    ],
)
def test_a_deployment_that_is_not_what_was_promised_is_refused(
    plan: Plan, folder: Path, tmp_path: Path, latency_ms: float, findings: tuple[Finding, ...], said: str
) -> None:
    fetched(plan, on_t4(folder, latency_ms=latency_ms, findings=findings))
    done = gcp("verify", folder, "--out", tmp_path / "gcp")
    assert done.exit_code == 1
    assert said in done.output


def test_a_result_about_another_file_is_refused(plan: Plan, folder: Path, tmp_path: Path) -> None:
    result = on_t4(folder)
    (folder / "models" / "tiny.onnx").write_bytes(b"another")
    other = on_t4(folder)
    assert result != other
    fetched(plan, other)
    done = gcp("verify", folder, "--out", tmp_path / "gcp")
    assert done.exit_code == 1
    assert "which is none of the plan's" in done.output


def test_a_run_on_cpu_alone_verifies_nothing(plan: Plan, folder: Path, tmp_path: Path) -> None:
    fetched(plan, RESULTS[0])
    done = gcp("verify", folder, "--out", tmp_path / "gcp")
    assert done.exit_code == 1
    assert "no  promises of cuda-t4 were measured: none was" in done.output


def test_nothing_to_verify_is_an_error(plan: Plan, folder: Path, tmp_path: Path) -> None:
    done = gcp("verify", folder, "--out", tmp_path / "gcp")
    assert "has written no outcome" in str(done.exception)


def test_numbers_of_a_spot_machine_are_not_for_publishing(folder: Path, tmp_path: Path) -> None:
    plan = plan_of(folder, tmp_path / "bucket", spot=True)
    write_plan(plan, tmp_path / "deployment.plan.json")
    fetched(plan, on_t4(folder))
    done = gcp("verify", folder, "--out", tmp_path / "gcp")
    assert done.exit_code == 1
    assert "on a Spot machine: not for publishing" in done.output


def test_a_serving_deployment_is_not_verified_without_asking_it(folder: Path, tmp_path: Path) -> None:
    plan = plan_of(folder, tmp_path / "bucket", serve=True)
    write_plan(plan, tmp_path / "deployment.plan.json")
    fetched(plan, on_t4(folder))
    done = gcp("verify", folder, "--out", tmp_path / "gcp")
    assert done.exit_code == 1
    assert "not asked: give --url and --contract; reach it by: gcloud compute ssh" in done.output


def test_up_asks_and_no_is_no(plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with compute(monkeypatch, FakeCompute()) as fake:
        done = gcp("up", folder, answer="n\n")
    assert done.exit_code == 1
    assert "Rent this machine?" in done.output
    assert fake.received == []


def test_a_polite_kill_cleans_up(plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal  # noqa: PLC0415

    from tests.gcp_runs import then  # noqa: PLC0415

    main = threading.main_thread().ident
    assert main is not None
    boot = then(lambda: signal.pthread_kill(main, signal.SIGTERM))
    with compute(monkeypatch, FakeCompute(boot=boot)) as fake:
        done = gcp("up", folder, "--yes")
        assert fake.machines == {}
    assert done.exit_code != 0
    assert f"deleted voiceflow-{RUN_ID}" in done.output


def test_down_and_sweep(plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with compute(monkeypatch, FakeCompute()) as fake:
        done = gcp("down", folder)
        assert f"machines of run {RUN_ID} deleted: 0; none is left" in done.output
        done = gcp("sweep", "--project", "my-project", answer="n\n")
        assert done.exit_code == 1
        done = gcp("sweep", "--project", "my-project", "--yes")
        assert "machines deleted: 0; none is left" in done.output
    assert fake.sent("DELETE", "POST") == []


def test_an_endpoint_elsewhere_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEFLOW_COMPUTE_ENDPOINT", "https://compute.example.com")
    assert "must be on loopback" in str(gcp("sweep", "--project", "my-project", "--yes").exception)


_WITHOUT = """\
import sys
{}
from voiceflow_ml.cli import main
sys.argv = ["voiceflow", {}]
try:
    main()
finally:
    print([name for name in sys.modules if name.startswith(("google.cloud", "google.auth"))])
"""


def python(before: str, *words: str) -> subprocess.CompletedProcess[str]:
    script = _WITHOUT.format(before, ", ".join(map(repr, words)))
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_without_the_extra_one_sentence_says_how_to_install_it() -> None:
    done = python('sys.modules["google.cloud.compute_v1"] = None', "gcp", "sweep", "--project", "p", "--yes")
    assert done.returncode == 2
    assert 'is not installed; run: pip install "voiceflow-ml[gcp]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_and_other_commands_import_nothing_of_google() -> None:
    for words in (("gcp", "--help"), ("targets",)):
        assert python("", *words).stdout.splitlines()[-1] == "[]"
