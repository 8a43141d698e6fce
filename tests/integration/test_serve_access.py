"""Who may ask the server what: administrators by their token, pages by their origin, everybody within their share."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import BaseRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_socket

from tests.servers import TOKEN, Local, Reply, ask, bearer, connect, eventually, local_server, read_all
from voiceflow_ml.latency import FakeClock
from voiceflow_ml.service.access import AdminGate
from voiceflow_ml.service.app import build_app
from voiceflow_ml.service.metrics import Metrics
from voiceflow_ml.service.page import ON_EVERY_ANSWER
from voiceflow_ml.service.refusals import RequestError

PUBLIC = {
    "/v1/diarize",
    "/v2/models/{model}/infer",
    "/v2/models/{model}/versions/{version}/infer",
    # Says what is served, as GET /v2/models/{model} does.
    "/v2/repository/index",
}
"""What everybody may do that is no GET. What is added is for who has the token, or gets a line here and a reason."""
START = json.dumps({"type": "start", "sample_rate_hz": 16_000})


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Local]:
    with local_server(max_streams=4, max_streams_per_client=2, max_connections=200) as server:
        yield server


def other_routes(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    """(method, path) of every route that is no GET, of routers within routers as well."""
    for route in routes:
        yield from other_routes(getattr(getattr(route, "original_router", None), "routes", None) or [])
        for method in sorted(getattr(route, "methods", None) or ()):
            if method not in ("GET", "HEAD"):
                yield method, str(getattr(route, "path", ""))


def filled(path: str) -> str:
    return path.replace("{model}", "fast-cnn").replace("{version}", "1.0.0")


def test_whatever_changes_something_is_for_who_has_the_token(server: Local) -> None:
    routes = set(other_routes(build_app(server.parts).routes))
    document = ask(server.url, "/openapi.json").document
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods if method != "get"
    }
    assert routes == described
    assert {path for _, path in routes} >= PUBLIC
    guarded = sorted(route for route in routes if route[1] not in PUBLIC)
    assert len(guarded) == 4
    before = ask(server.url, "/v2/models/fast-cnn").document
    for method, path in guarded:
        for headers in ({}, bearer("x" * len(TOKEN)), bearer(TOKEN[:-1]), bearer(TOKEN + "x"), {"Cookie": TOKEN}):
            answer = ask(server.url, filled(path), b"{}", headers, method=method)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer"), path
            assert TOKEN not in answer.body.decode()
        # Nor in a query, where it would be logged on its way.
        assert ask(server.url, f"{filled(path)}?token={TOKEN}&access_token={TOKEN}", b"{}").status == 401
    after = ask(server.url, "/v2/models/fast-cnn").document
    assert after["swaps"] == before["swaps"]


@pytest.fixture(name="fresh")
def _fresh() -> Iterator[Local]:
    with local_server() as server:
        yield server


def test_no_answer_metric_or_document_holds_the_token(fresh: Local, caplog: pytest.LogCaptureFixture) -> None:
    server = fresh
    caplog.set_level(logging.DEBUG)
    ask(server.url, "/v1/admin/rollback", b"", bearer())
    ask(server.url, "/v1/admin/rollback", b"", bearer(TOKEN + "!"))
    ask(server.url, "/v1/admin/rollback", b"", {"Authorization": TOKEN})
    for path in ("/metrics", "/openapi.json", "/v2", "/v2/models/fast-cnn", "/", "/page.json"):
        assert TOKEN.encode() not in ask(server.url, path).body
    assert "administrator refused" in caplog.text
    assert TOKEN not in "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)


def test_who_guesses_is_counted_and_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock, metrics = FakeClock(), Metrics()
    gate = AdminGate(TOKEN, metrics, now_ns=clock.now_ns)
    gate.check(f"Bearer {TOKEN}", "192.0.2.1")
    for _ in range(50):
        clock.advance_ns(50_000_000)
        with pytest.raises(RequestError):
            gate.check("Bearer wrong", "192.0.2.1")
    assert b'voiceflow_admin_refused_total{status="401"} 50.0' in metrics.text()
    refused = [record for record in caplog.records if record.getMessage() == "administrator refused"]
    assert len(refused) == 3
    assert vars(refused[0])["voiceflow_fields"] == {"status": 401, "client": "192.0.2.1"}


@pytest.mark.parametrize(
    ("path", "status"), [("/livez", 200), ("/", 200), ("/metrics", 200), ("/nothing", 404), ("/v2/models/x", 404)]
)
def test_every_answer_says_that_it_is_what_it_says_it_is(server: Local, path: str, status: int) -> None:
    answer = ask(server.url, path)
    assert answer.status == status
    wanted = {name.lower(): value for name, value in ON_EVERY_ANSWER.items()}
    assert wanted.items() <= answer.headers.items()
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "server" not in answer.headers


def stream(server: Local, **more: Any) -> ClientConnection:
    socket: ClientConnection = open_socket(
        f"{server.url.replace('http', 'ws')}/v1/stream", open_timeout=20, close_timeout=1, **more
    )
    return socket


def status_of(server: Local, origin: str) -> int:
    """101 for a stream that is opened."""
    try:
        with stream(server, origin=origin):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def test_a_page_of_somebody_else_opens_no_stream(server: Local) -> None:
    own = server.url
    port = own.rpartition(":")[2]
    strangers = (
        "https://evil.example",
        f"http://evil.example:{port}",
        "null",
        "http://127.0.0.1",
        f"http://localhost:{port}",
        f"{own}.evil.example",
        "file://",
    )
    assert [status_of(server, origin) for origin in strangers] == [403] * len(strangers)
    assert status_of(server, own) == 101
    assert b'voiceflow_requests_total{route="/v1/stream",status="403"}' in ask(server.url, "/metrics").body


def test_pages_that_are_named_may_open_streams_and_so_may_any_where_that_is_wished() -> None:
    with local_server(allowed_origins="https://app.example, http://localhost:3000") as server:
        assert status_of(server, "https://app.example") == 101
        assert status_of(server, "https://APP.example") == 101
        assert status_of(server, "http://localhost:3000") == 101
        assert status_of(server, "http://app.example") == 403
    with local_server(allowed_origins="*") as server:
        assert status_of(server, "https://evil.example") == 101


def named(server: Local, host: str) -> Reply:
    return ask(server.url, "/livez", headers={"Host": host})


def test_a_server_with_names_answers_to_no_other() -> None:
    with local_server(allowed_hosts="voice.example,127.0.0.1") as server:
        for host in ("voice.example", "Voice.Example:8000", "127.0.0.1:1"):
            assert named(server, host).status == 200
        for host in ("evil.example", "voice.example.evil.example", "voice.example@evil.example", "xvoice.example"):
            answer = named(server, host)
            assert (answer.status, answer.headers["connection"]) == (421, "close")
            assert host not in answer.body.decode()
        with connect(server.url) as connection:
            connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            assert read_all(connection).startswith(b"HTTP/1.1 421")
        with pytest.raises(InvalidStatus), stream(server, additional_headers={"Host": "evil.example"}):
            pass


def test_one_address_has_only_so_many_streams(server: Local) -> None:
    with stream(server) as one, stream(server) as two:
        for socket in (one, two):
            socket.send(START)
            assert json.loads(socket.recv(timeout=20))["type"] == "ready"
        with stream(server) as three:
            assert json.loads(three.recv(timeout=20))["message"].startswith("2 streams of your address are open")
        with open_socket("ws://127.0.0.1/v1/stream", sock=from_address(server, "127.0.0.2")) as other:
            other.send(START)
            assert json.loads(other.recv(timeout=20))["type"] == "ready"
    eventually("all places are free", lambda: server.parts.life.streams == 0)
    assert server.parts.life.streams_of == {}


def from_address(server: Local, address: str) -> Any:
    import socket  # noqa: PLC0415 - the name is that of a stream everywhere else here

    host, port = re.findall(r"//(.*):(\d+)", server.url)[0]
    return socket.create_connection((host, int(port)), timeout=20, source_address=(address, 0))


def test_one_address_has_only_so_many_connections() -> None:
    with local_server(max_connections_per_client=3) as server:
        held = [connect(server.url) for _ in range(3)]
        try:
            eventually("they are open", lambda: ask_from(server, "127.0.0.1").startswith(b"HTTP/1.1 503"))
            assert b"3 connections of your address are open" in ask_from(server, "127.0.0.1")
            assert ask_from(server, "127.0.0.2").startswith(b"HTTP/1.1 200")
        finally:
            for connection in held:
                connection.close()
        eventually("there is room again", lambda: ask_from(server, "127.0.0.1").startswith(b"HTTP/1.1 200"))


def ask_from(server: Local, address: str) -> bytes:
    with from_address(server, address) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return read_all(connection)
