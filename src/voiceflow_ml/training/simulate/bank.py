"""The clips of one split, ready to draw from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import DataError
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.training.data.labels import NOISE_SPEAKER, Split
from voiceflow_ml.training.data.manifest import read_manifest, shard_path

MIN_SPEAKER_SECONDS = 5.0
"""Speakers with less speech than this are left out: too little to be known by."""

_FULL_SCALE = np.float32(1.0 / 32768.0)


@dataclass(frozen=True)
class Voice:
    """One speaker's clips, as int16 arrays at 16 kHz."""

    speaker: str
    group: str
    clips: tuple[NDArray[np.int16], ...]

    @property
    def seconds(self) -> float:
        """Length of all clips together."""
        return sum(clip.size for clip in self.clips) / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class SpeechBank:
    """Voices and noises of one split.

    Attributes:
        voices: The speakers, by name.
        noises: Noise recordings (effects, music), int16 at 16 kHz; may be empty.
        manifest_sha256: Which data this is.
    """

    voices: tuple[Voice, ...]
    noises: tuple[NDArray[np.int16], ...]
    manifest_sha256: str

    def draw_voices(self, rng: np.random.Generator, count: int) -> list[int]:
        """Draw speakers of different groups, those with more speech more often.

        Args:
            rng: Source of chance.
            count: How many; fewer come back when there are fewer groups.

        Returns:
            Indices into ``voices``.
        """
        # The square root keeps an actor with an hour from drowning a hundred voices with a minute.
        weights = np.sqrt([voice.seconds for voice in self.voices])
        drawn: list[int] = []
        for _ in range(count):
            taken = {self.voices[index].group for index in drawn}
            free = np.array(
                [weight * (voice.group not in taken) for weight, voice in zip(weights, self.voices, strict=True)]
            )
            if free.sum() == 0.0:
                break
            drawn.append(int(rng.choice(len(self.voices), p=free / free.sum())))
        return drawn


def load_bank(data_dir: Path, split: Split) -> SpeechBank:
    """Map the clips of one split into memory.

    Args:
        data_dir: A folder that ``voiceflow data prepare`` filled.
        split: Which speakers.

    Raises:
        DataError: The manifest or a shard is missing or damaged, or the split has no speaker.
    """
    records, digest = read_manifest(data_dir)
    clips: dict[tuple[str, str], list[NDArray[np.int16]]] = defaultdict(list)
    noises: list[NDArray[np.int16]] = []
    for record in records:
        shard = _map_shard(shard_path(data_dir, record.package))
        for clip in record.clips:
            if clip.split != split:
                continue
            samples = shard[clip.offset_samples : clip.offset_samples + clip.samples]
            if samples.size != clip.samples:
                raise DataError(f"{shard_path(data_dir, record.package)}: cut off; delete it and prepare again")
            if clip.speaker == NOISE_SPEAKER:
                noises.append(samples)
            else:
                clips[clip.speaker, clip.group].append(samples)
    voices = tuple(Voice(speaker, group, tuple(found)) for (speaker, group), found in sorted(clips.items()))
    voices = tuple(voice for voice in voices if voice.seconds >= MIN_SPEAKER_SECONDS)
    if not voices:
        raise DataError(f"{data_dir}: no speaker of the {split} split; prepare more packages")
    return SpeechBank(voices, tuple(noises), digest)


def _map_shard(path: Path) -> NDArray[np.int16]:
    try:
        return np.memmap(path, dtype="<i2", mode="r")
    except (OSError, ValueError):
        raise DataError(f"{path}: missing or empty; delete its .json and prepare the data again") from None


def to_float(clip: NDArray[np.int16]) -> NDArray[np.float32]:
    """int16 samples as float32 in [-1, 1)."""
    return clip.astype(np.float32) * _FULL_SCALE
