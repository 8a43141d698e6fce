"""Which labels are one voice, and which clips do not sound like their label: pure arithmetic on embeddings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from voiceflow_ml.training.teaching import unit

SAME_VOICE_COSINE = 0.85
"""Labels of one package and split whose voices are more alike than this are one speaker (of the raw embeddings)."""

FOREIGN_COSINE = 0.15
"""A clip of at least ``JUDGED_S`` less like its label's voice than this is someone else's (of the centred ones)."""

JUDGED_S = 1.0
"""Shorter clips say too little about a voice to be thrown out by."""

_HEARD_S = 6.0
"""A clip counts by its length up to this, which is what the encoder hears of it."""


@dataclass(frozen=True)
class Heard:
    """Clips and what an encoder made of them.

    Attributes:
        embeddings: float32 ``[clips, dim]`` of length one.
        seconds: float64 ``[clips]``.
        speakers: The label of each clip.
        places: What may be compared: (package, split) of each clip.
    """

    embeddings: NDArray[np.float32]
    seconds: NDArray[np.float64]
    speakers: tuple[str, ...]
    places: tuple[tuple[str, str], ...]


def mean_voice(heard: Heard) -> NDArray[np.float32]:
    """The mean of all labels' mean embeddings, so that one actor with an hour counts as once.

    Returns:
        float32 ``[dim]``.
    """
    return np.asarray(np.mean(list(label_means(heard).values()), axis=0), dtype=np.float32)


def label_means(heard: Heard) -> dict[str, NDArray[np.float32]]:
    """The mean embedding of each label, of length one, its least typical third left out.

    Returns:
        float32 ``[dim]`` by label, in the order of the names.
    """
    labels = np.array(heard.speakers)
    weights = np.minimum(heard.seconds, _HEARD_S)[:, None]
    means: dict[str, NDArray[np.float32]] = {}
    for name in sorted(set(heard.speakers)):
        rows = heard.embeddings[labels == name]
        weight = weights[labels == name]
        first = unit((rows * weight).sum(axis=0))
        typical = rows @ first >= np.quantile(rows @ first, 1 / 3)
        means[name] = unit((rows[typical] * weight[typical]).sum(axis=0))
    return means


def merged_labels(heard: Heard) -> dict[str, str]:
    """Labels that are one voice, each with the name they share (the first of them).

    Only labels of one package and split are compared: two packages were never recorded
    by one person here but where the names say so already. Average linkage: a chain of
    look-alikes does not make its two ends one.
    """
    means = label_means(heard)
    names_at: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, place in sorted(set(zip(heard.speakers, heard.places, strict=True))):
        names_at[place].append(name)
    merged: dict[str, str] = {}
    for names in names_at.values():
        if len(names) > 1:
            tree = linkage(np.stack([means[name] for name in names]), method="average", metric="cosine")
            cluster = fcluster(tree, 1.0 - SAME_VOICE_COSINE, criterion="distance")
            first = dict(reversed(list(zip(cluster, names, strict=True))))
            merged |= {
                name: first[number] for number, name in zip(cluster, names, strict=True) if first[number] != name
            }
    return merged


def foreign_clips(heard: Heard, centre: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Clips that do not sound like their label.

    Args:
        heard: The clips, labels merged already.
        centre: float32 ``[dim]``: taken off first, since what all voices share tells nobody apart.

    Returns:
        bool ``[clips]``.
    """
    centred = Heard(unit(heard.embeddings - centre), heard.seconds, heard.speakers, heard.places)
    means = label_means(centred)
    cosines = np.array([row @ means[name] for row, name in zip(centred.embeddings, heard.speakers, strict=True)])
    return np.asarray((cosines < FOREIGN_COSINE) & (heard.seconds >= JUDGED_S), dtype=np.bool_)
