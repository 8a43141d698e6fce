"""A real model that never comes back from some inputs, behind the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.contract_models import NAME
from tests.hanging_model import ENDLESS, HARMLESS, hanging_model
from tests.servers import Local, Reply, ask, bearer, eventually, local_server, spawned_server
from voiceflow_ml.service import pool as pool_module
from voiceflow_ml.service.ending import end_run
from voiceflow_ml.service.trial_apart import Apart
from voiceflow_ml.wire import infer_request

INFER = f"/v2/models/{NAME}/infer"
HEALTH = ("/livez", "/readyz", f"/v2/models/{NAME}/ready")


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = hanging_model(tmp_path_factory.mktemp("hanging"))
    with local_server(model=str(folder), inference_timeout_s=0.4) as server:
        yield server


def infer(server: Local, inputs: dict[str, np.ndarray]) -> Reply:
    body, headers = infer_request(inputs, binary=True)
    return ask(server.url, INFER, body, headers)


def health(server: Local) -> list[int]:
    return [ask(server.url, path).status for path in HEALTH]


def test_a_run_that_does_not_end_is_answered_ended_and_the_next_request_is_served(server: Local) -> None:
    assert infer(server, HARMLESS).status == 200
    answer = infer(server, ENDLESS)
    assert (answer.status, answer.document) == (504, {"error": "the model did not come back within 0.4 s"})
    # ONNX Runtime was asked to end the run, and did: the same thread serves again.
    eventually("the thread is back", lambda: server.parts.pool.hung == 0)
    assert infer(server, HARMLESS).status == 200
    assert health(server) == [200] * 3
    assert server.parts.buffers.held_bytes == 0


def test_while_a_thread_hangs_for_good_the_server_says_so(server: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    # As with one operator that never returns: the run does not heed that it is to end.
    ignored: list[int | None] = []
    monkeypatch.setattr(pool_module, "end_run", ignored.append)
    assert infer(server, ENDLESS).status == 504
    assert health(server) == [503] * 3
    refused = infer(server, HARMLESS)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert b"voiceflow_hung_threads 1.0" in ask(server.url, "/metrics").body
    assert end_run(ignored[0])
    eventually("the thread is back", lambda: server.parts.pool.hung == 0)
    assert health(server) == [200] * 3
    assert infer(server, HARMLESS).status == 200


def test_a_version_that_hangs_is_taken_back_by_rule(tmp_path: Path) -> None:
    good = hanging_model(tmp_path / "good", above=1e9)
    bad = hanging_model(tmp_path / "bad")
    with local_server(model=str(good), inference_timeout_s=0.2) as server:
        before = server.parts.slot.status().version
        body = json.dumps({"parameters": {"source": str(bad)}}).encode()
        assert ask(server.url, f"/v2/repository/models/{NAME}/load", body, bearer()).status == 200
        answers = []
        while server.parts.slot.status().version != before:
            eventually("the thread is back", lambda: server.parts.pool.hung == 0)
            answers.append(infer(server, ENDLESS).status)
            assert len(answers) < 20
        assert set(answers) == {504}
        assert server.parts.slot.history()[-1].code == "errors"


def test_a_version_that_hangs_while_it_is_tried_is_refused(tmp_path: Path) -> None:
    endless = hanging_model(tmp_path / "endless", above=-1.0)
    served = str(hanging_model(tmp_path / "served", above=1e9))
    with local_server(trial=Apart, model=served, inference_timeout_s=0.3) as server:
        body = json.dumps({"parameters": {"source": str(endless)}}).encode()
        answer = ask(server.url, f"/v2/repository/models/{NAME}/load", body, bearer())
        assert (answer.status, answer.document["code"]) == (422, "cannot-run")
        assert not server.parts.slot.status().is_loading
        assert infer(server, HARMLESS).status == 200


def test_a_server_in_which_the_model_hangs_can_be_stopped(tmp_path: Path) -> None:
    folder = hanging_model(tmp_path / "hanging")
    arguments = ("--model", str(folder), "--threads", "1", "--set", "inference_timeout_s=0.4")
    with spawned_server(*arguments) as server:
        body, headers = infer_request(ENDLESS, binary=True)
        assert ask(server.url, INFER, body, headers).status == 504
        server.process.terminate()
        assert server.process.wait(20) == 0
    hang = next(entry for entry in server.log if entry["event"] == "a thread hangs")
    assert (hang["level"], hang["thread"]) == ("error", "inference-0")
    # One object a line: nothing of ONNX Runtime's own stands between.
    assert all("at" in entry for entry in server.log), server.log
