"""What is known of each window by itself: scores of its local speakers, their speech alone, their embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.config import FRAME_S, DiarizationConfig
from voiceflow_ml.diarization.segmenter import Embedder, Segmentation, Segmenter
from voiceflow_ml.diarization.windows import Window
from voiceflow_ml.models.powerset import LOCAL_SPEAKERS, logits_to_activity, logits_to_probabilities


@dataclass(frozen=True)
class LocalWindows:
    """Windows after the net; about 2 kB each, kept in half precision.

    Attributes:
        first_frames: int64 ``[windows]``, where each begins.
        scores: float16 ``[windows, frames, 3]`` in [0, 1]: how likely each local speaker talks.
        talk_s: float32 ``[windows, 3]``: seconds that each talks.
        alone_s: float32 ``[windows, 3]``: seconds that each talks and no other does.
        embeddings: float16 ``[windows, 3, D]`` of length one; zeros for who does not talk.
    """

    first_frames: NDArray[np.int64]
    scores: NDArray[np.float16]
    talk_s: NDArray[np.float32]
    alone_s: NDArray[np.float32]
    embeddings: NDArray[np.float16]

    def __len__(self) -> int:
        """How many windows."""
        return int(self.first_frames.size)


def local_windows(
    windows: Iterable[Window], config: DiarizationConfig, segmenter: Segmenter, embedder: Embedder | None = None
) -> Iterator[LocalWindows]:
    """Run the net over windows, batch by batch.

    Args:
        windows: In order; all of one length.
        config: ``batch_windows`` and ``hard_scores`` count here.
        segmenter: The net.
        embedder: Takes the place of the net's embeddings.

    Yields:
        The windows of each batch.
    """
    stream = iter(windows)
    while batch := list(islice(stream, config.batch_windows)):
        audio = np.stack([window.audio for window in batch])
        segmentation = segmenter(audio)
        activity = logits_to_activity(segmentation.logits)
        alone = activity & (activity.sum(axis=2, keepdims=True) == 1)
        embeddings = segmentation.embeddings if embedder is None else embedder(audio, alone)
        yield LocalWindows(
            np.array([window.first_frame for window in batch], dtype=np.int64),
            _scores(segmentation, activity, config).astype(np.float16),
            (activity.sum(axis=1) * FRAME_S).astype(np.float32),
            (alone.sum(axis=1) * FRAME_S).astype(np.float32),
            np.where((activity.sum(axis=1) > 0)[:, :, None], embeddings, 0.0).astype(np.float16),
        )


def join_windows(parts: Sequence[LocalWindows]) -> LocalWindows:
    """Batches as one.

    Args:
        parts: In order; windows of one length.
    """
    if not parts:
        return LocalWindows(
            np.zeros(0, dtype=np.int64),
            np.zeros((0, 1, LOCAL_SPEAKERS), dtype=np.float16),
            np.zeros((0, LOCAL_SPEAKERS), dtype=np.float32),
            np.zeros((0, LOCAL_SPEAKERS), dtype=np.float32),
            np.zeros((0, LOCAL_SPEAKERS, 1), dtype=np.float16),
        )
    return LocalWindows(
        np.concatenate([part.first_frames for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.talk_s for part in parts]),
        np.concatenate([part.alone_s for part in parts]),
        np.concatenate([part.embeddings for part in parts]),
    )


def _scores(
    segmentation: Segmentation, activity: NDArray[np.bool_], config: DiarizationConfig
) -> NDArray[np.floating] | NDArray[np.bool_]:
    return activity if config.hard_scores else logits_to_probabilities(segmentation.logits)
