"""``WS /v1/stream``: PCM16 chunks in, turns and corrections of them out; one version for the whole stream."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from voiceflow_ml.diarization.online import OnlineConfig
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.live_turns import Correction
from voiceflow_ml.service.access import may_open
from voiceflow_ml.service.diarize import turn_json
from voiceflow_ml.service.endpoint import as_refusal
from voiceflow_ml.service.heard import Heard, Said
from voiceflow_ml.service.infer import check_served
from voiceflow_ml.service.logs import say
from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.routing import Lease
from voiceflow_ml.service.work import HungError

UNSUPPORTED, POLICY, TOO_BIG, INTERNAL, TRY_LATER, NORMAL = 1003, 1008, 1009, 1011, 1013, 1000
"""Close codes of RFC 6455 and its registry."""
_CODES = {400: UNSUPPORTED, 404: POLICY, 408: POLICY, 413: TOO_BIG, 422: UNSUPPORTED, 500: INTERNAL, 503: TRY_LATER}
_LONGEST_TEXT = 4_096


class StreamEndpoint:
    """Serves streams.

    Args:
        parts: of the server.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._origins = parts.settings.origins

    async def serve(self, socket: WebSocket) -> None:
        """Serve one stream from its handshake to its end."""
        status = 200
        try:
            if not may_open(socket.headers.get("origin"), socket.headers.get("host"), self._origins):
                # Before it is accepted, a close is an answer of 403.
                status = 403
                await socket.close(POLICY)
                return
            await socket.accept()
            client = socket.client.host if socket.client else ""
            with self._parts.life.stream(client):
                self._check_room(client)
                await self._serve(socket)
        except (WebSocketDisconnect, asyncio.CancelledError):
            status = 499
        except Exception as error:  # whatever it is, the client is told and the server goes on
            refusal = as_refusal(error)
            status = refusal.status
            await _close(socket, refusal)
        finally:
            self._parts.metrics.count("/v1/stream", status)

    def _check_room(self, client: str) -> None:
        life, settings = self._parts.life, self._parts.settings
        if life.draining:
            raise RequestError(503, "the server is shutting down; try another one")
        if life.streams > settings.max_streams:
            raise RequestError(503, f"{settings.max_streams} streams are open already; try again later")
        most = settings.max_streams_per_client
        if most and life.streams_of[client] > most:
            raise RequestError(503, f"{most} streams of your address are open already; try again later")

    async def _serve(self, socket: WebSocket) -> None:
        start = _start(await self._received(socket))
        key = socket.headers.get("voiceflow-key")
        # The lease lasts as long as the stream: a version that is loaded meanwhile is for others.
        with self._parts.slot.route(key) as lease:
            version = lease.version
            check_served(version, {"model": str(start.get("model", version.model))})
            heard = self._open(lease)
            say("stream opened", model=version.model, version=version.version)
            await socket.send_text(
                json.dumps(
                    {
                        "type": "ready",
                        "model": version.model,
                        "version": version.version,
                        "latency_s": self._parts.settings.latency_s,
                        "corrected_for_s": self._parts.settings.correct_s,
                    }
                )
            )
            await self._hear(socket, lease, heard)
            say("stream ended", model=version.model, version=version.version, heard_s=round(heard.seconds, 3))

    def _open(self, lease: Lease) -> Heard:
        try:
            settings = self._parts.settings
            online = OnlineConfig(latency_s=settings.latency_s, correct_s=settings.correct_s)
            return Heard(lease.version, online, self._parts.pool.give_way)
        except ConfigError as error:
            raise RequestError(500, str(error)) from None

    async def _hear(self, socket: WebSocket, lease: Lease, heard: Heard) -> None:
        while True:
            message = await self._received(socket)
            begun_ns = time.perf_counter_ns()
            chunk = message.get("bytes")
            if chunk is None:
                if _document(message).get("type") != "end":
                    raise RequestError(400, 'between start and end a stream takes binary chunks, or {"type": "end"}')
                await self._run(lease, heard, None)
                turns = [turn_json(turn) for turn in heard.turns()]
                await socket.send_text(json.dumps({"type": "done", "turns": turns}))
                await socket.close(NORMAL)
                return
            self._check(chunk, heard)
            said = await self._run(lease, heard, chunk)
            elapsed_ns = time.perf_counter_ns() - begun_ns
            await socket.send_text(
                json.dumps(
                    {
                        "type": "turns",
                        "heard_s": round(heard.seconds, 3),
                        "final_until_s": round(heard.final_s, 3),
                        "turns": [turn_json(turn) for turn in said.pieces],
                        "corrected": [_correction_json(correction) for correction in said.corrections],
                        "processing_ms": round(elapsed_ns / 1e6, 3),
                    }
                )
            )
            self._parts.metrics.chunk(lease.version.model, lease.version.version, elapsed_ns)

    async def _run(self, lease: Lease, heard: Heard, chunk: bytes | None) -> Said:
        """Hear a chunk, or the end, in a thread of the pool; one stream is never in two of them."""
        windows_before, inference_before_ns = heard.net.windows, heard.net.inference_ns
        work = heard.finish if chunk is None else lambda: heard.push(chunk)
        try:
            done = await self._parts.pool.submit(work, wait_ns=self._parts.wait_ns)
        except Exception as error:
            if heard.net.failed or isinstance(error, HungError):
                self._parts.slot.report(lease, error=True, elapsed_ns=0)
            raise
        windows = heard.net.windows - windows_before
        if windows:
            elapsed_ns = (heard.net.inference_ns - inference_before_ns) // windows
            self._parts.slot.report(lease, error=False, elapsed_ns=elapsed_ns)
        return done.value

    def _check(self, chunk: bytes, heard: Heard) -> None:
        settings = self._parts.settings
        if len(chunk) > settings.max_chunk_bytes:
            raise RequestError(413, f"a chunk has {len(chunk)} bytes; {settings.max_chunk_bytes} are taken at once")
        if len(chunk) % 2:
            raise RequestError(400, f"a chunk has {len(chunk)} bytes, which is no whole number of 16-bit samples")
        if heard.seconds > settings.max_stream_s:
            raise RequestError(413, f"a stream lasts at most {settings.max_stream_s:g} s; start another")

    async def _received(self, socket: WebSocket) -> dict[str, Any]:
        idle_s = self._parts.settings.stream_idle_s
        try:
            async with asyncio.timeout(idle_s):
                message = dict(await socket.receive())
        except TimeoutError:
            raise RequestError(408, f"nothing was sent for {idle_s:g} s") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        return message


def _correction_json(correction: Correction) -> dict[str, Any]:
    return {
        "start_s": round(correction.start_s, 3),
        "end_s": round(correction.end_s, 3),
        "turns": [turn_json(turn) for turn in correction.turns],
    }


def _start(message: dict[str, Any]) -> dict[str, Any]:
    start = _document(message)
    if start.get("type") != "start":
        raise RequestError(400, 'a stream begins with {"type": "start", "sample_rate_hz": 16000}')
    rate_hz = start.get("sample_rate_hz", 16_000)
    if rate_hz != 16_000:
        raise RequestError(422, f"streams are heard at 16000 Hz, not {str(rate_hz)[:20]}; resample before")
    return start


def _document(message: dict[str, Any]) -> dict[str, Any]:
    text = message.get("text")
    if text is None or len(text) > _LONGEST_TEXT:
        return {}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


async def _close(socket: WebSocket, refusal: RequestError) -> None:
    if socket.client_state is not WebSocketState.CONNECTED:
        return
    try:
        await socket.send_text(json.dumps({"type": "error", "message": str(refusal)}))
        await socket.close(_CODES.get(refusal.status, INTERNAL))
    except (RuntimeError, OSError, WebSocketDisconnect):
        # It went away while it was told.
        return
