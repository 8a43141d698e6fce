"""Where a clean recording of one voice holds speech, by its energy.

The recordings are studio or near-studio takes of one voice, so energy tells
speech from pause; it would not on a noisy mixture, which is what the model is for.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn

_BELOW_LOUD_DB = 32.0
_ABOVE_FLOOR_DB = 10.0
_SILENCE_DB = -60.0
_HANGOVER_FRAMES = 4

BRIDGED_FRAMES = 12
"""Pauses of up to 240 ms inside a turn stay part of it in a reference, as people who annotate leave them."""


def speech_frames(audio: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark the 20 ms frames of a clean one-voice recording that hold speech.

    A frame counts when its level is within 32 dB of the loud frames (their
    95th percentile), 10 dB above the floor (5th percentile, where the take
    has pauses at all) and above -60 dB full scale; gaps of up to 80 ms inside a word are closed.

    Args:
        audio: float32 ``[samples]`` in [-1, 1] at 16 kHz.

    Returns:
        bool ``[samples // 320]``.
    """
    frames = audio[: audio.size - audio.size % FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    if frames.shape[0] == 0:
        return np.zeros(0, dtype=np.bool_)
    level_db = 10.0 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    loud_db = float(np.percentile(level_db, 95))
    floor_db = float(np.percentile(level_db, 5))
    threshold_db = max(loud_db - _BELOW_LOUD_DB, _SILENCE_DB)
    # A take without pauses has no floor to stand out from.
    if floor_db < loud_db - 2 * _ABOVE_FLOOR_DB:
        threshold_db = max(threshold_db, floor_db + _ABOVE_FLOOR_DB)
    return close_gaps(level_db > threshold_db, _HANGOVER_FRAMES)


def close_gaps(active: NDArray[np.bool_], longest_frames: int) -> NDArray[np.bool_]:
    """Fill inactive stretches of at most ``longest_frames`` between two active ones.

    Args:
        active: bool ``[frames]``.
        longest_frames: The longest gap that is filled, in frames.

    Returns:
        A new array of the same shape.
    """
    closed = active.copy()
    marks = np.flatnonzero(active)
    for before, after in itertools.pairwise(marks):
        if 1 < after - before <= longest_frames + 1:
            closed[before:after] = True
    return closed


def active_turns(active: NDArray[np.bool_], speaker: str, *, first_frame: int = 0) -> list[Turn]:
    """The stretches of active frames as turns.

    Args:
        active: bool ``[frames]`` at 20 ms.
        speaker: Whose speech it is.
        first_frame: Where frame 0 lies in the recording.

    Returns:
        The turns, in order; their edges are whole frames.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8))).reshape(-1, 2)
    frame_s = FRAME_SAMPLES / SAMPLE_RATE_HZ
    return [Turn(speaker, (first_frame + int(first)) * frame_s, int(last - first) * frame_s) for first, last in edges]


def trim_to_speech(audio: NDArray[np.float32], *, margin_frames: int = 3) -> NDArray[np.float32]:
    """Cut leading and trailing silence, but for a margin.

    Args:
        audio: float32 ``[samples]`` at 16 kHz.
        margin_frames: 20 ms frames kept on either side.

    Returns:
        The part with speech; empty when there is none.
    """
    marks = np.flatnonzero(speech_frames(audio))
    if marks.size == 0:
        return audio[:0]
    first = max(0, int(marks[0]) - margin_frames)
    last = int(marks[-1]) + 1 + margin_frames
    return audio[first * FRAME_SAMPLES : last * FRAME_SAMPLES]
