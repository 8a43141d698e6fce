"""A version is tried in a process of its own: what it finds there, how humble that is, what comes of its death."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest

from tests.bad_models import BAD, GOLDEN, OPEN, WARM_UP, Bad, good_folder
from tests.contract_models import NAME
from tests.crashing_model import CRASHES, crashing_model, random_model
from tests.hanging_model import HARMLESS, hanging_model
from tests.releases import with_contract
from tests.servers import TOKEN, Reply, Spawned, ask, bearer, eventually, spawned_server
from tests.unit.test_slot_refusals import answer
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.service.child_process import CAN_IDLE, NICER
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.logs import LOGGER
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.swaps import LoadRefused
from voiceflow_ml.service.trial import LoadingPlan
from voiceflow_ml.service.trial_apart import COMMAND, Apart
from voiceflow_ml.wire import infer_request

STEPS = ["fetch and hash", "contract", "open", "warm-up", "golden parity", "speed", "open here"]
TO_THE_BIT = "gives what it gave where it was tried, to the bit"


def slot_with(*command: str, patience_s: float = 60.0, idle_s: float = 60.0) -> ModelSlot:
    """A slot whose trials are made by this program in place of the real one, where it is given."""
    plan = LoadingPlan(longest_run_s=0.5)
    trial = Apart(plan, patience_s=patience_s, idle_s=idle_s, command=command or COMMAND)
    return ModelSlot(Loader(NAME, trial=trial))


@pytest.fixture(name="slot", scope="module")
def _slot(tmp_path_factory: pytest.TempPathFactory) -> ModelSlot:
    slot = slot_with()
    slot.load(str(good_folder(tmp_path_factory.mktemp("models") / "good")))
    return slot


def test_a_version_makes_all_steps_there_and_one_more_here(slot: ModelSlot) -> None:
    (first,) = slot.history()
    assert [step.name for step in first.steps] == STEPS
    notes = {step.name: step.note for step in first.steps}
    assert "(promised)" in notes["speed"]
    assert notes["golden parity"] == "1 pairs within their tolerance"
    assert notes["open here"] == TO_THE_BIT
    # Its speed is promised, so none that comes after it will be compared with it.
    assert slot.route().version.kept is None


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.step in (OPEN, WARM_UP, GOLDEN)], ids=lambda bad: bad.name)
def test_a_bad_version_is_refused_as_it_is_in_one_process(bad: Bad, slot: ModelSlot, tmp_path: Path) -> None:
    before = answer(slot)
    with pytest.raises(LoadRefused) as refused:
        slot.load(bad.make(tmp_path / "bad", Registry(Store(f"file://{tmp_path}/registry"), NAME)))
    assert refused.value.code == bad.code
    assert bad.reason in str(refused.value)
    record = slot.history()[-1]
    assert "voiceflow-ml-load-" not in str(record.to_json())
    assert record.steps[-1].name == bad.step
    assert record.steps[-1].note == str(refused.value)
    assert answer(slot) == before


def without_a_promise(folder: Path, shift: float) -> Path:
    """A version with its weights in a file beside it."""
    path = with_contract(good_folder(folder, shift=shift), sla=()) / f"{NAME}.onnx"
    model = onnx.load(path)
    (folder / "weights").mkdir()
    path.unlink()
    onnx.save(model, path, save_as_external_data=True, location="weights/w.bin", size_threshold=0)
    return folder


def test_a_version_without_a_promise_is_compared_with_a_copy_of_the_one_in_use(tmp_path: Path) -> None:
    slot = slot_with()
    for name, shift in (("one", 0.0), ("two", 0.1)):
        record = slot.load(str(without_a_promise(tmp_path / name, shift)))
    assert "times the version in use" in record.steps[5].note
    assert record.steps[6].note == TO_THE_BIT
    # The copy is made of files that have no name any more.
    kept = slot.route().version.kept
    assert kept is not None
    assert kept.write_to(tmp_path / "copy").is_file()


def test_a_version_is_refused_where_there_is_no_room_for_that_copy(tmp_path: Path) -> None:
    slot = slot_with()
    large, small = (without_a_promise(tmp_path / f"shift-{shift}", shift) for shift in (0.0, 0.1))
    with (large / "weights" / "w.bin").open("ab") as file:
        file.write(bytes(1 << 20))
    slot.load(str(large))
    before, limits = answer(slot), resource.getrlimit(resource.RLIMIT_FSIZE)
    # As on a full disk, where only what is small can still be written.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, limits[1]))
    try:
        with pytest.raises(LoadRefused, match="cannot be copied, to compare its speed with: File too large; make room"):
            slot.load(str(small))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert answer(slot) == before


def test_a_model_that_draws_random_numbers_is_not_held_to_the_bit(tmp_path: Path) -> None:
    record = slot_with().load(str(random_model(tmp_path / "random")))
    assert record.steps[-1].note == "it runs; two sessions of it need not agree to the bit"


@pytest.mark.skipif(not CRASHES, reason="this processor divides without a signal")
def test_a_model_that_ends_its_process_is_refused_and_not_the_end_of_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slot = slot_with()
    served = slot.load(str(hanging_model(tmp_path / "served", above=1e9)))
    with pytest.raises(LoadRefused) as refused, caplog.at_level(logging.ERROR, LOGGER):
        slot.load(str(crashing_model(tmp_path / "crashing")))
    assert (refused.value.code, str(refused.value)) == (
        "crashed",
        "trying it ended the process that tried it (SIGFPE)",
    )
    assert slot.history()[-1].steps[-1].name == "warm-up"
    assert [record.getMessage() for record in caplog.records] == ["a trial crashed"]
    with slot.route() as lease:
        assert lease.version.version == served.after
        np.testing.assert_array_equal(lease.version.run(HARMLESS)["y"], HARMLESS["x"])


@pytest.mark.parametrize(
    ("program", "code", "sentence"),
    [
        ("raise SystemExit(3)", "crashed", "trying it ended the process that tried it (exit status 3)"),
        ("import time; time.sleep(60)", "cannot-run", "the process that tried it said nothing for 1 s and was ended"),
        (
            "import sys\nwhile True: sys.stderr.write('still here')",
            "cannot-run",
            "the process that tried it said nothing for 1 s and was ended",
        ),
        (
            'import os; input(); print(\'{"failed": "MemoryError"}\', flush=True)',
            "failed",
            "trying it failed (MemoryError); the log says more",
        ),
        (
            'input(); print(\'{"note": ""}\\n\' * 4 + \'{"is_optimised": false, "outputs": "0"}\', flush=True)',
            "failed",
            "opened in the server, it gives other outputs than where it was tried",
        ),
    ],
    ids=[
        "it ends by itself",
        "an operator that never returns",
        "one that complains for ever",
        "something unexpected",
        "other outputs here",
    ],
)
def test_a_process_that_comes_to_no_verdict(program: str, code: str, sentence: str, tmp_path: Path) -> None:
    slot = slot_with(sys.executable, "-c", program, patience_s=0.5 if code == "cannot-run" else 60.0)
    with pytest.raises(LoadRefused) as refused:
        slot.load(str(good_folder(tmp_path / "good")))
    assert (refused.value.code, str(refused.value)) == (code, sentence)
    assert slot.status().version == ""


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[Spawned]:
    served = hanging_model(tmp_path / "served", above=1e9)
    hanging_model(tmp_path / "endless", above=-1.0)
    with spawned_server(
        "--model", str(served), "--threads", "1", environment={"VOICEFLOW_ADMIN_TOKEN": TOKEN}
    ) as server:
        yield server


def load(server: Spawned, folder: Path) -> Reply:
    body = json.dumps({"parameters": {"source": str(folder)}}).encode()
    return ask(server.url, f"/v2/repository/models/{NAME}/load", body, bearer())


def trying(pid: int) -> psutil.Process:
    """The process that tries a version for this one."""
    process = psutil.Process(pid)
    eventually("a trial goes on", process.children)
    (child,) = process.children()
    return child


def gives_way(child: psutil.Process, server: int) -> bool:
    if CAN_IDLE:
        return os.sched_getscheduler(child.pid) == os.SCHED_IDLE
    return child.nice() == min(19, os.getpriority(os.PRIO_PROCESS, server) + NICER)


IMPATIENT = """
import os, time
input()
print('{"note": ""}', flush=True)
if os.sched_getscheduler(0) == os.SCHED_IDLE:
    time.sleep(60)
note = '{"note": "nicer by %d"}' % (os.nice(0) - int(os.environ["USUAL"]))
print(note, note, note, '{"is_optimised": false, "outputs": ""}', sep="\\n", flush=True)
"""


@pytest.mark.skipif(not CAN_IDLE, reason="this system knows no processes that run only on idle cores")
def test_a_trial_that_gets_no_idle_core_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = os.nice(0)
    monkeypatch.setenv("USUAL", str(usual))
    slot = slot_with(sys.executable, "-c", IMPATIENT, idle_s=0.2)
    for expected in (0, min(19, usual + NICER) - usual):
        record = slot.load(str(good_folder(tmp_path / f"good-{expected}", shift=expected)))
        assert [step.name for step in record.steps] == STEPS
        assert record.steps[5].note == f"nicer by {expected}"


def test_the_process_is_humble_and_its_death_is_a_refusal(server: Spawned, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as callers:
        loading = callers.submit(load, server, tmp_path / "endless")
        child = trying(server.process.pid)
        eventually("it gives way", lambda: gives_way(child, server.process.pid))
        if sys.platform == "linux":
            score = Path(f"/proc/{child.pid}/oom_score_adj")
            eventually("it is the first to go", lambda: score.read_text(encoding="ascii") == "1000\n")
        child.send_signal(signal.SIGKILL)
        refused = loading.result()
        told = "trying it ended the process that tried it (SIGKILL; the kernel sends it when memory is short)"
        assert (refused.status, refused.document["code"], refused.document["error"]) == (422, "crashed", told)
        body, headers = infer_request(HARMLESS, binary=False)
        assert ask(server.url, f"/v2/models/{NAME}/infer", body, headers).status == 200
        # A server that is told to stop does not wait for a trial.
        loading = callers.submit(load, server, tmp_path / "endless")
        child = trying(server.process.pid)
        server.process.terminate()
        refused = loading.result()
        assert (refused.status, refused.document["code"]) == (422, "failed")
        assert refused.document["error"] == "the server is being stopped; load it when it runs again"
        assert not child.is_running()
        assert server.process.wait(20) == 0


KILLED = """
import sys
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.trial import LoadingPlan
from voiceflow_ml.service.trial_apart import Apart

ModelSlot(Loader("tiny", trial=Apart(LoadingPlan()))).load(sys.argv[1])
"""


def test_nothing_goes_on_when_the_server_is_killed(tmp_path: Path) -> None:
    endless = hanging_model(tmp_path / "endless", above=-1.0)
    with subprocess.Popen([sys.executable, "-c", KILLED, str(endless)]) as server:
        child = trying(server.pid)
        # Nothing is served yet that it would have to give way to.
        assert child.nice() == os.getpriority(os.PRIO_PROCESS, server.pid)
        eventually("the model is run", lambda: any("onnxruntime" in each.path for each in child.memory_maps()))
        server.kill()
    eventually("it is gone", lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
