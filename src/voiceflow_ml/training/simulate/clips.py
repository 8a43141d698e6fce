"""Windows of one voice alone, each with what the teacher heard in just these clips.

A conversation teaches an embedding who is who; single clips teach it to hear as the teacher
hears: every clip has a target of its own, not only its voice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.models.powerset import LOCAL_SPEAKERS
from voiceflow_ml.models.signal import FRAME_SAMPLES
from voiceflow_ml.training.data.activity import speech_frames
from voiceflow_ml.training.simulate.acoustics import apply_channel, play_at
from voiceflow_ml.training.simulate.bank import SpeechBank, Voice, to_float
from voiceflow_ml.training.simulate.conversation import SPEECH_LEVEL, SimulationConfig, add_noise
from voiceflow_ml.training.simulate.windows import ABSENT, Windows
from voiceflow_ml.training.teaching import unit


def clip_windows(
    bank: SpeechBank, config: SimulationConfig, rng: np.random.Generator, window_samples: int, count: int
) -> Windows:
    """Windows filled with clips of one voice each, through rooms, channels and noise.

    Args:
        bank: Voices that a teacher has heard.
        config: Rooms, noise, levels and speeds are as in conversations.
        rng: Source of chance.
        window_samples: Length of a window.
        count: How many.

    Returns:
        The windows; the voice is in slot 0, and its target is that of its clips.
    """
    windows = [_window(bank, config, rng, window_samples) for _ in range(count)]
    return Windows(
        np.stack([audio for audio, _, _, _ in windows]),
        np.stack([activity for _, activity, _, _ in windows]),
        np.array([[identity, ABSENT, ABSENT] for _, _, identity, _ in windows], dtype=np.int64),
        np.stack([target for _, _, _, target in windows]),
    )


def _window(
    bank: SpeechBank, config: SimulationConfig, rng: np.random.Generator, samples: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], int, NDArray[np.float32]]:
    number = int(bank.draw_voices(rng, 1)[0])
    speed = int(rng.integers(len(config.speeds)))
    track, active, heard = _fill(bank.voices[number], config.speeds[speed], rng, samples)
    room, telephone = rng.random() < config.room_chance, rng.random() < config.telephone_chance
    audio = add_noise(apply_channel(track, rng, room=room, telephone=telephone), bank, config, rng)
    activity = np.zeros((active.size, LOCAL_SPEAKERS), dtype=np.bool_)
    activity[:, 0] = active
    target = np.zeros((LOCAL_SPEAKERS, heard.size), dtype=np.float32)
    target[0] = bank.at_speed(number, heard, speed)
    return audio, activity, number * len(config.speeds) + speed, target


def _fill(
    voice: Voice, speed: float, rng: np.random.Generator, samples: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Clips end to end until the window is full; the mean of their targets, weighted by length."""
    track, wanted = np.zeros(samples, dtype=np.float32), int(rng.uniform(0.4, 1.0) * samples)
    active = np.zeros(samples // FRAME_SAMPLES, dtype=np.bool_)
    heard = np.zeros(voice.targets.shape[1], dtype=np.float32)
    filled = int(rng.integers(0, samples - wanted + 1)) // FRAME_SAMPLES * FRAME_SAMPLES
    last = filled + wanted
    while filled < last:
        index = int(rng.integers(len(voice.clips)))
        clip = play_at(to_float(voice.clips[index]), speed)
        frames = min(clip.size, last - filled) // FRAME_SAMPLES
        if frames == 0:
            break
        begin = int(rng.integers(clip.size - frames * FRAME_SAMPLES + 1))
        piece = clip[begin : begin + frames * FRAME_SAMPLES]
        level = np.sqrt(np.square(piece).mean()) + 1e-4
        track[filled : filled + piece.size] = piece * np.float32(SPEECH_LEVEL / level)
        active[filled // FRAME_SAMPLES :][:frames] = speech_frames(piece)
        heard += frames * voice.targets[index]
        filled += frames * FRAME_SAMPLES
    return track, active, unit(heard)
