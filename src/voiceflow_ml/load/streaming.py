"""Live streams in real time: a chunk of audio every hop, whatever became of the one before."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.client.stream import AsyncStream
from voiceflow_ml.errors import ClientError
from voiceflow_ml.load.pacer import at_offsets
from voiceflow_ml.load.plan import LoadPlan
from voiceflow_ml.load.trial import NO_ANSWER, Shot
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.units import NS_PER_S

_ANSWERED = 200
"""A chunk has no HTTP status; one that was answered counts as a success."""
_BYTES_PER_SAMPLE = 2


def stream_offsets_ns(plan: LoadPlan) -> list[tuple[int, int]]:
    """When each chunk is to be sent, ascending, and by which stream.

    The streams begin evenly spread over a hop, as callers do who know nothing of each other, and not all at once.
    """
    hops = plan.total_ns // plan.hop_ns
    lags_ns = [place * plan.hop_ns // plan.streams for place in range(plan.streams)]
    return [(hop * plan.hop_ns + lag_ns, place) for hop in range(hops) for place, lag_ns in enumerate(lags_ns)]


def chunks_of(speech: bytes, hop_ns: int) -> list[bytes]:
    """16-bit PCM at 16 kHz cut into whole hops; what is left over at the end is dropped."""
    size = SAMPLE_RATE_HZ * hop_ns // NS_PER_S * _BYTES_PER_SAMPLE
    return [speech[begin : begin + size] for begin in range(0, len(speech) - size + 1, size)]


async def stream_all(client: AsyncClient, plan: LoadPlan, speech: bytes) -> tuple[list[Shot], int]:
    """Send speech in real time over so many streams at once; a stream that ends early loses all its later chunks.

    Args:
        client: asks the service.
        plan: of streams.
        speech: 16-bit PCM at 16 kHz, said over and over; each stream begins at another place of it.

    Returns:
        One entry for each chunk, the warm-up's too: from when it was to be sent to what the server said to it; and
        how many were to be counted.

    Raises:
        ClientError: a stream could not be opened.
    """
    schedule = stream_offsets_ns(plan)
    chunks = chunks_of(speech, plan.hop_ns)
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(client.stream()) for _ in range(plan.streams)]
        shots = await _run(streams, schedule, chunks, plan.timeout_s)
    return shots, sum(due_ns >= plan.warmup_ns for due_ns, _ in schedule)


async def _run(
    streams: list[AsyncStream], schedule: list[tuple[int, int]], chunks: list[bytes], timeout_s: float
) -> list[Shot]:
    shots: list[Shot] = []
    waiting: list[asyncio.Queue[tuple[int, int] | None]] = [asyncio.Queue() for _ in streams]
    start_ns = time.perf_counter_ns()

    async def due(place: int) -> None:
        due_ns, which = schedule[place]
        # Ascending times of one stream come in order, and a socket keeps the order of what is sent on it.
        chunk = chunks[(place // len(streams) + which * len(chunks) // len(streams)) % len(chunks)]
        sent_ns = time.perf_counter_ns() - start_ns
        waiting[which].put_nowait((due_ns, sent_ns))
        try:
            await streams[which].send(chunk)
        except ClientError:
            return

    async def listen(which: int) -> None:
        broken = False
        while (asked := await waiting[which].get()) is not None:
            try:
                if not broken:
                    await asyncio.wait_for(streams[which].receive(), timeout_s)
            except (ClientError, TimeoutError):
                broken = True
            status = NO_ANSWER if broken else _ANSWERED
            shots.append(Shot(*asked, time.perf_counter_ns() - start_ns, status, streams[which].version))

    listeners = [asyncio.create_task(listen(which)) for which in range(len(streams))]
    await at_offsets(start_ns, [due_ns for due_ns, _ in schedule], due, sleep_s=time.sleep)
    for queue in waiting:
        queue.put_nowait(None)
    await asyncio.gather(*listeners)
    return shots
