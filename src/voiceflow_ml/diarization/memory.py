"""The voices heard so far in a stream, in bounded memory, under names that stay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.clustering import Samples, find_speakers, origin_of, unit
from voiceflow_ml.diarization.config import DiarizationConfig

_UNNAMED = -1
_NEWS = 0.02
"""All is clustered again when so much is new, as a share of it."""


class Voices(NamedTuple):
    """Who has been heard; all empty before anyone was.

    Attributes:
        centroids: float64 ``[speakers, D]`` of length one, seen from the origin.
        names: int64 ``[speakers]``: the name of each, from 0 on.
        origin: float64 ``[D]``: what is taken away from an embedding before it is compared.
    """

    centroids: NDArray[np.float64]
    names: NDArray[np.int64]
    origin: NDArray[np.float64]


class SpeakerMemory:
    """Embeddings of a stream, clustered anew again and again.

    Everything that is remembered is clustered each time, so an early mistake is mended when more is heard.
    A cluster keeps the name that most of its speech had before; a cluster without one gets the next.

    Args:
        config: The clustering's settings; ``speakers`` is taken for the most there may be, because nobody knows at
            the start of a stream who is still to come.
        most: Embeddings remembered; when there are more, the older ones are averaged in pairs of one name.
    """

    def __init__(self, config: DiarizationConfig, most: int) -> None:
        self._config, self._most = config, most
        self._samples = Samples(np.zeros((0, 0)), np.zeros(0, dtype=np.int64), np.zeros(0))
        self._names = np.zeros(0, dtype=np.int64)
        self._next_name = 0
        self._total: NDArray[np.float64] = np.zeros(())
        self._seconds = 0.0
        self._news = 0
        self._voices = Voices(np.zeros((0, 0)), np.zeros(0, dtype=np.int64), np.zeros(0))

    def __len__(self) -> int:
        """How many embeddings are remembered."""
        return int(self._names.size)

    @property
    def room(self) -> int:
        """How many more embeddings can be remembered before the older ones are averaged."""
        return self._most - len(self)

    def add(self, samples: Samples, total: NDArray[np.float64], seconds: float) -> None:
        """Remember more embeddings.

        Args:
            samples: What is clustered; their window numbers must not occur yet.
            total: What :func:`~.assignment.add_up` says of the same windows: what all voices have in common.
            seconds: The same.
        """
        self._total = self._total + total
        self._seconds += seconds
        if samples.windows.size == 0:
            return
        self._samples = _joined(self._samples, samples) if len(self) else samples
        self._names = np.concatenate([self._names, np.full(samples.windows.size, _UNNAMED)])
        self._news += samples.windows.size
        if len(self) > self._most:
            self._compact()

    def voices(self) -> Voices:
        """Who has been heard."""
        if self._news > _NEWS * len(self):
            self._news = 0
            self._voices = self._found()
        return self._voices

    def _found(self) -> Voices:
        origin = origin_of(self._total, self._seconds, self._config)
        seen = self._samples.seen_from(origin)
        found = find_speakers(seen, self._config)
        nearest = np.argmax(seen.embeddings @ found.T, axis=1)
        names = self._kept_names(nearest, found.shape[0])
        # The first name stays: it is the one under which the speech came out, or is about to.
        self._names = np.where(self._names == _UNNAMED, names[nearest], self._names)
        return Voices(found, names, origin)

    def _kept_names(self, cluster: NDArray[np.int64], clusters: int) -> NDArray[np.int64]:
        from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  (heavy)

        shared = np.zeros((clusters, self._next_name))
        named = self._names != _UNNAMED
        np.add.at(shared, (cluster[named], self._names[named]), self._samples.seconds[named])
        names = np.full(clusters, _UNNAMED)
        for row, column in zip(*linear_sum_assignment(shared, maximize=True), strict=True):
            if shared[row, column] > 0.0:
                names[row] = column
        for row in np.flatnonzero(names == _UNNAMED):
            names[row] = self._free_name(names)
        return names

    def _free_name(self, taken: NDArray[np.int64]) -> int:
        """The next name; once there are as many as there may be, one that nobody has at present."""
        if self._next_name >= self._config.max_speakers:
            return next(name for name in range(self._next_name) if name not in taken)
        self._next_name += 1
        return self._next_name - 1

    def _compact(self) -> None:
        """Average the older half in pairs of neighbours of one name; their seconds add up."""
        half = len(self) // 2
        keep = np.arange(half, len(self))
        embeddings, windows, seconds, names = [], [], [], []
        for name in np.unique(self._names[:half]):
            members = np.flatnonzero(self._names[:half] == name)
            for pair in np.array_split(members, -(-members.size // 2)):
                weights = self._samples.seconds[pair]
                embeddings.append(unit(weights @ self._samples.embeddings[pair]))
                windows.append(self._samples.windows[pair[0]])
                seconds.append(weights.sum())
                names.append(name)
        # Averages are of several windows: what may not be linked is known of the newer half only.
        older = Samples(np.array(embeddings), -1 - np.arange(len(windows)), np.array(seconds))
        order = np.argsort(windows, kind="stable")
        self._samples = _joined(older.take(order), self._samples.take(keep))
        self._names = np.concatenate([np.array(names, dtype=np.int64)[order], self._names[keep]])


def _joined(first: Samples, second: Samples) -> Samples:
    return Samples(
        np.concatenate([first.embeddings, second.embeddings]),
        np.concatenate([first.windows, second.windows]),
        np.concatenate([first.seconds, second.seconds]),
    )
