"""Which embeddings are one speaker: agglomerative clustering with cannot-links, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.config import DiarizationConfig, Linkage

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """Embeddings to cluster.

    Attributes:
        embeddings: float64 ``[n, D]`` of length one, in order of time.
        windows: int64 ``[n]``: which window each is of; two of one window are two local speakers.
        seconds: float64 ``[n]``: how much speech each stands for, above 0.
    """

    embeddings: _Floats
    windows: NDArray[np.int64]
    seconds: _Floats

    def take(self, index: NDArray[np.int64]) -> Samples:
        """Some of them, by place."""
        return Samples(self.embeddings[index], self.windows[index], self.seconds[index])

    def seen_from(self, origin: _Floats) -> Samples:
        """The same with their embeddings as :func:`seen_from` has them."""
        return Samples(seen_from(origin, self.embeddings), self.windows, self.seconds)


def origin_of(total: _Floats, seconds: float, config: DiarizationConfig) -> _Floats:
    """From where the embeddings of a recording are looked at: a share of their mean.

    Args:
        total: float64 ``[D]``: the embeddings of everyone who ever talks alone, times the seconds of it, added up.
        seconds: All these seconds, above 0.
        config: ``centring`` counts.

    Returns:
        float64 ``[D]``.
    """
    return config.centring * total / seconds


def seen_from(origin: _Floats, embeddings: NDArray[np.floating]) -> _Floats:
    """Embeddings ``[..., D]`` with the origin taken away, of length one again; a zero stays a zero."""
    if not origin.any():
        return embeddings.astype(np.float64)
    silent = ~embeddings.any(axis=-1, keepdims=True)
    return unit(np.where(silent, 0.0, embeddings.astype(np.float64) - origin))


def find_speakers(samples: Samples, config: DiarizationConfig) -> _Floats:
    """Cluster embeddings into speakers.

    Agglomerative clustering with average or centroid linkage. Two local speakers of one window are
    ``cannot_link_distance`` apart, which enters the averages, so one doubtful window does not keep two
    large clusters apart. The tree is cut at ``merge_distance``, or where it gives the number of speakers that
    is asked for; clusters with too little speech do not count as speakers.

    Args:
        samples: At least one; more than ``most_clustered`` are thinned out evenly over time.
        config: The clustering's settings.

    Returns:
        float64 ``[speakers, D]``: centroids of length one, the speaker with most speech first.
    """
    scale = 1.0
    if samples.windows.size > config.most_clustered:
        kept = _thin(samples, config.most_clustered)
        scale = float(samples.seconds.sum() / samples.seconds[kept].sum())
        samples = samples.take(kept)
    if samples.windows.size == 1:
        return samples.embeddings.copy()
    labels = _cut(_tree(samples, config), samples.seconds * scale, config)
    return centroids(samples, labels)


def centroids(samples: Samples, labels: NDArray[np.int64]) -> _Floats:
    """The mean embedding of each cluster, weighted by speech.

    Args:
        samples: The embeddings.
        labels: int64 ``[n]``: the cluster of each from 0 on; negative for none.

    Returns:
        float64 ``[clusters, D]`` of length one.
    """
    weights = np.zeros((int(labels.max()) + 1, labels.size))
    inside = np.flatnonzero(labels >= 0)
    weights[labels[inside], inside] = samples.seconds[inside]
    return unit(weights @ samples.embeddings)


def unit(vectors: _Floats) -> _Floats:
    """Vectors ``[..., D]`` of length one; a zero stays a zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: _Floats = vectors / np.maximum(lengths, 1e-12)
    return scaled


def _thin(samples: Samples, most: int) -> NDArray[np.int64]:
    """Of each of ``most`` stretches of time, the sample with most speech."""
    stretches = np.array_split(np.arange(samples.seconds.size), most)
    return np.array([stretch[np.argmax(samples.seconds[stretch])] for stretch in stretches], dtype=np.int64)


def _tree(samples: Samples, config: DiarizationConfig) -> _Floats:
    """The linkage matrix of scipy, ``[n - 1, 4]``, its heights in cosine distance."""
    from scipy.cluster.hierarchy import linkage  # noqa: PLC0415  (heavy)
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    distances = np.clip(1.0 - samples.embeddings @ samples.embeddings.T, 0.0, 2.0)
    distances[samples.windows[:, None] == samples.windows[None, :]] = config.cannot_link_distance
    np.fill_diagonal(distances, 0.0)
    if config.linkage is Linkage.CENTROID:
        # Centroid linkage is defined on Euclidean distances; between unit vectors these are sqrt(2 d).
        tree: _Floats = linkage(squareform(np.sqrt(2.0 * distances), checks=False), method="centroid")
        tree[:, 2] = np.square(tree[:, 2]) / 2.0
        return tree
    average: _Floats = linkage(squareform(distances, checks=False), method="average")
    return average


def _cut(tree: _Floats, seconds: _Floats, config: DiarizationConfig) -> NDArray[np.int64]:
    """Labels ``[n]`` by size; -1 for members of clusters that are no speakers."""
    free = int(np.count_nonzero(tree[:, 2] >= config.merge_distance)) + 1
    labels = _large(_labels(tree, free), seconds, config)
    found = int(labels.max()) + 1
    wanted = config.speakers or min(max(found, config.min_speakers), config.max_speakers)
    if wanted == found:
        return labels
    # Small clusters do not count, so the cut that gives as many speakers as wanted may be a finer one.
    for clusters in range(wanted, tree.shape[0] + 2):
        finer = _large(_labels(tree, clusters), seconds, config)
        if finer.max() + 1 >= wanted:
            return _renumbered(finer, wanted)
    return _renumbered(_by_size(_labels(tree, wanted), seconds), wanted)


def _labels(tree: _Floats, clusters: int) -> NDArray[np.int64]:
    """Undo the last merges until there are so many clusters; heights need not grow (centroid linkage)."""
    leaves = tree.shape[0] + 1
    parent = np.arange(leaves + tree.shape[0])
    for merge in range(leaves - min(clusters, leaves)):
        parent[tree[merge, :2].astype(np.int64)] = leaves + merge
    # A parent comes after its children, so one pass from the top gives every node its root.
    for node in range(parent.size - 1, -1, -1):
        parent[node] = parent[parent[node]]
    return np.unique(parent[:leaves], return_inverse=True)[1].astype(np.int64)


def _large(labels: NDArray[np.int64], seconds: _Floats, config: DiarizationConfig) -> NDArray[np.int64]:
    """Clusters with enough speech, largest first; if none has enough, the largest alone."""
    ordered = _by_size(labels, seconds)
    # The same speech is in window_s / hop_s windows.
    unique_s = np.bincount(ordered, weights=seconds) * min(1.0, config.hop_s / config.window_s)
    return _renumbered(ordered, max(1, int(np.count_nonzero(unique_s >= config.min_speaker_s))))


def _by_size(labels: NDArray[np.int64], seconds: _Floats) -> NDArray[np.int64]:
    order = np.argsort(-np.bincount(labels, weights=seconds), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    ranked: NDArray[np.int64] = rank[labels]
    return ranked


def _renumbered(labels: NDArray[np.int64], kept: int) -> NDArray[np.int64]:
    """Labels up to ``kept``; the others become -1."""
    return np.where(labels < kept, labels, -1)
