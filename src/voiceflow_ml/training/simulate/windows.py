"""Cut conversations, simulated and real, into the model's windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.models.powerset import LOCAL_SPEAKERS
from voiceflow_ml.models.signal import FRAME_SAMPLES
from voiceflow_ml.training.simulate.acoustics import apply_channel, coloured_noise, play_at
from voiceflow_ml.training.simulate.bank import SpeechBank, to_float
from voiceflow_ml.training.simulate.conversation import Conversation

ABSENT = -1
"""In ``Windows.identities``: no known voice in this slot."""

_MOST_AT_ONCE = 2
"""The powerset holds no more."""

_OVERLAID_CHANCE = 0.3
_MEETING_SPEEDS = (0.9, 1.1)


@dataclass(frozen=True)
class Windows:
    """A batch of windows.

    Attributes:
        audio: float32 ``[windows, samples]``.
        activity: bool ``[windows, frames, 3]``; slots of absent speakers are never active.
        identities: int64 ``[windows, 3]``: voice * speeds + speed of each slot, or ``ABSENT``.
        targets: float32 ``[windows, 3, dim]``: where the teacher puts what is heard in a slot; zeros
            where only its identity is known. ``None`` where that is so for all.
    """

    audio: NDArray[np.float32]
    activity: NDArray[np.bool_]
    identities: NDArray[np.int64]
    targets: NDArray[np.float32] | None = None


def cut_windows(conversations: Iterable[Conversation], window_samples: int, *, speeds: int) -> Windows:
    """Cut every conversation into back-to-back windows; a remainder is dropped.

    Four speakers in one window are rare; then the three who talk most keep their labels.

    Args:
        conversations: What to cut.
        window_samples: Length of a window, a multiple of 640.
        speeds: How many speeds a voice may have, so that voice and speed make one number.

    Returns:
        All windows, in order.

    Raises:
        ValueError: No conversation is as long as one window.
    """
    frames = window_samples // FRAME_SAMPLES
    audio, activity, identities = [], [], []
    for conversation in conversations:
        names = [
            voice * speeds + speed for voice, speed in zip(conversation.speakers, conversation.speeds, strict=True)
        ]
        for number in range(conversation.activity.shape[0] // frames):
            part = conversation.activity[number * frames : (number + 1) * frames]
            local, who = _local(part, names)
            audio.append(conversation.audio[number * window_samples : (number + 1) * window_samples])
            activity.append(local)
            identities.append(who)
    if not audio:
        raise ValueError(f"no conversation is as long as one window ({window_samples} samples)")
    return Windows(np.stack(audio), np.stack(activity), np.stack(identities))


def meeting_windows(bank: SpeechBank, rng: np.random.Generator, window_samples: int, count: int) -> Windows:
    """Windows of real conversations at random places, seen through random channels and a little noise.

    Half of them are played faster or slower, and where few talk a second excerpt may be laid over
    the first: there is little real conversation, and much of what is hard in it is overlap.

    Args:
        bank: Its meetings are drawn from, each at least as long as a window.
        rng: Source of chance.
        window_samples: Length of a window.
        count: How many.

    Returns:
        The windows; every identity is ``ABSENT``, since who speaks is known in one recording only.
    """
    audio, activity = [], []
    for _ in range(count):
        heard, said = _excerpt(bank, rng, window_samples)
        if rng.random() < _OVERLAID_CHANCE:
            heard, said = _overlay(heard, said, *_excerpt(bank, rng, window_samples), rng)
        audio.append(_seen_anew(heard, rng))
        activity.append(_local(said, [ABSENT] * said.shape[1])[0])
    identities = np.full((count, LOCAL_SPEAKERS), ABSENT, dtype=np.int64)
    return Windows(np.stack(audio), np.stack(activity), identities)


def join(first: Windows, second: Windows) -> Windows:
    """The windows of both, which must be of one length."""
    return Windows(
        np.concatenate([first.audio, second.audio]),
        np.concatenate([first.activity, second.activity]),
        np.concatenate([first.identities, second.identities]),
        _join_targets(first, second),
    )


def _join_targets(first: Windows, second: Windows) -> NDArray[np.float32] | None:
    """Targets of both, zeros for windows without."""
    given = [windows.targets for windows in (first, second) if windows.targets is not None]
    if not given:
        return None
    dim = given[0].shape[2]
    parts = [
        np.zeros((*windows.identities.shape, dim), dtype=np.float32) if windows.targets is None else windows.targets
        for windows in (first, second)
    ]
    return np.concatenate(parts)


def _excerpt(bank: SpeechBank, rng: np.random.Generator, samples: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Audio ``[samples]`` and activity ``[frames, speakers]`` of a random place, at a random speed."""
    meeting = bank.meetings[int(rng.integers(len(bank.meetings)))]
    speed = rng.uniform(*_MEETING_SPEEDS) if rng.random() < 0.5 else 1.0
    frames = samples // FRAME_SAMPLES
    taken = min(int(np.ceil(frames * speed)), meeting.activity.shape[0])
    speed = min(speed, taken / frames)
    first = int(rng.integers(meeting.activity.shape[0] - taken + 1))
    piece = to_float(meeting.audio[first * FRAME_SAMPLES : (first + taken) * FRAME_SAMPLES])
    centres = np.minimum(((np.arange(frames) + 0.5) * speed).astype(np.int64), taken - 1)
    return play_at(piece, speed)[:samples], meeting.activity[first : first + taken][centres]


def _overlay(
    first: NDArray[np.float32],
    first_said: NDArray[np.bool_],
    second: NDArray[np.float32],
    second_said: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Both at once, where the labels can still hold all who talk; otherwise the first alone."""
    said = np.concatenate([first_said[:, first_said.any(axis=0)], second_said[:, second_said.any(axis=0)]], axis=1)
    if said.shape[1] > LOCAL_SPEAKERS or said.sum(axis=1).max(initial=0) > _MOST_AT_ONCE:
        return first, first_said
    ratio = (np.square(first).mean() + 1e-10) / (np.square(second).mean() + 1e-10)
    gain = np.sqrt(ratio) * 10.0 ** (rng.uniform(-6.0, 6.0) / 20.0)
    return first + np.float32(gain) * second, said


def _seen_anew(piece: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    piece = apply_channel(piece, rng, room=False, telephone=False)
    level = np.sqrt(np.square(piece).mean()) + 1e-5
    noise = coloured_noise(rng, piece.size) * np.float32(level * 10.0 ** (-rng.uniform(10.0, 40.0) / 20.0))
    gain = np.float32(10.0 ** (rng.uniform(-15.0, 15.0) / 20.0))
    return np.asarray(np.clip((piece + noise) * gain, -1.0, 1.0), dtype=np.float32)


def _local(part: NDArray[np.bool_], names: list[int]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """The three who talk most, never more than two at once (of three, the one who talks least is let go)."""
    talk = part.sum(axis=0)
    order = [int(column) for column in np.argsort(-talk, kind="stable")[:LOCAL_SPEAKERS] if talk[column] > 0]
    local = np.zeros((part.shape[0], LOCAL_SPEAKERS), dtype=np.bool_)
    local[:, : len(order)] = part[:, order]
    local &= np.cumsum(local, axis=1) <= _MOST_AT_ONCE
    who = np.full(LOCAL_SPEAKERS, ABSENT, dtype=np.int64)
    who[: len(order)] = [names[column] for column in order]
    return local, who
