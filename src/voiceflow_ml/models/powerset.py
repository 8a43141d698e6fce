"""What the seven classes of ``powerset_logits`` mean, and how to turn them into activity.

Up to three local speakers, at most two at a time: silence, each of the three
alone, each of the three pairs. One softmax over these classes replaces three
sigmoids and a threshold (Plaquet and Bredin, "Powerset multi-class cross
entropy loss for neural speaker diarization", Interspeech 2023).
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

LOCAL_SPEAKERS = 3
"""Speakers told apart within one window."""

CLASS_SPEAKERS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
"""The speakers that talk in each class, by class index."""

CLASSES = len(CLASS_SPEAKERS)

PERMUTATIONS: tuple[tuple[int, ...], ...] = tuple(permutations(range(LOCAL_SPEAKERS)))
"""Every order of the three local speakers."""


def class_activity() -> NDArray[np.float32]:
    """Which speakers talk in which class.

    Returns:
        float32 ``[7, 3]``, 1.0 where the class has the speaker.
    """
    table = np.zeros((CLASSES, LOCAL_SPEAKERS), dtype=np.float32)
    for index, speakers in enumerate(CLASS_SPEAKERS):
        table[index, list(speakers)] = 1.0
    return table


def class_permutations() -> NDArray[np.int64]:
    """How each order of the speakers reorders the classes.

    Returns:
        int64 ``[6, 7]``: under permutation p, class c becomes ``table[p, c]``,
        where speaker s becomes speaker ``PERMUTATIONS[p][s]``.
    """
    index_of = {speakers: index for index, speakers in enumerate(CLASS_SPEAKERS)}
    return np.array(
        [
            [index_of[tuple(sorted(order[s] for s in speakers))] for speakers in CLASS_SPEAKERS]
            for order in PERMUTATIONS
        ],
        dtype=np.int64,
    )


def logits_to_activity(logits: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Decide who talks when: the most likely class of each frame.

    Args:
        logits: ``[..., frames, 7]``.

    Returns:
        bool ``[..., frames, 3]``.

    Raises:
        ValueError: The last axis does not have seven classes.
    """
    _check_classes(logits.shape)
    table = class_activity().astype(np.bool_)
    activity: NDArray[np.bool_] = table[np.argmax(logits, axis=-1)]
    return activity


def logits_to_probabilities(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Each speaker's probability of talking: the sum over the classes that have the speaker.

    Args:
        logits: ``[..., frames, 7]``.

    Returns:
        float32 ``[..., frames, 3]`` in [0, 1].

    Raises:
        ValueError: The last axis does not have seven classes.
    """
    _check_classes(logits.shape)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    weights = np.exp(shifted)
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.asarray(np.clip(weights @ class_activity(), 0.0, 1.0), dtype=np.float32)


def activity_to_classes(activity: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The class of each frame of a reference.

    Args:
        activity: bool ``[..., frames, 3]`` with at most two speakers in a frame.

    Returns:
        int64 ``[..., frames]``.

    Raises:
        ValueError: Not three speakers, or a frame in which all three talk.
    """
    if activity.shape[-1] != LOCAL_SPEAKERS:
        raise ValueError(f"activity must end in {LOCAL_SPEAKERS} speakers, got shape {list(activity.shape)}")
    # The three speakers as bits of one number; all three at once has no class.
    bits = activity.astype(np.int64) @ np.array([1, 2, 4])
    lookup = np.full(8, -1, dtype=np.int64)
    for index, speakers in enumerate(CLASS_SPEAKERS):
        lookup[sum(1 << s for s in speakers)] = index
    classes: NDArray[np.int64] = lookup[bits]
    if (classes < 0).any():
        raise ValueError("a frame has three speakers at once; the powerset holds at most two")
    return classes


def _check_classes(shape: tuple[int, ...]) -> None:
    if not shape or shape[-1] != CLASSES:
        raise ValueError(f"logits must end in {CLASSES} classes, got shape {list(shape)}")
