"""Measured on a real Ray cluster of two nodes; judged and reported here."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import voiceflow_ml
from tests.integration.plugin_project import Project, table
from tests.ray_cluster import BENCH, TwoNodes, two_nodes
from tests.remote_jobs import PLAN, does, meets, shipment_of, tiny_job
from voiceflow_ml.hardware.targets import CPU, Target, find_gpu
from voiceflow_ml.remote.cluster import Cluster, connect, is_joined, leave
from voiceflow_ml.remote.job import Failed, Taken
from voiceflow_ml.remote.session import NODE_FACT, Patience, measure_remotely

pytest.importorskip("ray", reason='Ray is not installed here: pip install "voiceflow-ml[ray]"')
# Ray leaves the pipes and log files of the processes that it starts to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

BENCH_CPU = replace(CPU, accelerator_type=BENCH)
T4 = find_gpu("t4")
STATED = f'\n[targets.cpu]\naccelerator_type = "{BENCH}"\n'
TINY_TEST = """
import numpy as np
from voiceflow_ml.inference.ort import open_onnx

@pytest.mark.hardware
@pytest.mark.sla("tiny")
def test_tiny(latency, target):
    latency(open_onnx(Path("tiny.onnx")), np.ones((4096, 4), np.float32))
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """One cluster for all tests of this module."""
    with two_nodes(tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture
def joined(nodes: TwoNodes) -> Iterator[Cluster]:
    """The cluster, with this process as its driver."""
    yield connect(nodes.address)
    leave()


def findings(result: dict[str, Any]) -> str:
    return "\n".join(entry["fact"] for entry in result["measurement"]["findings"])


def test_two_targets_are_measured_on_two_nodes_and_judged_here(project: Project, nodes: TwoNodes) -> None:
    project.promise("cpu", "cuda-t4")
    path = project.root / "sla.toml"
    on_cpu = '\n[targets.cuda-t4]\nproviders = ["CPUExecutionProvider"]\nprovider_options = {}\n'
    path.write_text(path.read_text(encoding="utf-8") + STATED + on_cpu, encoding="utf-8")
    result = project.run("sla.toml", "--gpu=t4", f"--ray-address={nodes.address}", "--sla-policy=lenient")
    met, invalid = table(result)[:2]
    assert met.startswith("MET")
    assert invalid.startswith("INVALID")
    assert "the clocks collapsed: SM clock 146 MHz" in invalid
    cpu, gpu = project.results()
    # What proves a local run proves this one, and was asked where it ran.
    assert "compute nodes ran on CPUExecutionProvider" in findings(cpu)
    assert "the GPU is a Tesla T4 (GPU-00000000-0000-0000-0000-000000000004, driver 580.82.07)" in findings(gpu)
    facts = gpu["measurement"]["facts"]
    assert facts["machine"].endswith("GPU Tesla T4")
    assert facts["model SHA-256"] == cpu["measurement"]["facts"]["model SHA-256"]
    assert cpu["measurement"]["facts"][NODE_FACT] != facts[NODE_FACT]
    assert f"measured on {facts[NODE_FACT]}, which has accelerator_type:T4" in findings(gpu)
    assert facts[NODE_FACT] in project.report()


def test_a_test_hands_its_model_over_and_another_target_than_promised_is_invalid(
    project: Project, nodes: TwoNodes
) -> None:
    project.promise("cpu", "cuda-t4")
    path = project.root / "sla.toml"
    path.write_text(path.read_text(encoding="utf-8") + STATED, encoding="utf-8")
    project.write_test(TINY_TEST)
    result = project.run("--gpu=t4", f"--ray-address={nodes.address}")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["INVALID: *the model was opened on cpu, the promise is about cuda-t4; *"])
    assert "measured on" in findings(project.results()[0])


def test_another_version_on_the_node_is_an_error_in_one_sentence(
    project: Project, nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voiceflow_ml, "__version__", "9.9.9")
    project.promise("cuda-t4")
    result = project.run("sla.toml", "--gpu=t4", f"--ray-address={nodes.address}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["ERROR *cuda-t4*Ray node*runs other software than this session (voiceflow-ml * there, 9.9.9 here); install*"]
    )


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("latency(work)", "* to which a Python callable does not travel; open the model with *open_onnx*"),
        ("latency(open_onnx(Path('tiny.onnx'), target)()", "*tiny.onnx is measured on another machine's cuda-t4 and *"),
    ],
)
def test_what_cannot_travel_is_refused(project: Project, nodes: TwoNodes, source: str, sentence: str) -> None:
    project.promise("cuda-t4")
    body = source + ")" * (source.count("(") - source.count(")"))
    project.write_test(TINY_TEST.partition("    latency")[0] + f"    {body}\n")
    result = project.run("--gpu=t4", f"--ray-address={nodes.address}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([sentence])


def test_an_accelerator_that_nobody_has_stops_the_session_with_what_there_is(project: Project, nodes: TwoNodes) -> None:
    project.promise("cuda-l4")
    result = project.run("sla.toml", "--gpu=l4", f"--ray-address={nodes.address}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*no node has accelerator_type:L4, which cuda-l4 needs; the cluster has: accelerator_type:BENCH, *:T4; *"]
    )
    assert not project.reports.exists()


def test_auto_takes_the_gpus_that_the_cluster_has(project: Project, nodes: TwoNodes) -> None:
    project.write_test('@pytest.mark.hardware(targets=["cuda-t4", "cuda-l4"])\ndef test_where(target):\n    pass\n')
    result = project.run("--gpu=auto", f"--ray-address={nodes.address}")
    result.assert_outcomes(passed=1, skipped=1)


def test_a_cluster_that_somebody_else_has_joined_is_not_left(
    project: Project, nodes: TwoNodes, joined: Cluster
) -> None:
    result = project.run("--gpu=l4", f"--ray-address={nodes.address}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_joined()


def test_a_baseline_is_refused_where_none_can_be_measured(project: Project, nodes: TwoNodes) -> None:
    project.promise("cuda-t4")
    result = project.run("sla.toml", "--gpu=t4", f"--ray-address={nodes.address}", "--sla-baseline=tiny.onnx")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["--sla-baseline=tiny.onnx: tiny * is measured on another machine, where no *"])


def test_targets_are_measured_at_the_same_time(joined: Cluster, tmp_path: Path) -> None:
    """Each job ends only while the other is being measured."""
    first, second = tmp_path / "first", tmp_path / "second"
    jobs = [
        replace(tiny_job(tmp_path, BENCH_CPU), decided=meets(first, second)),
        replace(tiny_job(tmp_path, T4), decided=meets(second, first)),
    ]
    answers = measure_remotely([shipment_of(tmp_path, job) for job in jobs], joined)
    taken = [answer for (answer,) in answers if isinstance(answer, Taken)]
    assert [answer.run.stopped_by for answer in taken] == ["decided", "decided"]
    assert len({answer.facts[NODE_FACT] for answer in taken}) == 2


def test_a_hung_call_fails_at_its_deadline_and_leaves_the_other_target_alone(joined: Cluster, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def hang() -> None:
        pid_file.write_text(str(os.getpid()), encoding="utf-8")
        os.kill(os.getpid(), signal.SIGSTOP)

    short = replace(PLAN, time_budget_ns=10**9)
    hung = replace(tiny_job(tmp_path, T4, short), decided=does(hang))
    shipments = [shipment_of(tmp_path, hung), shipment_of(tmp_path, tiny_job(tmp_path, BENCH_CPU, short))]
    (stuck,), (other,) = measure_remotely(shipments, joined, patience=Patience(beyond_budget_s=9))
    assert isinstance(stuck, Failed)
    assert "has not answered within its deadline, the time budget of 1 s and" in stuck.reason
    assert isinstance(other, Taken)
    # Nothing of it is left on the node, although it could not end by itself.
    assert _ends(int(pid_file.read_text(encoding="utf-8")))


def test_a_node_that_dies_in_mid_run_fails_alone(nodes: TwoNodes, joined: Cluster, tmp_path: Path) -> None:
    nodes.add("DOOMED")
    doomed = replace(find_gpu("l4"), accelerator_type="DOOMED")

    def die() -> None:
        # A worker is its raylet's child, and goes with it.
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)

    dying = replace(tiny_job(tmp_path, doomed), decided=does(die))
    shipments = [shipment_of(tmp_path, dying), shipment_of(tmp_path, tiny_job(tmp_path, BENCH_CPU))]
    (lost,), (other,) = measure_remotely(shipments, connect(nodes.address))
    assert isinstance(lost, Failed)
    assert "was lost in mid-run (" in lost.reason
    assert lost.reason.startswith("cuda-l4: ")
    assert isinstance(other, Taken)
    # Gone since the session began: found out before anything is scheduled.
    ((gone,),) = measure_remotely([shipment_of(tmp_path, tiny_job(tmp_path, _nowhere()))], joined)
    assert isinstance(gone, Failed)
    assert "no node has accelerator_type:NOWHERE" in gone.reason


def test_a_file_that_arrives_as_another_is_not_measured(joined: Cluster, tmp_path: Path) -> None:
    shipment = shipment_of(tmp_path, tiny_job(tmp_path, BENCH_CPU))
    tampered = replace(shipment, contents=dict.fromkeys(shipment.contents, b"another model"))
    ((answer,),) = measure_remotely([tampered], joined)
    assert isinstance(answer, Failed)
    assert "tiny.onnx was sent with the SHA-256" in answer.reason


def test_a_busy_node_is_told_from_one_that_nobody_has(joined: Cluster, tmp_path: Path) -> None:
    busy = shipment_of(tmp_path, tiny_job(tmp_path, BENCH_CPU))
    ((answer,),) = measure_remotely([busy], joined, patience=Patience(start_s=0.0))
    assert isinstance(answer, Failed)
    assert "no actor has started on a node with accelerator_type:BENCH" in answer.reason


def _nowhere() -> Target:
    return replace(find_gpu("l4"), accelerator_type="NOWHERE")


def _ends(pid: int) -> bool:
    """Whether a process is gone, or only its entry is left for its parent, before long."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False
