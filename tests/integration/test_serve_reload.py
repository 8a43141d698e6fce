"""The running server changes its version: from a registry, a folder or a channel that it follows; and says why not."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bad_models import published
from tests.contract_models import NAME, contracted_model
from tests.servers import Local, Reply, ask, bearer, eventually, local_server
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.service.logs import LOGGER
from voiceflow_ml.service.opened import Opened
from voiceflow_ml.service.settings import read_settings
from voiceflow_ml.service.start import open_parts
from voiceflow_ml.service.swaps import LoadRefused
from voiceflow_ml.wire import infer_request

X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)


@pytest.fixture(name="registry")
def _registry(tmp_path: Path) -> Registry:
    registry = Registry(Store(f"file://{tmp_path}/registry"), NAME)
    published(tmp_path, registry, "1.0.0", "1.0.1")
    registry.promote("1.0.0", "prod", who="somebody", why="a test")
    return registry


@pytest.fixture(name="server")
def _server(registry: Registry) -> Iterator[Local]:
    with local_server(model=NAME, registry=registry.store.url) as server:
        yield server


def load(server: Local, **parameters: Any) -> Reply:
    body = json.dumps({"parameters": parameters} if parameters else {}).encode()
    return ask(server.url, f"/v2/repository/models/{NAME}/load", body, bearer())


def infer(server: Local, **headers: str) -> tuple[str, list[float]]:
    body, own = infer_request({"x": X}, binary=False)
    reply = ask(server.url, f"/v2/models/{NAME}/infer", body, {**own, **headers})
    assert reply.status == 200, reply.body
    return reply.document["model_version"], reply.document["outputs"][0]["data"]


def status(server: Local) -> Any:
    return ask(server.url, f"/v2/models/{NAME}").document["status"]


def test_a_version_by_its_number_and_the_channel_again(server: Local) -> None:
    first = infer(server)
    assert first[0] == "1.0.0"
    loaded = load(server, source="1.0.1")
    assert (loaded.status, loaded.document["before"], loaded.document["after"]) == (200, "1.0.0", "1.0.1")
    second = infer(server)
    assert second[0] == "1.0.1"
    assert second[1] != first[1]
    # Without a source it is what the server was started with: the channel.
    assert load(server).document["after"] == "1.0.0"
    assert infer(server) == first


def test_a_refusal_is_in_the_answer_the_log_the_metrics_and_the_history(
    server: Local, registry: Registry, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    before = infer(server)
    registry.yank("1.0.1", who="somebody", why="wrong labels")
    with caplog.at_level(logging.INFO, LOGGER):
        refused = load(server, source="1.0.1")
    reason = "tiny 1.0.1 was yanked: wrong labels; load another version"
    assert refused.status == 422
    assert refused.document == {"error": reason, "code": "yanked", "served": "1.0.0"}
    (record,) = [record for record in caplog.records if record.getMessage() == "version refused"]
    assert record.levelno == logging.WARNING
    assert reason in str(vars(record))
    counted = f'voiceflow_swaps_total{{code="yanked",kind="refused",model="{NAME}"}} 1.0'
    assert counted in ask(server.url, "/metrics").body.decode()
    last = ask(server.url, f"/v2/models/{NAME}").document["swaps"][-1]
    assert (last["kind"], last["code"], last["reason"], last["after"]) == ("refused", "yanked", reason, "1.0.0")
    assert infer(server) == before


def test_a_canary_is_promoted_and_taken_back(server: Local) -> None:
    assert load(server, source="1.0.1", canary=0.5).document["kind"] == "canary"
    sides = {key: infer(server, **{"Voiceflow-Key": key})[0] for key in map(str, range(20))}
    assert set(sides.values()) == {"1.0.0", "1.0.1"}
    assert {key: infer(server, **{"Voiceflow-Key": key})[0] for key in sides} == sides
    assert load(server).status == 409
    assert ask(server.url, "/v1/admin/promote-canary", b"", bearer()).document["after"] == "1.0.1"
    assert {infer(server)[0] for _ in range(5)} == {"1.0.1"}
    assert ask(server.url, "/v1/admin/rollback", b"", bearer()).document["after"] == "1.0.0"
    assert infer(server)[0] == "1.0.0"
    assert ask(server.url, "/v1/admin/rollback", b"", bearer()).status == 409


def test_two_loads_at_once_one_409(server: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on = threading.Event(), threading.Event()
    trial = server.parts.slot._loader._trial

    def hold(*arguments: Any) -> Opened:
        reached.set()
        assert go_on.wait(30)
        return trial(*arguments)

    monkeypatch.setattr(server.parts.slot._loader, "_trial", hold)
    answers: list[Reply] = []
    first = threading.Thread(target=lambda: answers.append(load(server, source="1.0.1")))
    first.start()
    assert reached.wait(30)
    assert load(server, source="1.0.1").status == 409
    assert infer(server)[0] == "1.0.0"
    go_on.set()
    first.join()
    assert [answer.status for answer in answers] == [200]
    assert infer(server)[0] == "1.0.1"
    monkeypatch.undo()


def test_a_channel_is_followed_where_that_is_asked_for(registry: Registry) -> None:
    with local_server(model=NAME, registry=registry.store.url, poll_channel_s=0.05) as server:
        assert infer(server)[0] == "1.0.0"
        registry.promote("1.0.1", "prod", who="somebody", why="a test")
        eventually("the promotion is served", lambda: status(server)["version"] == "1.0.1")
        registry.rollback("prod", who="somebody", why="a test")
        eventually("the rollback is served", lambda: status(server)["version"] == "1.0.0")


def test_a_folder_is_shown_by_its_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contracted_model(tmp_path / "private" / "out")
    monkeypatch.chdir(tmp_path / "private")
    with local_server(model="out") as server:
        page = ask(server.url, f"/v2/models/{NAME}")
        assert page.document["swaps"][0]["source"] == "out"
        contracted_model(tmp_path / "private" / "next", shift=0.1)
        assert load(server, source=f"{tmp_path}/private/next").status == 200
        refused = load(server, source=f"{tmp_path}/private/nothing")
        assert refused.document["error"] == "nothing is not a folder; name one that voiceflow export wrote"
        for path in (f"/v2/models/{NAME}", "/metrics"):
            assert b"private" not in ask(server.url, path).body


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "./nothing"}, "is no folder of an export; without a registry give one, or builtin:fast-cnn"),
        ({"poll_channel_s": 1.0}, "poll_channel_s is set without a registry"),
    ],
)
def test_settings_that_cannot_be_served(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_parts(read_settings(settings).settings)


def test_a_first_version_that_is_unfit_is_no_server(registry: Registry) -> None:
    with pytest.raises(LoadRefused, match="has no channel 'beta' with a promotion"):
        open_parts(read_settings({"model": NAME, "registry": registry.store.url, "channel": "beta"}).settings)
