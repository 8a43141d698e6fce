"""Score a diarizer on recordings with references."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceflow_ml.diarization.diarizer import Diarizer
from voiceflow_ml.diarization.scoring import Errors, Rules, score
from voiceflow_ml.errors import DataError
from voiceflow_ml.rttm import Turn, read_rttm
from voiceflow_ml.units import NS_PER_S

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Pair:
    """A recording and the file that holds its reference."""

    audio: Path
    rttm: Path

    @property
    def name(self) -> str:
        """The recording's name, as its RTTM should call it."""
        return self.audio.stem

    def reference(self) -> tuple[Turn, ...]:
        """The turns of this recording; those of an RTTM file's only recording whatever its name.

        Raises:
            DataError: The file cannot be read, or holds several recordings and not this one.
        """
        recordings = read_rttm(self.rttm)
        if self.name in recordings or len(recordings) < 2:
            return recordings.get(self.name, next(iter(recordings.values()), ()))
        raise DataError(f"{self.rttm}: holds no turns of {self.name!r}; it has {', '.join(sorted(recordings)[:5])}")


@dataclass(frozen=True)
class FileScore:
    """One recording.

    Attributes:
        name: Of the recording.
        seconds: Its length.
        took_s: Time that the diarization took, reading included.
        errors: The seconds of each kind of error.
        found: How many speakers were found.
        speakers: How many there are.
    """

    name: str
    seconds: float
    took_s: float
    errors: Errors
    found: int
    speakers: int


@dataclass(frozen=True)
class Evaluation:
    """All recordings.

    Attributes:
        files: In the order they were given.
        rules: What was scored.
    """

    files: tuple[FileScore, ...]
    rules: Rules

    @property
    def total(self) -> Errors:
        """The sum over all recordings: a recording counts by its speech."""
        return sum((file.errors for file in self.files), Errors(0.0, 0.0, 0.0, 0.0))

    @property
    def rtf(self) -> float:
        """Processing time / audio time over all recordings."""
        return sum(file.took_s for file in self.files) / sum(file.seconds for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; a DER that does not exist is null."""
        return {
            "schema_version": SCHEMA_VERSION,
            "what": f"DER of whole recordings, {self.rules}, counted by pyannote.metrics",
            "collar_s": self.rules.collar_s,
            "skip_overlap": self.rules.skip_overlap,
            "total": _numbers(self.total),
            "rtf": round(self.rtf, 4),
            "files": [
                {
                    "name": file.name,
                    "seconds": round(file.seconds, 3),
                    "took_s": round(file.took_s, 3),
                    "speakers_found": file.found,
                    "speakers_in_reference": file.speakers,
                    **_numbers(file.errors),
                }
                for file in self.files
            ],
        }


def find_pairs(paths: Sequence[Path]) -> tuple[Pair, ...]:
    """Recordings with the references beside them.

    Args:
        paths: Audio files with an ``.rttm`` of the same stem beside them, folders of such (not searched
            deeper; a recording without reference is left out), or ``.json`` files that hold a list
            of ``{"audio": ..., "rttm": ...}``, relative to themselves.

    Returns:
        In order; those of a folder by name.

    Raises:
        DataError: A path holds no pair, or a file is missing.
    """
    pairs: list[Pair] = []
    for path in paths:
        if path.is_dir():
            found = [
                Pair(audio, audio.with_suffix(".rttm"))
                for audio in sorted(path.iterdir())
                if audio.suffix.lower() in AUDIO_SUFFIXES and audio.with_suffix(".rttm").is_file()
            ]
            if not found:
                raise DataError(f"{path}: holds no recording ({', '.join(AUDIO_SUFFIXES)}) with an .rttm beside it")
            pairs += found
        elif path.suffix.lower() == ".json":
            pairs += _listed(path)
        else:
            pairs.append(Pair(path, path.with_suffix(".rttm")))
    return tuple(pairs)


def evaluate(
    pairs: Sequence[Pair],
    diarizer: Diarizer,
    rules: Rules,
    *,
    true_count: bool = False,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Iterator[FileScore]:
    """Diarize and score recordings one by one.

    Args:
        pairs: What to score.
        diarizer: What is scored.
        rules: What is left out.
        true_count: Give the diarizer the reference's number of speakers, to tell errors of counting from others.
        clock_ns: The clock.

    Yields:
        The score of each.

    Raises:
        DataError: A recording or a reference cannot be read.
    """
    for pair in pairs:
        reference = pair.reference()
        speakers = len({turn.speaker for turn in reference})
        asked = diarizer.with_speakers(speakers, None, None) if true_count and speakers else diarizer
        begun_ns = clock_ns()
        found = asked(pair.audio)
        took_s = (clock_ns() - begun_ns) / NS_PER_S
        errors = score(reference, found.turns, found.seconds, rules)
        yield FileScore(pair.name, found.seconds, took_s, errors, len(found.speakers), speakers)


def _listed(path: Path) -> list[Pair]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [Pair(path.parent / entry["audio"], path.parent / entry["rttm"]) for entry in content]
    except FileNotFoundError:
        raise DataError(f"{path}: no such list of recordings") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f'{path}: not a list of recordings ({error!r}); it must be [{{"audio": "a.wav", "rttm": "a.rttm"}}, ...]'
        ) from error


def _numbers(errors: Errors) -> dict[str, float | None]:
    def percent(seconds: float) -> float | None:
        return round(100.0 * seconds / errors.reference_s, 2) if errors.reference_s > 0.0 else None

    return {
        "der_percent": percent(errors.missed_s + errors.false_alarm_s + errors.confused_s),
        "missed_percent": percent(errors.missed_s),
        "false_alarm_percent": percent(errors.false_alarm_s),
        "confused_percent": percent(errors.confused_s),
        "reference_s": round(errors.reference_s, 3),
        "missed_s": round(errors.missed_s, 3),
        "false_alarm_s": round(errors.false_alarm_s, 3),
        "confused_s": round(errors.confused_s, 3),
    }
