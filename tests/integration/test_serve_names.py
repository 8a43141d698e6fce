"""Names that want to be paths, lines, headers or addresses: what the server makes of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract_models import NAME, contracted_model, save_contract
from tests.servers import Local, Reply, ask, bearer, connect, local_server, read_all
from voiceflow_ml.contract import read_contract
from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.service.logs import set_up
from voiceflow_ml.service.metrics import Metrics
from voiceflow_ml.service.settings import read_settings
from voiceflow_ml.service.start import open_slot

LOAD = f"/v2/repository/models/{NAME}/load"


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("names")
    with local_server(model=str(contracted_model(folder / "served").parent), access_log=True) as server:
        yield server


def load(server: Local, source: object) -> Reply:
    return ask(server.url, LOAD, json.dumps({"parameters": {"source": source}}).encode(), bearer())


@pytest.mark.parametrize(
    "path",
    [
        *("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/page.js/../../settings.py"),
        *("//etc/passwd", "/%00", "/page.js%00.html", "/..%5c..%5csettings.py", "/file:///etc/passwd", "/.git/config"),
        *("/v2/models/..", "/v2/models/%2e%2e%2f%2e%2e%2fetc", "/v2/models/tiny%00", "/v2/models/tiny%0d%0aX-Forged:1"),
        *("/v2/models/C:%5cWindows", "/v2/models/tiny/versions/..%2f..", f"/v2/models/{'x' * 20_000}"),
    ],
)
def test_a_path_leads_to_a_route_or_nowhere(server: Local, path: str) -> None:
    answer = ask(server.url, path)
    assert answer.status in (400, 404)
    assert list(answer.document) == ["error"]
    assert "x-forged" not in answer.headers
    assert len(answer.body) < 1_000


@pytest.mark.parametrize(
    "source",
    [
        *("../../etc", "/etc", "/etc/passwd", "/proc/self", "/dev/zero", "./", "a/../../../etc", "..\\..\\etc", ".."),
        *("file:///etc/passwd", "http://127.0.0.1:1/x", "https://example.invalid/m", "s3://bucket/../m", "gs://b/m"),
        *("ftp://127.0.0.1/m", "memory://m", "simplecache::http://127.0.0.1:1/m", "github://b@/m", "%2e%2e%2fetc"),
        *("builtin:../x", "x" * 900, "\u2025/\u2025"),
    ],
)
def test_a_source_is_a_version_a_channel_or_a_folder_and_no_address(
    server: Local, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever would go out over the network would begin here.
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda *_, **__: pytest.fail("an address was opened"))
    answer = load(server, source)
    assert (answer.status, answer.document["code"]) in ((422, "not-found"), (422, "no-contract"), (422, "wrong-model"))
    assert "/etc" not in answer.document["error"].replace(source, "")
    assert str(Path(__file__).parents[2]) not in answer.body.decode()
    assert "Traceback" not in answer.body.decode()


@pytest.mark.parametrize(
    "source", ["", "a\nb", "a\x00b", "\x1b[31m", "a\u2028b", "x" * 1_001, 7, None, ["a"], {"a": 1}]
)
def test_a_source_that_is_no_line_of_text_is_not_looked_for(server: Local, source: object) -> None:
    before = len(server.parts.slot.history())
    assert load(server, source).status == 400
    assert len(server.parts.slot.history()) == before


def test_a_link_out_of_a_folder_is_not_followed(server: Local, tmp_path: Path) -> None:
    folder = contracted_model(tmp_path / "linked").parent
    outside = tmp_path / "outside.onnx"
    (folder / f"{NAME}.onnx").rename(outside)
    (folder / f"{NAME}.onnx").symlink_to(outside)
    answer = load(server, str(folder))
    assert (answer.status, "outside of the folder" in answer.document["error"]) == (422, True)
    assert str(tmp_path) not in answer.body.decode()


@pytest.mark.parametrize("name", ["a\r\nX-Forged: 1", "a\nb", "\x1b[31mred", "a\x00", "x" * 101, ""])
def test_a_model_of_a_name_that_breaks_headers_and_lines_is_not_served(tmp_path: Path, name: str) -> None:
    path = contracted_model(tmp_path / "odd")
    save_contract(path, replace(read_contract(path.parent), model=name))
    with pytest.raises(VoiceflowError) as refused:
        open_slot(read_settings({"model": str(path.parent)}).settings, Metrics())
    assert not {"\r", "\n", "\x1b", "\x00"} & set(str(refused.value))


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "a\\b", "..", "%2e%2e", "a\x00", "A", "", "s3://x"])
def test_a_registry_knows_no_model_or_channel_of_such_a_name(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path.as_uri())
    with pytest.raises(VoiceflowError):
        Registry(store, name)
    with pytest.raises(VoiceflowError):
        Registry(store, NAME).channel(name)


def test_whatever_is_sent_the_log_has_one_object_a_line(server: Local) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    set_up("debug", stream)
    forged = '\x1b[2J"}\u2028{"event": "forged", "x": "' + "y" * 3_000
    try:
        for path in ("/v2/models/a%0a%7b%22event%22:%22forged%22%7d", "/%1b%5b31m", "/v1/diarize?recording=%0aforged"):
            ask(server.url, path)
        for header in ("Voiceflow-Key", "Authorization", "User-Agent", "Accept", "Content-Type"):
            with connect(server.url) as connection:
                value = forged.encode("utf-8").replace(b"\x1b", b"\x1b")
                head = f"POST /v1/admin/rollback HTTP/1.1\r\nHost: x\r\n{header}: ".encode()
                connection.sendall(head + value + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                assert read_all(connection).split()[1] in (b"400", b"401")
        assert load(server, f"./{forged[:50].replace(chr(27), '').replace(chr(0x2028), '')}").status == 422
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    lines = stream.getvalue().splitlines()
    assert len(lines) == stream.getvalue().count("\n") > 3
    assert {json.loads(line)["event"] for line in lines} & {"forged"} == set()
    assert stream.getvalue().isascii()
    assert "\x1b" not in stream.getvalue()
    assert max(len(line) for line in lines) < 10_000
