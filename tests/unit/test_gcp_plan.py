"""Plans of ``voiceflow gcp``: what they refuse, what they print, and that the same plan prints the same."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gcp_runs import RUN_ID, deployment, plan_of
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.gcp.cost import estimate
from voiceflow_ml.gcp.describe import plan_lines
from voiceflow_ml.gcp.plan import Artefact, Plan, find_artefacts, new_run_id, read_plan, write_plan
from voiceflow_ml.gcp.startup import render_startup
from voiceflow_ml.gcp.state import State, read_state, state_path, write_state

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return deployment(tmp_path / "deployment")


@pytest.fixture(name="plan")
def _plan(folder: Path) -> Plan:
    return plan_of(folder)


@pytest.mark.parametrize("kind", ["plain", "spot-serve"])
def test_the_printed_plan_is_the_one_that_was_looked_at(plan: Plan, kind: str) -> None:
    if kind == "spot-serve":
        plan = replace(plan, spot=True, serve=True, offline=True, zones=("us-west1-b",), max_run_s=7200)
    text = "\n".join(plan_lines(plan)) + "\n"
    snapshot = SNAPSHOTS / f"gcp-plan-{kind}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.write_text(text, encoding="utf-8")
    assert text == snapshot.read_text(encoding="utf-8")


def test_the_gcloud_line_says_what_the_request_says(plan: Plan) -> None:
    line = next(line for line in plan_lines(plan) if line.startswith("gcloud "))
    for part in (
        "--machine-type=n1-standard-4",
        "--accelerator=type=nvidia-tesla-t4,count=1",
        "--image-project=deeplearning-platform-release",
        "--image-family=common-cu129-ubuntu-2404-nvidia-580",
        "--maintenance-policy=TERMINATE",
        "--max-run-duration=3600s",
        "--instance-termination-action=DELETE",
        "--no-address",
        f"--labels=voiceflow-run={RUN_ID}",
    ):
        assert f" {part} " in f"{line} "


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"project": "My Project"}, "project 'My Project' is not one"),
        ({"zones": ()}, "no zone to try"),
        ({"zones": ("mars",)}, "zone 'mars' is not one"),
        ({"store": "s3://bucket"}, "store 's3://bucket' is not one"),
        ({"store": "gs://bucket/$(reboot)"}, "store"),
        ({"run_id": "Run 1"}, "run id 'Run 1'"),
        ({"run_id": "x" * 41}, "up to 40"),
        ({"max_run_s": 60}, "10 minutes to 24 hours"),
        ({"max_run_s": 90_000}, "bounds what a crash costs"),
        ({"disk_gb": 10}, "at least 50"),
        ({"service_account": "nobody"}, "service account 'nobody'"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(plan: Plan, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(plan, **changes)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_a_folder_without_its_parts_is_refused(folder: Path) -> None:
    (folder / "sla.toml").rename(folder / "other.toml")
    with pytest.raises(ConfigError, match=r"no sla\.toml"):
        find_artefacts(folder)
    (folder / "other.toml").rename(folder / "sla.toml")
    (folder / "voiceflow_ml-0.2.0-py3-none-any.whl").touch()
    with pytest.raises(ConfigError, match="2 wheels of voiceflow-ml"):
        find_artefacts(folder)
    with pytest.raises(ConfigError, match="is not a folder"):
        find_artefacts(folder / "none")


@pytest.mark.parametrize("name", ["a b.onnx", "$(touch x).onnx", ".hidden", "a'b", "x\ny"])
def test_a_file_name_that_a_shell_could_read_otherwise_is_refused(folder: Path, name: str) -> None:
    (folder / name).touch()
    with pytest.raises(ConfigError, match="use letters, digits"):
        find_artefacts(folder)


def test_a_link_is_refused(folder: Path) -> None:
    (folder / "link.onnx").symlink_to("/etc/hostname")
    with pytest.raises(ConfigError, match="is a link"):
        find_artefacts(folder)


def test_a_plan_is_read_back_as_it_was(plan: Plan, tmp_path: Path) -> None:
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert read_plan(tmp_path / "plan.json").sha256 == plan.sha256


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "artefacts": []}'])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ConfigError, match=r"plan"):
        read_plan(tmp_path / "plan.json")


def test_a_plan_that_was_edited_into_something_else_is_refused(plan: Plan, tmp_path: Path) -> None:
    content = json.loads(plan.to_json())
    content["artefacts"][0]["name"] = "../../etc/passwd"
    (tmp_path / "plan.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="use letters, digits"):
        read_plan(tmp_path / "plan.json")


def test_run_ids_differ_and_are_run_ids(plan: Plan) -> None:
    ids = {new_run_id() for _ in range(50)}
    assert len(ids) == 50
    for run_id in ids:
        assert replace(plan, run_id=run_id).machine == f"voiceflow-{run_id}"


def test_the_estimate_is_the_most_and_says_what_it_rests_on(plan: Plan) -> None:
    one, two = estimate(plan), estimate(replace(plan, max_run_s=7200))
    assert two.most_usd == pytest.approx(2 * one.most_usd)
    # 0.189999 for the machine, 0.35 for the T4, 100 GB of disk at 0.10 for 730 hours.
    assert one.usd_per_hour == pytest.approx(0.189999 + 0.35 + 100 * 0.10 / 730)
    assert "an estimate from list prices of us-central1 as of" in one.sentence
    assert "Spot" not in one.sentence
    assert "Spot costs less" in estimate(replace(plan, spot=True)).sentence


def test_a_state_is_of_one_plan(plan: Plan, tmp_path: Path) -> None:
    path = state_path(tmp_path / "deployment.plan.json")
    assert read_state(plan, path) == State(RUN_ID, plan.sha256)
    write_state(State(RUN_ID, plan.sha256, "running", "us-central1-a"), path)
    assert read_state(plan, path).zone == "us-central1-a"
    with pytest.raises(ConfigError, match="of another plan"):
        read_state(replace(plan, spot=True), path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="remove it and run: voiceflow gcp sweep"):
        read_state(plan, path)


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=40)


@given(value=_TEXT)
def test_no_value_becomes_a_command(value: str) -> None:
    """Past the checks of a plan, too: what the head of the script assigns is what was given."""
    plan = object.__new__(Plan)
    artefact = Artefact("voiceflow_ml-1.whl", "0" * 64, 1)
    fields = {"run_id": value, "store": "gs://b", "artefacts": (artefact,), "spot": False, "serve": False}
    for name, given_value in {**fields, "offline": False}.items():
        object.__setattr__(plan, name, given_value)
    head = render_startup(plan).split("\nset -Eeuo pipefail\n")[0]
    done = subprocess.run(
        ["bash", "-c", f'{head}\nprintf %s "$RUN_ID"'], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.stdout.decode() == value
