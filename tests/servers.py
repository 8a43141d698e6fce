"""Servers to test against: in a thread of this process, or in a process of their own."""

from __future__ import annotations

import http.client
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.run import open_server
from voiceflow_ml.service.settings import read_settings
from voiceflow_ml.service.start import open_parts
from voiceflow_ml.service.trial import Here, LoadingPlan, Trial

TOKEN = "s3cret-token-of-the-tests"
PATIENCE_S = 30


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def ask(
    url: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *, method: str = ""
) -> Reply:
    """One request on a connection of its own; GET without a body, POST with one."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def connect(url: str) -> socket.socket:
    """A bare connection."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE_S)


def read_answer(connection: socket.socket) -> bytes:
    """One whole answer of a connection that stays open; head and body need not come at once."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += _more(connection)
    head, _, body = found.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    part = connection.recv(65_536)
    if not part:
        raise ConnectionError("closed in the middle of an answer")
    return part


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    received = b""
    while True:
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            return received
        if not part:
            return received
        received += part


def eventually(what: str, holds: Any) -> None:
    """Wait until something holds that another thread brings about."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.005)


@dataclass(frozen=True)
class Local:
    """A server in a thread of this process, whose parts a test can reach."""

    url: str
    parts: Parts
    loop: Any

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Keep every inference thread busy inside the block."""
        release, taken = threading.Event(), threading.Semaphore(0)
        futures: queue.Queue[Any] = queue.Queue()

        def hold() -> None:
            taken.release()
            release.wait(PATIENCE_S)

        def submit() -> None:
            for _ in range(self.parts.settings.thread_count):
                futures.put(self.parts.pool.submit(hold, wait_ns=PATIENCE_S * 10**9, quick=False))

        self.loop.call_soon_threadsafe(submit)
        for _ in range(self.parts.settings.thread_count):
            assert taken.acquire(timeout=PATIENCE_S)
        try:
            yield
        finally:
            release.set()


@contextmanager
def local_server(*, trial: Callable[[LoadingPlan], Trial] = Here, **settings: Any) -> Iterator[Local]:
    """Serve in a thread; versions are tried in this process, which is quicker, where a test is not about that."""
    values = {"port": 0, "admin_token": TOKEN, "threads": 1, **settings}
    parts = open_parts(read_settings(values).settings, trial)
    server, listener = open_server(parts)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        eventually("the server starts", lambda: server.started)
        yield Local(server.url, parts, server._loop)
    finally:
        server.handle_exit(15, None)
        thread.join(PATIENCE_S)
        parts.pool.close()
        assert not thread.is_alive()


@dataclass
class Spawned:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    url: str = ""
    log: list[dict[str, Any]] = field(default_factory=list)

    def events(self) -> list[str]:
        return [str(entry.get("event")) for entry in self.log]


@contextmanager
def spawned_server(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Spawned]:
    """``voiceflow serve`` in a process of its own, from the moment it listens."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VOICEFLOW_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "voiceflow_ml.cli", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean, **(environment or {})},
        cwd=Path(__file__).parents[1],
    )
    server = Spawned(process)
    listening = threading.Event()

    def read() -> None:
        for line in process.stderr or ():
            server.log.append(json.loads(line) if line.startswith("{") else {"event": line})
            if server.log[-1]["event"] == "listening":
                server.url = server.log[-1]["url"]
                listening.set()
        listening.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert listening.wait(PATIENCE_S)
        assert server.url, server.log
        yield server
    finally:
        process.kill()
        process.wait()
        reader.join()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
