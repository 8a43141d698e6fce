"""Diarize a whole recording: everything is heard before anyone is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.assignment import name_local_speakers
from voiceflow_ml.diarization.audio_source import array_blocks, open_audio
from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.local import LocalWindows, join_windows, local_windows
from voiceflow_ml.diarization.reconstruction import reconstruct
from voiceflow_ml.diarization.segmenter import Embedder, Segmenter
from voiceflow_ml.diarization.turns import Diarization, activity_to_turns
from voiceflow_ml.diarization.windows import Window, WindowCutter
from voiceflow_ml.errors import DataError
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ

Progress = Callable[[float], None]
"""Called now and then with the seconds of audio that are done."""


def diarize(
    source: str | Path | NDArray[np.floating],
    config: DiarizationConfig,
    segmenter: Segmenter,
    *,
    embedder: Embedder | None = None,
    progress: Progress = lambda _: None,
) -> Diarization:
    """Say who speaks when.

    Args:
        source: An audio file of any kind, or mono samples ``[samples]`` at 16 kHz in [-1, 1].
        config: The settings.
        segmenter: The net.
        embedder: A speaker encoder instead of the net's own embeddings.
        progress: Called after each batch of windows.

    Returns:
        The turns; none where nobody speaks. Speakers are named ``SPEAKER_00`` and so on, in order of their first turn.

    Raises:
        DataError: Audio that cannot be read, is empty, or holds NaN.
    """
    blocks = array_blocks(source) if isinstance(source, np.ndarray) else open_audio(source).blocks()
    return diarize_blocks(blocks, config, segmenter, embedder=embedder, progress=progress)


def diarize_blocks(
    blocks: Iterable[NDArray[np.float32]],
    config: DiarizationConfig,
    segmenter: Segmenter,
    *,
    embedder: Embedder | None = None,
    progress: Progress = lambda _: None,
) -> Diarization:
    """The same for a recording that comes block by block, of which no more than a window and a block are held.

    Args:
        blocks: float32 ``[samples]`` each, mono at 16 kHz in [-1, 1], in order.
        config: The settings.
        segmenter: The net.
        embedder: A speaker encoder instead of the net's own embeddings.
        progress: Called after each batch of windows.

    Raises:
        DataError: No sample at all; and whatever the blocks raise.
    """
    cutter = WindowCutter(config.window_samples, config.hop_frames)
    parts: list[LocalWindows] = []
    for part in local_windows(_windows(cutter, blocks), config, segmenter, embedder):
        parts.append(part)
        progress(cutter.samples / SAMPLE_RATE_HZ)
    windows = join_windows(parts)
    # Otherwise a long recording's windows would be held twice while it is decoded.
    parts.clear()
    if cutter.samples == 0:
        raise DataError("the recording holds no audio samples")
    return decode(windows, cutter.samples, config)


def decode(windows: LocalWindows, samples: int, config: DiarizationConfig) -> Diarization:
    """From the net's answers to turns: cluster, name, average, decide.

    Args:
        windows: All windows of the recording.
        samples: Of the recording, at 16 kHz.
        config: The settings.

    Returns:
        As :func:`diarize`.
    """
    frames = -(-samples // FRAME_SAMPLES)
    active = reconstruct(windows, name_local_speakers(windows, config), frames, config)
    seconds = samples / SAMPLE_RATE_HZ
    order = _by_first_turn(active)
    turns = activity_to_turns(
        active[:, order],
        tuple(f"SPEAKER_{number:02d}" for number in range(order.size)),
        min_gap_s=config.min_gap_s,
        min_turn_s=config.min_turn_s,
    )
    return Diarization(tuple(turns), seconds)


def _windows(cutter: WindowCutter, blocks: Iterable[NDArray[np.float32]]) -> Iterator[Window]:
    for block in blocks:
        yield from cutter.push(block)
    yield from cutter.finish()


def _by_first_turn(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Columns that are ever active, the earliest first."""
    talking = np.flatnonzero(active.any(axis=0))
    order: NDArray[np.int64] = talking[np.argsort(np.argmax(active[:, talking], axis=0), kind="stable")]
    return order
