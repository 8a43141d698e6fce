"""What each version answers, asked while nothing else goes on, and held to the library's own computation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.soak.judging import Known
from benchmarks.soak.material import Ask, Samples, fingerprint_of, stream_fingerprint, stream_name, turn_rows
from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.client.answers import Reply, accepted, read_diarized, read_inferred
from voiceflow_ml.client.exchanges import as_pcm16
from voiceflow_ml.contract.check import onnx_run
from voiceflow_ml.diarization.diarizer import open_diarizer
from voiceflow_ml.diarization.online import OnlineConfig
from voiceflow_ml.errors import AnswerError
from voiceflow_ml.load.shooting import version_of
from voiceflow_ml.models.shipped import MODEL_NAME
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn

CHUNK_S = 0.1
_LATENCY_S = 2.0
"""Of the server's streams by default."""
_TOLERANCE = 1e-4


async def learn(client: AsyncClient, source: str, asks: Sequence[Ask], speech: Sequence[Samples]) -> Known:
    """Ask the version that serves now for everything.

    Args:
        client: of the server.
        source: the folder that the version was loaded from.
        asks: all requests.
        speech: what the streams hear.

    Raises:
        ClientError: it does not answer, or otherwise than the library.
    """
    path = Path(source) / f"{MODEL_NAME}.onnx"
    answers, version = {}, ""
    for ask in asks:
        reply = accepted(await client.reply(ask.exchange))
        # Not in the event loop, which has connections to look after.
        await asyncio.to_thread(_check, reply, ask, path)
        answers[ask.name], version = fingerprint_of(reply), version_of(reply)
    online = open_diarizer(path, online=OnlineConfig(latency_s=_LATENCY_S))
    for place, samples in enumerate(speech):
        updates = await heard(client, samples)
        wanted = await asyncio.to_thread(online, samples)
        if turn_rows(updates[-1]) != turn_rows(wanted.turns):
            raise AnswerError(f"{stream_name(place)}: its turns are not those of the library", url=client.url)
        answers[stream_name(place)] = stream_fingerprint(updates)
    return Known(version, source, answers)


async def heard(client: AsyncClient, samples: Samples) -> list[tuple[Turn, ...]]:
    """What is said to each chunk of a stream and to its end, as fast as it goes."""
    async with client.stream() as stream:
        updates = [await stream.feed(chunk) for chunk in chunks_of(samples)]
        updates.append(await stream.finish())
    return updates


def chunks_of(samples: Samples) -> list[bytes]:
    """Samples as the chunks of a stream."""
    pcm, size = as_pcm16(samples), 2 * round(CHUNK_S * SAMPLE_RATE_HZ)
    return [pcm[begin : begin + size] for begin in range(0, len(pcm), size)]


def check_apart(known: Sequence[Known]) -> None:
    """Hold the versions to be told apart by every answer.

    Raises:
        ValueError: two of them answer the same.
    """
    first, second = known
    same = [name for name, answer in first.answers.items() if second.answers[name] == answer]
    if same or first.version == second.version:
        raise ValueError(f"both versions answer the same: {', '.join(same) or first.version}; take another variant")


def _check(reply: Reply, ask: Ask, path: Path) -> None:
    """Hold an answer to the library's; raises AnswerError."""
    if reply.url.endswith("/infer"):
        wanted, got = onnx_run(path)({"audio": ask.samples[np.newaxis]}), read_inferred(reply).outputs
        right = all(np.allclose(got[name], array, rtol=0, atol=_TOLERANCE) for name, array in wanted.items())
    else:
        right = turn_rows(read_diarized(reply).turns) == turn_rows(open_diarizer(path)(ask.samples).turns)
    if not right:
        raise reply.unreadable(f"to {ask.name} is not what the library computes")
