"""Recordings whose audio tells who talks, and a net that reads it: what follows the net can be held to perfection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.config import FRAME_S
from voiceflow_ml.diarization.segmenter import Segmentation
from voiceflow_ml.diarization.turns import activity_to_turns
from voiceflow_ml.models.powerset import CLASS_SPEAKERS, CLASSES, LOCAL_SPEAKERS
from voiceflow_ml.models.signal import FRAME_SAMPLES
from voiceflow_ml.rttm import Turn

_STEP = 1.0 / 2**22


@dataclass(frozen=True)
class Talk:
    """A conversation: bool ``[frames, speakers]``, and a voice ``[speakers, D]`` of length one for each."""

    activity: NDArray[np.bool_]
    voices: NDArray[np.float64]

    @property
    def seconds(self) -> float:
        return FRAME_S * int(self.activity.shape[0])

    @property
    def turns(self) -> list[Turn]:
        names = tuple(f"voice{number}" for number in range(self.activity.shape[1]))
        return activity_to_turns(self.activity, names, min_gap_s=0.0, min_turn_s=0.0)

    def audio(self) -> NDArray[np.float32]:
        """Every sample is its frame's number plus one, scaled: exact in float32 up to 46 hours."""
        frames = np.arange(1, self.activity.shape[0] + 1, dtype=np.float32) * np.float32(_STEP)
        return np.repeat(frames, FRAME_SAMPLES)


def converse(
    seed: int, *, speakers: int, seconds: float, overlap: float = 0.3, least_turn_s: float = 1.0, dim: int = 32
) -> Talk:
    """Turns of 1 to 4 s, each by another speaker than the last, some beginning before the last one ends."""
    rng = np.random.default_rng(seed)
    frames = round(seconds / FRAME_S)
    activity = np.zeros((frames, speakers), dtype=np.bool_)
    cursor, before, speaker = 10, 0, 0
    while cursor < frames:
        length = int(rng.uniform(least_turn_s, least_turn_s + 3.0) / FRAME_S)
        # Not before the turn before last ends: never three at once.
        start = max(cursor, before)
        activity[start : start + length, speaker] = True
        before, cursor = cursor, start + length
        cursor += -int(rng.uniform(10, 40)) if rng.random() < overlap else int(rng.uniform(5, 40))
        if speakers > 1:
            speaker = (speaker + int(rng.integers(1, speakers))) % speakers
    voices = np.linalg.qr(rng.standard_normal((dim, dim)))[0][:speakers]
    return Talk(activity, voices)


class OracleSegmenter:
    """Answers from the reference; the local speakers of each window in an order of its own."""

    def __init__(self, talk: Talk, *, noise: float = 0.0, confidence: float = 10.0) -> None:
        self._talk, self._noise, self._confidence = talk, noise, confidence
        self._rng = np.random.default_rng(1)
        self.windows = 0

    def __call__(self, audio: NDArray[np.float32]) -> Segmentation:
        batch, frames = audio.shape[0], audio.shape[1] // FRAME_SAMPLES
        self.windows += batch
        logits = np.zeros((batch, frames, CLASSES), dtype=np.float32)
        embeddings = np.zeros((batch, LOCAL_SPEAKERS, self._talk.voices.shape[1]), dtype=np.float32)
        numbers = np.rint(audio.reshape(batch, frames, FRAME_SAMPLES)[:, :, 0] / _STEP).astype(np.int64) - 1
        for index in range(batch):
            known = (numbers[index] >= 0) & (numbers[index] < self._talk.activity.shape[0])
            active = self._talk.activity[np.where(known, numbers[index], 0)] & known[:, None]
            order = self._rng.permutation(np.argsort(-active.sum(axis=0), kind="stable")[:LOCAL_SPEAKERS])
            for frame, row in enumerate(active[:, order]):
                logits[index, frame, CLASS_SPEAKERS.index(tuple(np.flatnonzero(row)[:2]))] = self._confidence
            voices = self._talk.voices[order]
            noisy = voices + self._noise * self._rng.standard_normal(voices.shape) / np.sqrt(voices.shape[1])
            embeddings[index, : order.size] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
        return Segmentation(logits, embeddings)
