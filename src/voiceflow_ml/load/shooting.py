"""Sending requests over HTTP: by a schedule that waits for nobody, or from so many callers who wait."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from voiceflow_ml.client.answers import VERSION_HEADER, Reply, read_timing
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.errors import UnreachableError
from voiceflow_ml.load.connections import Connections
from voiceflow_ml.load.pacer import at_offsets
from voiceflow_ml.load.plan import Kind, LoadPlan, poisson_offsets_ns
from voiceflow_ml.load.trial import NO_ANSWER, UNTOLD_NS, Shot

_VERSION = re.compile(rb'"model_version"\s*:\s*"([^"]*)"')
_HEAD_BYTES = 4_096
Ask = Callable[[], Awaitable[Reply | None]]
"""One request; None when nobody answered."""


def asking(connections: Connections, exchange: Exchange[Any]) -> Ask:
    """The same request again and again."""

    async def ask() -> Reply | None:
        try:
            return await connections.reply(exchange)
        except UnreachableError:
            return None

    return ask


async def shoot(ask: Ask, start_ns: int, intended_ns: int) -> Shot:
    """Make one request now.

    Args:
        ask: makes it.
        start_ns: when the trial began, by ``time.perf_counter_ns``.
        intended_ns: when it was to be made, after the start.
    """
    sent_ns = time.perf_counter_ns() - start_ns
    reply = await ask()
    done_ns = time.perf_counter_ns() - start_ns
    if reply is None:
        return Shot(intended_ns, sent_ns, done_ns, NO_ANSWER)
    timing = read_timing(reply.headers)
    server_ns, model_ns = (timing.server_processing_ns, timing.model_inference_ns) if timing else (UNTOLD_NS, UNTOLD_NS)
    return Shot(intended_ns, sent_ns, done_ns, reply.status, version_of(reply), server_ns, model_ns)


def version_of(reply: Reply) -> str:
    """The model version that an answer names in its header, or else at the start of its JSON; empty without any."""
    named = reply.headers.get(VERSION_HEADER)
    if named is not None:
        return named
    found = _VERSION.search(reply.body, 0, _HEAD_BYTES)
    return found.group(1).decode(errors="replace") if found else ""


async def shoot_all(ask: Ask, plan: LoadPlan) -> tuple[list[Shot], int | None]:
    """Put the load of a plan on a service.

    Args:
        ask: makes one request.
        plan: of an open or a closed loop.

    Returns:
        All requests, those of the warm-up too, and how many were to be counted (None in a closed loop).
    """
    if plan.kind is Kind.OPEN_LOOP:
        offsets_ns = poisson_offsets_ns(plan.rate_per_s, plan.total_ns, plan.seed)
        return await _open_loop(ask, offsets_ns), sum(offset_ns >= plan.warmup_ns for offset_ns in offsets_ns)
    return await _closed_loop(ask, plan), None


async def _open_loop(ask: Ask, offsets_ns: list[int]) -> list[Shot]:
    shots: list[Shot] = []
    start_ns = time.perf_counter_ns()

    async def due(place: int) -> None:
        shots.append(await shoot(ask, start_ns, offsets_ns[place]))

    await at_offsets(start_ns, offsets_ns, due, sleep_s=time.sleep)
    return shots


async def _closed_loop(ask: Ask, plan: LoadPlan) -> list[Shot]:
    shots: list[Shot] = []
    start_ns = time.perf_counter_ns()

    async def caller() -> None:
        while (now_ns := time.perf_counter_ns() - start_ns) < plan.total_ns:
            shot = await shoot(ask, start_ns, now_ns)
            shots.append(shot)
            if shot.status == NO_ANSWER:
                # Nobody there answers at once: without a pause the generator would do nothing but ask.
                await asyncio.sleep(0.01)

    await asyncio.gather(*(caller() for _ in range(plan.connections)))
    return shots
