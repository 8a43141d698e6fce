"""Simulate one conversation: who speaks when, mixed, with exact frame labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceflow_ml.training.data.activity import BRIDGED_FRAMES, close_gaps, speech_frames
from voiceflow_ml.training.simulate.acoustics import apply_channel, coloured_noise, play_at, recorded_noise
from voiceflow_ml.training.simulate.bank import SpeechBank, Voice, to_float

SPEECH_LEVEL = 0.05
"""Root mean square of active speech before the final gain (-26 dB full scale)."""


@dataclass(frozen=True)
class SimulationConfig:
    """What conversations are like.

    Attributes:
        seconds: Length of a conversation.
        speaker_weights: Chance of 0, 1, 2, 3, 4 speakers (normalised); none means noise or silence only.
        silence_chance: Chance of digital silence where there is no speaker.
        overlap_chance: Chance that a turn starts before the one before it ends.
        pause_mean_s: Mean of the pause otherwise.
        long_pause_chance: Chance that a pause is a long one instead, of 1 to 4 s.
        bridged_frames: Pauses inside a turn of up to so many 20 ms frames are labelled as speech.
        alike: How much likelier voices are together the more alike they are: the weight of each falls and rises
            by ``exp(alike * cosine)`` to the first. 0 draws them evenly, which makes recordings easy: most
            voices then come from another source, and sound of another microphone.
        twin_chance: Chance that two are one voice at the slowest and the fastest speed.
        one_microphone_chance: Chance that all voices have the same colour, as in a real recording.
        room_chance: Chance that the voices are in a room.
        telephone_chance: Chance of a telephone line.
        recorded_noise_chance: Chance of recorded noise on top of the steady one.
        snr_db: Least and most ratio of speech to noise.
        voice_gain_db: Least and most gain of a voice, so that some are nearer than others.
        gain_db: Least and most final gain.
        speeds: How fast a voice may be played; pitch and formants move along, so each is a voice of its own.
    """

    seconds: float = 6.0
    speaker_weights: tuple[float, ...] = (0.06, 0.16, 0.38, 0.28, 0.12)
    silence_chance: float = 0.2
    overlap_chance: float = 0.35
    pause_mean_s: float = 0.35
    long_pause_chance: float = 0.1
    bridged_frames: int = BRIDGED_FRAMES
    alike: float = 0.0
    twin_chance: float = 0.0
    one_microphone_chance: float = 0.0
    room_chance: float = 0.45
    telephone_chance: float = 0.12
    recorded_noise_chance: float = 0.35
    snr_db: tuple[float, float] = (3.0, 35.0)
    voice_gain_db: tuple[float, float] = (-5.0, 5.0)
    gain_db: tuple[float, float] = (-24.0, 12.0)
    speeds: tuple[float, ...] = (0.85, 0.92, 1.0, 1.08, 1.17)


@dataclass(frozen=True)
class Conversation:
    """A simulated conversation.

    Attributes:
        audio: float32 ``[samples]`` in [-1, 1], 16 kHz.
        activity: bool ``[frames, speakers]`` at 20 ms; never more than two at once.
        speakers: Index of each column's voice in the bank.
        speeds: Index of each column's speed in the configuration.
    """

    audio: NDArray[np.float32]
    activity: NDArray[np.bool_]
    speakers: tuple[int, ...]
    speeds: tuple[int, ...]


def simulate(bank: SpeechBank, config: SimulationConfig, seed: tuple[int, ...]) -> Conversation:
    """Simulate one conversation; the same bank, config and seed give the same samples.

    Args:
        bank: Voices and noises to draw from.
        config: What the conversation is like.
        seed: Any integers, e.g. (run, purpose, number).

    Returns:
        Audio and labels.
    """
    rng = np.random.default_rng(list(seed))
    weights = np.asarray(config.speaker_weights)
    wanted = int(rng.choice(weights.size, p=weights / weights.sum()))
    voices = bank.draw_voices(rng, wanted, alike=config.alike)
    frames = int(config.seconds * SAMPLE_RATE_HZ) // FRAME_SAMPLES
    tracks = np.zeros((len(voices), frames * FRAME_SAMPLES), dtype=np.float32)
    activity = np.zeros((frames, len(voices)), dtype=np.bool_)
    speeds = rng.integers(len(config.speeds), size=len(voices))
    # Without a chance nothing is drawn, so that what is added here leaves other conversations as they were.
    if len(voices) > 1 and config.twin_chance and rng.random() < config.twin_chance:
        voices[1] = voices[0]
        speeds[:2] = 0, len(config.speeds) - 1
    _fill_turns([bank.voices[v] for v in voices], config, rng, np.take(config.speeds, speeds), tracks, activity)
    speech = _mix_voices(tracks, config, rng)
    if not voices and rng.random() < config.silence_chance:
        return Conversation(speech, activity, (), ())
    audio = add_noise(speech, bank, config, rng)
    return Conversation(audio, activity, tuple(voices), tuple(int(speed) for speed in speeds))


def _fill_turns(
    voices: list[Voice],
    config: SimulationConfig,
    rng: np.random.Generator,
    speeds: NDArray[np.float64],
    tracks: NDArray[np.float32],
    activity: NDArray[np.bool_],
) -> None:
    """Lay turns one after another into ``tracks`` ``[speakers, samples]`` and ``activity``."""
    if not voices:
        return
    frames = activity.shape[0]
    ends = [-(10**9)] * len(voices)
    # Beginning before the first sample gives conversations that are cut into, as real windows are.
    cursor = -int(rng.integers(0, 100))
    speaker = int(rng.integers(len(voices)))
    while cursor < frames:
        clip, active = _draw_turn(voices[speaker], float(speeds[speaker]), config.bridged_frames, rng)
        # The second-latest end of all turns, and this speaker's own, bound the overlap to two voices.
        earliest = max(sorted(ends)[-2] if len(ends) > 1 else cursor, ends[speaker])
        start = max(cursor, earliest)
        _place(tracks[speaker], activity[:, speaker], clip, active, start)
        ends[speaker] = start + active.size
        cursor = max(ends) + _gap(config, rng, active.size)
        if len(voices) > 1 and rng.random() < 0.85:
            speaker = (speaker + int(rng.integers(1, len(voices)))) % len(voices)


def _gap(config: SimulationConfig, rng: np.random.Generator, turn_frames: int) -> int:
    """Frames from the end of the latest turn to the next start; negative for overlap."""
    if rng.random() < config.overlap_chance:
        return -int(rng.integers(5, max(6, min(100, int(0.9 * turn_frames)))))
    long_pause = rng.random() < config.long_pause_chance
    pause_s = rng.uniform(1.0, 4.0) if long_pause else rng.exponential(config.pause_mean_s)
    return int(pause_s * SAMPLE_RATE_HZ / FRAME_SAMPLES)


def _draw_turn(
    voice: Voice, speed: float, bridged_frames: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A turn of at most 5 s (one in five a short one): samples at the speech level, and its active frames."""
    clip = voice.clips[int(rng.integers(len(voice.clips)))]
    longest_s = rng.uniform(0.3, 1.0) if rng.random() < 0.2 else rng.uniform(1.0, 5.0)
    take = min(clip.size, int(longest_s * SAMPLE_RATE_HZ))
    begin = int(rng.integers(clip.size - take + 1))
    # The level is judged on the whole clip, so that a cut of pause is not taken for speech.
    whole = to_float(clip)
    whole_active = speech_frames(whole)
    loud = np.repeat(whole_active, FRAME_SAMPLES)
    level = np.sqrt(np.square(whole[: loud.size][loud]).mean()) if loud.any() else 1.0
    begin -= begin % FRAME_SAMPLES
    piece = whole[begin : begin + take] * np.float32(SPEECH_LEVEL / max(float(level), 1e-4))
    active = close_gaps(whole_active, bridged_frames)[begin // FRAME_SAMPLES : (begin + take) // FRAME_SAMPLES]
    return _change_speed(piece, active, speed)


def _change_speed(
    piece: NDArray[np.float32], active: NDArray[np.bool_], speed: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Play faster or slower (pitch moves along), cut to whole frames, labels moved alike."""
    fast = play_at(piece, speed)
    frames = min(int(active.size / speed), fast.size // FRAME_SAMPLES)
    fast = fast[: frames * FRAME_SAMPLES]
    centres = np.minimum(((np.arange(frames) + 0.5) * speed).astype(np.int64), max(active.size - 1, 0))
    return fast, active[centres]


def _place(
    track: NDArray[np.float32],
    column: NDArray[np.bool_],
    clip: NDArray[np.float32],
    active: NDArray[np.bool_],
    start: int,
) -> None:
    """Add a clip to a track at frame ``start``, cut at both ends of the track."""
    first, last = max(start, 0), min(start + active.size, column.size)
    if first >= last:
        return
    column[first:last] |= active[first - start : last - start]
    cut = clip[(first - start) * FRAME_SAMPLES : (last - start) * FRAME_SAMPLES]
    track[first * FRAME_SAMPLES : last * FRAME_SAMPLES] += cut


def _mix_voices(tracks: NDArray[np.float32], config: SimulationConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    mix = np.zeros(tracks.shape[1], dtype=np.float32)
    room = rng.random() < config.room_chance
    telephone = rng.random() < config.telephone_chance
    one = bool(config.one_microphone_chance) and rng.random() < config.one_microphone_chance
    microphone = int(rng.integers(2**32)) if one else None
    for track in tracks:
        gain = np.float32(10.0 ** (rng.uniform(*config.voice_gain_db) / 20.0))
        mix += gain * apply_channel(
            track,
            rng,
            room=room,
            telephone=telephone,
            colour=None if microphone is None else np.random.default_rng(microphone),
        )
    return mix


def add_noise(
    speech: NDArray[np.float32], bank: SpeechBank, config: SimulationConfig, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Speech as it is recorded: noise on top, and a level.

    Args:
        speech: float32 ``[samples]``, active speech at -26 dB full scale.
        bank: Recorded noises.
        config: Which noise, which levels.
        rng: Source of chance.

    Returns:
        float32 ``[samples]`` in [-1, 1].
    """
    return _master(speech + _noise(bank, config, rng, speech.size), config, rng)


def _noise(bank: SpeechBank, config: SimulationConfig, rng: np.random.Generator, samples: int) -> NDArray[np.float32]:
    level = SPEECH_LEVEL * 10.0 ** (-rng.uniform(*config.snr_db) / 20.0)
    noise = np.float32(level) * coloured_noise(rng, samples)
    if rng.random() < config.recorded_noise_chance:
        louder = SPEECH_LEVEL * 10.0 ** (-rng.uniform(*config.snr_db) / 20.0)
        noise += np.float32(louder) * recorded_noise(rng, bank, samples)
    return noise


def _master(audio: NDArray[np.float32], config: SimulationConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    gain = np.float32(10.0 ** (rng.uniform(*config.gain_db) / 20.0))
    return np.asarray(np.clip(audio * gain, -1.0, 1.0), dtype=np.float32)
