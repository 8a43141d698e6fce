"""Cut conversations into the model's windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.models.powerset import LOCAL_SPEAKERS
from voiceflow_ml.models.signal import FRAME_SAMPLES
from voiceflow_ml.training.simulate.conversation import Conversation

ABSENT = -1
"""In ``Windows.speakers``: no speaker in this slot."""


@dataclass(frozen=True)
class Windows:
    """A batch of windows.

    Attributes:
        audio: float32 ``[windows, samples]``.
        activity: bool ``[windows, frames, 3]``; slots of absent speakers are never active.
        speakers: int64 ``[windows, 3]``: index of each slot's voice in the bank, or ``ABSENT``.
    """

    audio: NDArray[np.float32]
    activity: NDArray[np.bool_]
    speakers: NDArray[np.int64]


def cut_windows(conversations: Iterable[Conversation], window_samples: int) -> Windows:
    """Cut every conversation into back-to-back windows; a remainder is dropped.

    Four speakers in one window are rare; then the three who talk most keep their labels.

    Args:
        conversations: What to cut.
        window_samples: Length of a window, a multiple of 320.

    Returns:
        All windows, in order.

    Raises:
        ValueError: No conversation is as long as one window.
    """
    frames = window_samples // FRAME_SAMPLES
    audio, activity, speakers = [], [], []
    for conversation in conversations:
        for number in range(conversation.activity.shape[0] // frames):
            part = conversation.activity[number * frames : (number + 1) * frames]
            local, who = _local(part, conversation.speakers)
            audio.append(conversation.audio[number * window_samples : (number + 1) * window_samples])
            activity.append(local)
            speakers.append(who)
    if not audio:
        raise ValueError(f"no conversation is as long as one window ({window_samples} samples)")
    return Windows(np.stack(audio), np.stack(activity), np.stack(speakers))


def _local(part: NDArray[np.bool_], voices: tuple[int, ...]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    talk = part.sum(axis=0)
    order = [int(column) for column in np.argsort(-talk, kind="stable")[:LOCAL_SPEAKERS] if talk[column] > 0]
    local = np.zeros((part.shape[0], LOCAL_SPEAKERS), dtype=np.bool_)
    local[:, : len(order)] = part[:, order]
    who = np.full(LOCAL_SPEAKERS, ABSENT, dtype=np.int64)
    who[: len(order)] = [voices[column] for column in order]
    return local, who
