"""The net of a version as the diarizer needs it, timed, and giving way to others between two calls."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.segmenter import Segmentation, Segmenter
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.version import LoadedVersion


class TimedSegmenter:
    """A segmenter that knows how long it ran.

    Args:
        segmenter: the net.
        give_way: called before each run, outside of the measured time.

    Attributes:
        inference_ns: time of all runs.
        windows: how many windows they were about.
        failed: whether the net itself failed.
    """

    def __init__(self, segmenter: Segmenter, give_way: Callable[[], None]) -> None:
        self._segmenter, self._give_way = segmenter, give_way
        self.inference_ns = 0
        self.windows = 0
        self.failed = False

    def __call__(self, audio: NDArray[np.float32]) -> Segmentation:
        """Segment ``[batch, samples]``; errors as those of the net."""
        self._give_way()
        begun_ns = time.perf_counter_ns()
        try:
            segmentation = self._segmenter(audio)
        except Exception:
            self.failed = True
            raise
        self.inference_ns += time.perf_counter_ns() - begun_ns
        self.windows += audio.shape[0]
        return segmentation

    @property
    def window_ns(self) -> int:
        """Mean time of a window; 0 before the first."""
        return self.inference_ns // max(1, self.windows)


def segmenter_of(version: LoadedVersion) -> Segmenter:
    """The net of a version.

    Raises:
        RequestError: the model is none that diarizes (404).
    """
    if version.segmenter is None:
        raise RequestError(404, f"{version.model} does not diarize: ask it through /v2/models/{version.model}/infer")
    return version.segmenter
