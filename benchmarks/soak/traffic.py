"""The load: requests by a schedule that waits for nobody, live streams, and those who only look."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from benchmarks.soak.bench import Bench
from benchmarks.soak.judging import TURNED_AWAY, Answer, Trouble
from benchmarks.soak.learning import CHUNK_S, chunks_of
from benchmarks.soak.material import Ask, Samples, fingerprint_of, stream_fingerprint, stream_name
from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.errors import BusyError, ClientError, UnreachableError
from voiceflow_ml.load.pacer import at_offsets
from voiceflow_ml.load.plan import poisson_offsets_ns
from voiceflow_ml.load.shooting import version_of
from voiceflow_ml.rttm import Turn
from voiceflow_ml.units import NS_PER_S

_PAGES = (("/livez", 1.0), ("/readyz", 1.0), ("/metrics", 2.0), ("/v2", 5.0), ("/openapi.json", 10.0), ("/", 10.0))
"""Addresses that anybody may read, and how often they are, in seconds."""
_STREAM_PATIENCE_S = 120.0


async def requests(bench: Bench, client: AsyncClient, asks: Sequence[Ask], seed: int) -> None:
    """Send requests by Poisson arrivals for as long as the soak lasts, and wait for all answers."""
    plan = bench.plan
    offsets_ns = poisson_offsets_ns(plan.rate_per_s, round(plan.duration_s * NS_PER_S), seed)
    draws = random.Random(seed)  # noqa: S311 - an order, not a secret
    chosen = draws.choices(asks, [ask.weight for ask in asks], k=len(offsets_ns))

    async def due(place: int) -> None:
        bench.durations.add("lateness", bench.now_ns() - offsets_ns[place])
        await request(bench, client, chosen[place], offsets_ns[place])

    await at_offsets(bench.start_ns, offsets_ns, due, sleep_s=time.sleep)


async def request(bench: Bench, client: AsyncClient, ask: Ask, intended_ns: int) -> None:
    """Make one request, and keep its answer to be judged."""
    sent_ns = bench.now_ns()
    try:
        reply = await client.reply(ask.exchange)
        done_ns = bench.now_ns()
        if reply.status != 200:
            bench.ledger.refused(ask.name, reply)
            return
        answer = Answer(ask.name, version_of(reply), fingerprint_of(reply), sent_ns, done_ns)
    except UnreachableError as error:
        bench.ledger.note(Trouble.LOST, f"{ask.name}: {error}")
        return
    except ClientError as error:
        bench.ledger.note(Trouble.WRONG, f"{ask.name}: {error}")
        return
    bench.waiting.append(answer)
    bench.durations.add(ask.name.split(",")[0], done_ns - intended_ns)


async def streams(bench: Bench, client: AsyncClient, speech: Sequence[Samples], which: int) -> None:
    """Keep one live stream open: when it has ended, another one begins."""
    number = which
    while not bench.over.is_set():
        place = number % len(speech)
        try:
            async with asyncio.timeout(_STREAM_PATIENCE_S + CHUNK_S * len(chunks_of(speech[place]))):
                await _stream(bench, client, stream_name(place), chunks_of(speech[place]))
        except BusyError as error:
            bench.ledger.note(TURNED_AWAY, f"{stream_name(place)}: {error}")
            await bench.rest(1.0)
        except (ClientError, TimeoutError) as error:
            bench.ledger.note(Trouble.LOST, f"{stream_name(place)}: {error or 'no answer to a chunk'}")
            await bench.rest(1.0)
        number += 1


async def _stream(bench: Bench, client: AsyncClient, name: str, chunks: Sequence[bytes]) -> None:
    updates: list[tuple[Turn, ...]] = []
    sent_ns = bench.now_ns()
    async with client.stream() as stream:
        bound_ns = bench.now_ns()
        for place, chunk in enumerate(chunks):
            due_ns = bound_ns + round(place * CHUNK_S * NS_PER_S)
            await asyncio.sleep(max(0.0, (due_ns - bench.now_ns()) / NS_PER_S))
            updates.append(await stream.feed(chunk))
            bench.durations.add("chunk", bench.now_ns() - due_ns)
        updates.append(await stream.finish())
    bench.waiting.append(Answer(name, stream.version, stream_fingerprint(updates), sent_ns, bound_ns))


async def readers(bench: Bench, client: AsyncClient) -> None:
    """Look at everything that anybody may look at, again and again."""
    await asyncio.gather(*(_reader(bench, client, path, every_s) for path, every_s in _PAGES))


async def _reader(bench: Bench, client: AsyncClient, path: str, every_s: float) -> None:
    exchange = Exchange("GET", path, lambda reply: reply)
    while await bench.rest(every_s):
        try:
            reply = await client.reply(exchange)
        except UnreachableError as error:
            bench.ledger.note(Trouble.LOST, f"GET {path}: {error}")
            continue
        if reply.status == 200 and reply.body:
            bench.ledger.right[f"GET {path}"] += 1
        else:
            bench.ledger.refused(f"GET {path}", reply)
