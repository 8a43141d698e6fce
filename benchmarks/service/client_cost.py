"""What one request costs the generator's side in CPU, by HTTP library: it shares the machine with what it measures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx

from benchmarks.service.trials import ours
from voiceflow_ml.load.connections import Connections
from voiceflow_ml.load.generator import run_lean
from voiceflow_ml.load.server_process import ServerProcess

_WARM = 20
Ask = Callable[[], Awaitable[object]]


def client_cost(requests: int) -> dict[str, float]:
    """Microseconds of CPU time of this process for one window sent and its answer read, by library."""
    exchange = ours()
    with ServerProcess() as server:
        url = server.url + exchange.path
        found = run_lean(_generated(server.url, requests))
        return found | asyncio.run(_measured(url, exchange.body, dict(exchange.headers), requests))


async def _generated(url: str, requests: int) -> dict[str, float]:
    exchange = ours()
    async with Connections(url, timeout_s=30) as connections:
        return {"the generator's own connections": await _cost(lambda: connections.reply(exchange), requests)}


async def _measured(url: str, body: bytes, headers: dict[str, str], requests: int) -> dict[str, float]:
    found: dict[str, float] = {}
    async with aiohttp.ClientSession() as session, httpx.AsyncClient() as client:

        async def by_aiohttp() -> Any:
            async with session.post(url, data=body, headers=headers) as answer:
                return await answer.read()

        async def by_httpx() -> Any:
            return (await client.post(url, content=body, headers=headers)).content

        asks: dict[str, Ask] = {"aiohttp": by_aiohttp, "httpx (async)": by_httpx}
        for name, ask in asks.items():
            found[name] = await _cost(ask, requests)
    with httpx.Client() as waiting:
        for _ in range(_WARM):
            waiting.post(url, content=body, headers=headers)
        begun_ns = time.process_time_ns()
        for _ in range(requests):
            waiting.post(url, content=body, headers=headers)
        found["httpx"] = (time.process_time_ns() - begun_ns) / requests / 1e3
    return found


async def _cost(ask: Ask, requests: int) -> float:
    for _ in range(_WARM):
        await ask()
    begun_ns = time.process_time_ns()
    for _ in range(requests):
        await ask()
    return (time.process_time_ns() - begun_ns) / requests / 1e3
