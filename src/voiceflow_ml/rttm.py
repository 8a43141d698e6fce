"""Read and write RTTM: who speaks when, one line for each turn.

The format is of NIST's Rich Transcription evaluations ("The 2009 Rich
Transcription Evaluation Plan", appendix A): ten fields between blanks, of which
speaker turns use the recording, the start and the duration in seconds, and the
speaker. Lines of other kinds, and comments that start with ``;;``, are passed over.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voiceflow_ml.errors import DataError

_SPEAKER_LINE = "SPEAKER"
_FIELDS = 8
"""Up to the speaker's name; the two behind it, confidence and lookahead, may be missing."""


@dataclass(frozen=True)
class Turn:
    """A stretch of one speaker's speech.

    Attributes:
        speaker: Whose; a name without blanks.
        start_s: Seconds from the start of the recording, at least 0.
        duration_s: Seconds, more than 0.
    """

    speaker: str
    start_s: float
    duration_s: float

    def __post_init__(self) -> None:
        _check_name("speaker", self.speaker)
        if not (math.isfinite(self.start_s) and self.start_s >= 0.0):
            raise DataError(f"a turn must start at a finite time of at least 0 s, got {self.start_s}")
        if not (math.isfinite(self.duration_s) and self.duration_s > 0.0):
            raise DataError(f"a turn must last a finite time of more than 0 s, got {self.duration_s}")

    @property
    def end_s(self) -> float:
        """Seconds from the start of the recording to the end of the turn."""
        return self.start_s + self.duration_s


def format_rttm(turns: Iterable[Turn], recording: str) -> str:
    """The turns of one recording as RTTM, in order of their start, times to the millisecond.

    Args:
        turns: In any order; one shorter than half a millisecond is written as one millisecond.
        recording: Its name, without blanks; evaluation tools match files by it.

    Returns:
        One line for each turn; empty when there is none.

    Raises:
        DataError: The recording's name is empty or holds blanks.
    """
    _check_name("recording", recording)
    ordered = sorted(turns, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker))
    return "".join(
        f"{_SPEAKER_LINE} {recording} 1 {turn.start_s:.3f} {max(turn.duration_s, 0.001):.3f} "
        f"<NA> <NA> {turn.speaker} <NA> <NA>\n"
        for turn in ordered
    )


def parse_rttm(text: str, source: str) -> dict[str, tuple[Turn, ...]]:
    """The turns of every recording in an RTTM text.

    Args:
        text: The content.
        source: Where it comes from, for messages.

    Returns:
        Turns by recording, each in order of the lines; empty for a text without turns.

    Raises:
        DataError: A speaker line has too few fields or a time that is none; the message names the line.
    """
    found: dict[str, list[Turn]] = defaultdict(list)
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != _SPEAKER_LINE:
            continue
        if len(fields) < _FIELDS:
            raise DataError(f"{source}, line {number}: a SPEAKER line has at least {_FIELDS} fields, got {len(fields)}")
        try:
            turn = Turn(fields[7], float(fields[3]), float(fields[4]))
        except (ValueError, DataError) as error:
            raise DataError(f"{source}, line {number}: {error}") from error
        found[fields[1]].append(turn)
    return {recording: tuple(turns) for recording, turns in found.items()}


def read_rttm(path: Path) -> dict[str, tuple[Turn, ...]]:
    """Read an RTTM file.

    Args:
        path: The file, UTF-8.

    Returns:
        As :func:`parse_rttm`.

    Raises:
        DataError: It is missing, is not text, or has a damaged line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: no such RTTM file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not an RTTM file (it is not UTF-8 text)") from error
    return parse_rttm(text, str(path))


def _check_name(what: str, name: str) -> None:
    if name.split() != [name]:
        raise DataError(f"a {what}'s name in RTTM must not be empty nor hold blanks, got {name!r}")
