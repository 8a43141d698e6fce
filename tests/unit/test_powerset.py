from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.models.powerset import (
    CLASS_SPEAKERS,
    CLASSES,
    PERMUTATIONS,
    activity_to_classes,
    class_activity,
    class_permutations,
    logits_to_activity,
    logits_to_probabilities,
)


def one_hot(classes: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(np.eye(CLASSES)[classes] * 8.0)


def test_each_class_means_its_speakers() -> None:
    activity = logits_to_activity(one_hot(list(range(CLASSES))))
    assert [tuple(np.flatnonzero(row)) for row in activity] == list(CLASS_SPEAKERS)


@given(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=30))
def test_classes_and_activity_are_inverse(classes: list[int]) -> None:
    assert activity_to_classes(logits_to_activity(one_hot(classes))).tolist() == classes


def test_batch_axes_are_kept() -> None:
    logits = np.zeros((2, 5, CLASSES))
    assert logits_to_activity(logits).shape == (2, 5, 3)
    assert logits_to_probabilities(logits).shape == (2, 5, 3)


def test_probabilities_are_sums_over_the_classes_of_a_speaker() -> None:
    # All classes equally likely: each speaker is in 3 of the 7.
    np.testing.assert_allclose(logits_to_probabilities(np.zeros((1, CLASSES))), np.full((1, 3), 3 / 7), rtol=1e-6)


def test_probabilities_do_not_overflow() -> None:
    logits = one_hot([4]) * 1e6
    np.testing.assert_array_equal(logits_to_probabilities(logits), [[1.0, 1.0, 0.0]])


@given(st.integers(0, 5), st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=20))
def test_permuted_classes_are_the_classes_of_permuted_speakers(order: int, classes: list[int]) -> None:
    activity = class_activity().astype(bool)[classes]
    moved = np.zeros_like(activity)
    for speaker, place in enumerate(PERMUTATIONS[order]):
        moved[:, place] = activity[:, speaker]
    np.testing.assert_array_equal(class_permutations()[order][classes], activity_to_classes(moved))


def test_three_at_once_has_no_class() -> None:
    with pytest.raises(ValueError, match="three speakers at once"):
        activity_to_classes(np.ones((1, 3), dtype=bool))


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"7 classes, got shape \[2, 6\]"):
        logits_to_activity(np.zeros((2, 6)))
    with pytest.raises(ValueError, match=r"3 speakers, got shape \[2, 4\]"):
        activity_to_classes(np.zeros((2, 4), dtype=bool))
