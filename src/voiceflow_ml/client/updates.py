"""What a server says in a stream: read frame by frame, and put together."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from voiceflow_ml.client.answers import read_turns
from voiceflow_ml.errors import AnswerError, DataError
from voiceflow_ml.live_turns import Correction, TurnJoiner
from voiceflow_ml.rttm import Turn

_ROUNDING_S = 0.001
"""Times are sent in whole milliseconds."""


@dataclass(frozen=True)
class StreamUpdate:
    """What the server said to one chunk, or to the start or the end of a stream.

    Attributes:
        kind: ``"ready"``, ``"turns"``, ``"done"`` or ``"error"``.
        turns: those that came out; with ``"done"`` all of the stream.
        version: of the model that the stream is bound to, with ``"ready"``; else empty.
        message: with ``"error"``, what is wrong.
        corrections: what holds of what came out before, in the order in which they apply, after ``turns``.
    """

    kind: str
    turns: tuple[Turn, ...] = ()
    version: str = ""
    message: str = ""
    corrections: tuple[Correction, ...] = ()


class SoFar:
    """All that one stream has said; what it holds grows with the turns, not with the frames."""

    def __init__(self) -> None:
        self._joiner = TurnJoiner()
        self._done: tuple[Turn, ...] | None = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns so far, whole and corrected, in order of their start."""
        return self._joiner.turns() if self._done is None else self._done

    def take(self, frame: str | bytes, url: str) -> StreamUpdate:
        """Read the next frame, and keep what it says.

        Raises:
            AnswerError: it is none of the protocol, or contradicts those before.
        """
        update = read_update(frame, url)
        if update.kind == "done":
            self._done = update.turns
            return update
        try:
            self._joiner.take(update.turns, update.corrections)
        except DataError as error:
            raise _unreadable(url, error) from None
        return update


def read_update(frame: str | bytes, url: str) -> StreamUpdate:
    """One frame of the server.

    Raises:
        AnswerError: it is none of the protocol.
    """
    try:
        document = json.loads(frame)
        return StreamUpdate(
            str(document["type"]),
            read_turns(document.get("turns", ())),
            str(document.get("version", "")),
            str(document.get("message", "")),
            # A server of before corrections sends none.
            tuple(_read_correction(entry) for entry in document.get("corrected", ())),
        )
    except (DataError, KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError) as error:
        raise _unreadable(url, error) from None


def _read_correction(entry: Any) -> Correction:
    start_s, end_s = float(entry["start_s"]), float(entry["end_s"])
    if not 0.0 <= start_s < end_s < math.inf:
        raise DataError(f"a correction must be of a stretch of time, got {start_s} to {end_s}")
    turns = read_turns(entry["turns"])
    if any(turn.start_s < start_s - _ROUNDING_S or turn.end_s > end_s + _ROUNDING_S for turn in turns):
        raise DataError(f"the turns of a correction must lie in its stretch, {start_s} to {end_s}")
    return Correction(start_s, end_s, turns)


def _unreadable(url: str, error: Exception) -> AnswerError:
    return AnswerError(f"{url}: a frame of the stream cannot be read: {error!r}", url=url)
