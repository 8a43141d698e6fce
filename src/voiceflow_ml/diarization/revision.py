"""What a stream has said and knows better by now: whoever is named wrongly is named again while it is remembered."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.assignment import NOBODY, assign
from voiceflow_ml.diarization.config import FRAME_S, DiarizationConfig
from voiceflow_ml.diarization.local import LocalWindows, join_windows
from voiceflow_ml.diarization.memory import Voices
from voiceflow_ml.diarization.reconstruction import decide, mean_scores
from voiceflow_ml.diarization.turns import activity_to_turns
from voiceflow_ml.live_turns import clipped
from voiceflow_ml.rttm import Turn

_MIXED = -2
"""Frames of the window came out under several names."""


class Reviser:
    """Keeps the windows of the last while with the names that their speakers came out under.

    Args:
        config: The settings.
        back_frames: Frames older than this are not looked at again.
    """

    def __init__(self, config: DiarizationConfig, back_frames: int) -> None:
        self._config, self._back = config, back_frames
        self._beside = round((config.min_gap_s + config.min_turn_s) / FRAME_S)
        self._heard: dict[int, tuple[LocalWindows, NDArray[np.int64]]] = {}

    def say(self, windows: Iterable[LocalWindows], names: NDArray[np.int64], until: int) -> None:
        """Windows by which frames up to ``until`` were decided, and the names of their local speakers.

        Args:
            windows: One each, in order of time; the same window may come again.
            names: int64 ``[windows, 3]``, ``NOBODY`` for who does not talk.
            until: The frame behind the last that was decided.
        """
        for window, named in zip(windows, names, strict=True):
            first = int(window.first_frames[0])
            if first < until:
                _, said = self._heard.get(first, (window, named))
                self._heard[first] = (window, np.where(said == named, named, _MIXED))
        length = self._config.window_frames
        while self._heard and next(iter(self._heard)) + length <= until - self._back:
            del self._heard[next(iter(self._heard))]

    def corrections(self, voices: Voices, until: int) -> list[tuple[int, int, list[tuple[int, Turn]]]]:
        """Name everything again that is remembered.

        Args:
            voices: Who has been heard.
            until: Up to this frame everything is out.

        Returns:
            First frame, frame behind the last, and (name, turn) in it, of each stretch whose names changed.
        """
        length = self._config.window_frames
        if not self._heard or not voices.names.size:
            return []
        windows = join_windows([window for window, _ in self._heard.values()])
        labels = assign(windows, voices.centroids, self._config, voices.origin)
        names = names_of(labels, voices.names)
        changed = np.flatnonzero((names != np.array([said for _, said in self._heard.values()])).any(axis=1))
        for (first, (window, said)), named in zip(list(self._heard.items()), names, strict=True):
            # What is decided but not out yet comes under the old name.
            is_out = first + length <= until
            self._heard[first] = (window, named if is_out else np.where(said == named, named, _MIXED))
        stretches = _stretches(windows.first_frames[changed], length, max(0, until - self._back), until)
        return [(first, last, self._decided(windows, labels, (first, last), voices)) for first, last in stretches]

    def _decided(
        self, windows: LocalWindows, labels: NDArray[np.int64], span: tuple[int, int], voices: Voices
    ) -> list[tuple[int, Turn]]:
        config = self._config
        # What stands beside the stretch says whether a short pause or turn at its edge is one.
        first = max(0, span[0] - self._beside)
        active = decide(
            *mean_scores(windows, labels, (first, span[1] + self._beside), voices.names.size, config), config
        )
        columns = tuple(str(name) for name in voices.names.tolist())
        turns = activity_to_turns(
            active, columns, min_gap_s=config.min_gap_s, min_turn_s=config.min_turn_s, first_frame=first
        )
        inside = (clipped(turn, span[0] * FRAME_S, span[1] * FRAME_S) for turn in turns)
        return [(int(turn.speaker), turn) for turn in inside if turn is not None]


def names_of(labels: NDArray[np.int64], names: NDArray[np.int64]) -> NDArray[np.int64]:
    """The names that labels stand for; ``NOBODY`` stays.

    Args:
        labels: int64 ``[windows, 3]``: places in ``names``, or ``NOBODY``.
        names: int64 ``[speakers]``.
    """
    found = np.full(labels.shape, NOBODY, dtype=np.int64)
    talks = labels != NOBODY
    found[talks] = names[labels[talks]]
    return found


def _stretches(first_frames: NDArray[np.int64], length: int, oldest: int, until: int) -> list[tuple[int, int]]:
    """What windows cover between two frames, those that touch as one."""
    found: list[tuple[int, int]] = []
    for first in first_frames.tolist():
        start, end = max(first, oldest), min(first + length, until)
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found
