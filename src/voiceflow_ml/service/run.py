"""Serve until told to stop, and stop without dropping what was taken."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import threading
from collections.abc import Generator
from types import FrameType
from typing import Any

import uvicorn

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.service.access import KnownHosts
from voiceflow_ml.service.app import build_app
from voiceflow_ml.service.http_protocol import bounded_protocol
from voiceflow_ml.service.logs import say
from voiceflow_ml.service.page import ON_EVERY_ANSWER
from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.settings import ServeSettings
from voiceflow_ml.service.web_socket import BoundedWebSocket

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BACKLOG = 2_048
_UNSENT_MS = 30_000
_OTHER_FILES = 256


class Server(uvicorn.Server):
    """uvicorn's server with another end: not ready first, and no death by its own signal.

    Args:
        config: of uvicorn.
        parts: of this server.
        url: what it is reached at.

    Attributes:
        url: likewise.
    """

    def __init__(self, config: uvicorn.Config, parts: Parts, url: str) -> None:
        super().__init__(config)
        self._parts, self.url = parts, url
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        # What lives until the end need not be looked at by every collection of garbage.
        gc.collect()
        gc.freeze()
        status = self._parts.slot.status()
        say("listening", url=self.url, model=status.model, version=status.version, digest=status.digest)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals while serving; afterwards the process ends by itself, with status 0."""
        if threading.current_thread() is not threading.main_thread():
            # Signals are the main thread's; who runs a server in another one calls handle_exit.
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The first signal begins the end, a second one hurries it."""
        life, loop = self._parts.life, self._loop
        if life.draining or loop is None:
            self.should_exit = self.force_exit = True
            return
        life.draining = True
        loop.call_soon_threadsafe(self._begin_end, loop, sig)

    def _begin_end(self, loop: asyncio.AbstractEventLoop, sig: int) -> None:
        delay_s = self._parts.settings.shutdown_delay_s
        say("shutting down", signal=signal.Signals(sig).name, delay_s=delay_s, streams=self._parts.life.streams)
        # A version that is not in use yet will not be: what tries it ends at once.
        self._parts.slot.close()
        loop.call_later(delay_s, self._end)

    def _end(self) -> None:
        self.should_exit = True


def serve(parts: Parts) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        parts: of the server.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    _allow_connections(parts.settings.max_connections)
    try:
        server, listener = open_server(parts)
        with listener:
            server.run([listener])
    finally:
        parts.slot.close()
        parts.pool.close()
    say("stopped")


def _allow_connections(count: int) -> None:
    """Raise the process's own bound on open files, which is often as low as 1024, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_server(parts: Parts) -> tuple[Server, socket.socket]:
    """A server that does not run yet, and the socket that it is to be run with.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    listener = listen(parts.settings.host, parts.settings.port)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return Server(_config(parts), parts, url), listener


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: the address is taken, or none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; choose another") from None
    # Connections inherit both: a peer that vanished is noticed although it never closes.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _UNSENT_MS),
    ):
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return listener


def _config(parts: Parts) -> uvicorn.Config:
    settings: ServeSettings = parts.settings
    protocol = bounded_protocol(
        head_timeout_s=settings.head_timeout_s,
        body_timeout_s=settings.body_timeout_s,
        most_connections=settings.max_connections,
        most_per_client=settings.max_connections_per_client,
    )
    app: Any = build_app(parts)
    return uvicorn.Config(
        KnownHosts(app, settings.hosts) if settings.hosts else app,
        loop="uvloop",
        http=protocol,
        ws=BoundedWebSocket,
        ws_max_size=max(settings.max_chunk_bytes, 64 << 10),
        # Audio does not compress, and a small frame must not become a large one.
        ws_per_message_deflate=False,
        ws_ping_interval=settings.ping_s,
        ws_ping_timeout=settings.ping_s,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=list(ON_EVERY_ANSWER.items()),
        # Nobody in front of this server is trusted to say who asks.
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )
