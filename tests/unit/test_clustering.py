from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from voiceflow_ml.diarization.assignment import NOBODY, assign, clean_samples, least_clean_s, name_local_speakers
from voiceflow_ml.diarization.clustering import Samples, centroids, find_speakers, seen_from, unit
from voiceflow_ml.diarization.config import DiarizationConfig, Linkage
from voiceflow_ml.diarization.local import LocalWindows

CONFIG = DiarizationConfig(min_speaker_s=0.0)


def cloud(counts: list[int], *, spread: float = 0.3, dim: int = 32, seed: int = 0) -> Samples:
    """Voices at right angles to each other, ``counts`` embeddings of each, in windows of their own."""
    rng = np.random.default_rng(seed)
    voices = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    who = np.repeat(np.arange(len(counts)), counts)
    noise = spread * rng.standard_normal((who.size, dim)) / np.sqrt(dim)
    embeddings = unit(voices[who] + noise)
    order = rng.permutation(who.size)
    return Samples(embeddings[order], np.arange(who.size), np.ones(who.size))


@pytest.mark.parametrize("linkage", list(Linkage))
def test_clouds_are_found_largest_first(linkage: Linkage) -> None:
    samples = cloud([10, 30, 20])
    found = find_speakers(samples, replace(CONFIG, linkage=linkage))
    assert found.shape == (3, 32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)
    nearest = np.argmax(samples.embeddings @ found.T, axis=1)
    assert np.bincount(nearest).tolist() == [30, 20, 10]


def test_a_single_embedding_is_a_speaker() -> None:
    samples = cloud([1])
    np.testing.assert_array_equal(find_speakers(samples, CONFIG), samples.embeddings)


@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 60, 100])
def test_the_number_that_is_given_is_kept_as_far_as_there_are_embeddings(wanted: int) -> None:
    found = find_speakers(cloud([10, 30, 20]), replace(CONFIG, speakers=wanted))
    assert found.shape[0] == min(wanted, 60)


def test_bounds_of_the_number_are_kept() -> None:
    samples = cloud([10, 30, 20])
    assert find_speakers(samples, replace(CONFIG, max_speakers=2)).shape[0] == 2
    assert find_speakers(samples, replace(CONFIG, min_speakers=4)).shape[0] == 4
    assert find_speakers(samples, replace(CONFIG, min_speakers=2, max_speakers=4)).shape[0] == 3


def test_a_cluster_with_little_speech_is_no_speaker() -> None:
    samples = cloud([40, 30, 2])
    assert find_speakers(samples, CONFIG).shape[0] == 3
    # 2 embeddings of 1 s, of which one in six is new: 0.33 s.
    config = replace(CONFIG, min_speaker_s=0.5, window_s=3.0, hop_s=0.5)
    assert find_speakers(samples, config).shape[0] == 2
    # Where the number is given, and an outlier is in the way, the two large ones are found all the same.
    found = find_speakers(samples, replace(config, speakers=2))
    members = np.bincount(np.argmax(samples.embeddings @ found.T, axis=1))
    assert members[0] in (40, 41, 42)
    assert members[1] in (30, 31, 32)
    # If none is large enough, the largest is one.
    assert find_speakers(samples, replace(config, min_speaker_s=1e6)).shape[0] == 1


def alike(distance: float, repeats: int, together: int) -> Samples:
    """Two tight clouds at a cosine distance; the first ``together`` members of both are of one window each."""
    angle = np.arccos(1.0 - distance)
    voices = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    windows = np.concatenate(
        [np.arange(repeats), np.arange(repeats) + np.where(np.arange(repeats) < together, 0, 1000)]
    )
    return Samples(np.repeat(voices, repeats, axis=0), windows, np.ones(2 * repeats))


def test_talking_in_one_window_keeps_alike_voices_apart_in_proportion() -> None:
    config = replace(CONFIG, merge_distance=0.4)
    assert find_speakers(alike(0.3, 10, together=0), config).shape[0] == 1
    # One window in which one voice was taken for two is outvoted; many are not.
    assert find_speakers(alike(0.1, 10, together=1), config).shape[0] == 1
    assert find_speakers(alike(0.3, 10, together=10), config).shape[0] == 2
    assert find_speakers(alike(0.3, 10, together=10), replace(config, cannot_link_distance=0.0)).shape[0] == 1


def test_many_embeddings_are_thinned_out_and_rare_voices_stay() -> None:
    samples = cloud([3_000, 2_000, 100])
    found = find_speakers(samples, replace(CONFIG, most_clustered=300, min_speaker_s=5.0))
    assert found.shape[0] == 3
    assert np.bincount(np.argmax(samples.embeddings @ found.T, axis=1)).tolist() == [3_000, 2_000, 100]


def test_centroids_weigh_by_speech_and_leave_out_nobody() -> None:
    samples = Samples(np.eye(3), np.arange(3), np.array([3.0, 1.0, 5.0]))
    found = centroids(samples, np.array([0, 0, -1]))
    np.testing.assert_allclose(found, unit(np.array([[3.0, 1.0, 0.0]])))


HERE = np.zeros(2)
"""Where embeddings of two numbers are looked at from, as they are."""


def windows_of(embeddings: NDArray[np.float64], alone_s: list[list[float]]) -> LocalWindows:
    """One window for each row of ``[windows, 3, D]``; whoever is alone for -1 s talks only in overlap."""
    alone = np.array(alone_s, dtype=np.float32)
    count = alone.shape[0]
    return LocalWindows(
        np.arange(count),
        np.zeros((count, 4, 3), dtype=np.float16),
        np.abs(alone),
        np.maximum(alone, 0.0),
        embeddings.astype(np.float16),
    )


def test_local_speakers_of_one_window_get_two_names_and_the_longer_one_chooses() -> None:
    speakers = np.eye(2)
    doubtful = np.array([[[1.0, 0.0], unit(np.array([0.9, 0.5])), [0.0, 0.0]]])
    assert assign(windows_of(doubtful, [[2.0, 1.0, 0.0]]), speakers, CONFIG, HERE).tolist() == [[0, 1, NOBODY]]
    assert assign(windows_of(doubtful, [[0.1, 2.0, 0.0]]), speakers, CONFIG, HERE).tolist() == [[1, 0, NOBODY]]
    free = replace(CONFIG, distinct_in_window=False)
    assert assign(windows_of(doubtful, [[2.0, 1.0, 0.0]]), speakers, free, HERE).tolist() == [[0, 0, NOBODY]]


def test_more_local_speakers_than_global_ones_share_a_name_rather_than_lose_speech() -> None:
    embeddings = np.array([[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]])
    labels = assign(windows_of(embeddings, [[2.0, 1.0, 0.5]]), np.eye(2), CONFIG, HERE)
    assert labels.tolist() == [[0, 1, 1]]


def test_who_hardly_talks_alone_is_named_by_the_others() -> None:
    voices = np.eye(3)
    embeddings = np.array([[voices[0], voices[1], voices[2]], [voices[0], voices[1], [0, 0, 0]]])
    windows = windows_of(embeddings, [[2.0, 2.0, 0.1], [2.0, 2.0, 0.0]])
    assert clean_samples(windows, least_clean_s(windows, CONFIG)).windows.tolist() == [0, 0, 1, 1]
    labels = name_local_speakers(windows, CONFIG)
    assert labels[1].tolist() == [*labels[0, :2].tolist(), NOBODY]
    assert labels[0, 2] in (0, 1)


def test_where_nobody_talks_alone_for_long_the_longest_is_enough() -> None:
    embeddings = np.array([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
    windows = windows_of(embeddings, [[0.2, 0.06, 0.0]])
    assert name_local_speakers(windows, CONFIG).tolist() == [[0, 0, NOBODY]]
    nobody = windows_of(embeddings, [[0.0, 0.0, 0.0]])
    assert name_local_speakers(nobody, CONFIG).tolist() == [[NOBODY] * 3]


def test_refinement_keeps_what_is_right() -> None:
    samples = cloud([10, 30, 20])
    embeddings = np.zeros((60, 3, 32))
    embeddings[:, 0] = samples.embeddings
    windows = windows_of(embeddings, [[1.0, 0.0, 0.0]] * 60)
    plain, refined = (name_local_speakers(windows, replace(CONFIG, refinements=times)) for times in (0, 3))
    np.testing.assert_array_equal(plain, refined)


def test_what_all_voices_share_does_not_hide_what_tells_them_apart() -> None:
    room = 2.0 * np.eye(32)[31]
    noise = 0.1 * np.random.default_rng(0).standard_normal((40, 32)) / np.sqrt(32)
    embeddings = np.zeros((40, 3, 32))
    embeddings[:, 0] = unit(np.eye(32)[np.repeat([0, 1], 20)] + noise + room)
    # The last one does not talk long enough to be clustered, and is seen from the same place.
    windows = windows_of(embeddings, [[1.0, 0.0, 0.0]] * 39 + [[0.1, 0.0, 0.0]])
    hidden, seen = (name_local_speakers(windows, replace(CONFIG, centring=share))[:, 0] for share in (0.0, 0.9))
    assert np.unique(hidden).size == 1
    assert np.unique(seen[:20]).size == np.unique(seen[20:]).size == 1
    assert seen[0] != seen[20]


def test_an_embedding_that_is_none_stays_none_from_wherever_it_is_seen() -> None:
    seen = seen_from(np.array([0.5, 0.0]), np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_allclose(seen, unit(np.array([[0.5, 0.0], [0.0, 0.0], [-0.5, 1.0]])))
