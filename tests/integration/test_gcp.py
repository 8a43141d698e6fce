"""Runs on a rented machine, with Google's own client library against a Compute Engine on loopback."""

from __future__ import annotations

import json
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from google.cloud.compute_v1 import InsertInstanceRequest

from tests.fake_compute import EXHAUSTED, NO_DELETE, QUOTA, QUOTA_AT_ONCE, Boot, FakeCompute, stays_up
from tests.gcp_runs import (
    RUN_ID,
    Stage,
    deployment,
    fails,
    finishes,
    on_t4,
    plan_of,
    start_up,
    store_folder,
    taken_back,
    tells,
    then,
    write_session,
)
from voiceflow_ml.errors import CloudError, ConfigError
from voiceflow_ml.gcp.deploy import sweep, up
from voiceflow_ml.gcp.describe import http_lines, plan_lines
from voiceflow_ml.gcp.failures import NameTakenError, PreemptedError, QuotaError, StartupError, ZoneExhaustedError
from voiceflow_ml.gcp.plan import Plan, write_plan
from voiceflow_ml.gcp.requests import HttpRequest, insert_request
from voiceflow_ml.gcp.state import State, read_state
from voiceflow_ml.gcp.watch import Ending


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return deployment(tmp_path / "deployment")


@pytest.fixture(name="plan")
def _plan(folder: Path, tmp_path: Path) -> Plan:
    return plan_of(folder, tmp_path / "bucket")


def run_up(stage: Stage, tmp_path: Path) -> Ending:
    return up(stage.plan, stage.folder, stage.site, tmp_path / "plan.state.json")


def state_of(plan: Plan, tmp_path: Path) -> State:
    return read_state(plan, tmp_path / "plan.state.json")


def reports(tmp_path: Path, folder: Path) -> Path:
    return write_session(tmp_path / "reports", on_t4(folder))


def test_a_run_uploads_measures_and_leaves_nothing(plan: Plan, folder: Path, tmp_path: Path) -> None:
    with FakeCompute(boot=finishes(plan, reports(tmp_path, folder))) as fake:
        stage = Stage(fake, plan, folder)
        ending = run_up(stage, tmp_path)
    assert ending == Ending("done", 0, 0)
    assert fake.machines == {}
    assert state_of(plan, tmp_path).phase == "ended"
    run = store_folder(plan) / plan.folder
    assert (run / "artefacts" / "models" / "tiny.onnx").read_bytes() == (folder / "models" / "tiny.onnx").read_bytes()
    assert list((run / "reports" / "results").iterdir())
    stages = [line.rpartition("stage ")[2] for line in stage.said if "stage " in line and "finished" not in line]
    assert stages == ["fetch", "hash", "driver", "install", "measure", "upload", "done"]


@pytest.mark.parametrize(("spot", "serve"), [(False, False), (True, True)])
def test_the_dry_run_prints_what_is_sent(plan: Plan, folder: Path, tmp_path: Path, spot: bool, serve: bool) -> None:
    plan = replace(plan, spot=spot, serve=serve)
    boot = finishes(plan, reports(tmp_path, folder))
    with FakeCompute({"us-central1-a": EXHAUSTED}, boot) as fake:
        run_up(Stage(fake, plan, folder), tmp_path)
        if serve:
            sweep(plan.project, Stage(fake, plan, folder).site, RUN_ID)
    printed = "\n".join(plan_lines(plan))
    sent = fake.sent("POST", "DELETE")
    assert [each.method for each in sent] == ["POST", "POST", "DELETE"]
    for each in sent:
        # The machine came in the second zone; the dry run shows the last request for the first.
        text = "\n".join(http_lines(HttpRequest(each.method, each.path, each.query, each.body)))
        assert text.replace("us-central1-b", "us-central1-a") in printed.replace("us-central1-b", "us-central1-a")
    assert all("\n".join(http_lines(HttpRequest("POST", e.path, e.query, e.body))) in printed for e in sent[:2])


def test_every_machine_is_deleted_by_compute_engine_itself_and_has_no_address(
    plan: Plan, folder: Path, tmp_path: Path
) -> None:
    with FakeCompute({"us-central1-a": EXHAUSTED}, finishes(plan, reports(tmp_path, folder))) as fake:
        run_up(Stage(fake, plan, folder), tmp_path)
    inserts = fake.sent("POST")
    assert len(inserts) == 2
    for insert in inserts:
        scheduling = insert.body["scheduling"]
        assert scheduling["maxRunDuration"] == {"seconds": "3600"}
        assert scheduling["instanceTerminationAction"] == "DELETE"
        assert scheduling["onHostMaintenance"] == "TERMINATE"
        assert insert.body["labels"] == {"voiceflow-run": RUN_ID}
        assert [list(each) for each in insert.body["networkInterfaces"]] == [["network"]]


def test_an_exhausted_zone_is_followed_by_the_next(plan: Plan, folder: Path, tmp_path: Path) -> None:
    with FakeCompute({"us-central1-a": EXHAUSTED}, finishes(plan, reports(tmp_path, folder))) as fake:
        stage = Stage(fake, plan, folder)
        run_up(stage, tmp_path)
    assert [each.path.split("/")[6] for each in fake.sent("POST")] == ["us-central1-a", "us-central1-b"]
    assert any("us-central1-a: no T4 is to be had there now" in line for line in stage.said)


def test_with_all_zones_exhausted_the_run_ends(plan: Plan, folder: Path, tmp_path: Path) -> None:
    with FakeCompute(dict.fromkeys(plan.zones, EXHAUSTED)) as fake, pytest.raises(ZoneExhaustedError) as caught:
        run_up(Stage(fake, plan, folder), tmp_path)
    assert "us-central1-a, us-central1-b" in str(caught.value)
    assert state_of(plan, tmp_path).why == str(caught.value)


@pytest.mark.parametrize(("how", "quota"), [(QUOTA, "NVIDIA_T4_GPUS"), (QUOTA_AT_ONCE, "GPUS_ALL_REGIONS")])
def test_a_quota_stops_the_run_and_says_what_to_ask_for(
    plan: Plan, folder: Path, tmp_path: Path, how: str, quota: str
) -> None:
    with FakeCompute({"us-central1-a": how}) as fake, pytest.raises(QuotaError, match=f"the quota {quota}") as caught:
        run_up(Stage(fake, plan, folder), tmp_path)
    assert "IAM & Admin > Quotas" in str(caught.value)
    assert len(fake.sent("POST")) == 1


def test_a_spot_machine_that_is_taken_back_is_named_so(plan: Plan, folder: Path, tmp_path: Path) -> None:
    plan = replace(plan, spot=True)
    with FakeCompute(boot=taken_back) as fake, pytest.raises(PreemptedError, match="without --spot"):
        run_up(Stage(fake, plan, folder), tmp_path)
    assert fake.machines == {}
    assert fake.sent("POST")[0].body["scheduling"]["provisioningModel"] == "SPOT"


def test_a_startup_that_fails_shows_its_last_lines(plan: Plan, folder: Path, tmp_path: Path) -> None:
    boot = fails(plan, *(f"line {n}" for n in range(40)), "ERROR: no matching distribution\x1b[31m")
    with FakeCompute(boot=boot) as fake, pytest.raises(StartupError) as caught:
        run_up(Stage(fake, plan, folder), tmp_path)
    first, *lines = str(caught.value).split("\n")
    assert "failed in stage install with status 1" in first
    assert lines[-1] == "  | ERROR: no matching distribution [31m"
    assert len(lines) == 20
    assert fake.machines == {}


def test_a_machine_that_goes_away_without_a_word_is_no_result(plan: Plan, folder: Path, tmp_path: Path) -> None:
    with FakeCompute() as fake:
        fake.boot = then(fake.machines.clear)
        with pytest.raises(StartupError, match="is no more, and wrote no outcome"):
            run_up(Stage(fake, plan, folder), tmp_path)


def test_a_machine_that_never_ends_is_given_up_after_its_longest_run(plan: Plan, folder: Path, tmp_path: Path) -> None:
    plan = replace(plan, max_run_s=600)
    with FakeCompute() as fake, pytest.raises(StartupError, match="has not ended within its longest run"):
        run_up(Stage(fake, plan, folder), tmp_path)
    assert fake.machines == {}


def test_control_c_deletes_the_machine(plan: Plan, folder: Path, tmp_path: Path) -> None:
    main = threading.main_thread().ident
    assert main is not None
    boot = then(lambda: signal.pthread_kill(main, signal.SIGINT))
    with FakeCompute(boot=boot) as fake:
        stage = Stage(fake, plan, folder)
        with pytest.raises(KeyboardInterrupt):
            run_up(stage, tmp_path)
        assert fake.machines == {}
    assert state_of(plan, tmp_path) == State(RUN_ID, plan.sha256, "ended", "us-central1-a", "KeyboardInterrupt")


def test_a_clean_up_that_fails_says_how_to_do_it_by_hand(plan: Plan, folder: Path, tmp_path: Path) -> None:
    with FakeCompute({"us-central1-a": NO_DELETE}, fails(plan, "no")) as fake:
        stage = Stage(fake, plan, folder)
        with pytest.raises(StartupError, match="failed in stage install"):
            run_up(stage, tmp_path)
    assert "Required 'compute.instances.delete' permission" in stage.said[-1]
    assert f"voiceflow gcp sweep --project my-project --run-id {RUN_ID} --yes" in stage.said[-1]
    assert "by itself after 3600 s" in stage.said[-1]


@pytest.mark.parametrize("where", ["before the answer", "while the machine runs"])
def test_a_killed_up_leaves_nothing_after_a_sweep(plan: Plan, folder: Path, tmp_path: Path, where: str) -> None:
    write_plan(plan, tmp_path / "plan.json")
    hold = threading.Event() if where == "before the answer" else None
    running = threading.Event()
    with FakeCompute(boot=tells(running), polls=1, hold=hold, late=1) as fake:
        stage = Stage(fake, plan, folder)
        process = start_up(stage, tmp_path / "plan.json", tmp_path / "plan.state.json")
        reached = fake.inserted if hold else running
        assert reached.wait(60)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert len(fake.machines) == 1
        assert state_of(plan, tmp_path).phase in ("creating", "running")
        found = sweep(plan.project, stage.site)
        assert [machine.run_id for machine in found] == [RUN_ID]
        assert fake.machines == {}
        with pytest.raises(ConfigError, match="a plan is for one run"):
            run_up(stage, tmp_path)


def test_a_sweep_of_one_run_leaves_the_others_and_what_is_not_ours(plan: Plan, tmp_path: Path, folder: Path) -> None:
    with FakeCompute() as fake:
        stage = Stage(fake, plan, folder)
        for run_id in ("one", "two"):
            other = replace(plan, run_id=run_id)
            stage.site.compute.insert(_insert(other))
        fake.machines["us-central1-c", "database"] = replace(
            fake.machines["us-central1-a", "voiceflow-one"], document={"name": "database", "zone": "z"}
        )
        sweep(plan.project, stage.site, "one")
        assert sorted(name for _, name in fake.machines) == ["database", "voiceflow-two"]
        sweep(plan.project, stage.site)
        assert [name for _, name in fake.machines] == ["database"]


def _insert(plan: Plan) -> InsertInstanceRequest:
    return insert_request(plan, plan.zones[0])


def test_of_two_ups_of_one_plan_one_runs(plan: Plan, folder: Path, tmp_path: Path) -> None:
    """Each with a state file of its own, as on two machines."""
    endings: list[Ending | Exception] = []
    start = threading.Barrier(2)

    def one(state: Path, fake: FakeCompute) -> None:
        start.wait()
        try:
            endings.append(up(plan, folder, Stage(fake, plan, folder).site, state))
        except ConfigError as error:
            endings.append(error)

    with FakeCompute(boot=finishes(plan, reports(tmp_path, folder))) as fake:
        threads = [threading.Thread(target=one, args=(tmp_path / f"{n}.state.json", fake)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(type(each).__name__ for each in endings) == ["ConfigError", "Ending"]
    assert "was begun by another `up`" in str(next(each for each in endings if isinstance(each, ConfigError)))
    assert len(fake.sent("POST")) == 1
    assert fake.machines == {}


def test_a_machine_of_that_name_that_is_another_s_is_left_alone(plan: Plan, folder: Path, tmp_path: Path) -> None:
    with FakeCompute() as fake:
        stage = Stage(fake, plan, folder)
        stage.site.compute.insert(_insert(plan))
        for each in fake.machines.values():
            each.document["labels"] = {}
        fake._by_request_id.clear()
        with pytest.raises(NameTakenError):
            run_up(stage, tmp_path)
        assert len(fake.machines) == 1


def test_an_artefact_that_changed_since_the_plan_is_not_uploaded(plan: Plan, folder: Path, tmp_path: Path) -> None:
    (folder / "models" / "tiny.onnx").write_bytes(b"another")
    with FakeCompute() as fake, pytest.raises(ConfigError, match=r"tiny\.onnx is not what was planned"):
        run_up(Stage(fake, plan, folder), tmp_path)
    assert fake.received == []


def test_a_serving_machine_stays_until_it_is_taken_down(plan: Plan, folder: Path, tmp_path: Path) -> None:
    plan = replace(plan, serve=True)
    with FakeCompute(boot=finishes(plan, reports(tmp_path, folder))) as fake:
        stage = Stage(fake, plan, folder)
        run_up(stage, tmp_path)
        assert [name for _, name in fake.machines] == [plan.machine]
        assert state_of(plan, tmp_path).phase == "serving"
        sweep(plan.project, stage.site, RUN_ID)
        assert fake.machines == {}


def test_an_outcome_of_another_run_is_not_taken_for_this_one(plan: Plan, folder: Path, tmp_path: Path) -> None:
    def forge() -> None:
        path = store_folder(plan) / plan.folder / "outcome.json"
        path.write_text(json.dumps({"run": "another", "stage": "done", "status": 0, "pytest": 0}))

    boot: Boot = then(forge)
    with FakeCompute(boot=boot) as fake, pytest.raises(CloudError, match="it is of another run"):
        run_up(Stage(fake, plan, folder), tmp_path)


def test_without_an_answer_the_run_says_so(plan: Plan, folder: Path, tmp_path: Path) -> None:
    with FakeCompute(boot=stays_up) as fake:
        stage = Stage(fake, plan, folder)
        site = stage.site
    with pytest.raises(CloudError, match="no answer from Compute Engine"):
        site.compute.labelled()
