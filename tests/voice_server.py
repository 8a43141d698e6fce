"""A small real server of the parts that the v2 server lacks: diarization, streams, timing, and being busy."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

TURN = {"speaker": "A", "start_s": 0.5, "end_s": 1.75}
CORRECTED = {"start_s": 0.75, "end_s": 1.25, "turns": [{"speaker": "B", "start_s": 0.75, "end_s": 1.25}]}
SAID = {200: {"turns": [TURN]}, 202: {"turns": [], "corrected": [CORRECTED]}}
"""What is said to a chunk of so many bytes; nothing to others."""
TIMING = "queue;dur=0.125, inference;dur=3.5, total;dur=3.75"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class VoiceServer:
    """What it was asked, and how it is to answer.

    Attributes:
        busy: so many requests are answered 503 first.
        status: of answers to /v1/diarize.
        retry_after: the header's value of a 503.
        body: of a diarization that is to be answered with something else; empty for a right one.
        seen: path, content type and length of each request's body.
    """

    busy: int = 0
    status: int = 200
    retry_after: str = "0.5"
    body: str = ""
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def diarize(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        self.seen.append((request.path, request.content_type, len(content)))
        if self.busy:
            self.busy -= 1
            return web.json_response(
                {"error": "the queue is full"}, status=503, headers={"Retry-After": self.retry_after}
            )
        if self.status != 200:
            return web.json_response({"error": "no. Really"}, status=self.status)
        text = self.body or json.dumps({"turns": [TURN]})
        headers = {"Server-Timing": TIMING, "Voiceflow-Version": "1.2.0"}
        return web.Response(text=text, content_type="application/json", headers=headers)

    async def admin(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers.get("Authorization", ""))
        return web.json_response({"asked": request.path, **(await request.json())})

    async def healthy(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=503 if self.busy else 200)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        if self.status == 404:
            return web.json_response({"error": "no streams here"}, status=404)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.busy:
            await socket.receive()
            await self.refuse(socket, "too many streams", 1013)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                if len(message.data) % 2:
                    await self.refuse(socket, "a chunk must be whole samples of 16 bits", 1003)
                    break
                await socket.send_json({"type": "turns", **SAID.get(len(message.data), {"turns": []})})
            elif json.loads(message.data)["type"] == "start":
                await socket.send_json({"type": "ready", "version": "1.2.0"})
            else:
                await socket.send_json({"type": "done", "turns": [TURN, TURN]})
        return socket

    async def refuse(self, socket: web.WebSocketResponse, sentence: str, code: int) -> None:
        await socket.send_json({"type": "error", "message": sentence})
        await socket.close(code=code)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/v1/diarize", self.diarize)
        app.router.add_get("/v1/stream", self.stream)
        app.router.add_get("/v2/health/{kind}", self.healthy)
        app.router.add_post("/v2/repository/models/{model}/load", self.admin)
        app.router.add_post("/v1/admin/rollback", self.admin)
        return app


@contextmanager
def voicing(server: VoiceServer) -> Iterator[str]:
    """Serve on a free port of loopback: its address."""
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    ports: list[int] = []

    async def serve() -> None:
        runner = web.AppRunner(server.app(), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ports.append(runner.addresses[0][1])
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        ready.wait()
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
