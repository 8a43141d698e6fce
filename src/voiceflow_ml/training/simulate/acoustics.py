"""Rooms, channels, noise and speed; every function is a pure function of its generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.training.simulate.bank import SpeechBank, to_float

_LOWEST_HZ = 50.0


def room_response(rng: np.random.Generator) -> NDArray[np.float32]:
    """A crude room: the direct sound, then noise that decays exponentially.

    The reverberation time is 0.15 to 0.8 s and the direct sound is -4 to 15 dB
    above the tail's energy. The direct sound is at sample 0, so labels stay exact.

    Returns:
        float32 ``[samples]``.
    """
    decay_s = rng.uniform(0.15, 0.8)
    times_s = np.arange(int(decay_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    # Amplitude falls by 60 dB, a factor of 1000, over the reverberation time.
    tail = rng.standard_normal(times_s.size) * np.exp(-np.log(1000.0) * times_s / decay_s)
    tail[: SAMPLE_RATE_HZ // 500] = 0.0
    tail *= 10.0 ** (-rng.uniform(-4.0, 15.0) / 20.0) / np.sqrt(np.square(tail).sum() + 1e-12)
    tail[0] = 1.0
    return np.asarray(tail, dtype=np.float32)


def channel_gain(rng: np.random.Generator, frequencies_hz: NDArray[np.floating]) -> NDArray[np.float32]:
    """A microphone's colour: a tilt and a wave of up to 6 dB each over log frequency.

    Returns:
        float32, gain at each frequency.
    """
    octaves = np.log2(np.maximum(frequencies_hz, _LOWEST_HZ) / 1000.0)
    tilt_db = rng.uniform(-2.0, 2.0) * octaves
    wave_db = rng.uniform(0.0, 6.0) * np.sin(octaves * rng.uniform(0.5, 2.0) + rng.uniform(0.0, 2.0 * np.pi))
    return np.asarray(10.0 ** ((tilt_db + wave_db) / 20.0), dtype=np.float32)


def telephone_gain(frequencies_hz: NDArray[np.floating]) -> NDArray[np.float32]:
    """The band of a telephone line, 300 to 3400 Hz, with slopes of fourth order."""
    safe_hz = np.maximum(frequencies_hz, 1.0)
    high_pass = 1.0 / np.sqrt(1.0 + (300.0 / safe_hz) ** 8)
    low_pass = 1.0 / np.sqrt(1.0 + (safe_hz / 3400.0) ** 8)
    return np.asarray(high_pass * low_pass, dtype=np.float32)


def apply_channel(
    track: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    room: bool,
    telephone: bool,
    colour: np.random.Generator | None = None,
) -> NDArray[np.float32]:
    """Play a voice in a room and record it: convolution and colour in one transform.

    Args:
        track: float32 ``[samples]``.
        rng: Source of chance.
        room: Whether there is a room.
        telephone: Whether a telephone line follows.
        colour: Source of chance of the microphone's colour, where voices share one microphone; otherwise ``rng``.

    Returns:
        float32 ``[samples]``, the tail cut off.
    """
    response = room_response(rng) if room else np.ones(1, dtype=np.float32)
    length = next_fast_len(track.size + response.size, real=True)
    frequencies_hz = np.fft.rfftfreq(length, 1.0 / SAMPLE_RATE_HZ)
    spectrum = rfft(track, length) * channel_gain(colour or rng, frequencies_hz)
    if room:
        spectrum *= rfft(response, length)
    if telephone:
        spectrum *= telephone_gain(frequencies_hz)
    return np.asarray(irfft(spectrum, length)[: track.size], dtype=np.float32)


def play_at(audio: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Play faster (above 1) or slower; pitch and formants move along, as if someone else spoke.

    Args:
        audio: float32 ``[samples]``.
        speed: Factor, above 0.

    Returns:
        float32 ``[samples / speed]``, rounded down.
    """
    positions = np.arange(int(audio.size / speed)) * speed
    return np.asarray(np.interp(positions, np.arange(audio.size), audio), dtype=np.float32)


def coloured_noise(rng: np.random.Generator, samples: int) -> NDArray[np.float32]:
    """Gaussian noise between white and brown, of unit power.

    Returns:
        float32 ``[samples]``.
    """
    length = next_fast_len(samples, real=True)
    frequencies_hz = np.fft.rfftfreq(length, 1.0 / SAMPLE_RATE_HZ)
    shape = np.maximum(frequencies_hz, _LOWEST_HZ) ** (-rng.uniform(0.0, 1.0))
    noise = irfft(rfft(rng.standard_normal(length).astype(np.float32)) * shape.astype(np.float32), length)
    return _unit_power(np.asarray(noise[:samples], dtype=np.float32))


def recorded_noise(rng: np.random.Generator, bank: SpeechBank, samples: int) -> NDArray[np.float32]:
    """One to four of the bank's noises at random places, of unit power.

    Returns:
        float32 ``[samples]``; zeros when the bank has no noises.
    """
    track = np.zeros(samples, dtype=np.float32)
    if not bank.noises:
        return track
    for _ in range(int(rng.integers(1, 5))):
        noise = bank.noises[int(rng.integers(len(bank.noises)))]
        take = min(noise.size, samples)
        begin = int(rng.integers(noise.size - take + 1))
        start = int(rng.integers(samples - take + 1))
        track[start : start + take] += _unit_power(to_float(noise[begin : begin + take]))
    return _unit_power(track)


def _unit_power(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    return audio / np.float32(np.sqrt(np.square(audio).mean()) + 1e-6)
