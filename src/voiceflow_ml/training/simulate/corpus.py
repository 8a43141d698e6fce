"""Write simulated conversations to files: WAV, exact RTTM, and a manifest that says how they came about.

Layout of a corpus folder::

    manifest.json       settings, data and hashes; ``complete`` once every conversation is there
    dev-0000.wav        16 kHz mono, 16-bit PCM
    dev-0000.rttm       the turns, in whole 20 ms frames
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from voiceflow_ml.audio import write_wav
from voiceflow_ml.errors import DataError
from voiceflow_ml.files import hash_file, write_text_atomic
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn, format_rttm
from voiceflow_ml.training.data.activity import active_turns
from voiceflow_ml.training.data.labels import Split
from voiceflow_ml.training.simulate.bank import SpeechBank
from voiceflow_ml.training.simulate.conversation import Conversation, SimulationConfig, simulate

CORPUS_VERSION = 2
MANIFEST_NAME = "manifest.json"
CORPUS_STREAM = 2
"""Second part of every conversation's seed: training draws from stream 0, scoring of windows from 1."""

_LONGEST_S = 4 * 3_600
"""A conversation is made in memory, one track for each speaker."""

_SAVE_EVERY = 20
"""Conversations between two writings of the manifest; what was made since the last is made again after a stop."""

Progress = Callable[[int, int], None]
"""Called with how many conversations are there, and of how many."""


@dataclass(frozen=True)
class CorpusConfig:
    """A set of conversations.

    Attributes:
        split: Whose voices.
        count: How many conversations.
        seed: The same seed gives the same files.
        speakers: Fewest and most speakers of a conversation; each number is as likely.
        simulation: What the conversations are like; its ``speaker_weights`` follow from ``speakers``.
    """

    split: Split
    count: int
    seed: int
    speakers: tuple[int, int]
    simulation: SimulationConfig

    def __post_init__(self) -> None:
        fewest, most = self.speakers
        if self.count < 1:
            raise DataError(f"a corpus needs at least 1 conversation, got {self.count}")
        if self.seed < 0:
            raise DataError(f"the seed must be at least 0, got {self.seed}")
        if not 0 <= fewest <= most:
            raise DataError(f"speakers must be a range such as 2..4, got {fewest}..{most}")
        if not FRAME_SAMPLES / SAMPLE_RATE_HZ <= self.simulation.seconds <= _LONGEST_S:
            raise DataError(f"a conversation lasts 0.02 to {_LONGEST_S} seconds, got {self.simulation.seconds}")
        weights = tuple(float(number >= fewest) for number in range(most + 1))
        object.__setattr__(self, "simulation", replace(self.simulation, speaker_weights=weights))


@dataclass(frozen=True)
class Entry:
    """One conversation of the manifest.

    Attributes:
        name: Stem of its files, and the recording's name in the RTTM.
        seconds: Length.
        speakers: Those who talk, in order of their names.
        speech_seconds: Time in which anyone talks.
        overlap_seconds: Time in which two talk.
        wav_sha256: Hash of the WAV file.
        rttm_sha256: Hash of the RTTM file.
    """

    name: str
    seconds: float
    speakers: tuple[str, ...]
    speech_seconds: float
    overlap_seconds: float
    wav_sha256: str
    rttm_sha256: str


def write_corpus(bank: SpeechBank, config: CorpusConfig, out_dir: Path, progress: Progress) -> Path:
    """Simulate every conversation that is not there yet.

    A run that was stopped continues; a file that was changed or lost is made again.

    Args:
        bank: The split's voices.
        config: What to simulate.
        out_dir: Where the files go.
        progress: Called after each conversation.

    Returns:
        The manifest's path.

    Raises:
        DataError: The folder holds another set, the split has fewer voices that may be
            mixed than the config asks for, or a file cannot be written.
    """
    _check_voices(bank, config)
    settings = _settings(bank, config)
    path = out_dir / MANIFEST_NAME
    kept = {entry.name: entry for entry in _read_entries(path, settings) if _is_whole(out_dir, entry)}
    if len(kept) < config.count:
        _write_manifest(path, settings, kept.values(), complete=False)
    entries: list[Entry] = []
    for number in range(config.count):
        name = f"{config.split}-{number:04d}"
        entries.append(kept.get(name) or _write_conversation(bank, config, number, out_dir / name))
        progress(number + 1, config.count)
        if (number + 1) % _SAVE_EVERY == 0 and number + 1 < config.count:
            _write_manifest(path, settings, entries, complete=False)
    _write_manifest(path, settings, entries, complete=True)
    return path


def conversation_turns(bank: SpeechBank, conversation: Conversation) -> list[Turn]:
    """Who speaks when in a simulated conversation, by name."""
    return [
        turn
        for column, voice in enumerate(conversation.speakers)
        for turn in active_turns(conversation.activity[:, column], bank.voices[voice].speaker)
    ]


def _check_voices(bank: SpeechBank, config: CorpusConfig) -> None:
    groups = len({voice.group for voice in bank.voices})
    if groups < config.speakers[1]:
        raise DataError(
            f"conversations of {config.speakers[1]} speakers were asked for, but only {groups} voices of the "
            f"{config.split} split may be mixed; ask for fewer speakers or prepare more packages"
        )


def _write_conversation(bank: SpeechBank, config: CorpusConfig, number: int, stem: Path) -> Entry:
    conversation = simulate(bank, config.simulation, (config.seed, CORPUS_STREAM, number))
    if len(conversation.speakers) < config.speakers[0]:
        raise DataError(
            f"{stem.name}: only {len(conversation.speakers)} voices of the {config.split} split could be mixed, not "
            f"{config.speakers[0]}: the others are too much alike; ask for fewer speakers or prepare more packages"
        )
    turns = conversation_turns(bank, conversation)
    wav, rttm = stem.with_suffix(".wav"), stem.with_suffix(".rttm")
    write_wav(wav, conversation.audio, SAMPLE_RATE_HZ)
    write_text_atomic(rttm, format_rttm(turns, stem.name))
    talking = conversation.activity.sum(axis=1)
    frame_s = FRAME_SAMPLES / SAMPLE_RATE_HZ
    return Entry(
        name=stem.name,
        seconds=conversation.audio.size / SAMPLE_RATE_HZ,
        speakers=tuple(sorted({turn.speaker for turn in turns})),
        speech_seconds=round(int(np.count_nonzero(talking)) * frame_s, 2),
        overlap_seconds=round(int(np.count_nonzero(talking > 1)) * frame_s, 2),
        wav_sha256=hash_file(wav),
        rttm_sha256=hash_file(rttm),
    )


def _settings(bank: SpeechBank, config: CorpusConfig) -> dict[str, Any]:
    """Everything that the files depend on, as JSON holds it."""
    settings: dict[str, Any] = json.loads(
        json.dumps(
            {
                "version": CORPUS_VERSION,
                "data_manifest_sha256": bank.manifest_sha256,
                "teaching_sha256": bank.teaching.sha256 if bank.teaching else "",
                "sample_rate_hz": SAMPLE_RATE_HZ,
                "config": asdict(config),
            }
        )
    )
    return settings


def _read_entries(path: Path, settings: dict[str, Any]) -> list[Entry]:
    """What an earlier run left; a smaller set of the same conversations is continued, too."""
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = [Entry(**{**fields, "speakers": tuple(fields["speakers"])}) for fields in content["conversations"]]
        before = {key: content.get(key) for key in settings if key != "config"} | {"config": content["config"]}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error!r}); delete it to make the conversations again") from error
    differing = [key for key in _flat(settings) if _flat(before).get(key) != _flat(settings)[key] and key != "count"]
    if differing:
        raise DataError(f"{path.parent} holds conversations made with another {differing[0]}; use another folder")
    if len(entries) > settings["config"]["count"]:
        raise DataError(
            f"{path.parent} holds {len(entries)} conversations already; ask for as many, or use another folder"
        )
    return entries


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    config = dict(settings["config"])
    return {**{key: value for key, value in settings.items() if key != "config"}, **config.pop("simulation"), **config}


def _is_whole(out_dir: Path, entry: Entry) -> bool:
    files = ((f"{entry.name}.wav", entry.wav_sha256), (f"{entry.name}.rttm", entry.rttm_sha256))
    return all((out_dir / name).is_file() and hash_file(out_dir / name) == digest for name, digest in files)


def _write_manifest(path: Path, settings: dict[str, Any], entries: Iterable[Entry], *, complete: bool) -> None:
    content = {**settings, "complete": complete, "conversations": [asdict(entry) for entry in entries]}
    write_text_atomic(path, json.dumps(content, indent=1) + "\n")
