"""``voiceflow serve`` as a process: its start, its end, and its death."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.releases import TERMS, release
from tests.servers import ask, eventually, spawned_server
from voiceflow_ml import cli
from voiceflow_ml.registry.publish import publish
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store

NOISE = (3_000 * np.random.default_rng(0).standard_normal(20 * 16_000)).astype("<i2").tobytes()
RAW = {"Content-Type": "audio/x-raw"}


def test_it_says_its_settings_and_finishes_what_it_took_when_it_is_told_to_stop(tmp_path: Path) -> None:
    config = tmp_path / "serve.toml"
    config.write_text("queue_length = 7\naccess_log = true\n")
    secret = {"VOICEFLOW_ADMIN_TOKEN": "hunter2-hunter2-hunter2", "VOICEFLOW_MAX_STREAMS": "3"}
    arguments = ("--config", str(config), "--threads", "1", "--set", "shutdown_delay_s=0.3")
    with spawned_server(*arguments, environment=secret) as server, ThreadPoolExecutor(1) as clients:
        with connect(f"{server.url.replace('http', 'ws')}/v1/stream") as stream:
            stream.send(json.dumps({"type": "start", "sample_rate_hz": 16_000}))
            assert json.loads(stream.recv(timeout=20))["type"] == "ready"
            taken = clients.submit(ask, server.url, "/v1/diarize", NOISE, RAW)
            eventually("it is taken", lambda: held_bytes(server.url) == len(NOISE))
            server.process.send_signal(signal.SIGTERM)
            eventually("it is not ready any more", lambda: ask(server.url, "/readyz").status == 503)
            assert ask(server.url, "/livez").status == 200
            assert taken.result().status == 200
            with pytest.raises(ConnectionClosed) as closed:
                stream.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert server.process.wait(20) == 0
        with pytest.raises(OSError, match="refused"):
            ask(server.url, "/livez")
        output = re.sub(" +=", " =", server.process.stdout.read() if server.process.stdout else "")
    assert "queue_length = 7  (file " in output
    assert "threads = 1  (flag)" in output
    assert "max_streams = 3  (environment VOICEFLOW_MAX_STREAMS)" in output
    assert "admin_token = ********  (environment VOICEFLOW_ADMIN_TOKEN)" in output
    assert "hunter2" not in output + json.dumps(server.log)
    assert server.events()[-1] == "stopped"
    assert {"route", "status", "milliseconds"} <= set(server.log[server.events().index("request")])


@pytest.mark.parametrize("hurry", ["a second signal", "the time for finishing"])
def test_a_recording_that_takes_too_long_does_not_hold_up_the_end(hurry: str) -> None:
    hour = np.tile(np.frombuffer(NOISE, "<i2"), 60).tobytes()
    settings = ("--set", "shutdown_timeout_s=1") if hurry == "the time for finishing" else ()
    with spawned_server("--threads", "1", *settings) as server, ThreadPoolExecutor(1) as clients:
        clients.submit(ask, server.url, "/v1/diarize", hour, RAW)
        eventually("it is taken", lambda: held_bytes(server.url) == len(hour))
        server.process.send_signal(signal.SIGTERM)
        eventually("it begins to end", lambda: "shutting down" in server.events())
        if hurry == "a second signal":
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


def held_bytes(url: str) -> float:
    """Bytes of bodies that the server holds."""
    return float(ask(url, "/metrics").body.partition(b"\nvoiceflow_buffered_bytes ")[2].partition(b"\n")[0])


def test_after_a_sudden_death_it_serves_what_is_promoted(tmp_path: Path) -> None:
    address = (tmp_path / "registry").as_uri()
    registry = Registry(Store(address), "tiny")
    for number, version in enumerate(("1.0.0", "1.1.0")):
        publish(registry, release(tmp_path / version, shift=0.5 * number), version, TERMS)
    registry.promote("1.0.0", "prod", who="somebody", why="")
    arguments = ("--registry", address, "--model", "tiny", "--channel", "prod")
    with spawned_server(*arguments) as server:
        assert ask(server.url, "/v2/models/tiny").document["versions"] == ["1.0.0"]
        registry.promote("1.1.0", "prod", who="somebody", why="")
        server.process.kill()
        assert server.process.wait(20) == -signal.SIGKILL
    with spawned_server(*arguments) as server:
        metadata = ask(server.url, "/v2/models/tiny").document
        assert metadata["versions"] == ["1.1.0"]
        assert metadata["status"]["version"] == "1.1.0"


@pytest.fixture(name="clean_environment")
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VOICEFLOW_REGISTRY"):
        # Set first, so that what the command sets is taken back.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["serve", *arguments])
    return result.exit_code, f"{result.output}{result.exception}"


@pytest.mark.usefixtures("clean_environment")
def test_what_cannot_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert (
            f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another" in run("--port", str(port))[1]
        )
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert "--set 'queue_length': write NAME=VALUE" in run("--set", "queue_length")[1]
    assert "'queue' (flag) is no setting" in run("--set", "queue=5")[1]
    assert "no such configuration file" in run("--config", str(tmp_path / "none.toml"))[1]


@pytest.mark.usefixtures("clean_environment")
def test_a_registry_needs_its_extra_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    said = run("--registry", tmp_path.as_uri())[1]
    assert 'this command needs fsspec, which is not installed; run: pip install "voiceflow-ml[registry]"' in said
