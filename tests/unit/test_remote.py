"""What needs no cluster: what travels, what is refused before anything is scheduled, and the loop itself."""

from __future__ import annotations

import pickle
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import external_data_helper

from tests.onnx_models import tiny_model
from tests.remote_jobs import ROWS, never, shipment_of, tiny_job
from voiceflow_ml.errors import ConfigError, DataError, ModelFileError, RemoteError
from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.targets import CPU, TARGETS, find_gpu
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.remote.actor import Node
from voiceflow_ml.remote.cluster import Cluster, check_address, connect
from voiceflow_ml.remote.job import Failed, Taken
from voiceflow_ml.remote.packing import pack, unpack
from voiceflow_ml.remote.session import measure_remotely, node_findings
from voiceflow_ml.remote.taking import take
from voiceflow_ml.remote.versions import mismatch, own_versions
from voiceflow_ml.sla.load import parse_sla

ELSEWHERE = replace(CPU, elsewhere=True)
HAS_T4 = Cluster("host:1", {"CPU": 4.0, "accelerator_type:T4": 1.0, "accelerator_type:A100": 2.0})


def test_ray_calls_gpus_as_their_makers_do() -> None:
    """The names that Ray's own detection gives nodes with these boards; the CPU has none of its own."""
    names = {target.name: target.ray_accelerator for target in TARGETS.values()}
    assert names == {
        "cpu": "",
        "cuda-t4": "T4",
        "cuda-l4": "L4",
        "cuda-a10g": "A10G",
        "cuda-a100": "A100",
        "cuda-h100": "H100",
        "cuda-h200": "H200",
        "cuda-v100": "V100",
        "cuda-rtx-4090": "GeForce-RTX-4090",
    }
    assert [target.name for target in TARGETS.on_ray().values() if not target.elsewhere] == ["cpu"]


def test_ray_itself_gives_those_names() -> None:
    nvidia = pytest.importorskip("ray._private.accelerators.nvidia_gpu", reason="Ray is not installed here")
    name_of = nvidia.NvidiaGPUAcceleratorManager._gpu_name_to_accelerator_type
    for target in TARGETS.gpus:
        assert name_of(target.device_name) == target.ray_accelerator


def test_sla_toml_gives_a_target_an_accelerator(tmp_path: Path) -> None:
    sla = parse_sla('version = 1\n[targets.cpu]\naccelerator_type = "EPYC"\n', tmp_path / "sla.toml")
    assert sla.catalogue.on_ray().find("cpu").elsewhere
    assert sla.catalogue.find("cpu").ray_accelerator == "EPYC"
    with pytest.raises(ConfigError, match="accelerator_type"):
        parse_sla('version = 1\n[targets.cpu]\naccelerator_type = "a b"\n', tmp_path / "sla.toml")


def test_absence_is_told_with_what_there_is() -> None:
    assert HAS_T4.absence(find_gpu("t4")) == ""
    assert HAS_T4.absence(find_gpu("l4")) == (
        "--ray-address=host:1: no node has accelerator_type:L4, which cuda-l4 needs; the cluster has: "
        "accelerator_type:A100, accelerator_type:T4; add a node that has one, or drop the target"
    )
    assert "has: no accelerator at all" in Cluster("auto", {"CPU": 1.0}).absence(find_gpu("t4"))
    # A node that has died leaves its resource behind at nothing.
    assert Cluster("auto", {"accelerator_type:T4": 0.0}).absence(find_gpu("t4")) != ""


def test_what_nobody_has_is_decided_before_anything_is_scheduled(tmp_path: Path) -> None:
    """No Ray runs here: a question to it would raise, or start one."""
    ray = pytest.importorskip("ray", reason="Ray is not installed here")
    shipment = shipment_of(tmp_path, tiny_job(tmp_path, find_gpu("l4")), tiny_job(tmp_path, find_gpu("l4")))
    (answers,) = measure_remotely([shipment], HAS_T4)
    assert [type(answer) for answer in answers] == [Failed, Failed]
    assert not ray.is_initialized()


@pytest.mark.parametrize("address", ["host", "host:port", "host:70000", ":6379", "http://", "local"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address; write HOST:PORT of a cluster"):
        check_address(address)


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_an_address_at_which_nobody_answers_is_told_at_once(prefix: str) -> None:
    with socket.socket() as taken:
        # Bound, and not listening: no other process can begin to.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(RemoteError, match=f"nobody answers at 127.0.0.1:{port} .*ray start --head"):
            check_address(f"{prefix}127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("answer", "is_ray"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"", False),
        (bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)), True),
    ],
)
def test_what_does_not_speak_as_ray_does_is_told_apart(
    answer: bytes, is_ray: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer_once, args=(server, answer))
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        if is_ray:
            check_address("auto")
        else:
            with pytest.raises(RemoteError, match="is no Ray cluster"):
                check_address("auto")
        thread.join()


def _answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(64)
        connection.sendall(answer)


def test_without_ray_one_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'not installed: pip install "voiceflow-ml\[ray\]"'):
        connect("auto")


def test_an_actor_that_must_let_others_go_first_is_told() -> None:
    node = Node("gpu-1", "0123456789abcdef", 1, 0, {})
    (named,) = node_findings(node, find_gpu("t4"))
    assert named.sentence == "measured on gpu-1 (Ray node 0123456789ab), which has accelerator_type:T4"
    _, caution = node_findings(replace(node, niceness=15), find_gpu("t4"))
    assert caution.severity is Severity.CAUTION
    assert (
        "niceness 15: whatever else runs on the node goes first; start the node with RAY_worker_n" in caution.sentence
    )


def test_versions_that_differ_are_named() -> None:
    here = own_versions()
    assert set(here) == {"voiceflow-ml", "ray", "Python", "onnxruntime"}
    assert mismatch(here, here, "n") == ""
    sentence = mismatch(here, {**here, "Python": "3.8", "ray": "2.1"}, "gpu-1")
    assert sentence.startswith("gpu-1 runs other software than this session (ray 2.1 there, ")
    assert f"Python 3.8 there, {here['Python']} here" in sentence
    assert "voiceflow-ml none there" in mismatch(here, {}, "n")


def test_a_model_of_another_machine_runs_nothing_here(tmp_path: Path) -> None:
    model = open_onnx(tiny_model(tmp_path / "tiny.onnx"), replace(find_gpu("t4"), elsewhere=True), threads=2)
    assert (model.threads, model.target.name, len(model.sha256)) == (2, "cuda-t4", 64)
    for ask in (lambda: model(ROWS), lambda: model.bind(ROWS), model.findings, model.facts):
        with pytest.raises(ConfigError, match="measured on another machine's cuda-t4 and cannot run here"):
            ask()


def test_files_travel_by_content_and_no_path_of_this_machine_does(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    np.save(tmp_path / "x.npy", ROWS)
    text = 'version = 1\n[models.tiny]\nfile = "tiny.onnx"\ninputs = { x = { source = "x.npy" } }\n'
    spec = parse_sla(text, tmp_path / "sla.toml").models["tiny"]
    packed = pack(open_onnx(tmp_path / "tiny.onnx", ELSEWHERE), spec)
    assert str(tmp_path).encode() not in pickle.dumps((packed.files, packed.spec.file if packed.spec else ""))
    unpack(packed.files, packed.contents, tmp_path / "there")
    assert packed.spec is not None
    assert (tmp_path / "there" / packed.spec.file).read_bytes() == (tmp_path / "tiny.onnx").read_bytes()
    assert (tmp_path / "there" / packed.spec.inputs["x"].source).read_bytes() == (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        pack(open_onnx(tmp_path / "tiny.onnx", ELSEWHERE), spec)


def test_tensors_in_files_of_their_own_travel_along(tmp_path: Path) -> None:
    model = onnx.load(tiny_model(tmp_path / "tiny.onnx"))
    external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, tmp_path / "tiny.onnx")
    packed = pack(open_onnx(tmp_path / "tiny.onnx", ELSEWHERE), None)
    assert sorted(packed.files) == ["tiny.onnx", "weights.bin"]
    unpack(packed.files, packed.contents, tmp_path / "there")
    there = open_onnx(tmp_path / "there" / "tiny.onnx")
    assert np.array_equal(there(ROWS)[0], open_onnx(tmp_path / "tiny.onnx")(ROWS)[0])


def test_a_model_that_is_replaced_after_it_was_opened_does_not_travel(tmp_path: Path) -> None:
    model = open_onnx(tiny_model(tmp_path / "tiny.onnx"), ELSEWHERE)
    (tmp_path / "tiny.onnx").write_bytes(b"another")
    with pytest.raises(ModelFileError, match="was replaced after it was opened"):
        pack(model, None)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda _: {}, "did not arrive"),
        (lambda contents: dict.fromkeys(contents, b"x"), "arrived as"),
    ],
)
def test_a_file_that_is_not_what_was_sent_is_not_measured(
    tmp_path: Path, spoil: Callable[[dict[str, bytes]], dict[str, bytes]], sentence: str
) -> None:
    shipment = shipment_of(tmp_path, tiny_job(tmp_path))
    (answer,) = take(replace(shipment, contents=spoil(dict(shipment.contents))))
    assert isinstance(answer, Failed)
    assert sentence in answer.reason


def test_jobs_of_one_machine_take_turns_and_fail_alone(tmp_path: Path) -> None:
    good = tiny_job(tmp_path)
    too_wide = replace(good, arguments=(np.ones((4, 5), np.float32),))
    impossible = tiny_job(tmp_path, limit_ns=1)

    def break_off(_channels: object) -> bool:
        raise KeyError("in mid-run")

    breaking = replace(good, decided=break_off)
    first, wide, below_floor, broken, last = take(
        shipment_of(tmp_path, good, too_wide, impossible, breaking, replace(good, cold_arguments={"one": (ROWS[:1],)}))
    )
    assert isinstance(first, Taken)
    assert isinstance(last, Taken)
    assert first.run.samples_ns.size == 50
    assert [cold.inputs for cold in last.run.cold_starts] == ["measured inputs", "one"]
    assert first.facts["model SHA-256"] == open_onnx(tmp_path / "tiny.onnx").sha256
    assert first.facts["CPU"]
    assert any("ran on CPUExecutionProvider" in finding.fact for finding in first.findings)
    reasons = [answer.reason if isinstance(answer, Failed) else "" for answer in (wide, below_floor, broken)]
    assert "takes float32 [batch, 4], got float32 [4, 5]" in reasons[0]
    assert "P99 <= 1 ns is impossible on this target" in reasons[1]
    assert reasons[2] == "KeyError: 'in mid-run'"
    # What comes back over the wire is what was taken.
    again = pickle.loads(pickle.dumps(first))
    assert again.run.samples_ns.tolist() == first.run.samples_ns.tolist()
    assert never(first.run.channels) is False
