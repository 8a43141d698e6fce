"""Which speaker each local speaker of each window is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.clustering import Samples, centroids, find_speakers, origin_of, seen_from
from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.local import LocalWindows

NOBODY = -1
"""The label of a local speaker who does not talk."""

_BLOCK_WINDOWS = 1_000
"""Windows compared at once: what is needed beside the result does not grow with the recording."""


def name_local_speakers(windows: LocalWindows, config: DiarizationConfig) -> NDArray[np.int64]:
    """Cluster the embeddings of all windows and give every local speaker a global one.

    Args:
        windows: All windows of a recording.
        config: The clustering's settings.

    Returns:
        int64 ``[windows, 3]``: the speaker from 0 on, or ``NOBODY``.
    """
    least_s = least_clean_s(windows, config)
    samples = clean_samples(windows, least_s)
    if samples.windows.size == 0:
        return np.full(windows.talk_s.shape, NOBODY, dtype=np.int64)
    origin = origin_of(*add_up(windows), config)
    samples = samples.seen_from(origin)
    speakers = find_speakers(samples, config)
    labels = assign(windows, speakers, config, origin)
    for _ in range(config.refinements):
        within = labels[windows.alone_s >= least_s]
        if within.max() + 1 < speakers.shape[0]:
            break
        speakers = centroids(samples, within)
        labels = assign(windows, speakers, config, origin)
    return labels


def add_up(windows: LocalWindows) -> tuple[NDArray[np.float64], float]:
    """The embeddings of everyone who ever talks alone, times the seconds of it, and these seconds.

    Args:
        windows: Any windows.

    Returns:
        float64 ``[D]``, and seconds.
    """
    total = np.zeros(windows.embeddings.shape[2])
    for first in range(0, len(windows), _BLOCK_WINDOWS):
        block = slice(first, first + _BLOCK_WINDOWS)
        total += np.tensordot(windows.alone_s[block].astype(np.float64), windows.embeddings[block].astype(np.float64))
    return total, float(windows.alone_s.sum(dtype=np.float64))


def clean_samples(windows: LocalWindows, least_s: float) -> Samples:
    """The embeddings of local speakers who talk alone for long enough.

    Args:
        windows: Any windows.
        least_s: Seconds, above 0.

    Returns:
        In order of time; windows are numbered from 0 on.
    """
    window, speaker = np.nonzero(windows.alone_s >= least_s)
    return Samples(
        windows.embeddings[window, speaker].astype(np.float64),
        window.astype(np.int64),
        windows.alone_s[window, speaker].astype(np.float64),
    )


def assign(
    windows: LocalWindows, speakers: NDArray[np.float64], config: DiarizationConfig, origin: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Give each local speaker the nearest global one.

    Args:
        windows: Any windows.
        speakers: float64 ``[speakers, D]`` of length one, seen from the origin.
        config: ``distinct_in_window`` counts: then two local speakers of one window get two global
            ones, those who talk longer alone weighing more, as far as there are enough.
        origin: float64 ``[D]``: what is taken away from each embedding; see :func:`~.clustering.origin_of`.

    Returns:
        int64 ``[windows, 3]``: the speaker, or ``NOBODY``.
    """
    talks = windows.talk_s > 0.0
    labels = np.full(talks.shape, NOBODY, dtype=np.int64)
    for first in range(0, len(windows), _BLOCK_WINDOWS):
        block = slice(first, first + _BLOCK_WINDOWS)
        similarity = seen_from(origin, windows.embeddings[block]) @ speakers.T
        labels[block] = np.where(talks[block], np.argmax(similarity, axis=2), NOBODY)
        if config.distinct_in_window and speakers.shape[0] > 1:
            for number in np.flatnonzero(talks[block].sum(axis=1) > 1):
                window = first + number
                labels[window] = _distinct(labels[window], similarity[number], windows.alone_s[window])
    return labels


def _distinct(
    labels: NDArray[np.int64], similarity: NDArray[np.float64], alone_s: NDArray[np.float32]
) -> NDArray[np.int64]:
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  (heavy)

    local = np.flatnonzero(labels != NOBODY)
    if np.unique(labels[local]).size == local.size:
        return labels
    # A short stretch's embedding says little, so it gives way; it keeps a say where it is the only one.
    weighted = similarity[local] * (alone_s[local] + 0.1)[:, None]
    chosen, speaker = linear_sum_assignment(weighted, maximize=True)
    distinct = labels.copy()
    distinct[local[chosen]] = speaker
    return distinct


def least_clean_s(windows: LocalWindows, config: DiarizationConfig) -> float:
    """``min_clean_s``, or where nobody reaches it what the longest talks alone."""
    longest = float(windows.alone_s.max(initial=0.0))
    # 1e-6: nobody who never talks alone takes part, and float32 seconds compare equal.
    return max(1e-6, min(config.min_clean_s, longest) - 1e-6)
