"""From windows with named speakers to activity of each speaker in each frame of the recording."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.assignment import NOBODY
from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.local import LocalWindows

_BLOCK_FRAMES = 30_000
"""Frames reconstructed at once (10 minutes): what is needed beside the result does not grow with the recording."""


def reconstruct(
    windows: LocalWindows, labels: NDArray[np.int64], frames: int, config: DiarizationConfig
) -> NDArray[np.bool_]:
    """Average what overlapping windows say, and decide.

    How many talk in a frame and who they are is decided apart: the number from the sum of scores,
    whatever their names; then those with the highest mean scores are taken. A window whose speakers
    got the wrong names thus does not take speech away.

    Args:
        windows: In order of time.
        labels: int64 ``[windows, 3]``: each local speaker's global one, or ``NOBODY``.
        frames: Of the recording.
        config: Onsets and window weights count.

    Returns:
        bool ``[frames, speakers]``.
    """
    speakers = int(labels.max(initial=NOBODY)) + 1
    active = np.zeros((frames, speakers), dtype=np.bool_)
    if speakers == 0:
        return active
    for first in range(0, frames, _BLOCK_FRAMES):
        last = min(frames, first + _BLOCK_FRAMES)
        scores, talkers = mean_scores(windows, labels, (first, last), speakers, config)
        active[first:last] = decide(scores, talkers, config)
    return active


def mean_scores(
    windows: LocalWindows,
    labels: NDArray[np.int64],
    span: tuple[int, int],
    speakers: int,
    config: DiarizationConfig,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The weighted mean over the windows that hold each frame.

    Args:
        windows: In order of time.
        labels: As in :func:`reconstruct`.
        span: The first frame, and the one behind the last.
        speakers: How many columns.
        config: ``edge_weight`` counts.

    Returns:
        float32 ``[frames, speakers]``: mean score of each; and float32 ``[frames]``: how many talk.
        Zeros where no window is.
    """
    first, last = span
    length = windows.scores.shape[1]
    weights = window_weights(length, config.edge_weight)
    total = np.zeros((last - first, speakers), dtype=np.float32)
    weight = np.zeros(last - first, dtype=np.float32)
    touching = np.flatnonzero((windows.first_frames < last) & (windows.first_frames + length > first))
    for number in touching:
        start = int(windows.first_frames[number])
        inside = slice(max(0, first - start), min(length, last - start))
        into = slice(start + inside.start - first, start + inside.stop - first)
        weight[into] += weights[inside]
        for local, speaker in enumerate(labels[number]):
            if speaker != NOBODY:
                total[into, speaker] += weights[inside] * windows.scores[number, inside, local]
    mean = (total / np.maximum(weight, 1e-6)[:, None]).astype(np.float32)
    return mean, mean.sum(axis=1)


def decide(scores: NDArray[np.float32], talkers: NDArray[np.float32], config: DiarizationConfig) -> NDArray[np.bool_]:
    """Take as many speakers as talk, the likeliest first; at most two at once, as the net tells apart.

    Args:
        scores: float32 ``[frames, speakers]``.
        talkers: float32 ``[frames]``.
        config: The onsets count.

    Returns:
        bool ``[frames, speakers]``.
    """
    count = (talkers >= config.speech_onset).astype(np.int64) + (talkers >= 1.0 + config.overlap_onset)
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
    chosen: NDArray[np.bool_] = (rank < count[:, None]) & (scores > 0.0)
    return chosen


def window_weights(frames: int, edge_weight: float) -> NDArray[np.float32]:
    """float32 ``[frames]``: 1 in the middle of a window, falling linearly to ``edge_weight`` at both ends."""
    middle = 1.0 - np.abs(np.linspace(-1.0, 1.0, frames))
    return (edge_weight + (1.0 - edge_weight) * middle).astype(np.float32)
