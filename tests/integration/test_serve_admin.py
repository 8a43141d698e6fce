"""Changing the served version over HTTP: who may, what is answered, and what those see who ask meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.sync.client import connect

from tests.bad_models import published
from tests.contract_models import NAME
from tests.servers import TOKEN, Local, ask, bearer, local_server
from voiceflow_ml.contract.protocol import Server
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.wire import infer_request

INPUTS = {"x": np.ones((1, 4), np.float32)}


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Local]:
    with local_server() as server:
        yield server


@pytest.fixture(name="tiny")
def _tiny(tmp_path: Path) -> Iterator[Local]:
    """A server of a registry with three versions, of which the first is promoted."""
    url = (tmp_path / "registry").as_uri()
    registry = Registry(Store(url), NAME)
    published(tmp_path, registry, "1.0.0", "1.0.1", "1.0.2")
    registry.promote("1.0.0", "prod", who="somebody", why="a test")
    with local_server(registry=url, model=NAME) as server:
        yield server


def post(server: Local, path: str, headers: dict[str, str], document: object = None) -> Any:
    return ask(server.url, path, json.dumps({} if document is None else document).encode(), headers)


ADMIN = ("/v2/repository/models/fast-cnn/load", "/v2/repository/models/fast-cnn/unload", "/v1/admin/rollback")


@pytest.mark.parametrize("path", ADMIN)
@pytest.mark.parametrize(
    "headers", [{}, bearer("wrong"), bearer(TOKEN[:-1]), {"Authorization": f"Basic {TOKEN}"}, bearer("\u00e9")]
)
def test_nothing_is_changed_without_the_token(server: Local, path: str, headers: dict[str, str]) -> None:
    answer = post(server, path, headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.body.decode()


def test_a_load_is_in_the_history_and_a_bad_one_changes_nothing(server: Local) -> None:
    before = ask(server.url, "/v2/models/fast-cnn").document
    assert post(server, ADMIN[0], bearer()).status == 200
    after = ask(server.url, "/v2/models/fast-cnn").document
    assert len(after["swaps"]) == len(before["swaps"]) + 1
    assert after["versions"] == before["versions"]
    for wish in ({"source": 7}, {"canary": 1.0}, {"canary": True}, {"source": ""}, {"sauce": "1.0.0"}):
        assert post(server, ADMIN[0], bearer(), {"parameters": wish}).status == 400
    bodies: list[object] = [[], {"parameters": 5}, "x"]
    for body in bodies:
        assert post(server, ADMIN[0], bearer(), body).status == 400
    assert ask(server.url, ADMIN[0], b"x" * (1 << 17), bearer()).status == 413
    assert post(server, ADMIN[0].replace("fast-cnn", "other"), bearer()).status == 404
    assert len(ask(server.url, "/v2/models/fast-cnn").document["swaps"]) == len(after["swaps"])


def test_an_unload_is_answered_honestly(server: Local) -> None:
    answer = post(server, ADMIN[1], bearer())
    assert (answer.status, "all that this server serves" in answer.document["error"]) == (501, True)
    assert ask(server.url, "/v2/models/fast-cnn/ready").status == 200


def test_without_a_token_in_the_settings_nobody_is_an_administrator() -> None:
    with local_server(admin_token="") as server:
        for headers in ({}, bearer(""), bearer("x")):
            answer = post(server, ADMIN[0], headers)
            assert answer.status == 403
            assert "VOICEFLOW_ADMIN_TOKEN" in answer.document["error"]


def version(server: Local, key: str = "") -> str:
    """The version that answers an inference, and says so in both of its places."""
    body, headers = infer_request(INPUTS, binary=False)
    answer = ask(server.url, f"/v2/models/{NAME}/infer", body, {**headers, **({"Voiceflow-Key": key} if key else {})})
    assert answer.status == 200
    assert answer.document["model_version"] == answer.headers["voiceflow-version"]
    return answer.headers["voiceflow-version"]


def load(server: Local, **parameters: object) -> Any:
    return post(server, f"/v2/repository/models/{NAME}/load", bearer(), {"parameters": parameters})


def test_a_version_is_loaded_rolled_back_and_loaded_by_its_channel_again(tiny: Local) -> None:
    assert version(tiny) == "1.0.0"
    answer = load(tiny, source="1.0.1")
    assert (answer.status, answer.document["before"], answer.document["after"]) == (200, "1.0.0", "1.0.1")
    assert version(tiny) == "1.0.1"
    assert post(tiny, "/v1/admin/rollback", bearer()).document["after"] == "1.0.0"
    assert version(tiny) == "1.0.0"
    assert post(tiny, "/v1/admin/rollback", bearer()).status == 409
    assert load(tiny).document["source"] == "prod"
    swaps = ask(tiny.url, f"/v2/models/{NAME}").document["swaps"]
    assert [swap["after"] for swap in swaps] == ["1.0.0", "1.0.1", "1.0.0", "1.0.0"]
    assert b'voiceflow_swaps_total{code="",kind="rolled-back",model="tiny"} 1.0' in ask(tiny.url, "/metrics").body


def test_a_canary_keeps_each_asker_on_one_version_until_it_serves_everyone(tiny: Local) -> None:
    assert load(tiny, source="1.0.1", canary=0.5).document["kind"] == "canary"
    keys = [f"caller-{number}" for number in range(40)]
    first = [version(tiny, key) for key in keys]
    assert set(first) == {"1.0.0", "1.0.1"}
    assert [version(tiny, key) for key in keys] == first
    assert load(tiny, source="1.0.2").status == 409
    assert post(tiny, "/v1/admin/promote-canary", bearer()).status == 200
    assert {version(tiny, key) for key in keys} == {"1.0.1"}
    assert post(tiny, "/v1/admin/promote-canary", bearer()).status == 409


def test_a_version_that_is_not_there_is_refused_and_the_one_in_use_goes_on(tiny: Local) -> None:
    answer = load(tiny, source="9.9.9")
    assert (answer.status, answer.document["code"], answer.document["served"]) == (422, "not-found", "1.0.0")
    assert version(tiny) == "1.0.0"
    assert ask(tiny.url, f"/v2/models/{NAME}").document["swaps"][-1]["code"] == "not-found"


def test_while_a_load_is_under_way_another_is_told_so(tiny: Local) -> None:
    # What a load holds from its beginning to its end.
    with tiny.parts.slot._loading:
        answer = load(tiny, source="1.0.1")
        assert (answer.status, "try again when it is done" in answer.document["error"]) == (409, True)
        assert version(tiny) == "1.0.0"
    assert load(tiny, source="1.0.1").status == 200


def test_nothing_is_lost_or_mixed_up_while_versions_change(tiny: Local) -> None:
    wanted = {}
    for source in ("1.0.1", "1.0.0"):
        load(tiny, source=source)
        answer = Server(tiny.url).infer(NAME, INPUTS, binary=False).document
        wanted[answer["model_version"]] = answer["outputs"]
    assert wanted["1.0.0"] != wanted["1.0.1"]
    stop: list[bool] = []

    def ask_on() -> list[Any]:
        answers = []
        while not stop:
            answers.append(Server(tiny.url).infer(NAME, INPUTS, binary=False))
        return answers

    with ThreadPoolExecutor(2) as clients:
        asking = [clients.submit(ask_on) for _ in range(2)]
        for number in range(6):
            assert load(tiny, source=f"1.0.{1 - number % 2}").status == 200
        stop.append(True)
        answers = [answer for future in asking for answer in future.result()]
    assert {answer.status for answer in answers} == {200}
    assert {answer.document["model_version"] for answer in answers} == {"1.0.0", "1.0.1"}
    assert all(answer.document["outputs"] == wanted[answer.document["model_version"]] for answer in answers)


def test_a_stream_stays_on_the_version_that_it_began_with(server: Local) -> None:
    with connect(f"{server.url.replace('http', 'ws')}/v1/stream") as stream:
        stream.send(json.dumps({"type": "start", "sample_rate_hz": 16_000}))
        assert json.loads(stream.recv(timeout=20))["type"] == "ready"
        with server.parts.slot.route() as lease:
            begun_with = lease.version
        assert post(server, ADMIN[0], bearer()).status == 200
        with server.parts.slot.route() as lease:
            assert lease.version is not begun_with
        stream.send(np.zeros(16_000, "<i2").tobytes())
        assert json.loads(stream.recv(timeout=20))["heard_s"] == 1.0
        stream.send(json.dumps({"type": "end"}))
        assert json.loads(stream.recv(timeout=20))["type"] == "done"
