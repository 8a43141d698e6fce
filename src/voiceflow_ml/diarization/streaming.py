"""Hear a recording as a stream: the same turns as live, at the speed of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.audio_source import array_blocks, open_audio
from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.offline import Progress
from voiceflow_ml.diarization.online import OnlineConfig, OnlineDiarizer
from voiceflow_ml.diarization.segmenter import Embedder, Segmenter
from voiceflow_ml.diarization.turns import Diarization
from voiceflow_ml.live_turns import TurnJoiner
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ


def diarize_stream(
    source: str | Path | NDArray[np.floating],
    config: DiarizationConfig,
    segmenter: Segmenter,
    online: OnlineConfig | None = None,
    *,
    embedder: Embedder | None = None,
    progress: Progress = lambda _: None,
) -> Diarization:
    """Hear a recording as if it came in live, so that the cost of not knowing the future can be measured.

    Args:
        source: As for ``offline.diarize``.
        config: The settings.
        segmenter: The net.
        online: How it is heard.
        embedder: A speaker encoder instead of the net's own embeddings.
        progress: Called with the seconds of audio that are done.

    Returns:
        The turns, pieces joined, and corrected as far as the stream corrects itself.

    Raises:
        DataError: Audio that cannot be read, is empty, or holds NaN.
        ConfigError: The latency is too short for the settings.
    """
    online = online or OnlineConfig()
    diarizer = OnlineDiarizer(config, segmenter, online, embedder)
    blocks = array_blocks(source) if isinstance(source, np.ndarray) else open_audio(source).blocks()
    joiner = TurnJoiner()
    for chunk in _chunks(blocks, round(online.chunk_s * SAMPLE_RATE_HZ)):
        joiner.take(diarizer.push(chunk), diarizer.corrections())
        progress(diarizer.seconds)
    joiner.take(diarizer.finish(), diarizer.corrections())
    return Diarization(joiner.turns(), diarizer.seconds)


def _chunks(blocks: Iterable[NDArray[np.float32]], samples: int) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        edges = [*range(0, block.size, samples), block.size]
        yield from (block[first:last] for first, last in pairwise(edges))
