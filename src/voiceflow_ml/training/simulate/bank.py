"""The clips of one split, ready to draw from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import DataError
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.training.data.labels import NOISE_SPEAKER, Split
from voiceflow_ml.training.data.manifest import Clip, read_manifest, shard_path
from voiceflow_ml.training.data.meetings import Meeting, load_meetings
from voiceflow_ml.training.teaching import SAME_CONVERSATION_COSINE, Teaching, read_teaching, unit

MIN_SPEAKER_SECONDS = 5.0
"""Speakers with less speech than this are left out: too little to be known by."""

_FULL_SCALE = np.float32(1.0 / 32768.0)


@dataclass(frozen=True)
class Voice:
    """One speaker's clips.

    Attributes:
        speaker: Whose.
        group: Voices of one group might be one person.
        clips: int16 arrays at 16 kHz.
        targets: float32 ``[clips, dim]``: where a teacher puts each clip, zeros for one that it did not hear.
    """

    speaker: str
    group: str
    clips: tuple[NDArray[np.int16], ...]
    targets: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))

    @cached_property
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
        teaching: What a pretrained encoder says of the voices, where it was asked.
        meetings: Real conversations with their references; may be empty.
    """

    voices: tuple[Voice, ...]
    noises: tuple[NDArray[np.int16], ...]
    manifest_sha256: str
    teaching: Teaching | None = None
    meetings: tuple[Meeting, ...] = ()

    def draw_voices(self, rng: np.random.Generator, count: int, *, alike: float = 0.0) -> list[int]:
        """Draw speakers who are surely different people, those with more speech more often.

        Surely different are voices that the encoder tells apart, or, where none was
        asked, voices of different groups.

        Args:
            rng: Source of chance.
            count: How many; fewer come back when there are not as many.
            alike: Those after the first are likelier by ``exp(alike * cosine)`` to it, by the encoder's word.

        Returns:
            Indices into ``voices``.
        """
        # The square root keeps an actor with an hour from drowning a hundred voices with a minute.
        weights = np.sqrt([voice.seconds for voice in self.voices])
        drawn: list[int] = []
        for _ in range(count):
            free = weights * ~self._alike[drawn].any(axis=0)
            if free.sum() == 0.0:
                break
            if alike and drawn:
                free = free * np.exp(alike * self._similarity[drawn[0]])
            drawn.append(int(rng.choice(len(self.voices), p=free / free.sum())))
        return drawn

    def at_speed(self, voice: int, target: NDArray[np.float32], speed: int) -> NDArray[np.float32]:
        """Where a clip lies when it is played at another speed: moved as its voice moves.

        Args:
            voice: Index of the voice.
            target: float32 ``[dim]``, where the clip lies at its own speed; zeros where no one heard it.
            speed: Index of the speed.

        Returns:
            float32 ``[dim]`` of length one; zeros for zeros, since a move without a place is no place.

        Raises:
            DataError: No teacher has heard the voices.
        """
        if self.teaching is None:
            raise DataError("no encoder has heard these voices; run: voiceflow data teach")
        return unit(target + self._moves[voice, speed]) if target.any() else target

    @cached_property
    def _moves(self) -> NDArray[np.float32]:
        """How each speed moves each voice, ``[voices, speeds, dim]``."""
        if self.teaching is None:
            return np.zeros((0, 0, 0), dtype=np.float32)
        rows = self.teaching.target_rows(tuple(voice.speaker for voice in self.voices))
        return np.asarray(rows - rows[:, self.teaching.own_speed][:, None], dtype=np.float32)

    @cached_property
    def _similarity(self) -> NDArray[np.float32]:
        """Cosines between voices, ``[voices, voices]``; zeros where no encoder was asked."""
        if self.teaching is None:
            return np.zeros((len(self.voices), len(self.voices)), dtype=np.float32)
        return self.teaching.similarity(tuple(voice.speaker for voice in self.voices))

    @cached_property
    def _alike(self) -> NDArray[np.bool_]:
        """Pairs that might be one person, bool ``[voices, voices]``."""
        if self.teaching is not None:
            return self._similarity > SAME_CONVERSATION_COSINE
        groups = np.array([voice.group for voice in self.voices])
        return np.asarray(groups[:, None] == groups[None, :], dtype=np.bool_)


def load_bank(data_dir: Path, split: Split) -> SpeechBank:
    """Map the clips of one split into memory.

    Args:
        data_dir: A folder that ``voiceflow data prepare`` filled.
        split: Which speakers.

    Raises:
        DataError: The manifest or a shard is missing or damaged, or the split has no speaker.
    """
    records, digest = read_manifest(data_dir)
    teaching = read_teaching(data_dir, digest)
    clips: dict[str, list[NDArray[np.int16]]] = defaultdict(list)
    targets: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    groups: dict[str, str] = {}
    noises: list[NDArray[np.int16]] = []
    for record in records:
        shard = _map_shard(shard_path(data_dir, record.package))
        for clip in record.clips:
            if clip.split != split:
                continue
            samples = shard[clip.offset_samples : clip.offset_samples + clip.samples]
            if samples.size != clip.samples:
                raise DataError(f"{shard_path(data_dir, record.package)}: cut off; delete it and prepare again")
            speaker = _speaker(clip, teaching.relabelled.get(record.package, {}) if teaching else {})
            if speaker == NOISE_SPEAKER:
                noises.append(samples)
            elif speaker is not None:
                clips[speaker].append(samples)
                targets[speaker].append(_target(teaching, record.package, clip))
                groups.setdefault(speaker, clip.group)
    voices = tuple(
        Voice(speaker, groups[speaker], tuple(found), np.stack(targets[speaker]))
        for speaker, found in sorted(clips.items())
    )
    voices = tuple(voice for voice in voices if voice.seconds >= MIN_SPEAKER_SECONDS)
    if not voices:
        raise DataError(f"{data_dir}: no speaker of the {split} split; prepare more packages")
    return SpeechBank(voices, tuple(noises), digest, teaching, load_meetings(data_dir, split))


def _target(teaching: Teaching | None, package: str, clip: Clip) -> NDArray[np.float32]:
    if teaching is None:
        return np.zeros(0, dtype=np.float32)
    nothing = np.zeros(teaching.targets.shape[2], dtype=np.float32)
    return teaching.clips.get(package, {}).get(clip.name, nothing)


def _speaker(clip: Clip, relabelled: dict[str, str | None]) -> str | None:
    """Whose clip it is, by the encoder's word where it has one; ``None`` for nobody's."""
    return relabelled.get(clip.name, clip.speaker)


def _map_shard(path: Path) -> NDArray[np.int16]:
    try:
        return np.memmap(path, dtype="<i2", mode="r")
    except (OSError, ValueError):
        raise DataError(f"{path}: missing or empty; delete its .json and prepare the data again") from None


def to_float(clip: NDArray[np.int16]) -> NDArray[np.float32]:
    """int16 samples as float32 in [-1, 1)."""
    return clip.astype(np.float32) * _FULL_SCALE
